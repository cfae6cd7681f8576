"""The history of a schedule: a record for each attempt that ended or lost its worker, and for each nominal time that did not
fire.

It answers "did it run last night, and if not, why not". It is limited by count and age, stored beside the bucket, and no
decision depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from naq.store.codec import plain_form

__all__ = ["HistoryRecord", "HistorySink", "HistorySource", "RunOutcome"]


class RunOutcome(StrEnum):
    """How an attempt ended, or why there was no attempt."""

    COMPLETED = "completed"
    """Its function returned."""
    RETRIED = "retried"
    """It failed, and another attempt follows."""
    FAILED = "failed"
    """It failed for good and is a dead letter."""
    CANCELLED = "cancelled"
    """It was cancelled."""
    ABANDONED = "abandoned"
    """Its worker vanished before it ended. It is started again; if that happened too often, it fails."""
    MISSED = "missed"
    """It was not run: too late for the catch-up window or the start deadline."""
    SKIPPED = "skipped"
    """It did not fire, because of overlap, an exclusion, a pause, or on request."""

    @property
    def fired(self) -> bool:
        """Whether there was a job."""
        return self not in (RunOutcome.MISSED, RunOutcome.SKIPPED)


class HistoryRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One record of a schedule's history. Times are aware UTC; those that do not apply are ``None``."""

    v: int = 1
    schedule_id: str
    outcome: RunOutcome
    at: datetime
    """When this was recorded."""
    job_id: str | None = None
    """``None`` for a nominal time that did not fire."""
    nominal_at: datetime | None = None
    """When it should have fired; ``None`` for a run triggered by hand."""
    until: datetime | None = None
    """The last of several nominal times that did not fire; ``None``: there is only the one."""
    count: int = 1
    """How many nominal times this record covers."""
    fired_at: datetime | None = None
    """When the attempt went into the queue."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 1
    worker_id: str | None = None
    reason: str | None = None
    """Why it did not fire or did not run."""
    error_type: str | None = None
    error: str | None = None

    @property
    def succeeded_for(self) -> datetime | None:
        """The nominal time of a run that succeeded, or when it was enqueued if it has none; ``None`` if it did not succeed."""
        return self.nominal_at or self.fired_at if self.outcome is RunOutcome.COMPLETED else None

    @property
    def duration(self) -> timedelta | None:
        """How long the attempt ran; ``None`` when it did not run."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values: times in epoch seconds, ``duration`` in seconds."""
        duration = None if self.duration is None else self.duration.total_seconds()
        return {**plain_form(self), "duration": duration}


class HistorySink(Protocol):
    """Where history goes. Recording never blocks and never fails."""

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Hand over records. They are stored soon afterwards, in this order."""
        ...


class HistorySource(Protocol):
    """What a worker reads from the history."""

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        """The schedule's last successful run; ``None`` when the history has none. Raises `StoreError` when it cannot be read."""
        ...
