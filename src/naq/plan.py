"""What is decided when a schedule is due: ``plan(schedule, now) -> Plan``. Pure: no clock, no store.

The plan is a value: the advanced record, the fires to enqueue and the nominal times that do not fire, with their reason.
`naq.engine.firing` carries it out in one transaction that is conditional on the record's revision, so a plan made from an
old record is refused and made again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from naq.schedule import Coalesce, Schedule, ScheduleStatus, next_nominal

__all__ = ["Fire", "NonFire", "NonFireReason", "Plan", "plan"]

FIRES_AT_ONCE = 100
"""Fires in one plan at most; a schedule that has more due stays due, and the next plan goes on where this one ended."""


class NonFireReason(StrEnum):
    """Why a nominal time was not enqueued."""

    TOO_LATE = "older than the catch-up window"
    COALESCED = "coalesced into another fire of the same catch-up"
    OVERLAP = "the previous run was not finished"
    EXCLUDED = "excluded"
    SKIP_REQUESTED = "skipped on request"
    PAUSED = "paused"
    QUARANTINED = "the schedule cannot be planned"


@dataclass(frozen=True, slots=True)
class Fire:
    """One nominal time to enqueue now. ``previous_at`` and ``next_at`` are its neighbours as far as known."""

    nominal_at: datetime
    previous_at: datetime | None
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class NonFire:
    """``count`` nominal times from ``first_at`` to ``last_at`` that do not fire, and why."""

    reason: NonFireReason
    count: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    """The decision: write ``schedule``, enqueue ``fires``, record ``non_fires``."""

    schedule: Schedule
    fires: tuple[Fire, ...] = ()
    non_fires: tuple[NonFire, ...] = ()


def plan(schedule: Schedule, now: datetime) -> Plan:
    """Decide what a schedule does at ``now``; a schedule that is not due yet is returned unchanged, with no fires."""
    due_at = schedule.next_run_at
    if schedule.status is not ScheduleStatus.ACTIVE or due_at is None or due_at > now:
        return Plan(schedule)
    first = schedule.next_nominal_at
    assert first is not None
    policy = schedule.policy
    upcoming = next_nominal(schedule.trigger, policy, first)
    due = [first]
    while upcoming is not None and upcoming <= now:
        due.append(upcoming)
        upcoming = next_nominal(schedule.trigger, policy, upcoming)
    oldest = now - policy.catch_up if policy.catch_up is not None else None
    late = (
        [instant for instant in due if oldest is not None and instant < oldest]
        if len(due) > 1 or policy.catch_up
        else []
    )
    timely = due[len(late) :]
    non_fires = [NonFire(NonFireReason.TOO_LATE, len(late), late[0], late[-1])] if late else []
    if len(timely) > 1 and policy.coalesce is not Coalesce.ALL:
        keep = timely[-1] if policy.coalesce is Coalesce.LATEST else timely[0]
        dropped = [instant for instant in timely if instant != keep]
        non_fires.append(NonFire(NonFireReason.COALESCED, len(dropped), dropped[0], dropped[-1]))
        timely = [keep]
    if len(timely) > FIRES_AT_ONCE:
        upcoming = timely[FIRES_AT_ONCE]
        timely = timely[:FIRES_AT_ONCE]
    if policy.max_runs is not None:
        timely = timely[: max(0, policy.max_runs - schedule.runs)]
    return _advanced(schedule, now, timely, upcoming, tuple(non_fires))


def _advanced(
    schedule: Schedule,
    now: datetime,
    timely: list[datetime],
    upcoming: datetime | None,
    non_fires: tuple[NonFire, ...],
) -> Plan:
    runs = schedule.runs + len(timely)
    limit = schedule.policy.max_runs
    over = upcoming is None or (limit is not None and runs >= limit)
    advanced = schedule.evolve(
        next_nominal_at=None if over else upcoming,
        next_run_at=None if over else upcoming,
        runs=runs,
        missed=schedule.missed + sum(non_fire.count for non_fire in non_fires),
        last_run_at=now if timely else schedule.last_run_at,
        last_nominal_at=timely[-1] if timely else schedule.last_nominal_at,
        status=ScheduleStatus.COMPLETED if over else schedule.status,
        completed_at=now if over else None,
    )
    befores = [schedule.last_nominal_at, *timely[:-1]]
    afters = [*timely[1:], upcoming]
    fires = tuple(Fire(nominal, before, after) for nominal, before, after in zip(timely, befores, afters, strict=True))
    return Plan(advanced, fires, non_fires)
