"""What to do about each matter: one line each. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from naq.store.keys import job_id

__all__ = [
    "Remedy",
    "aim_again",
    "declare_again",
    "grid_moved",
    "look_at",
    "look_into",
    "lost",
    "lost_among",
    "nobody_leads",
    "quarantined",
    "undecided",
    "unproven",
]

Remedy = Callable[[str, datetime, datetime], str]
"""From a schedule and the first and last nominal time."""

nobody_leads = "start a scheduler: naq scheduler, or naq run MODULE:APP"
undecided = "naq doctor; naq events --type store_trouble --since 1d --no-follow"


grid_moved = "nothing; storing an unchanged definition again does not move the grid any more"


def aim_again(schedule_id: str) -> str:
    """For a schedule that was planned with a wrong clock."""
    return f"set the clocks right (NTP), then: naq schedule aim {schedule_id}"


def declare_again(schedule_id: str) -> str:
    """For a schedule that was removed from its declared set."""
    return f"nothing, if it is declared no more; else start its application, or naq sync; {look_into(schedule_id)}"


def lost(schedule_id: str, first: datetime, last: datetime) -> str:
    """For lost fires."""
    text = f"naq schedule backfill {schedule_id} {first.isoformat()} {last.isoformat()}"
    return f"enqueue what is missing: {text}; and please report it: this must not happen"


def lost_among(schedule_id: str, first: datetime, last: datetime) -> str:
    """For lost fires, when it is unknown which of several."""
    text = f"naq schedule backfill {schedule_id} FROM TO"
    return f"look in the logs of its jobs which of them ran, and enqueue the others: {text}; and please report it"


def unproven(schedule_id: str, first: datetime, last: datetime) -> str:
    """For fires without a trace."""
    return "nothing; to know it next time, keep more: history_length, history_age, events_age"


def look_at(schedule_id: str, nominal: datetime) -> str:
    """For a job that should not exist."""
    return f"naq job show {job_id(schedule_id, nominal)}; {look_into(schedule_id)}"


def look_into(schedule_id: str) -> str:
    """For a schedule with too many jobs."""
    return f"naq events --schedule {schedule_id} --since 1d --no-follow"


def quarantined(schedule_id: str) -> str:
    """For a record that cannot be read or planned."""
    return f"repair the record, upgrade the instance, or: naq schedule delete {schedule_id}"
