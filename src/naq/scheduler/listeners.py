"""What a scheduler deals with besides its bucket: events and history that it reports to, workers, and the results of jobs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from naq.jobs.history import HistoryRecord, HistorySink
from naq.store.port import EventSink, JobStopper, Store

__all__ = ["NO_HISTORY", "Listeners"]


class _NoHistory:
    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Drop them."""


class _NoWorkers:
    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Stop nothing."""

    async def held(self) -> set[str]:
        """They hold nothing."""
        return set()


NO_HISTORY: HistorySink = _NoHistory()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where facts go once they are committed, which never blocks or fails; and who knows what became of the jobs."""

    events: EventSink
    history: HistorySink = NO_HISTORY
    """Nominal times that did not fire."""
    stopper: JobStopper = _NoWorkers()
    """The workers: runs that an overlap policy ends, and which jobs they have."""
    results: Store | None = None
    """The bucket of results; ``None``: it is unknown how jobs ended, and nothing is decided by it."""
