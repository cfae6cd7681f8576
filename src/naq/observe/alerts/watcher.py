"""The watcher: reads the events of a namespace, evaluates an application's alert rules, and notifies its sinks.

Each process that runs the application's scheduler is a candidate. They elect the watcher with a lease of its own, because
the leader of the schedules may belong to another application, which does not know these alerts. The watcher's state is in the
store, and only the holder of the lease can write it (`naq.observe.alerts.memory`). So a successor continues where the last one
stopped: no alert is lost and none fires twice. Sinks are notified *after* an alert is stored, and the alert is marked as
undelivered until they have received it: each sink receives it at least once, and sometimes twice.
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
from naq.observe.alerts.confirm import Confirmation
from naq.observe.alerts.declarations import Observed
from naq.observe.alerts.memory import Memory, Position
from naq.observe.alerts.notify import Notifier
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
"""Seconds between two checks of the time."""
SAVE_EVERY = 5.0
"""Seconds after which the position is stored even if no alert changed."""
SCHEDULES_EVERY = 2.0
"""Minimum seconds between two checks of all schedules; longer if there are many."""
SHARE = 20
"""Checking all schedules takes at most one in this many seconds of the time."""
RETRY_AFTER = 1.0
AT_ONCE = 400
"""Maximum number of alerts changed in one transaction."""
LOOKED_UP_AT_ONCE = 16

log = logging.getLogger(__name__)


class _Silent:
    """Drops the elector's events: they are about the leader of the schedules, not about a watcher."""

    def emit(self, events: object) -> None:
        """Do nothing."""


def watch_elector(kv: KVStoreService, application: str, clock: Clock) -> Elector:
    """A candidate for the watcher of an application."""
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
    """One candidate for watching an application's alerts; works while it is elected."""

    def __init__(
        self,
        observed: Observed,
        memory: Memory,
        elector: Elector,
        events: EventService,
        confirmation: Confirmation,
        clock: Clock,
    ) -> None:
        """``elector`` takes part in the election of this application's watcher (`watch_elector`)."""
        self._observed = observed
        self._rules = {name: alert.watched for name, alert in observed.alerts.items()}
        self._events = events
        self._confirmation = confirmation
        self._clock = clock
        self._memory = memory
        self._fence_key = epoch_key(0, watch_partition(memory.application))
        self.elector = elector
        self._woken = asyncio.Event()
        self.elector.on_change = self._woken.set
        self.notifier = Notifier(observed, clock, self._woken.set)
        self._tasks = Tasks(clock)
        self._board = Board(memory.application, {})
        self._sequence = self._skip = 0
        self._sound_in = ""
        """The term in which the board equals the stored state plus the events since; empty: none."""
        self._looked_at = self._schedules_at = self._saved_at = 0.0

    async def start(self) -> None:
        """Become a candidate; a single candidate is the watcher when this returns. Raises `StoreError`."""
        self.notifier.start()
        await self.elector.look()
        await self.elector.step()
        self._tasks.start("naq watch lease", self.elector.follow)
        self._tasks.start("naq watch elector", self.elector.run)
        self._tasks.start("naq watcher", self._run)

    async def stop(self) -> None:
        """Deliver what is queued (briefly), store the position, and resign. Idempotent."""
        await self._tasks.stop()
        await self.notifier.stop()
        term = self.elector.term
        if term is not None and term.name == self._sound_in and self.elector.leads:
            self._take_notified()
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
                log.warning("watching the alerts failed, trying again: %s", error)
                await self._clock.sleep(RETRY_AFTER)

    async def _watch(self, term: Term) -> None:
        """Watch until the term is over."""
        self._sound_in = ""
        self._board, position = await self._memory.load(self._rules, self._clock.now())
        await self._memory.clean(self._rules)
        self._sequence, self._skip = position.sequence, position.skip
        following = await self._events.next_sequence()
        if self._sequence > following:
            log.warning("the stream of events was recreated: the alerts continue from its current end")
            self._sequence, self._skip, position = following, 0, Position(sequence=following)
        self._sound_in = term.name
        self.notifier.resume(self._board.records, position, following)
        self._looked_at = self._schedules_at = self._saved_at = 0.0
        life = self._events.life
        async with self._events.news() as fresh:
            fresh.set()
            while self._lasts(term) and life == self._events.life:
                self._woken.clear()
                if fresh.is_set():
                    fresh.clear()
                    async for sequence, group in self._events.read_groups(self.notifier.first_needed(self._sequence)):
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
        self.notifier.hand_over(sequence, group)
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
        """Run the periodic checks that are due."""
        monotonic = self._clock.monotonic()
        self._take_notified()
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

    def _take_notified(self) -> None:
        for key, alert_id in self.notifier.take_notified():
            self._board.notified(key, alert_id)

    async def _see_schedules(self) -> None:
        for name, watched in self._rules.items():
            if isinstance(watched.rule, NotRunSince):
                self._board.see_schedules(name, await self._confirmation.schedules(watched.rule), self._clock.now())

    async def _look(self) -> None:
        keys = self._board.look(self._clock.now(), AT_ONCE)
        for start in range(0, len(keys), LOOKED_UP_AT_ONCE):
            part = keys[start : start + LOOKED_UP_AT_ONCE]
            standings = await asyncio.gather(*(self._renewed(key) for key in part))
            for key, standing in zip(part, standings, strict=True):
                self._board.settle(key, standing, self._clock.now())

    async def _renewed(self, key: Key) -> Standing | None:
        name, subject = key
        return await self._confirmation.renewed(
            self._board.rule(name), subject, self._board.standing(key), self._board.records.get(key)
        )

    # --- store, then notify

    async def _save(self, term: Term, *, whole: bool = False) -> None:
        fence = Check(self._fence_key, term.epochs[0])
        position = Position(sequence=self._sequence, skip=self._skip, sent=self.notifier.sent(self._sequence))
        self._sound_in = ""
        changes = await self._memory.commit(fence, self._board, position, all_facts=whole)
        self._sound_in = term.name
        self._saved_at = self._clock.monotonic()
        self._say(changes)

    def _say(self, changes: Changes) -> None:
        for alert in changes.alerts:
            log.log(logging.INFO if alert.kind is AlertKind.RESOLVED else logging.WARNING, "alert %s", alert)
            self.notifier.notify(alert)
        self._events.emit(filter(None, map(self._event, changes.alerts)))

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
