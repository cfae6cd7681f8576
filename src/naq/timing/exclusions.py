"""Exclusions: when a schedule must not fire although its trigger says so.

An excluded instant is recorded, not fired. An exclusion is a frozen value, like a trigger; it is asked about an instant
(`excludes`) or for the stretches of time it covers (`spans`), which is how a long outage is counted exactly without
looking at every instant in it (`count_excluded`). Days and cron fields are those of its zone ``tz``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TypeAlias

import msgspec

from naq.exceptions import InvalidSchedule, Problem
from naq.timing.calendars import (
    Calendar,
    DayRange,
    check_region,
    check_times,
    day_spans,
    is_holiday,
    stretches,
)
from naq.timing.cron import beside
from naq.timing.cron_fields import CronFields
from naq.timing.cron_search import DAY, CronSearch, search_of
from naq.timing.cron_words import describe
from naq.timing.triggers import Trigger
from naq.timing.zones import EPOCH, check_zone, get_zone

__all__ = [
    "ExcludedCalendar",
    "ExcludedCron",
    "ExcludedDates",
    "ExcludedDays",
    "ExcludedHolidays",
    "ExcludedTime",
    "Exclusion",
    "count_excluded",
    "excluded_by",
]

_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)


class ExcludedDates(msgspec.Struct, frozen=True, tag="dates", omit_defaults=True):
    """Not on these dates."""

    dates: tuple[date, ...]
    tz: str = "UTC"

    def excludes(self, instant: datetime) -> bool:
        """Whether ``instant`` is on one of the dates."""
        return _local_date(instant, self.tz) in self.dates

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [first, end) that are covered, in seconds since the epoch, in no order."""
        return day_spans(get_zone(self.tz), first, end, self.dates)

    def check(self, field: str) -> list[Problem]:
        """An unknown zone is a complaint."""
        return check_zone(self.tz, beside(field, "timezone"))

    def __str__(self) -> str:
        more = f" and {len(self.dates) - 5} more dates" if len(self.dates) > 5 else ""
        return f"not on {', '.join(day.isoformat() for day in self.dates[:5])}{more}, {self.tz}"


class ExcludedDays(msgspec.Struct, frozen=True, tag="days", omit_defaults=True):
    """Not on the days from ``first`` to ``last``, both included."""

    first: date
    last: date
    tz: str = "UTC"

    def excludes(self, instant: datetime) -> bool:
        """Whether ``instant`` is on one of the days."""
        return self.first <= _local_date(instant, self.tz) <= self.last

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [first, end) that are covered, in seconds since the epoch, in no order."""
        return Calendar("", ranges=(DayRange(self.first, self.last),)).spans(first, end, self.tz)

    def check(self, field: str) -> list[Problem]:
        """Days that run backwards, and an unknown zone, are complaints."""
        problems = Calendar("", ranges=(DayRange(self.first, self.last),)).check(field)
        return [*problems, *check_zone(self.tz, beside(field, "timezone"))]

    def __str__(self) -> str:
        return f"not from {self.first} to {self.last}, {self.tz}"


class ExcludedTime(msgspec.Struct, frozen=True, tag="time"):
    """Not from the instant ``start`` up to, but without, ``end``; both aware."""

    start: datetime
    end: datetime

    def excludes(self, instant: datetime) -> bool:
        """Whether ``instant`` lies in the span."""
        return self.start <= instant < self.end

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The span, in seconds since the epoch."""
        yield (self.start - EPOCH) // _SECOND, -((EPOCH - self.end) // _SECOND)

    def check(self, field: str) -> list[Problem]:
        """A span that runs backwards, or has no zone, is a complaint."""
        return check_times(self.start, self.end, field)

    def __str__(self) -> str:
        return f"not from {self.start.isoformat(sep=' ')} to {self.end.isoformat(sep=' ')}"


