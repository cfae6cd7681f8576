"""The watcher: follows the events of a namespace, judges an application's alerts, and has its sinks told.

Each process that runs the application's scheduler has one; they elect who watches with a lease of their own, for whoever
leads the schedules may be the process of another application, which knows nothing of these alerts. What the watcher
knows is in the store, written in transactions that only the one who holds the lease can commit (`naq.observe.alerts.memory`).
So a successor goes on where the last one was: no alert is lost and none fires twice. An alert is told *after* it is
stored, and stays marked as untold until its sinks have taken it: a sink may hear it twice, and hears it at least once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import NaqError, StoreError
from naq.lifecycle import Tasks
from naq.observe.alerts.alert import Alert, AlertKind
from naq.observe.alerts.board import Board, Changes, Key
from naq.observe.alerts.confirm import Proofs
from naq.observe.alerts.declarations import Observed
from naq.observe.alerts.memory import Memory, Position
from naq.observe.alerts.notify import Telling
from naq.observe.alerts.rules import NotRunSince
from naq.observe.alerts.standing import Standing
from naq.scheduler.elector import Elector, ElectorSettings
from naq.scheduler.lease import Term
from naq.scheduler.presence import NatsPresence
from naq.store.keys import epoch_key, watch_partition
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Check

__all__ = ["Watcher", "watch_elector"]

TICK = 0.25
"""Seconds between two looks at the time."""
SAVE_EVERY = 5.0
"""Seconds after which what was heard is stored though no alert changed."""
SCHEDULES_EVERY = 2.0
"""Seconds between two looks at which schedules there are, at least; with many of them longer."""
SHARE = 20
"""A look at all schedules takes at most about this fraction of the time."""
RETRY_AFTER = 1.0
AT_ONCE = 400
"""Alerts that change in one transaction at most."""
LOOKED_UP_AT_ONCE = 16

log = logging.getLogger("naq.alerts")


class _Silent:
    """The elector's events are those of the schedules' leader; a watcher's term is nobody's business."""

    def emit(self, events: object) -> None:
        """Do nothing."""


def watch_elector(kv: KVStoreService, application: str, clock: Clock) -> Elector:
    """A candidate for watching the alerts of an application."""
    settings = kv.settings
    partition = watch_partition(application)
    return Elector(
        kv,
        NatsPresence(kv.connection, kv.names, partition),
        clock,
        _Silent(),
        ElectorSettings(
            settings.instance_id,
            1,
            settings.leader_check_interval,
            settings.leader_heartbeat_interval,
            settings.leader_lease,
            partition,
        ),
    )


class Watcher:
    """One process's part in watching an application's alerts."""

    def __init__(
        self,
        observed: Observed,
        memory: Memory,
        elector: Elector,
        events: EventService,
        proofs: Proofs,
        clock: Clock,
    ) -> None:
        """``elector`` takes part in the election of this application's watcher (`watch_elector`)."""
        self._observed = observed
        self._rules = {name: alert.watched for name, alert in observed.alerts.items()}
        self._events = events
        self._proofs = proofs
        self._clock = clock
        self._memory = memory
        self._fence_key = epoch_key(0, watch_partition(memory.application))
        self.elector = elector
        self._woken = asyncio.Event()
        self.elector.on_change = self._woken.set
        self.telling = Telling(observed, clock, self._woken.set)
        self._tasks = Tasks(clock)
        self._board = Board(memory.application, {})
        self._sequence = self._skip = 0
        self._sound_in = ""
        """The term in which the board is what was stored and all that was heard since; empty: in none."""
        self._looked_at = self._schedules_at = self._saved_at = 0.0

    async def start(self) -> None:
        """Stand for watching; whoever is alone watches when this returns. Raises `StoreError`."""
        self.telling.start()
        await self.elector.look()
        await self.elector.step()
        self._tasks.start("naq watch lease", self.elector.follow)
        self._tasks.start("naq watch elector", self.elector.run)
        self._tasks.start("naq watcher", self._run)

    async def stop(self) -> None:
        """Tell what waits if that is quick, store how far it got, and let another process watch. Idempotent."""
        await self._tasks.stop()
        await self.telling.stop()
        term = self.elector.term
        if term is not None and term.name == self._sound_in and self.elector.leads:
            self._take_told()
            with contextlib.suppress(StoreError):
                await self._save(term, whole=True)
        await self.elector.resign()

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            term = self.elector.term
            if term is None:
                await self._woken.wait()
                continue
            try:
                await self._watch(term)
            except NaqError as error:
                log.warning("the alerts are not watched for a moment: %s", error)
                await self._clock.sleep(RETRY_AFTER)

    async def _watch(self, term: Term) -> None:
        """Watch until the term is over."""
        self._sound_in = ""
        self._board, position = await self._memory.load(self._rules, self._clock.now())
        await self._memory.clean(self._rules)
        self._sequence, self._skip = position.sequence, position.skip
        following = await self._events.next_sequence()
        if self._sequence > following:
            log.warning("the stream of events begins anew: the alerts hear it from here on")
            self._sequence, self._skip, position = following, 0, Position(sequence=following)
        self._sound_in = term.name
        self.telling.resume(self._board.records, position, following)
        self._looked_at = self._schedules_at = self._saved_at = 0.0
        life = self._events.life
        async with self._events.news() as fresh:
            fresh.set()
            while self._lasts(term) and life == self._events.life:
                self._woken.clear()
                if fresh.is_set():
                    fresh.clear()
                    async for sequence, group in self._events.read_groups(self.telling.first_needed(self._sequence)):
                        await self._hear(term, sequence, group)
                        await self._turn(term)
                        if not self._lasts(term):
                            return
                await self._turn(term)
                await self._pause(fresh)

    def _lasts(self, term: Term) -> bool:
        return self.elector.term is not None and self.elector.term.name == term.name

    async def _pause(self, fresh: asyncio.Event) -> None:
        waiters = [asyncio.ensure_future(each) for each in (fresh.wait(), self._woken.wait(), self._clock.sleep(TICK))]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()

    # --- events

    async def _hear(self, term: Term, sequence: int, group: Sequence[Event]) -> None:
        self.telling.hand_over(sequence, group)
        if sequence < self._sequence:
            return
        skip = self._skip if sequence == self._sequence else 0
        for number, event in enumerate(group[skip:], skip + 1):
            self._board.hear(event)
            self._sequence, self._skip = sequence, number
            if self._board.changed >= AT_ONCE:
                await self._save(term)
        self._sequence, self._skip = sequence + 1, 0
        if self._board.changed:
            await self._save(term)

    # --- the time

    async def _turn(self, term: Term) -> None:
        """What time asks for, if it has come."""
        monotonic = self._clock.monotonic()
        self._take_told()
        if monotonic >= self._schedules_at:
            await self._see_schedules()
            taken = self._clock.monotonic() - monotonic
            self._schedules_at = monotonic + max(SCHEDULES_EVERY, SHARE * taken)
        if monotonic - self._looked_at >= TICK:
            self._looked_at = monotonic
            await self._look()
        due = monotonic - self._saved_at >= SAVE_EVERY
        if self._board.changed or due:
            await self._save(term, whole=due)

    def _take_told(self) -> None:
        for key, alert_id in self.telling.take_told():
            self._board.told(key, alert_id)

    async def _see_schedules(self) -> None:
        for name, watched in self._rules.items():
            if isinstance(watched.rule, NotRunSince):
                self._board.see_schedules(name, await self._proofs.schedules(watched.rule), self._clock.now())

    async def _look(self) -> None:
        keys = self._board.look(self._clock.now(), AT_ONCE)
        for start in range(0, len(keys), LOOKED_UP_AT_ONCE):
            part = keys[start : start + LOOKED_UP_AT_ONCE]
            standings = await asyncio.gather(*(self._renewed(key) for key in part))
            for key, standing in zip(part, standings, strict=True):
                self._board.settle(key, standing, self._clock.now())

    async def _renewed(self, key: Key) -> Standing | None:
        name, subject = key
        return await self._proofs.renewed(
            self._board.rule(name), subject, self._board.standing(key), self._board.records.get(key)
        )

    # --- storing, then telling

    async def _save(self, term: Term, *, whole: bool = False) -> None:
        fence = Check(self._fence_key, term.epochs[0])
        position = Position(sequence=self._sequence, skip=self._skip, sent=self.telling.sent(self._sequence))
        self._sound_in = ""
        changes = await self._memory.commit(fence, self._board, position, all_facts=whole)
        self._sound_in = term.name
        self._saved_at = self._clock.monotonic()
        self._say(changes)

    def _say(self, changes: Changes) -> None:
        for alert in changes.told:
            log.log(logging.INFO if alert.kind is AlertKind.RESOLVED else logging.WARNING, "alert %s", alert)
            self.telling.tell(alert)
        self._events.emit(filter(None, map(self._event, changes.told)))

    def _event(self, alert: Alert) -> Event | None:
        if alert.kind is AlertKind.REPEATED:
            return None
        return Event(
            type=EventType.ALERT_FIRED if alert.firing else EventType.ALERT_RESOLVED,
            timestamp=self._clock.now(),
            instance_id=self._events.settings.instance_id,
            schedule_id=alert.schedule_id,
            job_id=alert.job_id,
            func=alert.func,
            queue=alert.queue,
            reason=alert.reason,
            details={
                "alert": alert.name,
                "application": alert.application,
                "subject": alert.subject,
                "rule": alert.rule,
                "since": alert.since.isoformat(),
            },
        )
