"""What became of each time of a schedule: its history by nominal time, not by attempt. Pure.

The history has a record for each attempt. "The last ten times" are ten nominal times: three attempts of
one job are one of them, and what it came to is what the last of its records says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from naq.jobs.history import HistoryRecord
from naq.store.keys import kind_of_fire

__all__ = ["Occurrence", "occurrences"]


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One nominal time (or several that did not fire for one reason), or one run by hand."""

    attempts: tuple[HistoryRecord, ...]
    """Its records, the oldest first; at least one."""

    @property
    def last(self) -> HistoryRecord:
        """What it came to."""
        return self.attempts[-1]

    @property
    def when(self) -> datetime:
        """Its nominal time (of several, the last); of a run by hand, when that was asked for."""
        first = self.attempts[0]
        return first.until or first.nominal_at or first.fired_at or first.at

    @property
    def kind(self) -> str | None:
        """``by hand`` or ``backfill``; ``None``: it is a nominal time's own."""
        return None if self.last.job_id is None else kind_of_fire(self.last.job_id)

    def to_dict(self) -> dict[str, Any]:
        """What it came to as plain values, with its ``attempts`` in their order."""
        return {**self.last.to_dict(), "attempts": [record.to_dict() for record in self.attempts]}


def occurrences(records: Iterable[HistoryRecord], limit: int) -> tuple[Occurrence, ...]:
    """The last ``limit`` occurrences in these records (which come newest first, as they were written), newest first."""
    jobs: dict[str, list[HistoryRecord]] = {}
    found: list[Sequence[HistoryRecord]] = []
    for record in records:
        if record.job_id is None:
            found.append((record,))
        elif record.job_id in jobs:
            jobs[record.job_id].append(record)
        else:
            found.append(jobs.setdefault(record.job_id, [record]))
    found_ones = [Occurrence(tuple(reversed(group))) for group in found]
    return tuple(sorted(found_ones, key=lambda each: (each.when, each.last.at), reverse=True)[:limit])
