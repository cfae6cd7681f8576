"""Intents: what one due record becomes, as writes, facts and a plan, before anything is sent.

`Planner` reads a due record and returns an `Intent`, or says why there is none: nothing to do yet, or a record that
cannot be read or planned. It writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from datetime import datetime

import msgspec

from naq.events import Event, EventType
from naq.exceptions import RecordUnreadable
from naq.jobs.job import QueuedJob
from naq.scheduler.mirror import Due, Head
from naq.schedules.planning.decision import Fire, Plan
from naq.schedules.planning.plan import plan
from naq.schedules.planning.soundness import PLANNING_ERRORS, flaw_text
from naq.schedules.record import Schedule, ScheduleStatus
from naq.store.codec import decode, encode
from naq.store.keys import backfill_job_id, check_queue, job_id, job_key
from naq.store.port import Delete, Put, Write

__all__ = ["Intent", "NotDue", "Planner", "Unplannable"]


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
    plan: Plan | None = None
    """The plan, when it asks for more than writes: non-fires to record, jobs to end."""

    @property
    def size(self) -> int:
        """How many writes it takes."""
        return 1 + len(self.jobs)

    def writes(self) -> list[Write]:
        """The writes, each with its condition."""
        advance = Delete(self.key, self.revision) if self.value is None else Put(self.key, self.value, self.revision)
        return [advance, *[Put(key, record, 0) for key, record in self.jobs]]


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

    def intent(self, due: Due, epoch: int, now: datetime, enqueued_before: Set[str]) -> Intent | NotDue | Unplannable:
        """What a due record becomes at ``now`` under the leader's ``epoch``.

        ``enqueued_before`` are keys of jobs that the store holds already; they are not enqueued again.
        """
        try:
            if due.key.startswith("schedule."):
                return self._scheduled(due, epoch, now, enqueued_before)
            return self._deferred(due, epoch, now, enqueued_before)
        except RecordUnreadable as error:
            return Unplannable(error.reason)
        except PLANNING_ERRORS as error:
            return Unplannable(flaw_text(error))

    def _scheduled(self, due: Due, epoch: int, now: datetime, enqueued_before: Set[str]) -> Intent | NotDue:
        schedule = decode(Schedule, due.key, due.value)
        check_queue(schedule.job.queue, "job.queue")
        decided = plan(schedule, now)
        advanced = decided.schedule
        if advanced is schedule:
            return NotDue()
        jobs, identities, events = [], [], []
        for fire in decided.fires:
            identity = _identity(schedule, fire)
            target = job_key(schedule.job.queue, identity)
            if target in enqueued_before:
                continue
            jobs.append((target, encode(self._job(schedule, due.revision, fire, identity, epoch, now))))
            identities.append(identity)
            events.append(self._triggered(schedule, fire, identity, now))
        if decided.non_fires or advanced.status is ScheduleStatus.COMPLETED:
            events += self._other_events(decided, now)
        return Intent(
            due.key,
            due.revision,
            encode(advanced),
            tuple(jobs),
            tuple(identities),
            events,
            (advanced.status.value, advanced.next_run_at),
            decided if decided.non_fires or decided.cancel_jobs or decided.terminate_jobs else None,
        )

    def _job(
        self, schedule: Schedule, revision: int, fire: Fire, identity: str, epoch: int, now: datetime
    ) -> QueuedJob:
        return QueuedJob(
            job_id=identity,
            spec=schedule.job,
            enqueued_at=now,
            enqueued_by=self._instance_id,
            schedule_id=schedule.schedule_id,
            nominal_at=fire.nominal_at,
            next_at=fire.next_at,
            previous_at=fire.previous_at,
            start_by=fire.start_by,
            tracked=fire.tracked,
            planned_from=revision if fire.tracked else 0,
            schedule_created_at=schedule.created_at if fire.tracked else None,
            epoch=epoch,
        )

    def _deferred(self, due: Due, epoch: int, now: datetime, enqueued_before: Set[str]) -> Intent:
        waiting = decode(QueuedJob, due.key, due.value)
        check_queue(waiting.spec.queue, "spec.queue")
        record = waiting.evolve(enqueued_at=now, enqueued_by=self._instance_id, epoch=epoch, due_at=None)
        target = job_key(waiting.spec.queue, waiting.job_id, waiting.attempt)
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

    def _triggered(self, schedule: Schedule, fire: Fire, identity: str, now: datetime) -> Event:
        return Event(
            type=EventType.SCHEDULED_JOB_TRIGGERED,
            timestamp=now,
            instance_id=self._instance_id,
            schedule_id=schedule.schedule_id,
            job_id=identity,
            func=schedule.job.func,
            queue=schedule.job.queue,
            nominal_at=fire.nominal_at,
        )

    def _other_events(self, decided: Plan, now: datetime) -> Iterator[Event]:
        """The events of a plan besides those of its fires."""
        schedule = decided.schedule
        for non_fire in decided.non_fires:
            yield non_fire.event(schedule, now, self._instance_id)
        if schedule.status is ScheduleStatus.COMPLETED:
            yield Event(
                type=EventType.SCHEDULE_COMPLETED,
                timestamp=now,
                instance_id=self._instance_id,
                schedule_id=schedule.schedule_id,
            )


def _identity(schedule: Schedule, fire: Fire) -> str:
    if fire.backfill_id is not None:
        return backfill_job_id(schedule.schedule_id, fire.backfill_id, fire.nominal_at)
    return job_id(schedule.schedule_id, fire.nominal_at)
