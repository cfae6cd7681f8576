"""Recurrence rules in plain words: ``every 2 weeks on Monday at 09:00``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from naq.timing.cron_words import MONTHS, WEEKDAYS, join, ordinal

__all__ = ["describe_rule"]

_UNITS = {
    "YEARLY": "year",
    "MONTHLY": "month",
    "WEEKLY": "week",
    "DAILY": "day",
    "HOURLY": "hour",
    "MINUTELY": "minute",
    "SECONDLY": "second",
}
_DAYS = {"SU": 0, "MO": 1, "TU": 2, "WE": 3, "TH": 4, "FR": 5, "SA": 6}
_DAY_PARTS = frozenset(("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYEASTER"))
_TOLD = frozenset(
    ("FREQ", "INTERVAL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYHOUR", "BYMINUTE", "BYSETPOS", "COUNT", "UNTIL", "WKST")
)


def describe_rule(parts: Mapping[str, str], start: datetime | None) -> str:
    """The rule as a phrase; parts that have no words are shown as they were written."""
    unit = _UNITS.get(parts.get("FREQ", ""))
    if unit is None:
        return ";".join(f"{name}={value}" for name, value in parts.items())
    interval = parts.get("INTERVAL", "1")
    words = [f"every {unit}" if interval == "1" else f"every {interval} {unit}s"]
    if "BYDAY" in parts:
        days = join([_day(day) for day in parts["BYDAY"].split(",")])
        words.append(f"on {_positions(parts['BYSETPOS'])} of {days}" if "BYSETPOS" in parts else f"on {days}")
    if "BYMONTHDAY" in parts:
        words.append(f"on the {join([_from_end(day) for day in parts['BYMONTHDAY'].split(',')])} of the month")
    if "BYMONTH" in parts:
        words.append(f"in {join([_month(month) for month in parts['BYMONTH'].split(',')])}")
    if start is not None and not _DAY_PARTS & parts.keys():
        words.append(_day_of_start(start, unit, "BYMONTH" in parts))
    words.append(_time(parts, start, unit))
    words.extend(f"{name}={value}" for name, value in parts.items() if name not in _TOLD)
    if "COUNT" in parts:
        words.append(f"{parts['COUNT']} times")
    if "UNTIL" in parts:
        words.append(f"until {parts['UNTIL']}")
    return " ".join(word for word in words if word)


def _day_of_start(start: datetime, unit: str, has_month: bool) -> str:
    """The day that a rule without one takes from its start."""
    if unit == "week":
        return f"on {WEEKDAYS[start.isoweekday() % 7]}"
    if unit == "month" or (unit == "year" and has_month):
        return f"on the {ordinal(start.day)}"
    return f"on {start.day} {MONTHS[start.month - 1]}" if unit == "year" else ""


def _day(text: str) -> str:
    match = re.fullmatch(r"([+-]?\d+)?([A-Z]{2})", text)
    if match is None or match[2] not in _DAYS:
        return text
    name = WEEKDAYS[_DAYS[match[2]]]
    return name if match[1] is None else f"the {_from_end(match[1])} {name}"


def _from_end(text: str) -> str:
    if not re.fullmatch(r"[+-]?\d+", text):
        return text
    number = int(text)
    if number >= 0:
        return ordinal(number)
    return "last" if number == -1 else f"{ordinal(-number)} to last"


def _positions(text: str) -> str:
    return f"the {join([_from_end(position) for position in text.split(',')])}"


def _month(text: str) -> str:
    return MONTHS[int(text) - 1] if text.isdigit() and 1 <= int(text) <= 12 else text


def _time(parts: Mapping[str, str], start: datetime | None, unit: str) -> str:
    """The time of day when it is one, else what the rule says of hours and minutes."""
    hours, minutes = parts.get("BYHOUR"), parts.get("BYMINUTE")
    if unit in ("hour", "minute", "second"):
        told = [f"hours {hours}" if hours else "", f"minutes {minutes}" if minutes else ""]
        return " ".join(f"in {word}" for word in told if word)
    if hours is None and start is None:
        return ""
    hour_list = (hours or str(start.hour if start else 0)).split(",")
    minute_list = (minutes or str(start.minute if start else 0)).split(",")
    if len(hour_list) * len(minute_list) > 4:
        return f"at minutes {', '.join(minute_list)} of hours {', '.join(hour_list)}"
    return f"at {join([f'{hour:0>2}:{minute:0>2}' for hour in hour_list for minute in minute_list])}"
