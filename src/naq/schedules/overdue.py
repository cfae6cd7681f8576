"""Before an edit, what is due is decided: `Overdue` commits plans of the old definition, as the leader would.

It needs no leadership: a plan is conditional on the record's revision, and the ids of its jobs follow from schedule and
nominal time. If the leader plans the same at the same moment, one of the two writes wins and nothing is enqueued twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.jobs.history import HistorySink
from naq.jobs.job import QueuedJob
from naq.schedules.planning.before_edit import decided_first, left_undecided
from naq.schedules.planning.decision import NonFire, Plan
from naq.schedules.planning.output import Origin, output, queued_by_another
from naq.schedules.planning.soundness import PLANNING_ERRORS
from naq.schedules.record import Schedule
from naq.schedules.stored import fired_at
from naq.store.codec import decode, encode
from naq.store.port import Committed, Entry, EventSink, Put, Store, Write

__all__ = ["Overdue"]

SLICES = 200
"""Plans that one edit makes at most; each decides a hundred fires, or everything that is missed."""


class Overdue:
    """Decides about what is due, for one process."""

    def __init__(self, store: Store, clock: Clock, sink: EventSink, instance_id: str) -> None:
        self.history: HistorySink | None = None
        """Where non-fires are recorded; without it they are events only."""
        self.on_given_up: Callable[[Sequence[str], str], None] = lambda job_ids, reason: None
        """Called with runs that an overlap policy ends: `naq.store.port.JobStopper.stop`."""
        self.on_written: Callable[[Entry], None] = lambda entry: None
        self._store = store
        self._clock = clock
        self._sink = sink
        self._instance_id = instance_id

    async def decide(self, entry: Entry) -> None:
        """Decide about everything that is due by now. Returns also when somebody else changed the record meanwhile: the
        caller reads it again. A record that cannot be planned is left alone. Raises `StoreError`."""
        for _ in range(SLICES):
            try:
                following = await self._decide_once(entry)
            except PLANNING_ERRORS as error:
                if isinstance(error, StoreError):
                    raise
                return
            if following is None:
                return
            entry = following

    async def _decide_once(self, entry: Entry) -> Entry | None:
        """Commit one plan. ``None``: nothing is left, or the record moved."""
        if entry.value is None:
            return None
        schedule, now = decode(Schedule, entry.key, entry.value), self._clock.now()
        decided = decided_first(schedule, now)
        if decided.schedule is schedule:
            return None
        origin = Origin(self._instance_id, entry.revision, now)
        made = output(schedule, decided, origin)
        value = encode(decided.schedule)
        outcome = await self._store.transact(_writes(entry, value, decided.schedule.ttl, made.jobs))
        if not isinstance(outcome, Committed):
            found = await self._store.get_many([entry.key, *(key for key, _ in made.jobs)])
            there = found.get(entry.key)
            if there is not None and there.revision == entry.revision:
                # Enqueued before, under this identity: the schedule advances without these jobs.
                before = fired_at(found.values())
                if another := queued_by_another(schedule, decided, before):
                    decided = decided_first(schedule, now, another)
                    value = encode(decided.schedule)
                made = output(schedule, decided, origin, before.keys())
                outcome = await self._store.transact(_writes(entry, value, decided.schedule.ttl, made.jobs))
            elif there is not None and there.value == value:
                outcome = Committed((there.revision,))  # it was done, and the answer was lost
        if not isinstance(outcome, Committed):
            return None
        self._sink.emit(made.events)
        self._follow_up(decided)
        written = Entry(entry.key, value, outcome.revisions[0])
        self.on_written(written)
        return written

    def report(self, decided: Plan, actor: str | None) -> None:
        """Emit and record the non-fires of a trigger by hand."""
        now = self._clock.now()
        found = [non_fire.event(decided.schedule, now, self._instance_id) for non_fire in decided.non_fires]
        self._sink.emit(msgspec.structs.replace(event, actor=actor) for event in found)
        self._follow_up(decided)

    def _follow_up(self, decided: Plan) -> None:
        schedule_id = decided.schedule.schedule_id
        if self.history is not None:
            now = self._clock.now()
            self.history.record(non_fire.record(schedule_id, now) for non_fire in decided.non_fires)
        if ended := (*decided.cancel_jobs, *decided.terminate_jobs):
            self.on_given_up(ended, f"schedule {schedule_id!r} is due again (overlap policy)")

    def record_left(self, before: Schedule, after: Schedule) -> None:
        """Record what a change leaves undecided: of a paused schedule, and of one that was cancelled."""
        try:
            left: tuple[NonFire, ...] = left_undecided(before, after, now := self._clock.now())
        except PLANNING_ERRORS:
            return
        self._sink.emit(non_fire.event(after, now, self._instance_id) for non_fire in left)
        if self.history is not None:
            self.history.record(non_fire.record(after.schedule_id, now) for non_fire in left)


def _writes(entry: Entry, value: bytes, ttl: int | None, jobs: Sequence[tuple[str, QueuedJob]]) -> list[Write]:
    return [Put(entry.key, value, entry.revision, ttl), *(Put(key, encode(job), 0) for key, job in jobs)]
