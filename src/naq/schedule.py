"""A schedule: what to run, when, by which policy, and where it stands. A frozen record and its state machine.

::

    ACTIVE  --pause-->  PAUSED  --resume-->  ACTIVE
    ACTIVE  --(once done, max_runs, end_at)-->  COMPLETED
    ACTIVE, PAUSED  --cancel-->  CANCELLED          (final)
    any  --delete-->  gone

Every change is a function ``Schedule -> Schedule`` here; who carries it to the store does so by compare-and-set on the
record's revision. `naq.plan` decides what happens when a schedule is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from naq.forms import epoch, job_form, policy_form, trigger_form
from naq.job import JobSpec
from naq.policy import Coalesce, IfExists, Overlap, Policy
from naq.timing.triggers import Interval, Trigger

__all__ = [
    "Coalesce",
    "IfExists",
    "OpenRun",
    "Overlap",
    "Policy",
    "Schedule",
    "ScheduleStatus",
    "cancelled",
    "new_schedule",
    "next_nominal",
    "paused",
    "resumed",
    "to_dict",
]


class ScheduleStatus(StrEnum):
    """Where a schedule is in its life."""

    ACTIVE = "active"
    """It fires when it is due."""
    PAUSED = "paused"
    """It does not fire until somebody resumes it."""
    COMPLETED = "completed"
    """It ran out: its one time passed, ``max_runs`` was reached, or ``end_at`` passed."""
    CANCELLED = "cancelled"
    """Somebody ended it for good."""


class OpenRun(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run that is enqueued or running, as the overlap policy counts it."""

    job_id: str
    nominal_at: datetime
    fired_at: datetime


class Schedule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The whole record of a schedule. Times are aware UTC."""

    v: int = 1
    """Version of this record's form."""
    schedule_id: str
    job: JobSpec
    trigger: Trigger
    policy: Policy = Policy()
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    created_at: datetime
    updated_at: datetime | None = None
    next_nominal_at: datetime | None = None
    """The nominal time of the next fire; ``None`` unless active."""
    next_run_at: datetime | None = None
    """When that fire is due: the nominal time plus its jitter."""
    runs: int = 0
    """Scheduled fires so far; what ``max_runs`` counts."""
    manual_runs: int = 0
    """Manual triggers and backfilled fires so far."""
    missed: int = 0
    """Nominal times that were too old, or coalesced into another."""
    skipped: int = 0
    """Nominal times skipped by the overlap policy, an exclusion or on request."""
    error_count: int = 0
    """Runs that ended in failure."""
    last_run_at: datetime | None = None
    """When it fired last."""
    last_nominal_at: datetime | None = None
    """The nominal time of its last scheduled fire."""
    paused_at: datetime | None = None
    resumed_at: datetime | None = None
    cancelled_at: datetime | None = None
    completed_at: datetime | None = None
    pause_reason: str | None = None
    paused_by: str | None = None
    skip_next: int = 0
    """So many of the next nominal times are to be skipped."""
    open_runs: tuple[OpenRun, ...] = ()
    buffered: tuple[datetime, ...] = ()
    """Nominal times that wait for an open run's end."""
    declared_in: str | None = None
    """The declared set it belongs to; ``None``: made by hand, and no set touches it."""
    labels: Mapping[str, str] = {}
    note: str | None = None
    change_id: str | None = None
    """Random name of the last change that a person made: tells whether an unanswered change was done."""

    def evolve(self, **changes: Any) -> Schedule:
        """The same record with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def next_nominal(trigger: Trigger, policy: Policy, after: datetime) -> datetime | None:
    """The first nominal time later than ``after`` inside the policy's window."""
    if policy.start_at is not None and after < policy.start_at:
        after = policy.start_at - timedelta(microseconds=1)
    instant = trigger.next_after(after)
    if instant is None or (policy.end_at is not None and instant > policy.end_at):
        return None
    return instant


def _aimed(schedule: Schedule, after: datetime) -> Schedule:
    instant = next_nominal(schedule.trigger, schedule.policy, after)
    return schedule.evolve(next_nominal_at=instant, next_run_at=instant)