class ExcludedCron(msgspec.Struct, frozen=True, tag="cron", omit_defaults=True):
    """Not at times that a cron expression matches: with five fields the whole minute, with six the second.

    ``* 0-6 * * *`` keeps a schedule quiet from midnight to seven. Clocks are taken as they are.
    """

    expression: str
    tz: str = "UTC"
    day_or: bool = True

    def excludes(self, instant: datetime) -> bool:
        """Whether the local time of ``instant`` matches. Raises `InvalidSchedule` when it cannot be read."""
        second = (instant - EPOCH) // _SECOND
        wall = second + get_zone(self.tz).segment(second).offset
        return search_of(self.expression, self.day_or).matches_wall(wall)

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [first, end) that are covered, in seconds since the epoch, in order."""
        search, unit = _coarse(self.expression, self.day_or)
        for start, stop, offset in stretches(get_zone(self.tz), first, end):
            wall = search.next_wall(start + offset - unit + 1)
            while wall is not None and wall < stop + offset:
                yield max(wall - offset, start), min(wall + unit - offset, stop)
                wall = search.next_wall(wall + 1)

    def check(self, field: str) -> list[Problem]:
        """An unreadable expression, one that never matches, and an unknown zone are complaints."""
        problems = check_zone(self.tz, beside(field, "timezone"))
        try:
            if not search_of(self.expression, self.day_or).can_fire():
                reason = "matches nothing: no month has such a day"
                problems.append(Problem(field, repr(self.expression), reason, "'* * 25 12 *'"))
        except InvalidSchedule as error:
            problems += [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        return problems

    def __str__(self) -> str:
        try:
            search = search_of(self.expression, self.day_or)
        except InvalidSchedule:
            return f"not {self.expression}, {self.tz}"
        return f"not {describe(search.fields, search.matches_both)}, {self.tz}"


class ExcludedCalendar(msgspec.Struct, frozen=True, tag="calendar", omit_defaults=True):
    """Not on the days and times of a named calendar, which is stored with the schedule."""

    calendar: Calendar
    tz: str = "UTC"

    def excludes(self, instant: datetime) -> bool:
        """Whether the calendar covers ``instant``."""
        return self.calendar.covers(instant, self.tz)

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [first, end) that are covered, in seconds since the epoch, in no order."""
        return self.calendar.spans(first, end, self.tz)

    def check(self, field: str) -> list[Problem]:
        """The calendar's complaints, and an unknown zone."""
        return [*self.calendar.check(field), *check_zone(self.tz, beside(field, "timezone"))]

    def __str__(self) -> str:
        return f"not on days of the {self.calendar}, {self.tz}"


class ExcludedHolidays(msgspec.Struct, frozen=True, tag="holidays", omit_defaults=True):
    """Not on public holidays of a region (``DE``, ``DE-BY``, ``XNYS``), as the ``holidays`` package knows them."""

    region: str
    tz: str = "UTC"

    def excludes(self, instant: datetime) -> bool:
        """Whether ``instant`` is on a holiday. Raises `InvalidSchedule` when the holidays are not known here."""
        return is_holiday(self.region, _local_date(instant, self.tz))

    def spans(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The stretches of [first, end) that are covered, in seconds since the epoch, in no order."""
        return day_spans(get_zone(self.tz), first, end, _Holidays(self.region))

    def check(self, field: str) -> list[Problem]:
        """An unknown region or zone is a complaint."""
        return [*check_region(self.region, field), *check_zone(self.tz, beside(field, "timezone"))]

    def __str__(self) -> str:
        return f"not on public holidays of {self.region}, {self.tz}"


Exclusion: TypeAlias = ExcludedDates | ExcludedDays | ExcludedTime | ExcludedCron | ExcludedCalendar | ExcludedHolidays


def excluded_by(exclusions: Sequence[Exclusion], instant: datetime) -> Exclusion | None:
    """The first of ``exclusions`` that forbids ``instant``; ``None`` when it may fire."""
    return next((exclusion for exclusion in exclusions if exclusion.excludes(instant)), None)


def count_excluded(trigger: Trigger, exclusions: Sequence[Exclusion], after: datetime, until: datetime) -> int:
    """How many of the trigger's instants in (``after``, ``until``] are excluded, exactly.

    It counts by stretches of time, so its cost is that of the exclusions, not that of the instants.
    """
    if not exclusions or after >= until:
        return 0
    first, end = (after - EPOCH) // _SECOND, (until - EPOCH) // _SECOND + 1
    found = sorted(span for exclusion in exclusions for span in exclusion.spans(first, end))
    total = 0
    for low, high in _merged(found):
        start = max(after, EPOCH + timedelta(seconds=max(low, first)) - _TICK)
        stop = min(until, EPOCH + timedelta(seconds=min(high, end)) - _TICK)
        if start < stop:
            total += trigger.count_between(start, stop)
    return total


class _Holidays(Container[date]):
    """The holidays of a region as a set of days."""

    def __init__(self, region: str) -> None:
        self._region = region

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and is_holiday(self._region, day)


def _local_date(instant: datetime, tz: str) -> date:
    return instant.astimezone(get_zone(tz).info).date()


def _merged(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Sorted stretches with those that touch made one."""
    current: tuple[int, int] | None = None
    for low, high in spans:
        if current is not None and low <= current[1]:
            current = (current[0], max(current[1], high))
        else:
            if current is not None:
                yield current
            current = (low, high)
    if current is not None:
        yield current


@lru_cache(maxsize=1024)
def _coarse(expression: str, day_or: bool) -> tuple[CronSearch, int]:
    """The starts of the stretches an expression matches, and their length: whole days or hours where it has them."""
    fields: CronFields = search_of(expression, day_or).fields
    unit = 1 if fields.has_seconds else 60
    if unit == 60 or len(fields.seconds) == 60:
        fields, unit = dataclasses.replace(fields, seconds=(0,)), 60
        if len(fields.minutes) == 60:
            fields, unit = dataclasses.replace(fields, minutes=(0,)), 3600
            if len(fields.hours) == 24:
                fields, unit = dataclasses.replace(fields, hours=(0,)), DAY
    return CronSearch(fields, day_or), unit
