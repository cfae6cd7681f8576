"""The inhabitants of the simulated world: scheduler nodes, and people who create and change schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from naq.events import Event
from naq.exceptions import StoreError
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.lease import MARGIN
from naq.scheduler.listeners import Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.schedules.repository import Schedules
from naq.store.port import Check, Write
from naq.testing.clock import ManualClock
from naq.testing.link import Link, MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from tests.simulation.loop import Process, SimulatedLoop

__all__ = ["Node", "Person", "Rhythm"]


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The settings of all schedulers, in seconds."""

    check: float = 1.0
    heartbeat: float = 1.0
    lease: float = 5.0
    resync: float = 6.0
    batch: int = 50
    answer: float = 2.0
    """How long a client waits for the store's answer."""


ABOUT_TO = 0.05
"""Seconds between deciding to fire and sending it, at most."""
DELAY = (0.0002, 0.002)
LAG = (0.0002, 0.003)


class Silence:
    """An `EventSink` nobody listens to."""

    def emit(self, events: Iterable[Event]) -> None:
        """Forget them."""
        for _ in events:
            pass


def make_link(seed: str) -> Link:
    """An ordinary link: a millisecond or so each way."""
    return Link(random=Random(seed), delay=DELAY, lag=LAG)


def mend(link: Link) -> None:
    """Make a link an ordinary one again."""
    link.delay, link.lag = DELAY, LAG
    link.lost_requests = link.lost_answers = link.stale = 0.0
    link.sends = link.hears = link.connected = True


class Node:
    """A machine that runs a scheduler process: it can be killed, frozen, cut off, restarted; its clock can be wrong."""

    def __init__(
        self,
        loop: SimulatedLoop,
        store: MemoryStore,
        board: Switchboard,
        clock: ManualClock,
        name: str,
        seed: str,
        rhythm: Rhythm,
    ) -> None:
        self.name = name
        self.priority = 1
        self.clock = clock
        self.rhythm = rhythm
        self.link = make_link(f"{seed}/{name}")
        self.complaints: list[str] = []
        self.on_start: Callable[[Process], None] = lambda process: None
        """Called with each new process before it runs."""
        self.results: MemoryStore | None = None
        """Where workers write how jobs ended."""
        self._loop = loop
        self._store = store
        self._board = board
        self._lives = 0
        self.process: Process | None = None
        self.client: MemoryClient | None = None
        self.partition: Partition | None = None

    @property
    def alive(self) -> bool:
        """Whether its process is there (frozen or not)."""
        return self.process is not None and not self.process.dead

    @property
    def leads(self) -> bool:
        """Whether its process believes that it leads."""
        return self.alive and self.partition is not None and self.partition.elector.leads

    def start(self) -> None:
        """Start a process, unless there is one."""
        if self.alive:
            return
        self._lives += 1
        instance = f"{self.name}.{self._lives}"
        self.process = Process(self._loop, instance)
        self.client = MemoryClient(self._store, instance, self.link, patience=self.rhythm.answer)
        self.client.on_send = self._on_send
        self.partition = Partition(
            self.client,
            MemoryPresence(self._board, self.client),
            self.clock,
            Listeners(Silence(), results=self.results),
            PartitionSettings(
                ElectorSettings(instance, self.priority, self.rhythm.check, self.rhythm.heartbeat, self.rhythm.lease),
                self.rhythm.batch,
                self.rhythm.resync,
            ),
        )
        self.on_start(self.process)
        self.process.run(self._live(self.partition), name=instance)

    def kill(self, *, power: bool = False) -> None:
        """SIGKILL: nothing of it is heard of any more, but what it sent is on its way; with ``power`` that is lost too."""
        if self.process is None or self.client is None or self.process.dead:
            return
        if power:
            self.client.drop()
        was, self.link = self.link, Link(random=self.link.random, delay=self.link.delay, lag=self.link.lag)
        self.link.sends, self.link.hears, self.link.connected = was.sends, was.hears, was.connected
        self.client.disconnect()
        self.process.kill()

    def mend_link(self) -> None:
        """Its way to the store is an ordinary one again."""
        mend(self.link)
        if self.client is not None and self.alive:
            self.client.restore()

    def terminate(self) -> None:
        """SIGTERM: it stops by itself."""
        if self.process is not None and self.partition is not None and not self.process.dead:
            self.process.run(self._stop(self.process, self.partition))

    async def _live(self, partition: Partition) -> None:
        """As the scheduler program does: it starts, and tries again when the store cannot be asked."""
        while True:
            try:
                await partition.start()
                return
            except StoreError:
                await self.clock.sleep(1.0)

    async def _stop(self, process: Process, partition: Partition) -> None:
        await partition.stop()
        if self.process is process:
            self.kill()

    def _on_send(self, writes: Sequence[Write]) -> None:
        """A leader that does not trust its term any more must not begin a fire transaction.

        One that was about to is let pass: it may have been frozen between its look at the clock and its sending, and
        only the fence can help then.
        """
        first, process = writes[0], self.process
        if not isinstance(first, Check) or self.partition is None or process is None or process.dead:
            return
        term, now = self.partition.elector.term, self.clock.monotonic()
        if term is not None and now > max(term.renewed + term.ttl * (1 - MARGIN), process.resumed_at) + ABOUT_TO:
            self.complaints.append(f"{self.name} began a transaction without a term that it trusts")


class Person:
    """Somebody at a client process."""

    def __init__(self, loop: SimulatedLoop, store: MemoryStore, clock: ManualClock, name: str, seed: str) -> None:
        self.name = name
        self.clock = clock
        self.link = make_link(f"{seed}/{name}")
        self.process = Process(loop, name)
        self.client = MemoryClient(store, name, self.link)
        self.schedules = Schedules(self.client, clock, Silence(), name)

    def mend_link(self) -> None:
        """Its way to the store is an ordinary one again."""
        mend(self.link)
        self.client.restore()
