"""The inputs of the verification of one schedule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from naq.observe.verify.evidence import Evidence
from naq.schedules.record import Schedule

__all__ = ["Case", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what is known of the whole system."""

    since: datetime
    as_of: datetime
    """When reading began: times due later are not judged."""
    patience: timedelta
    """How long a nominal time may be due without a decision."""
    complete_since: datetime
    """Since when no event was dropped."""
    history_since: datetime
    """Since when nothing was dropped for its age of a schedule's history that is not full."""
    history_length: int
    """Records of one schedule's history that are kept at most; 0 or less: all."""
    leaderless: str | None
    """The text for overdue times if there is no leader; ``None``: there is one."""


@dataclass(frozen=True, slots=True)
class Case:
    """One schedule before the judge."""

    record: Schedule
    """As it was read before the evidence was."""
    evidence: Evidence
    latest: Schedule | None
    """As it was read after the evidence; ``None``: it was deleted meanwhile."""
    read_at: datetime | None = None
    """When that was read; ``None``: at once."""
