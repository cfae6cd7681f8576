"""What became of a schedule's nominal times: one record for each attempt that ended or lost its worker, and one for each
that never was.

The history answers "did it run last night, and if not, why not". It is limited by count and age, kept beside the store,
and never needed to decide anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

import msgspec

__all__ = ["HistoryRecord", "HistorySink", "HistorySource", "RunOutcome"]


class RunOutcome(StrEnum):
    """How an attempt ended, or why there was none."""

    COMPLETED = "completed"
    """Its function returned."""
    RETRIED = "retried"
    """It failed, and another attempt follows."""
    FAILED = "failed"
    """It failed for good: it is a dead letter."""
    CANCELLED = "cancelled"
    """Somebody cancelled it."""
    ABANDONED = "abandoned"
    """Its worker vanished before it ended. It is started again, unless that happened too often: then it failed."""
    MISSED = "missed"
    """It was not run: too late for the catch-up window or the start deadline."""
    SKIPPED = "skipped"
    """It did not fire: overlap, an exclusion, a pause, or on request."""

    @property
    def fired(self) -> bool:
        """Whether there was a job at all."""
        return self not in (RunOutcome.MISSED, RunOutcome.SKIPPED)


class HistoryRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One line of a schedule's history. Times are aware UTC; those that do not apply are ``None``."""

    v: int = 1
    schedule_id: str
    outcome: RunOutcome
    at: datetime
    """When this was recorded."""
    job_id: str | None = None
    """``None`` for a nominal time that did not fire."""
    nominal_at: datetime | None = None
    """When it should have fired; ``None`` for a run that was triggered by hand."""
    until: datetime | None = None
    """The end of the stretch that those which did not fire lie in; ``None``: it is the one nominal time."""
    count: int = 1
    """How many nominal times it stands for."""
    fired_at: datetime | None = None
    """When the attempt went into the queue."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    attempt: int = 1
    worker_id: str | None = None
    reason: str | None = None
    """Why it did not fire or was not run."""
    error_type: str | None = None
    error: str | None = None

    @property
    def succeeded_for(self) -> datetime | None:
        """The time that a run which succeeded stands for: its nominal time, else when it was enqueued; ``None`` if it
        did not succeed."""
        return self.nominal_at or self.fired_at if self.outcome is RunOutcome.COMPLETED else None

    @property
    def duration(self) -> timedelta | None:
        """How long the attempt ran; ``None`` when it did not."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values: times in epoch seconds, ``duration`` in seconds."""
        entry: dict[str, Any] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, datetime):
                value = value.timestamp()
            entry[name] = str(value) if isinstance(value, StrEnum) else value
        del entry["v"]
        entry["duration"] = None if self.duration is None else self.duration.total_seconds()
        return entry


class HistorySink(Protocol):
    """Where history goes. Recording never blocks and never fails."""

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Hand over records; they are stored soon after, in this order."""
        ...


class HistorySource(Protocol):
    """What a worker asks the history."""

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        """The schedule's last run that succeeded; ``None``: there is none in the history. Raises `StoreError` when it
        cannot be asked."""
        ...
