"""Where the scheduler reports what it did: events, the schedules' history, and the workers whose jobs are to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from naq.jobs.history import HistoryRecord, HistorySink
from naq.store.port import EventSink, JobStopper

__all__ = ["NO_HISTORY", "Listeners"]


class _NoHistory:
    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Drop them."""


class _NoWorkers:
    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Stop nothing."""


NO_HISTORY: HistorySink = _NoHistory()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where facts go once they are committed. None of the three blocks or fails."""

    events: EventSink
    history: HistorySink = NO_HISTORY
    """Nominal times that did not fire."""
    stopper: JobStopper = _NoWorkers()
    """Runs that an overlap policy ends."""
