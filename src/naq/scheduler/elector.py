"""The elector: carries out what `naq.scheduler.lease` decides. One of many instances leads; the others stand by, loaded.

Leadership is a term that is trusted for a while. The elector renews it, steps down when it cannot, notices that a leader
is gone (NATS answers "no responders" as soon as its process is), hands over to a higher priority, and resigns when asked,
so that a deploy costs milliseconds. It can be wrong about who leads without harm: see `naq.scheduler.lease`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import RecordUnreadable, StoreError
from naq.scheduler.lease import Decision, Lease, LeaseSeen, Term, decide
from naq.store.codec import decode, encode
from naq.store.keys import LANES, epoch_key, lease_key
from naq.store.outage import Trouble
from naq.store.port import Answer, Committed, Entry, EventSink, Presence, Put, Refused, Store, Write
from naq.timing.zone_data import zone_data

__all__ = ["Elector", "ElectorSettings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ElectorSettings:
    """Who I am, and the rhythm of leadership, in seconds."""

    instance_id: str
    priority: int
    check_interval: float
    heartbeat_interval: float
    ttl: float
    partition: int | str = 0


class Elector:
    """Keeps ``term``: my time in office, or ``None``."""

    def __init__(
        self, store: Store, presence: Presence, clock: Clock, sink: EventSink, settings: ElectorSettings
    ) -> None:
        self.term: Term | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called when ``term`` begins or ends, or is trusted again."""
        self.barred: Callable[[], bool] = lambda: False
        """Whether this instance must not lead now: its clock is wrong."""
        self.seen = LeaseSeen(None, 0, clock.monotonic())
        self._store = store
        self._presence = presence
        self._clock = clock
        self._sink = sink
        self._settings = settings
        self._trouble = Trouble("the lease cannot be had or kept", clock, sink, settings.instance_id)
        self._key = lease_key(settings.partition)
        self._me = settings.instance_id + (f" ({settings.partition})" if settings.partition else "")
        self._withdraw: Callable[[], Awaitable[None]] | None = None
        self._handover_to: str | None = None
        self._asked_for: str | None = None
        self._turn = asyncio.Lock()
        self._poke = asyncio.Event()
        self._resigned = False

    @property
    def leads(self) -> bool:
        """Whether I lead, and may act on it now."""
        return self.term is not None and self.term.trusted(self._clock.monotonic())

    @property
    def leader(self) -> Lease | None:
        """The lease of the leader, as far as this instance has seen."""
        lease = self.seen.lease
        return lease if lease is not None and lease.held else None

    async def look(self) -> None:
        """Read the lease once; raises `StoreError` when the store cannot be asked."""
        self._saw(await self._store.get(self._key))

    async def follow(self) -> None:
        """Watch the lease, for ever."""
        async for entries in self._store.watch((self._key,), self.seen.revision):
            self._saw(entries[-1])
            self._poke.set()

    async def run(self) -> None:
        """Decide and act, for ever, once every check interval or when the lease changes."""
        while True:
            await self.step()
            self._poke.clear()
            sleeper = asyncio.ensure_future(self._clock.sleep(self._settings.check_interval))
            poked = asyncio.ensure_future(self._poke.wait())
            try:
                await asyncio.wait((sleeper, poked), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                poked.cancel()

    async def step(self) -> Decision:
        """One decision, carried out. A store that cannot be asked changes nothing: trust runs out by itself."""
        settings = self._settings
        async with self._turn:
            if self._resigned:
                return Decision.WAIT
            if self.barred():
                if self.term is not None:
                    await self._give_up_lease(successor=None)
                return Decision.WAIT
            if self._handover_to is not None and self.term is not None:
                await self._give_up_lease(successor=self._handover_to)
            decision = decide(
                settings.instance_id,
                settings.priority,
                self.seen,
                self.term,
                self._clock.monotonic(),
                settings.heartbeat_interval,
            )
            try:
                await self._carry_out(decision)
            except StoreError as error:
                self._trouble.met(error)
            else:
                if decision in (Decision.ACQUIRE, Decision.RENEW):
                    self._trouble.over()
            return decision

    def poke(self) -> None:
        """Decide again at once."""
        self._poke.set()

    async def resign(self) -> None:
        """Give the lease up, if I hold it, and do not try for it again. Another instance leads at once."""
        async with self._turn:
            self._resigned = True
            if self.term is not None:
                await self._give_up_lease(successor=None)

    async def forget(self) -> None:
        """The store is another one: what was seen of the lease says nothing any more, and neither does a term of mine."""
        async with self._turn:
            await self.step_down("the store is another one under the same name")
            self._handover_to = self._asked_for = None
            self.seen = LeaseSeen(None, 0, self._clock.monotonic())

    async def step_down(self, reason: str, level: int = logging.WARNING) -> None:
        """Stop leading now; the lease is left to run out or is somebody else's already. ``level``: how loud that is."""
        term, self.term = self.term, None
        if term is None:
            return
        self.on_change()
        log.log(level, "%s stops leading: %s", self._me, reason)
        self._emit(EventType.SCHEDULER_RELINQUISHED_LEADERSHIP, reason)
        withdraw, self._withdraw = self._withdraw, None
        if withdraw is not None:
            await withdraw()

    async def _carry_out(self, decision: Decision) -> None:
        match decision:
            case Decision.ACQUIRE:
                await self._acquire()
            case Decision.RENEW:
                await self._renew()
            case Decision.STEP_DOWN:
                await self.step_down("another instance took the lease, or it could not be renewed in time")
            case Decision.ASK | Decision.ASK_FOR_HANDOVER:
                await self._ask(decision is Decision.ASK_FOR_HANDOVER)
            case Decision.WAIT:
                pass

    async def _ask(self, for_handover: bool) -> None:
        lease, revision = self.seen.lease, self.seen.revision
        assert lease is not None
        me = (self._settings.instance_id, self._settings.priority)
        wanted = me if for_handover and self._asked_for != lease.term else None
        answer = await self._presence.ask(lease.term, wanted)
        if answer is Answer.ALIVE and wanted is not None:
            self._asked_for = lease.term
        if answer is Answer.GONE and self.seen.revision == revision:
            log.warning("the leader %s is gone", lease.instance_id)
            self.seen = replace(self.seen, suspect=True)
            await self._acquire()

    async def _acquire(self) -> None:
        settings = self._settings
        before = self.seen.revision
        await self.look()
        if self.seen.revision != before:
            return
        started = self._clock.monotonic()
        now = self._clock.now()
        name = secrets.token_hex(8)
        lease = Lease(
            instance_id=settings.instance_id,
            term=name,
            priority=settings.priority,
            became_leader_at=now,
            last_heartbeat=now,
            ttl=settings.ttl,
            zones=zone_data().release,
        )
        epochs = [epoch_key(lane, settings.partition) for lane in range(LANES)]
        writes: list[Write] = [Put(self._key, encode(lease), self.seen.revision)]
        writes += [Put(key, name.encode()) for key in epochs]
        withdraw = await self._presence.announce(name, self._on_handover)
        revisions: tuple[int, ...] | None = None
        try:
            revisions = await self._won(writes, lease, epochs)
        finally:
            if revisions is None:
                await withdraw()
        if revisions is None:
            return
        self._withdraw = withdraw
        self._handover_to = None
        self.seen = LeaseSeen(lease, revisions[0], started)
        self.term = Term(name, revisions[0], revisions[1:], started, settings.ttl, now)
        self.on_change()
        log.info("%s leads", self._me)
        self._emit(EventType.SCHEDULER_BECAME_LEADER, None)

    async def _won(self, writes: list[Write], lease: Lease, epochs: list[str]) -> tuple[int, ...] | None:
        """The revisions of the lease and the epochs if the lease is mine now; ``None`` when somebody was faster."""
        outcome = await self._store.transact(writes)
        if isinstance(outcome, Committed):
            return outcome.revisions
        entries = await self._store.get_many([self._key, *epochs])
        self._saw(entries.get(self._key))
        if isinstance(outcome, Refused) or self.seen.lease is None or self.seen.lease.term != lease.term:
            return None
        return tuple(entries[key].revision for key in (self._key, *epochs))

    async def _renew(self) -> None:
        term, lease = self.term, self.seen.lease
        assert term is not None and lease is not None
        started = self._clock.monotonic()
        renewed = Lease(
            instance_id=lease.instance_id,
            term=lease.term,
            priority=lease.priority,
            became_leader_at=lease.became_leader_at,
            last_heartbeat=self._clock.now(),
            ttl=lease.ttl,
            zones=lease.zones,
        )
        outcome = await self._store.transact([Put(self._key, encode(renewed), term.revision)])
        if isinstance(outcome, Committed):
            revision = outcome.revisions[0]
        else:
            await self.look()
            seen = self.seen.lease
            if seen is None or seen.term != term.name:
                await self.step_down("another instance took the lease")
                return
            if seen.last_heartbeat != renewed.last_heartbeat:
                # Ours, but not this renewal: tried again at the next check, from the revision that is there.
                self.term = replace(term, revision=self.seen.revision)
                return
            revision = self.seen.revision
        lapsed = not term.trusted(self._clock.monotonic())
        self.seen = LeaseSeen(renewed, revision, started)
        self.term = replace(term, revision=revision, renewed=started)
        if lapsed:
            self.on_change()  # what stopped meanwhile may go on

    async def _give_up_lease(self, successor: str | None) -> None:
        term = self.term
        assert term is not None
        self._handover_to = None
        await self.step_down("it hands over" if successor else "it resigns", logging.INFO)
        lease = Lease(
            instance_id=self._settings.instance_id, priority=self._settings.priority, ttl=0, successor=successor
        )
        try:
            outcome = await self._store.transact([Put(self._key, encode(lease), term.revision)])
        except StoreError as error:
            log.warning("the lease could not be given back, it runs out by itself: %s", error)
            return
        if isinstance(outcome, Committed):
            self.seen = LeaseSeen(lease, outcome.revisions[0], self._clock.monotonic())

    def _on_handover(self, instance_id: str, priority: int) -> None:
        if priority > self._settings.priority and self.term is not None:
            log.info("%s (priority %d) asks for the leadership", instance_id, priority)
            self._handover_to = instance_id
            self._poke.set()

    def _saw(self, entry: Entry | None) -> None:
        revision = 0 if entry is None else entry.revision
        if entry is not None and entry.value is None:
            # Deleted by somebody: as free as one that never was, but only the store knows the marker's revision.
            if entry.revision > self.seen.revision:
                self.seen = LeaseSeen(None, 0, self._clock.monotonic())
            return
        if entry is not None and revision <= self.seen.revision:
            return
        if entry is None and self.seen.lease is None and self.seen.revision == 0:
            return
        lease: Lease | None = None
        if entry is not None and entry.value is not None:
            try:
                lease = decode(Lease, self._key, entry.value)
            except RecordUnreadable as error:
                log.error("%s", error)
        self.seen = LeaseSeen(lease, revision, self._clock.monotonic())

    def _emit(self, kind: EventType, reason: str | None) -> None:
        event = Event(type=kind, timestamp=self._clock.now(), instance_id=self._settings.instance_id, reason=reason)
        self._sink.emit([event])
