"""Events: one frozen record for each fact. Emitted once; logs, metrics, pages and streams are listeners.

Every event has ``type`` (its name in snake case), ``timestamp`` (aware UTC) and ``instance_id`` (who saw it), and the ids it
concerns. The names are part of the public contract. Nothing decides anything by reading events.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

__all__ = ["Event", "EventType"]


class EventType(StrEnum):
    """All kinds of facts."""

    JOB_SCHEDULED = "job_scheduled"
    """A schedule was created."""
    SCHEDULED_JOB_TRIGGERED = "scheduled_job_triggered"
    """A schedule fired: the job is in the queue."""
    SCHEDULE_UPDATED = "schedule_updated"
    SCHEDULE_PAUSED = "schedule_paused"
    SCHEDULE_RESUMED = "schedule_resumed"
    SCHEDULE_CANCELLED = "schedule_cancelled"
    SCHEDULE_COMPLETED = "schedule_completed"
    """It has no more times: a one-off ran, or ``max_runs`` or ``end_at`` was reached."""
    SCHEDULE_DELETED = "schedule_deleted"
    SCHEDULE_QUARANTINED = "schedule_quarantined"
    """Its record cannot be read or planned; it does not fire until it is repaired, or a later try works. Nothing was deleted."""
    FIRE_MISSED = "fire_missed"
    """Nominal times that were not enqueued because they were older than the catch-up window, or coalesced."""
    FIRE_SKIPPED = "fire_skipped"
    """A nominal time that was not enqueued because of the overlap policy, an exclusion or a skip."""
    SCHEDULER_BECAME_LEADER = "scheduler_became_leader"
    SCHEDULER_RELINQUISHED_LEADERSHIP = "scheduler_relinquished_leadership"
    JOB_ENQUEUED = "job_enqueued"
    JOB_DUPLICATE = "job_duplicate"
    """A job was to be enqueued whose equal is there already (``unique_for``): nothing was, and the event names that one."""
    JOB_STARTED = "job_started"
    JOB_PROGRESS = "job_progress"
    JOB_COMPLETED = "job_completed"
    JOB_FAILED = "job_failed"
    """It failed for good and became a dead letter."""
    JOB_RETRY_SCHEDULED = "job_retry_scheduled"
    """An attempt failed, and the next one waits for its time."""
    JOB_CANCELLED = "job_cancelled"
    JOB_EXPIRED = "job_expired"
    """No worker started it in time (``expires``), so it did not run. Jobs of schedules: `FIRE_MISSED`."""
    JOB_ABANDONED = "job_abandoned"
    """Its worker died before it ended; reported by the worker that now has it. The details name the dead worker."""
    JOB_LOST = "job_lost"
    """The job of a run that a schedule's record lists as open is gone: not queued, not held by a worker, without a result. The
    run is closed as failed, so that it does not hold up the schedule."""
    WORKER_STARTED = "worker_started"
    WORKER_STOPPED = "worker_stopped"
    WORKER_BLOCKED = "worker_blocked"
    """A job started to block the worker's event loop: no other job there can continue."""
    WORKER_UNBLOCKED = "worker_unblocked"
    """The event loop is running again."""
    WORKER_MEMORY = "worker_memory"
    """A worker's memory has grown a lot, or a worker or job process uses more than its limit."""
    STORE_TROUBLE = "store_trouble"
    """The store rejects writes or does not respond: the reason says what to do. Retried until it works."""
    STORE_RECOVERED = "store_recovered"
    CLOCK_WRONG = "clock_wrong"
    """A scheduler's clock is far from the server's: it neither leads nor fires."""
    CLOCK_RIGHT = "clock_right"
    ALERT_FIRED = "alert_fired"
    """The condition of an alert's rule became true."""
    ALERT_RESOLVED = "alert_resolved"
    """The condition is no longer true."""
    CONNECTION_LOST = "connection_lost"
    CONNECTION_RESTORED = "connection_restored"


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One fact. Fields that do not apply are ``None``."""

    type: str
    timestamp: datetime
    instance_id: str = ""
    schedule_id: str | None = None
    job_id: str | None = None
    func: str | None = None
    """The job's function, as ``module:qualname``."""
    queue: str | None = None
    attempt: int | None = None
    nominal_at: datetime | None = None
    actor: str | None = None
    """Who made the change, as given by the caller."""
    reason: str | None = None
    details: Mapping[str, Any] = {}
    """Additional data: plain JSON values."""
