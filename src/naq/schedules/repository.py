"""Schedules in the store: created, read and changed by compare-and-set, from any process, no matter who leads.

A change is a function from the record as it is to the record as it shall be. A lost race is tried again from what is
there now; an answer that was lost is learned by reading, never guessed. What was acknowledged holds: after `change` has
paused a schedule no fire planned before can be committed, for the record's revision has moved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import (
    FenceMoved,
    ScheduleExists,
    SchedulerError,
)
from naq.jobs.job import QueuedJob
from naq.jobs.size import check_size
from naq.schedules.contention import Tries
from naq.schedules.counters import ERA_ENDED, Counters, EraEnded
from naq.schedules.overdue import Overdue
from naq.schedules.planning.before_edit import is_same, needs_decision
from naq.schedules.planning.decision import Fire, Plan
from naq.schedules.planning.manual import trigger_now
from naq.schedules.policy import IfExists, Overlap
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.stored import (
    Unreadable,
    asking,
    difference,
    has_change,
    new_change_id,
    ownership,
    schedule_in,
    schedule_or_reason,
    unknown,
)
from naq.store.codec import encode, plain
from naq.store.keys import ALL_SCHEDULES, job_key, manual_job_id, schedule_key
from naq.store.port import Check, Committed, Delete, Entry, EventSink, Outcome, Put, Refused, Store, Unknown, Write

__all__ = ["Change", "Changed", "Schedules", "Unreadable"]

BULK = 480
"""Schedules created in one transaction."""
IN_FLIGHT = 4
"""Transactions in flight while many schedules are created."""

Change = Callable[[Schedule], Schedule | None]
"""From the record as it is to the record as it shall be; ``None``: the change does not apply."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A change that was committed."""

    before: Schedule
    after: Schedule
    revision: int


