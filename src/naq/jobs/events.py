"""The event that tells one fact about a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from naq.events import Event, EventType
from naq.jobs.job import QueuedJob

__all__ = ["job_event"]


def job_event(
    queued: QueuedJob,
    kind: EventType,
    at: datetime,
    instance_id: str,
    *,
    reason: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Event:
    """The event ``kind`` of an attempt, at ``at``, as ``instance_id`` saw it."""
    return Event(
        type=kind,
        timestamp=at,
        instance_id=instance_id,
        schedule_id=queued.schedule_id,
        job_id=queued.job_id,
        func=queued.spec.func,
        queue=queued.spec.queue,
        attempt=queued.attempt,
        nominal_at=queued.nominal_at,
        reason=reason,
        details=details or {},
    )