def new_schedule(
    schedule_id: str, job: JobSpec, trigger: Trigger, policy: Policy, now: datetime, **more: Any
) -> Schedule:
    """A fresh active schedule that was created ``now``; its first nominal time is later than ``now``.

    A `Once` in the past keeps its instant as the first nominal time: `naq.plan` judges it by the catch-up window.
    """
    if isinstance(trigger, Interval):
        trigger = trigger.bound(now)
    schedule = Schedule(schedule_id=schedule_id, job=job, trigger=trigger, policy=policy, created_at=now, **more)
    aimed = _aimed(schedule, now)
    if aimed.next_nominal_at is None and (late := trigger.previous(now)) is not None:
        return schedule.evolve(next_nominal_at=late, next_run_at=late)
    return aimed


def paused(schedule: Schedule, now: datetime, reason: str | None, actor: str | None) -> Schedule | None:
    """The schedule paused; ``None`` when it is not active."""
    if schedule.status is not ScheduleStatus.ACTIVE:
        return None
    return schedule.evolve(
        status=ScheduleStatus.PAUSED,
        paused_at=now,
        pause_reason=reason,
        paused_by=actor,
        next_nominal_at=None,
        next_run_at=None,
    )


def resumed(schedule: Schedule, now: datetime) -> Schedule | None:
    """The schedule active again, its next run computed from ``now``; ``None`` when it is not paused.

    What was due while it was paused does not fire. When nothing is left to fire, it is completed.
    """
    if schedule.status is not ScheduleStatus.PAUSED:
        return None
    active = schedule.evolve(status=ScheduleStatus.ACTIVE, resumed_at=now, pause_reason=None, paused_by=None)
    aimed = _aimed(active, now)
    if aimed.next_nominal_at is None:
        return aimed.evolve(status=ScheduleStatus.COMPLETED, completed_at=now)
    return aimed


def cancelled(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule ended for good; a schedule that is cancelled already is returned as it is."""
    if schedule.status is ScheduleStatus.CANCELLED:
        return schedule
    return schedule.evolve(
        status=ScheduleStatus.CANCELLED, cancelled_at=now, next_nominal_at=None, next_run_at=None, buffered=()
    )


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """The schedule as the facade shows it: times in epoch seconds, ``max_runs`` -1 for no limit.

    ``schedule`` in it can be handed to `naq.specification.parse_schedule` again. Times of actions
    (``paused_at``, ``resumed_at``, ``cancelled_at``, ``completed_at``) are there after the action only.
    """
    limit = schedule.policy.max_runs
    entry: dict[str, Any] = {
        "schedule_id": schedule.schedule_id,
        "job": job_form(schedule.job),
        "schedule": {**trigger_form(schedule.trigger), **policy_form(schedule.policy)},
        "description": str(schedule.trigger),
        "created_at": epoch(schedule.created_at),
        "updated_at": epoch(schedule.updated_at or schedule.created_at),
        "next_run_at": epoch(schedule.next_run_at),
        "next_nominal_at": epoch(schedule.next_nominal_at),
        "status": str(schedule.status),
        "runs": schedule.runs,
        "max_runs": -1 if limit is None else limit,
        "manual_runs": schedule.manual_runs,
        "missed": schedule.missed,
        "skipped": schedule.skipped,
        "error_count": schedule.error_count,
        "last_run_at": epoch(schedule.last_run_at),
        "last_nominal_at": epoch(schedule.last_nominal_at),
        "skip_next": schedule.skip_next,
        "open_runs": [run.job_id for run in schedule.open_runs],
        "buffered": [epoch(nominal) for nominal in schedule.buffered],
        "declared_in": schedule.declared_in,
        "labels": dict(schedule.labels),
        "note": schedule.note,
        "pause_reason": schedule.pause_reason,
        "paused_by": schedule.paused_by,
    }
    for name in ("paused_at", "resumed_at", "cancelled_at", "completed_at"):
        instant = getattr(schedule, name)
        if instant is not None:
            entry[name] = epoch(instant)
    return entry
