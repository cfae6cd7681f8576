"""What a plan consists of: fires, non-fires, jobs to end, and the limits they keep."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from naq.events import Event, EventType
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.schedules.record import Schedule

__all__ = [
    "CATCH_UP_LIMIT",
    "FIRES_AT_ONCE",
    "ON_TIME",
    "Fire",
    "NonFire",
    "NonFireReason",
    "Plan",
]

FIRES_AT_ONCE: Final = 100
"""Fires in one plan at most; a schedule that has more due stays due, and the next plan goes on where this one ended."""

CATCH_UP_LIMIT: Final = 10_000
"""Nominal times that ``coalesce=all`` catches up at most: the newest ones; those before them are missed."""

ON_TIME: Final = timedelta(seconds=2)
"""How late a fire with a catch-up window of zero may be: what a scheduler needs to notice that another one died."""


class NonFireReason(StrEnum):
    """Why a nominal time was not enqueued."""

    TOO_LATE = "older than the catch-up window"
    PAST_DEADLINE = "its start deadline had passed"
    COALESCED = "coalesced into another fire of the same catch-up"
    TOO_MANY = "more came due at once than are caught up"
    OVERLAP = "the previous run was not finished"
    EXCLUDED = "excluded"
    SKIP_REQUESTED = "skipped on request"
    PAUSED = "paused"
    ENDED = "the schedule has ended"
    QUEUED_BEFORE = "its job is still queued, by an earlier schedule with this id"

    @property
    def is_missed(self) -> bool:
        """Whether it counts as missed (it was too late); otherwise it was skipped (it was not wanted)."""
        return self in _MISSED


_MISSED = frozenset(
    {NonFireReason.TOO_LATE, NonFireReason.PAST_DEADLINE, NonFireReason.COALESCED, NonFireReason.TOO_MANY}
)


class Fire(msgspec.Struct, frozen=True, gc=False):
    """One nominal time to enqueue now. ``previous_at`` and ``next_at`` are its neighbours as far as known."""

    nominal_at: datetime
    previous_at: datetime | None
    next_at: datetime | None
    start_by: datetime | None = None
    """A job that no worker has started by then is recorded as missed, not run."""
    tracked: bool = False
    """Whether the record lists this run as open: `naq.schedules.run_end.run_ended` must be applied when it ends."""
    backfill_id: str | None = None
    """The backfill it belongs to; its job's id is then `naq.store.keys.backfill_job_id`."""


class NonFire(msgspec.Struct, frozen=True, gc=False):
    """``count`` nominal times that do not fire, and why. The first is ``first_at`` and the last ``last_at`` at the
    earliest and latest; times with another fate may lie between them."""

    reason: NonFireReason
    count: int
    first_at: datetime
    last_at: datetime

    def record(self, schedule_id: str, at: datetime) -> HistoryRecord:
        """The line about it in the schedule's history; it became known ``at``."""
        return HistoryRecord(
            schedule_id=schedule_id,
            outcome=RunOutcome.MISSED if self.reason.is_missed else RunOutcome.SKIPPED,
            at=at,
            nominal_at=self.first_at,
            until=self.last_at if self.last_at > self.first_at else None,
            count=self.count,
            reason=str(self.reason),
        )

    def event(self, schedule: Schedule, at: datetime, instance_id: str) -> Event:
        """The event that reports it."""
        return Event(
            type=EventType.FIRE_MISSED if self.reason.is_missed else EventType.FIRE_SKIPPED,
            timestamp=at,
            instance_id=instance_id,
            schedule_id=schedule.schedule_id,
            func=schedule.job.func,
            queue=schedule.job.queue,
            nominal_at=self.last_at,
            reason=self.reason,
            details={"count": self.count, "first_at": self.first_at.isoformat()},
        )


class Plan(msgspec.Struct, frozen=True, gc=False):
    """The decision: write ``schedule``, enqueue ``fires``, record ``non_fires``, end the jobs named."""

    schedule: Schedule
    fires: tuple[Fire, ...] = ()
    non_fires: tuple[NonFire, ...] = ()
    cancel_jobs: tuple[str, ...] = ()
    """Jobs to be asked to stop (``overlap=cancel_other``); asking twice does no harm."""
    terminate_jobs: tuple[str, ...] = ()
    """Jobs that are given up at once (``overlap=terminate_other``): the record does not list them any more."""