class Schedules:
    """All schedules of a namespace, typed. Every method raises `SchedulerError` when the store cannot be asked."""

    def __init__(self, store: Store, clock: Clock, sink: EventSink, instance_id: str) -> None:
        self.store = store
        self._clock = clock
        self._sink = sink
        self.instance_id = instance_id
        self.on_written: Callable[[Entry], None] = lambda entry: None
        """Called with what was committed, so that a mirror beside it need not wait for its watch."""
        self.overdue = Overdue(store, clock, sink, instance_id)
        self.overdue.on_written = lambda entry: self.on_written(entry)
        self.overdue.on_given_up = lambda job_ids, reason: self.on_given_up(job_ids, reason)
        """Decides about what is due before an edit."""
        self.on_given_up: Callable[[Sequence[str], str], None] = lambda job_ids, reason: None
        """Called with the runs that were given up for one by hand, and why: `naq.store.port.JobStopper.stop`."""

    async def get(self, schedule_id: str) -> Schedule | None:
        """The schedule; ``None`` when there is none. Raises `RecordUnreadable` when its record cannot be read."""
        entry = await self._entry(schedule_id)
        return None if entry is None else schedule_in(entry)

    async def pages(self) -> AsyncIterator[list[Schedule | Unreadable]]:
        """All schedules, in pages; records that cannot be read are among them as `Unreadable`."""
        with asking("list the schedules"):
            async for entries in self.store.scan(ALL_SCHEDULES):
                yield [schedule_or_reason(entry) for entry in entries if entry.value is not None]

    async def create(
        self,
        schedule: Schedule,
        if_exists: IfExists,
        replace: Change,
        actor: str | None,
        fence: Check | None = None,
    ) -> bool:
        """Store a new schedule. Returns whether it was created now.

        When the id is taken: raises `ScheduleExists`, or keeps what is there, or applies ``replace`` to it; raises
        `ScheduleExists` also when that does not apply because it was cancelled.
        """
        schedule = schedule.evolve(change_id=new_change_id())
        async for _ in Tries(self._clock, self.instance_id):
            with asking(f"create schedule {schedule.schedule_id!r}"):
                write = Put(schedule_key(schedule.schedule_id), self._encoded(schedule), 0)
                outcome = await self._commit([write], fence)
            if isinstance(outcome, Committed):
                self.on_written(Entry(write.key, write.value, outcome.revisions[0]))
                self._created([schedule], actor)
                return True
            entry = await self._entry(schedule.schedule_id)
            if entry is None and isinstance(outcome, Refused):
                continue  # deleted in between
            if entry is None:
                # Not created, not yet, or created and deleted by somebody: to create it again would undo that.
                raise unknown(f"schedule {schedule.schedule_id!r} was created", outcome)
            if has_change(entry, schedule.change_id):
                self._created([schedule], actor)
                return True
            if if_exists is IfExists.RAISE:
                raise ScheduleExists(schedule.schedule_id)
            if if_exists is IfExists.KEEP:
                return False
            if await self.change(schedule.schedule_id, replace, EventType.SCHEDULE_UPDATED, actor) is not None:
                return False
            if await self._is_cancelled(schedule.schedule_id):
                raise ScheduleExists(schedule.schedule_id, cancelled=True)
        raise SchedulerError(f"schedule {schedule.schedule_id!r} is being created and deleted by others all the time")

    async def create_many(self, schedules: Sequence[Schedule], actor: str | None = None) -> None:
        """Store many new schedules, some hundreds in one transaction.

        Raises `ScheduleExists` for the first id that is taken; those of other transactions may have been created. Raises
        `SchedulerError` also when an answer was lost and what became of it cannot be seen.
        """
        parts = [schedules[start : start + BULK] for start in range(0, len(schedules), BULK)]
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def create(part: Sequence[Schedule]) -> None:
            async with turn:
                await self._create_part(part, actor)

        await asyncio.gather(*(create(part) for part in parts))

    async def _create_part(self, part: Sequence[Schedule], actor: str | None) -> None:
        """One transaction; the change's id in every record shows whose they are when the answer was lost."""
        change_id = new_change_id()
        part = [schedule.evolve(change_id=change_id) for schedule in part]
        writes = [Put(schedule_key(schedule.schedule_id), self._encoded(schedule), 0) for schedule in part]
        with asking(f"create {len(part)} schedules"):
            outcome = await self.store.transact(writes)
        if isinstance(outcome, Committed):
            for write, revision in zip(writes, outcome.revisions, strict=True):
                self.on_written(Entry(write.key, write.value, revision))
            self._created(part, actor)
        elif isinstance(outcome, Refused):
            for schedule in part:
                await self.create(schedule, IfExists.RAISE, lambda existing: existing, actor)
        else:
            await self._learn_created(part, outcome)
            self._created(part, actor)

    async def _learn_created(self, part: Sequence[Schedule], outcome: Unknown) -> None:
        """Return when a transaction without an answer is seen to be done: one of its records shows it for all of them.

        Raises `ScheduleExists` when an id belongs to somebody else, else `SchedulerError`: as `create`, it is not tried again.
        """
        with asking(f"read {len(part)} schedules"):
            entries = await self.store.get_many([schedule_key(schedule.schedule_id) for schedule in part])
        if any(has_change(entry, part[0].change_id) for entry in entries.values()):
            return
        for schedule in part:
            if schedule_key(schedule.schedule_id) in entries:
                raise ScheduleExists(schedule.schedule_id)
        raise unknown(f"schedules {part[0].schedule_id!r} to {part[-1].schedule_id!r} were created", outcome)

    async def change(
        self,
        schedule_id: str,
        change: Change,
        kind: EventType,
        actor: str | None = None,
        reason: str | None = None,
        fence: Check | None = None,
    ) -> Changed | None:
        """Apply a change; ``None`` when there is no such schedule or the change does not apply.

        A change that leaves the record as it is writes nothing. The moment of the change is when this is called: what was
        due by then is decided first, by the definition that stood until then. Raises `RecordUnreadable`, or as ``change``.
        """
        change_id, moment = new_change_id(), self._clock.now()
        before: Schedule | None = None
        undecidable = 0
        async for _ in Tries(self._clock, self.instance_id):
            entry = await self._entry(schedule_id)
            if entry is None:
                return None
            if before is not None and has_change(entry, change_id):
                return self._tell(kind, Changed(before, schedule_in(entry), entry.revision), actor, reason)
            before = schedule_in(entry)
            after = change(before)
            if after is None or is_same(before, after):
                return None if after is None else Changed(before, before, entry.revision)
            if entry.revision != undecidable and needs_decision(before, after, moment):
                undecidable = entry.revision  # if it still has this revision afterwards
                with asking(f"change schedule {schedule_id!r}"):
                    await self.overdue.decide(entry)
                continue
            after = after.evolve(change_id=change_id, updated_at=moment, counted_from=Counters.of(after))
            with asking(f"change schedule {schedule_id!r}"):
                put = self._replacing(entry, after)
                outcome = await self._commit([put], fence)
            if isinstance(outcome, Committed):
                self.on_written(Entry(entry.key, put.value, outcome.revisions[0]))
                return self._tell(kind, Changed(before, after, outcome.revisions[0]), actor, reason)
        raise SchedulerError(f"schedule {schedule_id!r} is changed by others all the time; try again")

    def _replacing(self, entry: Entry, after: Schedule) -> Put:
        """The write of a change. One that stops a schedule may use what a full store keeps in reserve."""
        stops = after.status in (ScheduleStatus.PAUSED, ScheduleStatus.CANCELLED)
        return Put(entry.key, self._encoded(after), entry.revision, after.ttl, stops)

    async def delete(self, schedule_id: str, actor: str | None = None, fence: Check | None = None) -> bool:
        """Remove a schedule, a quarantined one too; ``False`` when there is none."""
        async for _ in Tries(self._clock, self.instance_id):
            entry = await self._entry(schedule_id)
            if entry is None:
                return False
            with asking(f"delete schedule {schedule_id!r}"):
                outcome = await self._commit([Delete(entry.key, entry.revision)], fence)
            if isinstance(outcome, Committed):
                self.on_written(Entry(entry.key, None, outcome.revisions[0]))
            if isinstance(outcome, Committed) or (
                not isinstance(outcome, Refused) and await self._entry(schedule_id) is None
            ):
                self._emit(EventType.SCHEDULE_DELETED, schedule_id, actor, None, ownership(entry))
                return True
        raise SchedulerError(f"schedule {schedule_id!r} is changed by others all the time; try again")

    async def trigger(
        self, schedule_id: str, actor: str | None = None, overlap: Overlap = Overlap.ALLOW_ALL
    ) -> str | None:
        """Enqueue one job of the schedule now, beside its plan; its id.

        ``None`` when there is no such schedule, when it is cancelled, or when ``overlap`` is ``skip`` and a run is open.
        It does not count for ``max_runs`` and does not move the next run. Raises as `change`, and `InvalidSchedule` for an
        overlap policy that cannot be asked for by hand.
        """
        identity = manual_job_id(schedule_id)
        async for _ in Tries(self._clock, self.instance_id):
            entry = await self._entry(schedule_id)
            if entry is None:
                return None
            schedule = schedule_in(entry)
            now = self._clock.now()
            decided = trigger_now(schedule, now, identity, overlap)
            if not decided.fires:
                if await self._skipped(entry, schedule, decided, actor):
                    return None
                continue
            job = self._manual_job(schedule, decided.fires[0], entry.revision, identity)
            key = job_key(schedule.job.queue, identity)
            with asking(f"trigger schedule {schedule_id!r}"):
                outcome = await self.store.transact(
                    [
                        Put(entry.key, encode(decided.schedule), entry.revision, decided.schedule.ttl),
                        Put(key, encode(job), 0),
                    ]
                )
                done = isinstance(outcome, Committed)
                if not done and not isinstance(outcome, Refused):
                    done = await self.store.get(key) is not None
            if not done and not isinstance(outcome, Refused):
                # Not enqueued, not yet, or run and trimmed already: to enqueue it again might run it twice.
                raise unknown(f"a job of schedule {schedule_id!r} was enqueued", outcome)
            if done:
                self._triggered(schedule_id, decided, actor, identity)
                return identity
        raise SchedulerError(f"schedule {schedule_id!r} is changed by others all the time; try again")

    async def _skipped(self, entry: Entry, schedule: Schedule, decided: Plan, actor: str | None) -> bool:
        """Count and record a trigger by hand that is skipped; whether that is done."""
        if decided.schedule is schedule:
            return True  # it is cancelled: there is nothing to count
        with asking(f"trigger schedule {schedule.schedule_id!r}"):
            outcome = await self.store.transact(
                [Put(entry.key, encode(decided.schedule), entry.revision, decided.schedule.ttl)]
            )
        if isinstance(outcome, Committed):
            self.overdue.report(decided, actor)
        return isinstance(outcome, Committed)

    def _manual_job(self, schedule: Schedule, fire: Fire, revision: int, identity: str) -> QueuedJob:
        return QueuedJob(
            job_id=identity,
            spec=schedule.job,
            enqueued_at=fire.nominal_at,
            enqueued_by=self.instance_id,
            schedule_id=schedule.schedule_id,
            next_at=fire.next_at,
            previous_at=fire.previous_at,
            start_by=fire.start_by,
            tracked=fire.tracked,
            planned_from=revision if fire.tracked else 0,
            schedule_created_at=schedule.created_at if fire.tracked else None,
        )

    def _triggered(self, schedule_id: str, decided: Plan, actor: str | None, identity: str) -> None:
        if decided.terminate_jobs:
            reason = f"schedule {schedule_id!r} was triggered by hand (overlap policy)"
            self.on_given_up(decided.terminate_jobs, reason)
        self._emit(EventType.SCHEDULED_JOB_TRIGGERED, schedule_id, actor, "triggered by hand", {}, job_id=identity)

    def _encoded(self, schedule: Schedule) -> bytes:
        """The record. Raises `InvalidJob` when it leaves no room for what its jobs need besides."""
        value = encode(schedule)
        check_size(len(value), self.store.max_value)
        return value

    async def _commit(self, writes: list[Write], fence: Check | None) -> Outcome:
        """One transaction, under the condition ``fence``. Raises `FenceMoved` when that does not hold."""
        if fence is None:
            return await self.store.transact(writes)
        outcome = await self.store.transact([fence, *writes])
        if isinstance(outcome, Committed):
            return Committed(outcome.revisions[1:])
        there = await self.store.get(fence.key)
        if there is None or there.revision != fence.revision:
            raise FenceMoved(f"{fence.key} was changed meanwhile")
        return outcome

    async def _is_cancelled(self, schedule_id: str) -> bool:
        schedule = await self.get(schedule_id)
        return schedule is not None and schedule.status is ScheduleStatus.CANCELLED

    async def _entry(self, schedule_id: str) -> Entry | None:
        with asking(f"read schedule {schedule_id!r}"):
            return await self.store.get(schedule_key(schedule_id))

    def _created(self, schedules: Sequence[Schedule], actor: str | None) -> None:
        now = self._clock.now()
        self._sink.emit(
            Event(
                type=EventType.JOB_SCHEDULED,
                timestamp=now,
                instance_id=self.instance_id,
                schedule_id=schedule.schedule_id,
                queue=schedule.job.queue,
                actor=actor,
                details={"func": schedule.job.func, "trigger": str(schedule.trigger)},
            )
            for schedule in schedules
        )

    def _tell(self, kind: EventType, changed: Changed, actor: str | None, reason: str | None) -> Changed:
        before, after = changed.before, changed.after
        self.overdue.record_left(before, after)
        details = {**difference(before, after), ERA_ENDED: plain(EraEnded.of(before, after))}
        self._emit(kind, after.schedule_id, actor, reason, details)
        return changed

    def _emit(
        self,
        kind: EventType,
        schedule_id: str,
        actor: str | None,
        reason: str | None,
        details: Mapping[str, Any],
        job_id: str | None = None,
    ) -> None:
        event = Event(
            type=kind,
            timestamp=self._clock.now(),
            instance_id=self.instance_id,
            schedule_id=schedule_id,
            job_id=job_id,
            actor=actor,
            reason=reason,
            details=details,
        )
        self._sink.emit([event])
