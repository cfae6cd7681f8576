"""Intents: what one due record becomes, as writes, facts and a plan, before anything is sent.

`Planner` reads a due record and returns an `Intent`, or says why there is none: nothing to do yet, or a record that
cannot be read or planned. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from naq.events import Event, EventType
from naq.exceptions import RecordUnreadable
from naq.jobs.ends import belongs
from naq.jobs.job import QueuedJob
from naq.jobs.records import StoredResult
from naq.scheduler.mirror import Due, Head
from naq.schedules.planning.decision import Plan
from naq.schedules.planning.output import Origin, identity_of, output, queued_by_another
from naq.schedules.planning.plan import plan
from naq.schedules.planning.soundness import PLANNING_ERRORS, flaw_text
from naq.schedules.record import Schedule
from naq.schedules.run_end import run_ended
from naq.store.codec import decode, encode
from naq.store.keys import check_queue, job_key
from naq.store.port import Delete, Put, Write

__all__ = ["Intent", "NotDue", "Planner", "Unplannable"]


LATE = timedelta(seconds=1)
"""How late a fire is before which it is not looked up whether its job ran before. A record that went back to an older state,
by a power failure or a restore, makes what was fired since due again."""
NOTHING_ENDED: Mapping[str, StoredResult] = {}


class Intent(msgspec.Struct, frozen=True, gc=False):
    """What one due key is to become, planned from one revision of its record."""

    key: str
    revision: int
    value: bytes | None
    """The advanced record; ``None``: the key is deleted (a deferred job that goes into the queue)."""
    jobs: tuple[tuple[str, bytes], ...]
    """Keys and records of the jobs to enqueue."""
    job_ids: tuple[str, ...]
    events: list[Event]
    head: Head
    """Status and due time of the advanced record."""
    ttl: int | None = None
    """Seconds for which the store keeps the advanced record; ``None``: it stays."""
    asks: tuple[str, ...] = ()
    """Ids of jobs that may have run before: whether they ended is to be looked up before this is committed."""
    plan: Plan | None = None
    """The plan, when it asks for more than writes: non-fires to record, jobs to end."""
    returns: bool = False
    """The job comes back to the queue (``QueuedJob.passed_on``): it replaces what is left there of its last time."""

    @property
    def size(self) -> int:
        """How many writes it takes."""
        return 1 + len(self.jobs)

    def writes(self) -> list[Write]:
        """The writes, each with its condition."""
        advance = (
            Delete(self.key, self.revision)
            if self.value is None
            else Put(self.key, self.value, self.revision, self.ttl)
        )
        expect = None if self.returns else 0
        return [advance, *[Put(key, record, expect) for key, record in self.jobs]]


@dataclass(frozen=True, slots=True)
class NotDue:
    """The record has nothing to do yet: it goes back into the due-queue."""


@dataclass(frozen=True, slots=True)
class Unplannable:
    """The record cannot be read or planned; it is to be quarantined."""

    reason: str


class Planner:
    """Plans due records for one scheduler instance."""

    def __init__(self, instance_id: str) -> None:
        self._instance_id = instance_id

    def intent(
        self,
        due: Due,
        epoch: int,
        now: datetime,
        enqueued_before: Mapping[str, datetime],
        ends: Mapping[str, StoredResult] = NOTHING_ENDED,
    ) -> Intent | NotDue | Unplannable:
        """What a due record becomes at ``now`` under the leader's ``epoch``.

        ``enqueued_before`` are keys of jobs that the store holds already, and when they fired; they are not enqueued again.
        Neither are jobs that ended, as ``ends`` says by their id, and their runs are not left open.
        """
        try:
            if due.key.startswith("schedule."):
                return self._scheduled(due, epoch, now, enqueued_before, ends)
            return self._deferred(due, epoch, now, enqueued_before)
        except RecordUnreadable as error:
            return Unplannable(error.reason)
        except PLANNING_ERRORS as error:
            return Unplannable(flaw_text(error))

    def _scheduled(
        self,
        due: Due,
        epoch: int,
        now: datetime,
        enqueued_before: Mapping[str, datetime],
        ends: Mapping[str, StoredResult],
    ) -> Intent | NotDue:
        schedule = decode(Schedule, due.key, due.value)
        check_queue(schedule.job.queue, "job.queue")
        decided = plan(schedule, now)
        if enqueued_before and (another := queued_by_another(schedule, decided, enqueued_before)):
            decided = plan(schedule, now, another)
        advanced = decided.schedule
        if advanced is schedule:
            return NotDue()
        origin = Origin(self._instance_id, due.revision, now, epoch)
        ended = {job_id: result.status for job_id, result in ends.items() if belongs(result, schedule.created_at)}
        ended_keys = {job_key(schedule.job.queue, job_id) for job_id in ended}
        before = enqueued_before.keys() | ended_keys if ended else enqueued_before.keys()
        jobs, events = output(schedule, decided, origin, before)
        for job_id, status in ended.items():
            if advanced.has_open(job_id):
                advanced = run_ended(advanced, job_id, status, now) or advanced
        return Intent(
            due.key,
            due.revision,
            encode(advanced),
            tuple((key, encode(job)) for key, job in jobs),
            tuple(job.job_id for _, job in jobs),
            events,
            (advanced.status.value, advanced.next_run_at),
            advanced.ttl,
            () if ends else _asks(schedule, decided, now, enqueued_before),
            decided if decided.non_fires or decided.cancel_jobs or decided.terminate_jobs else None,
        )

    def _deferred(self, due: Due, epoch: int, now: datetime, enqueued_before: Mapping[str, datetime]) -> Intent:
        waiting = decode(QueuedJob, due.key, due.value)
        check_queue(waiting.spec.queue, "spec.queue")
        target = job_key(waiting.spec.queue, waiting.job_id, waiting.attempt)
        if waiting.passed_on:  # it was enqueued before, and only comes back
            again = ((target, encode(waiting.evolve(due_at=None))),)
            return Intent(due.key, due.revision, None, again, (), [], (None, None), returns=True)
        record = waiting.evolve(enqueued_at=now, enqueued_by=self._instance_id, epoch=epoch, due_at=None)
        event = Event(
            type=EventType.JOB_ENQUEUED,
            timestamp=now,
            instance_id=self._instance_id,
            schedule_id=waiting.schedule_id,
            job_id=waiting.job_id,
            func=waiting.spec.func,
            queue=waiting.spec.queue,
            attempt=waiting.attempt,
        )
        jobs = () if target in enqueued_before else ((target, encode(record)),)
        return Intent(due.key, due.revision, None, jobs, (waiting.job_id,) if jobs else (), [event], (None, None))


def _asks(schedule: Schedule, decided: Plan, now: datetime, enqueued_before: Mapping[str, datetime]) -> tuple[str, ...]:
    """The ids of the fires of a plan that may have been fired before: late ones, and those whose jobs are there."""
    fires = decided.fires
    if not enqueued_before and (not fires or now - fires[0].nominal_at <= LATE):
        return ()
    ids = [(identity_of(schedule, fire), now - fire.nominal_at > LATE) for fire in fires]
    return tuple(it for it, late in ids if late or job_key(schedule.job.queue, it) in enqueued_before)
