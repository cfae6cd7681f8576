"""The world that a history happens in: nodes, people, one store, one time. `live` runs a history and judges it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from naq.exceptions import InvalidInput, SchedulerError, StoreError
from naq.store.port import Entry
from naq.testing.clock import ManualClock
from naq.testing.presence import Switchboard
from naq.testing.replica import Replica
from naq.testing.store import MemoryStore
from tests.simulation.acts import ACTS, Acknowledged
from tests.simulation.history import History, Kind, Step
from tests.simulation.loop import NOBODY, SimulatedLoop
from tests.simulation.node import Node, Person, Rhythm

__all__ = ["Verdict", "World", "Written", "live"]

START = datetime(2030, 1, 1, tzinfo=UTC)
STEADY_AFTER = 15.0
"""Seconds that everything may take after all is mended: a resync, a lease, an answer, and some more."""


@dataclass(frozen=True, slots=True)
class Written:
    """One write, as the store did it."""

    entry: Entry
    at: datetime
    """True time, whatever the nodes' clocks showed."""


@dataclass(slots=True)
class Verdict:
    """How a history ended."""

    history: History
    complaints: list[str] = field(default_factory=list)
    """What should not be; empty: all promises were kept."""
    table: str = ""
    written: int = 0
    fired: int = 0
    digest: tuple[tuple[str, str, bool], ...] = ()
    """When what was written: the same for every run of the same history."""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.complaints


