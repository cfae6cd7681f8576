"""Calendar intervals as users write them: every so many days, weeks, months or years."""

from __future__ import annotations

import re
from datetime import date, datetime, time
from typing import Any

from naq.parsing import MISSING, Reader, unquoted_time
from naq.schedules.forms.kinds.form import TriggerForm, checked, dst_form, read_dst
from naq.timing.calendar_interval import CalendarInterval, CalendarUnit

__all__ = ["CALENDAR", "read_calendar"]


def read_calendar(reader: Reader) -> CalendarInterval | None:
    """The interval that a mapping describes; ``None`` when there is a complaint."""
    zone = reader.zone() or "UTC"
    gap, overlap = read_dst(reader)
    count, unit = _count_and_unit(reader)
    at = _time_of_day(reader)
    start = _date(reader)
    day = reader.integer("day", at_least=1)
    if count is None or unit is None:
        return None
    return checked(reader, "every", CalendarInterval(count, unit, at, zone, start, day, gap, overlap))


def _count_and_unit(reader: Reader) -> tuple[int | None, CalendarUnit | None]:
    """``every=2, unit="months"``, or both in one: ``every="2 months"``, ``every="month"``."""
    value = reader.require("every")
    if isinstance(value, int) and not isinstance(value, bool):
        if not reader.has("unit"):
            reader.complain("unit", MISSING, f"must be given: one of {', '.join(CalendarUnit)}")
            return None, None
        return value, reader.choice("unit", CalendarUnit)
    words = (
        re.fullmatch(r"(?:(\d{1,6})\s+)?(day|week|month|year)s?", value.strip().lower())
        if isinstance(value, str)
        else None
    )
    if words is None:
        if value is not MISSING:
            reader.complain("every", value, "must be a number of days, weeks, months or years")
        return None, None
    return int(words[1] or 1), CalendarUnit(f"{words[2]}s")


def _time_of_day(reader: Reader) -> time:
    value = reader.take("at")
    if isinstance(value, time):
        return value
    if value is MISSING or value is None:
        return time(0)
    try:
        return time.fromisoformat(value)
    except (TypeError, ValueError):
        reader.complain("at", value, unquoted_time(value) or "must be a time of day")
        return time(0)


def _date(reader: Reader) -> date | None:
    value = reader.take("start")
    if value is MISSING or value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        reader.complain("start", value, "must be a date")
        return None


def _write(trigger: CalendarInterval) -> dict[str, Any]:
    start = None if trigger.start is None else trigger.start.isoformat()
    form: dict[str, Any] = {"every": trigger.every, "unit": str(trigger.unit), "timezone": trigger.tz}
    return form | {"at": trigger.at.isoformat(), "start": start, "day": trigger.day} | dst_form(trigger)


KEYS = ("unit", "at", "start", "day", "dst_gap", "dst_overlap")
CALENDAR = TriggerForm("calendar", CalendarInterval, KEYS, read_calendar, _write)
