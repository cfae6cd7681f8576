"""A schedule's record: what to run, when, by which policy, and where it stands. Frozen.

`naq.schedules.transitions` is its state machine; `naq.schedules.planning.plan` decides what happens when it is due.

``next_nominal_at`` is the first nominal time that nothing was decided about. It only moves forward, whatever the wall
clock does, so no nominal time is decided twice. ``next_run_at`` is when the schedule has to be looked at; ``None``
while it need not be: paused, ended, or waiting for a run's end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from naq.jobs.job import JobSpec
from naq.schedules.counters import Counters
from naq.schedules.nominal import Nominals
from naq.schedules.policy import Overlap, Policy
from naq.store.codec import Keyed
from naq.store.keys import schedule_key
from naq.timing.instants import Instant
from naq.timing.triggers import Once, Trigger

__all__ = ["DEFAULT_POLICY", "Backfill", "OpenRun", "Schedule", "ScheduleStatus"]


DEFAULT_POLICY = Policy()


class ScheduleStatus(StrEnum):
    """Where a schedule is in its life."""

    ACTIVE = "active"
    """It fires when it is due."""
    PAUSED = "paused"
    """It does not fire until it is resumed."""
    COMPLETED = "completed"
    """It ran out: its one time passed, ``max_runs`` was reached, or ``end_at`` passed."""
    CANCELLED = "cancelled"
    """It was ended for good."""


class OpenRun(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A run that is enqueued or running, as the overlap policy counts it."""

    job_id: str
    nominal_at: Instant
    fired_at: Instant
    asked_to_stop: bool = False
    """``overlap=cancel_other`` wants it to end: a nominal time waits for that."""
    start_by: Instant | None = None
    """A worker that takes it later does not run it."""
    taken: bool = False
    """A worker took it in time. Noted only of runs with a ``start_by``."""
    queue: str | None = None
    """Where it was queued: only a job of that queue ends it. ``None``: fired by an older naq."""

    def is_expired(self, now: datetime) -> bool:
        """Whether no worker took it in time: it will not run."""
        return self.start_by is not None and not self.taken and now > self.start_by


class Backfill(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A range of past nominal times that is being fired by hand, as far as it got."""

    backfill_id: str
    next_at: Instant
    """The first nominal time of the range that is not fired yet."""
    last_at: Instant
    """The end of the range, inclusive."""
    overlap: Overlap = Overlap.ALLOW_ALL
    """``allow_all``: as fast as it goes; ``buffer_all``: one after the other."""
    fired: int = 0


class Schedule(Keyed, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The whole record of a schedule. Times are aware UTC."""

    v: int = 1
    """Version of this record's form."""
    schedule_id: str
    job: JobSpec
    trigger: Trigger
    filled: tuple[int, ...] | None = None
    """Parts of the trigger whose start naq filled in: see `naq.schedules.binding`."""
    policy: Policy = DEFAULT_POLICY
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    created_at: Instant
    updated_at: Instant | None = None
    next_nominal_at: Instant | None = None
    """The nominal time of the next fire; while paused, the first one that was not decided about."""
    next_run_at: Instant | None = None
    """When that fire is due: the nominal time plus its jitter. ``None`` unless active."""
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
    last_run_at: Instant | None = None
    """When it fired last."""
    last_nominal_at: Instant | None = None
    """The nominal time of its last scheduled fire."""
    paused_at: Instant | None = None
    resumed_at: Instant | None = None
    cancelled_at: Instant | None = None
    completed_at: Instant | None = None
    pause_reason: str | None = None
    paused_by: str | None = None
    skip_next: int = 0
    """So many of the next nominal times are to be skipped."""
    open_runs: tuple[OpenRun, ...] = ()
    buffered: tuple[Instant, ...] = ()
    """Nominal times that wait for an open run's end."""
    declared_in: str | None = None
    """The declared set it belongs to; ``None``: made by hand, and no set touches it."""
    labels: Mapping[str, str] = {}
    note: str | None = None
    excluded_from: Instant | None = None
    """The first of the excluded nominal times right before ``next_nominal_at``; they are recorded when it is due."""
    backfills: tuple[Backfill, ...] = ()
    change_id: str | None = None
    """Random id of the last change by a user: it shows whether a change whose answer was lost was made."""
    counted_from: Counters | None = None
    """Where the counters stood after it; ``None``: it was not changed since it was created."""

    def evolve(self, **changes: Any) -> Schedule:
        """The same record with some fields changed."""
        return msgspec.structs.replace(self, **changes)

    @property
    def nominals(self) -> Nominals:
        """Its nominal times."""
        return Nominals(self.schedule_id, self.trigger, self.policy)

    @property
    def is_tracked(self) -> bool:
        """Whether its record lists open runs, because something depends on their end."""
        return self.policy.overlap is not Overlap.ALLOW_ALL or self.trigger.follows_runs

    def fits(self, key: str) -> bool:
        """Whether the key is that of this schedule."""
        return key == schedule_key(self.schedule_id)

    def has_open(self, job_id: str) -> bool:
        """Whether it counts this run as open."""
        return any(run.job_id == job_id for run in self.open_runs)

    @property
    def has_work(self) -> bool:
        """Whether something can be done at once: a nominal time waits no longer, or a backfill can go on."""
        free = not self.open_runs
        if self.buffered and (free or self.policy.overlap is Overlap.ALLOW_ALL):
            return True
        return any(free or backfill.overlap is Overlap.ALLOW_ALL for backfill in self.backfills)

    @property
    def waits_for_end(self) -> bool:
        """Whether its next nominal time is known only when the open run has ended."""
        return self.trigger.follows_runs and bool(self.open_runs)

    @property
    def removed_after(self) -> timedelta | None:
        """How long after its end the store drops the record; ``None``: it stays."""
        finished = self.status is ScheduleStatus.COMPLETED and isinstance(self.trigger, Once)
        return self.policy.keep_finished if finished and self.declared_in is None else None

    @property
    def ttl(self) -> int | None:
        """Seconds, 1 or more, for which the store is to keep the record; ``None``: it stays."""
        after = self.removed_after
        return None if after is None else max(1, math.ceil(after.total_seconds()))

    @property
    def decided_until(self) -> datetime | None:
        """The last nominal time that fired or waits to fire."""
        return self.buffered[-1] if self.buffered else self.last_nominal_at
