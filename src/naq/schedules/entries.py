"""A schedule as the API shows it: its form, what it has done, and whether it is quarantined."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from naq.schedules.forms.entry import to_dict
from naq.schedules.planning.soundness import PLANNING_ERRORS
from naq.schedules.record import Schedule
from naq.schedules.standing import QUARANTINED, Standing
from naq.schedules.transitions import decided_ahead

__all__ = ["entry_of", "quarantined"]


def entry_of(standing: Standing, now: datetime) -> dict[str, Any]:
    """Plain values, times in epoch seconds. A quarantined schedule has that status and the ``reason``; of one whose record
    cannot be read nothing else is known."""
    schedule = standing.schedule
    entry: dict[str, Any] = {"schedule_id": standing.schedule_id, "created_at": None, "next_run_at": None}
    if schedule is not None:
        entry = to_dict(schedule)
        ahead = _decided_ahead(schedule, now)
        if ahead is not None:
            entry["decided_ahead"] = ahead.timestamp()
    return entry if standing.flaw is None else quarantined(entry, standing.flaw)


def quarantined(entry: Mapping[str, Any], reason: str) -> dict[str, Any]:
    """A schedule's entry as it is shown while its record cannot be read or planned: it does not fire."""
    return {**entry, "status": QUARANTINED, "reason": reason}


def _decided_ahead(schedule: Schedule, now: datetime) -> datetime | None:
    try:
        return decided_ahead(schedule, now)
    except PLANNING_ERRORS:
        return None  # it is quarantined
