"""What a plan puts into the store and reports: the jobs of its fires, and its events. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import datetime
from typing import NamedTuple

from naq.events import Event, EventType
from naq.jobs.job import QueuedJob
from naq.schedules.planning.decision import Fire, Plan
from naq.schedules.record import Schedule, ScheduleStatus
from naq.store.keys import backfill_job_id, job_id, job_key

__all__ = ["Origin", "Output", "identity_of", "output", "queued_by_another"]

_NONE: Set[str] = frozenset()


class Origin(NamedTuple):
    """Who plans, from which revision of the record, and when."""

    instance_id: str
    revision: int
    now: datetime
    epoch: int = 0
    """The leader's epoch; 0: it was not a leader."""


class Output(NamedTuple):
    """The jobs to enqueue, by key, and the events to emit once they are."""

    jobs: list[tuple[str, QueuedJob]]
    events: list[Event]


def output(schedule: Schedule, decided: Plan, origin: Origin, enqueued_before: Set[str] = _NONE) -> Output:
    """The output of a plan that was made from ``schedule``.

    ``enqueued_before`` are keys of jobs that the store holds already; they are left out.
    """
    jobs: list[tuple[str, QueuedJob]] = []
    events: list[Event] = []
    for fire in decided.fires:
        identity = identity_of(schedule, fire)
        key = job_key(schedule.job.queue, identity)
        if key not in enqueued_before:
            jobs.append((key, _job(schedule, fire, identity, origin)))
            events.append(_triggered(schedule, fire, identity, origin))
    for non_fire in decided.non_fires:
        events.append(non_fire.event(schedule, origin.now, origin.instance_id))
    if decided.schedule.status is ScheduleStatus.COMPLETED:
        events.append(
            Event(
                type=EventType.SCHEDULE_COMPLETED,
                timestamp=origin.now,
                instance_id=origin.instance_id,
                schedule_id=schedule.schedule_id,
            )
        )
    return Output(jobs, events)


def queued_by_another(
    schedule: Schedule, decided: Plan, enqueued_before: Mapping[str, datetime]
) -> frozenset[datetime]:
    """The nominal times of a plan whose job an earlier schedule with this id enqueued.

    ``enqueued_before`` are keys of jobs that the store holds already, with the time of their fire. A job that was enqueued
    since the schedule was created is its own: the server kept only a part of the transaction that fired (a power failure).
    """
    return frozenset(
        fire.nominal_at
        for fire in decided.fires
        if (fired_at := enqueued_before.get(job_key(schedule.job.queue, identity_of(schedule, fire)))) is not None
        and fired_at < schedule.created_at
        and fire.backfill_id is None
    )


def identity_of(schedule: Schedule, fire: Fire) -> str:
    """The id of the job of a fire."""
    if fire.backfill_id is not None:
        return backfill_job_id(schedule.schedule_id, fire.backfill_id, fire.nominal_at)
    return job_id(schedule.schedule_id, fire.nominal_at)


def _job(schedule: Schedule, fire: Fire, identity: str, origin: Origin) -> QueuedJob:
    return QueuedJob(
        job_id=identity,
        spec=schedule.job,
        enqueued_at=origin.now,
        enqueued_by=origin.instance_id,
        schedule_id=schedule.schedule_id,
        nominal_at=fire.nominal_at,
        next_at=fire.next_at,
        previous_at=fire.previous_at,
        start_by=fire.start_by,
        tracked=fire.tracked,
        planned_from=origin.revision if fire.tracked else 0,
        schedule_created_at=schedule.created_at if fire.tracked else None,
        epoch=origin.epoch,
    )


def _triggered(schedule: Schedule, fire: Fire, identity: str, origin: Origin) -> Event:
    return Event(
        type=EventType.SCHEDULED_JOB_TRIGGERED,
        timestamp=origin.now,
        instance_id=origin.instance_id,
        schedule_id=schedule.schedule_id,
        job_id=identity,
        func=schedule.job.func,
        queue=schedule.job.queue,
        nominal_at=fire.nominal_at,
    )