class World:
    """Everything that there is."""

    def __init__(self, loop: SimulatedLoop, history: History, rhythm: Rhythm | None = None) -> None:
        self.history = history
        self.loop = loop
        self.clock = ManualClock(START, loop=loop)
        """True time."""
        self.store = MemoryStore(self.clock)
        self.results = MemoryStore(self.clock)
        """How jobs ended: nobody runs any here, but schedulers ask."""
        self.replica = Replica(self.store, self.clock)
        self.board = Switchboard()
        self.log: list[Written] = []
        self.acknowledged: list[Acknowledged] = []
        self.complaints: list[str] = []
        self.on_word: Callable[[str], None] | None = None
        seed = str(history.seed)
        self.nodes = [
            Node(loop, self.store, self.board, self.clock.skewed(), f"n{number}", seed, rhythm or Rhythm())
            for number in range(history.nodes)
        ]
        self.people = [
            Person(loop, self.store, self.clock.skewed(), f"p{number}", seed) for number in range(history.people)
        ]
        for node in self.nodes:
            node.results = self.results
        places: list[Node | Person] = [*self.nodes, *self.people]
        self._places = {place.name: place for place in places}
        self._ends: list[asyncio.Task[None]] = []
        self.store.on_commit.append(self._record)

    def say(self, words: str) -> None:
        """A line for people who watch."""
        if self.on_word is not None:
            self.on_word(f"{self.loop.time() - 1000:9.4f}  {words}")

    async def run(self) -> None:
        """Let the history happen, mend everything, and wait until it is steady."""
        for node in self.nodes:
            node.start()
        for step in self.history.steps:
            await self.clock.advance(max(0.0, step.at - (self.loop.time() - 1000)))
            self.say(f"* {step}")
            self.do(step)
        await self.clock.advance(max(0.0, self.history.length - (self.loop.time() - 1000)))
        self.mend()
        await self.clock.advance(5.0)
        for node in self.nodes:
            node.start()
        await self.clock.advance(STEADY_AFTER)

    async def end(self) -> None:
        """Leave nothing running."""
        for node in self.nodes:
            node.kill()
        for person in self.people:
            person.client.disconnect()
            person.process.kill()
        await self.clock.settle()

    def mend(self) -> None:
        """All faults end here."""
        self.say("* everything is mended")
        for task in self._ends:
            task.cancel()
        self.store.full = self.store.power_fails_after = None
        for place in self._places.values():
            place.clock.set_wall(self.clock.now())
            place.mend_link()
            if place.process is not None:
                place.process.stop_at = None
                if place.process.paused:
                    place.process.resume()
        for node in self.nodes:
            node.start()

    def do(self, step: Step) -> None:
        """One step."""
        place = self._places.get(step.target)
        if step.kind in ACTS:
            assert isinstance(place, Person)
            place.process.run(self._act(place, step), name=str(step))
        elif place is None:
            self._hurt_store(step)
        elif isinstance(place, Node) and step.kind in _NODE_FAULTS:
            _NODE_FAULTS[step.kind](self, place, *step.value)
        else:
            self._hurt_link(place, step)

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something in so many seconds, unless everything is mended before."""

        async def wait() -> None:
            await self.clock.sleep(seconds)
            action()

        self._ends.append(self.loop.create_task(wait(), context=NOBODY.copy()))

    async def _act(self, person: Person, step: Step) -> None:
        try:
            done = await ACTS[step.kind](person, *step.value)
        except (SchedulerError, StoreError, InvalidInput) as error:
            self.say(f"{person.name}: {step.kind} {step.value[0]} is not acknowledged: {error}")
            return
        self.say(f"{person.name}: {step.kind} {step.value[0]} is acknowledged")
        self.acknowledged.append(Acknowledged(step, done))

    def _hurt_store(self, step: Step) -> None:
        match step.kind, step.value:
            case Kind.OUTAGE, (seconds,):
                for place in self._places.values():
                    self._disconnect(place, seconds)
            case Kind.FULL, (seconds,):
                self.store.full = "no space left on device"
                self.later(seconds, lambda: setattr(self.store, "full", None))
            case Kind.POWER, (kept, seconds):
                self.store.power_fails_after = kept
                self.store.on_power_failure[:] = [lambda: self._lose_power(seconds)]
            case Kind.PURGE, ():
                self.store.purge("job.>")
            case _:
                raise AssertionError(step)

    def _lose_power(self, seconds: float) -> None:
        self.say("* the power failed")
        for place in self._places.values():
            self._disconnect(place, seconds)

    def _hurt_link(self, place: Node | Person, step: Step) -> None:
        link = place.link
        match step.kind, step.value:
            case Kind.CUT, (seconds, ways):
                if place.client is not None:
                    place.client.cut(sends=ways == "answers", hears=ways == "requests")
                self.later(seconds, place.mend_link)
            case Kind.DISCONNECT, (seconds,):
                self._disconnect(place, seconds)
            case Kind.LOSE, (seconds, share):
                link.lost_requests = link.lost_answers = share
                self.later(seconds, place.mend_link)
            case Kind.SLOW, (seconds, slowest):
                link.delay = (0.0002, slowest)
                self.later(seconds, place.mend_link)
            case Kind.LAG, (seconds, slowest):
                link.lag = (0.0002, slowest)
                self.later(seconds, place.mend_link)
            case Kind.STALE, (seconds, most):
                link.replica, link.stale, link.behind = self.replica, 0.5, (0.0, most)
                self.later(seconds, place.mend_link)
            case Kind.STEP_CLOCK, (jump,):
                place.clock.step_wall(jump)
            case _:
                raise AssertionError(step)

    def _disconnect(self, place: Node | Person, seconds: float) -> None:
        if place.client is not None:
            place.client.disconnect()
        self.later(seconds, place.mend_link)

    def _crash(self, node: Node, steps: int, seconds: float) -> None:
        def strike() -> None:
            self.say(f"{node.name} is killed")
            node.kill()
            self.later(seconds, node.start)

        if node.process is None or steps == 0:
            strike()
        else:
            node.process.stop_at, node.process.on_stop = node.process.steps + steps, strike

    def _freeze(self, node: Node, seconds: float) -> None:
        if node.process is not None and node.alive:
            node.process.pause()
            self.later(seconds, node.process.resume)

    def _terminate(self, node: Node, seconds: float) -> None:
        node.terminate()
        self.later(seconds, node.start)

    def _deafen(self, node: Node) -> None:
        if node.client is not None:
            node.client.kill_watches()

    def _record(self, entries: Sequence[Entry]) -> None:
        now = self.clock.now()
        for entry in entries:
            self.log.append(Written(entry, now))
            if self.on_word is not None and not entry.key.startswith("epoch."):
                self.say(f"  {entry.revision} {entry.key} = {entry.value!r:.400}")


_NODE_FAULTS: dict[Kind, Callable[..., None]] = {
    Kind.CRASH: World._crash,
    Kind.FREEZE: World._freeze,
    Kind.TERMINATE: World._terminate,
    Kind.DEAFEN: World._deafen,
}


OF_THE_STORE = frozenset({"naq.store.outage", "naq.scheduler.partition"})
"""Who tells, as an error, of a store that was hurt on purpose."""


class Listener(logging.Handler):
    """What the code under test logs: an error is a complaint, all of it is shown to whoever watches."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.DEBUG if world.on_word is not None else logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f": {record.exc_info[1]!r}"
        self._world.say(f"    [{record.name}] {text}")
        if record.levelno >= logging.ERROR and record.name not in OF_THE_STORE:
            self._world.complaints.append(f"{record.name}: {text}")


def live(
    history: History,
    on_word: Callable[[str], None] | None = None,
    rhythm: Rhythm | None = None,
    prepare: Callable[[World], None] = lambda world: None,
) -> Verdict:
    """Let a history happen in a world of its own, which ``prepare`` may change first, and judge what became of it."""
    from tests.simulation.judge import judge

    loop = SimulatedLoop()
    world = World(loop, history, rhythm)
    world.on_word = on_word
    logger, listener = logging.getLogger("naq"), Listener(world)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(listener.level)
    logger.propagate = False
    logger.addHandler(listener)
    loop.set_exception_handler(lambda _, context: world.complaints.append(_told(context)))

    async def main() -> Verdict:
        try:
            prepare(world)
            await world.run()
            return judge(world)
        finally:
            await world.end()

    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            verdict = runner.run(main())
        verdict.complaints += [complaint for complaint in world.complaints if complaint not in verdict.complaints]
        return verdict
    finally:
        logger.removeHandler(listener)
        logger.setLevel(level)
        logger.propagate = propagate


def _told(context: dict[str, Any]) -> str:
    return f"nobody took this: {context.get('message')}: {context.get('exception')!r}"
