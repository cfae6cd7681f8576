"""Exclusions as users write them: short text, or a mapping, or a list of both.

=====================================================  =============================================
``2030-12-24``                                         that day
``2030-12-24..2031-01-01``                             those days, both included
``2030-12-24T22:00..2030-12-25T02:00``                 that time; without an offset on the zone's clock
``* 0-6 * * *``                                        whenever the cron expression matches
``holidays:DE-BY``                                     public holidays of a region
``calendar:works-council``                             a named calendar
=====================================================  =============================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.calendars import Calendar
from naq.timing.exclusions import (
    ExcludedCalendar,
    ExcludedCron,
    ExcludedDates,
    ExcludedDays,
    ExcludedHolidays,
    ExcludedTime,
    Exclusion,
)
from naq.timing.zones import resolve

__all__ = ["exclude_form", "exclusion_text", "read_exclusions"]

EXAMPLE = "'2030-12-24..2031-01-01'"


def read_exclusions(
    value: object, field: str = "exclude", tz: str = "UTC", calendars: Mapping[str, Calendar] | None = None
) -> tuple[Exclusion, ...]:
    """Read what a schedule must not fire on: text, a date, a `Calendar`, an `Exclusion`, or a list of them.

    Days and cron fields are those of ``tz``. ``calendars`` are the named ones. Raises `InvalidSchedule` with every
    complaint; the fields are ``exclude[0]``, ``exclude[1]``, ...
    """
    if value is None:
        return ()
    items = list(value) if isinstance(value, Sequence | set | frozenset) and not isinstance(value, str) else [value]
    read: list[Exclusion] = []
    problems: list[Problem] = []
    for index, item in enumerate(items):
        name = f"{field}[{index}]"
        found = _read(item, tz, calendars or {})
        if isinstance(found, str):
            problems.append(Problem(name, shown(item), found, EXAMPLE))
            continue
        problems += found.check(name)
        read.append(found)
    if problems:
        raise InvalidSchedule(*problems)
    dates = [
        day
        for exclusion in read
        if isinstance(exclusion, ExcludedDates) and exclusion.tz == tz
        for day in exclusion.dates
    ]
    others = [exclusion for exclusion in read if not (isinstance(exclusion, ExcludedDates) and exclusion.tz == tz)]
    return (*([ExcludedDates(tuple(dict.fromkeys(dates)), tz)] if dates else []), *others)


def exclusion_text(exclusion: Exclusion) -> str | tuple[str, ...]:
    """An exclusion as `read_exclusions` reads it again, in its zone; dates are several texts."""
    match exclusion:
        case ExcludedDates():
            return tuple(day.isoformat() for day in exclusion.dates)
        case ExcludedDays():
            return f"{exclusion.first}..{exclusion.last}"
        case ExcludedTime():
            return f"{exclusion.start.isoformat()}..{exclusion.end.isoformat()}"
        case ExcludedCron():
            return exclusion.expression
        case ExcludedCalendar():
            return f"calendar:{exclusion.calendar.name}"
        case ExcludedHolidays():
            return f"holidays:{exclusion.region}"


def exclude_form(exclusions: Sequence[Exclusion], zone: str) -> list[Any]:
    """Exclusions as text where that says it all in ``zone``, else as the mapping of the record."""
    items: list[Any] = []
    for exclusion in exclusions:
        elsewhere = not isinstance(exclusion, ExcludedTime) and exclusion.tz != zone
        if elsewhere or isinstance(exclusion, ExcludedCalendar):
            items.append(msgspec.to_builtins(exclusion, str_keys=True))
            continue
        text = exclusion_text(exclusion)
        items += [text] if isinstance(text, str) else text
    return items


def _read(item: object, tz: str, calendars: Mapping[str, Calendar]) -> Exclusion | str:
    """One exclusion, or what is wrong with it."""
    if isinstance(
        item, ExcludedDates | ExcludedDays | ExcludedTime | ExcludedCron | ExcludedCalendar | ExcludedHolidays
    ):
        return item
    if isinstance(item, Calendar):
        return ExcludedCalendar(item, tz)
    if isinstance(item, date) and not isinstance(item, datetime):
        return ExcludedDates((item,), tz)
    if isinstance(item, str):
        return _read_text(item.strip(), tz, calendars)
    return "must be an exclusion (a date, a range, a cron expression, holidays:REGION or calendar:NAME)"


def _read_text(text: str, tz: str, calendars: Mapping[str, Calendar]) -> Exclusion | str:
    kind, colon, name = text.partition(":")
    if colon and kind == "holidays":
        return ExcludedHolidays(name.strip(), tz)
    if colon and kind == "calendar":
        if name.strip() in calendars:
            return ExcludedCalendar(calendars[name.strip()], tz)
        known = ", ".join(sorted(calendars)) or "none is declared"
        return f"names a calendar that is not known here ({known})"
    if ".." in text:
        return _read_range(text, tz)
    if len(text.split()) in (5, 6) or text.startswith("@"):
        return ExcludedCron(text, tz)
    day = _date(text)
    if day is None:
        return "must be a date, range, cron expression, holidays:REGION or calendar:NAME"
    return ExcludedDates((day,), tz)


def _read_range(text: str, tz: str) -> Exclusion | str:
    first_text, _, last_text = text.partition("..")
    first_day, last_day = _date(first_text.strip()), _date(last_text.strip())
    if first_day is not None and last_day is not None:
        return ExcludedDays(first_day, last_day, tz)
    start, end = _time(first_text.strip(), tz), _time(last_text.strip(), tz)
    if start is None or end is None:
        return "must be a range of two dates or two times"
    return ExcludedTime(start, end)


def _date(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _time(text: str, tz: str) -> datetime | None:
    """An ISO time as aware UTC; without an offset it is on the clock of ``tz``."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo is not None else resolve(at, tz)[0]
