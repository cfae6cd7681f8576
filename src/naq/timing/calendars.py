"""Named calendars: the days and times somebody has written down, as a value that a schedule carries with it.

A calendar holds single dates, ranges of days, spans of time, and events that recur. It is stored inside the schedules
that use it: every scheduler sees the same calendar, and a changed one is a changed schedule with its audit event. The
public holidays of a region come from the ``holidays`` package (the extra of that name), either asked each time
(`is_holiday`) or written out into dates once (`holiday_calendar`).
"""

from __future__ import annotations

import importlib
from collections.abc import Container, Iterable, Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.rrule import recurrence
from naq.timing.zones import EPOCH, Zone, check_zone, get_zone

__all__ = ["Calendar", "DayRange", "EventRule", "TimeRange", "check_region", "holiday_calendar", "is_holiday"]

DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND = timedelta(seconds=1)


class DayRange(msgspec.Struct, frozen=True):
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date


class TimeRange(msgspec.Struct, frozen=True):
    """Time from ``start`` up to, but without, ``end``; both aware."""

    start: datetime
    end: datetime


class EventRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that recurs on the wall clock: ``lasts`` from each wall time of the rule on."""

    rrule: str
    start: datetime
    """The first wall time, naive."""
    lasts: timedelta
    without: tuple[datetime, ...] = ()
    """Wall times of the rule that were called off."""
    tz: str | None = None
    """The event's own zone; ``None``: that in which the calendar is asked."""

    def pieces(self, low: int, high: int, tz: str) -> Iterator[tuple[int, int]]:
        """The stretches [start, end) of wall seconds that touch [low, high)."""
        rule = recurrence(self.rrule, self.start, self.tz or tz)
        lasts = self.lasts // _SECOND
        called_off = {_wall_second(at) for at in self.without}
        wall = rule.next_wall(low - lasts + 1)
        while wall is not None and wall < high:
            if wall not in called_off:
                yield wall, wall + lasts
            wall = rule.next_wall(wall + 1)


class Calendar(msgspec.Struct, frozen=True, omit_defaults=True):
    """Days and times under a name."""

    name: str
    dates: tuple[date, ...] = ()
    ranges: tuple[DayRange, ...] = ()
    times: tuple[TimeRange, ...] = ()
    rules: tuple[EventRule, ...] = ()

    def covers(self, instant: datetime, tz: str) -> bool:
        """Whether ``instant`` lies on a day, or in a time, of the calendar; days are those of the zone ``tz``."""
        zone = get_zone(tz)
        if any(span.start <= instant < span.end for span in self.times):
            return True
        if self.has_day(instant.astimezone(zone.info).date()):
            return True
        second = (instant - EPOCH) // _SECOND
        for rule in self.rules:
            wall = second + get_zone(rule.tz or tz).segment(second).offset
            if next(rule.pieces(wall, wall + 1, tz), None) is not None:
                return True
        return False

    def has_day(self, day: date) -> bool:
        """Whether the whole ``day`` is named, as a date or in a range."""
        return day in self.dates or any(days.first <= day <= days.last for days in self.ranges)

    def spans(self, first: int, end: int, tz: str) -> Iterator[tuple[int, int]]:
        """The stretches of instants in [first, end) that it covers, in seconds since the epoch, in no order."""
        yield from day_spans(get_zone(tz), first, end, self)
        for span in self.times:
            yield (span.start - EPOCH) // _SECOND, -((EPOCH - span.end) // _SECOND)
        for rule in self.rules:
            yield from wall_spans(get_zone(rule.tz or tz), first, end, rule, tz)

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it: backward ranges, naive times, unreadable rules, unknown zones."""
        problems = [
            Problem(field, f"{days.first}..{days.last}", "ends before it begins", "'2030-12-24..2031-01-01'")
            for days in self.ranges
            if days.last < days.first
        ]
        for span in self.times:
            problems += check_times(span.start, span.end, field)
        for rule in self.rules:
            problems += check_zone(rule.tz or "UTC", field)
            if not problems:
                try:
                    recurrence(rule.rrule, rule.start, rule.tz or "UTC")
                except InvalidSchedule as error:
                    problems += [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        return problems

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.has_day(day)

    def __str__(self) -> str:
        return f"calendar {self.name}"


def _wall_second(wall: datetime) -> int:
    return (wall.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // _SECOND


def check_times(start: datetime, end: datetime, field: str) -> list[Problem]:
    """What is wrong with a span of time."""
    example = "'2030-12-24T22:00:00Z..2030-12-25T02:00:00Z'"
    text = f"{start.isoformat()}..{end.isoformat()}"
    if start.tzinfo is None or end.tzinfo is None:
        return [Problem(field, text, "has no time zone", example)]
    if start.microsecond or end.microsecond:
        return [Problem(field, text, "must be told to the second", example)]
    return [Problem(field, text, "ends before it begins", example)] if end <= start else []


def wall_spans(zone: Zone, first: int, end: int, rule: EventRule, tz: str) -> Iterator[tuple[int, int]]:
    """A recurring event's stretches of instants within [first, end)."""
    for start, stop, offset in stretches(zone, first, end):
        for low, high in rule.pieces(start + offset, stop + offset, tz):
            yield max(low - offset, start), min(high - offset, stop)


def day_spans(zone: Zone, first: int, end: int, days: Container[date]) -> Iterator[tuple[int, int]]:
    """The stretches of instants in [first, end) that lie on one of ``days`` on the zone's calendar."""
    for start, stop, offset in stretches(zone, first, end):
        for day in range((start + offset) // DAY, (stop + offset - 1) // DAY + 1):
            if date.fromordinal(day + _EPOCH_ORDINAL) in days:
                yield max(day * DAY - offset, start), min((day + 1) * DAY - offset, stop)


def stretches(zone: Zone, first: int, end: int) -> Iterator[tuple[int, int, int]]:
    """[first, end) cut into pieces (start, end, offset) of one offset each."""
    while first < end:
        segment = zone.segment(first)
        stop = min(segment.end, end)
        yield first, stop, segment.offset
        first = stop


def is_holiday(region: str, day: date) -> bool:
    """Whether ``day`` is a public holiday of ``region``: ``DE``, ``DE-BY``, or a stock exchange such as ``XNYS``.

    Raises `InvalidSchedule` when the region is not known or the ``holidays`` package is not installed here.
    """
    return day in _holidays(region)


def last_holiday_year(region: str) -> int:
    """The last year whose holidays the package knows; of later days it knows nothing. Raises like `is_holiday`."""
    known: Any = _holidays(region)
    return int(known.end_year)


def check_region(region: str, field: str) -> list[Problem]:
    """What is wrong with a region; empty when its holidays are known here."""
    try:
        _holidays(region)
    except InvalidSchedule as error:
        return [Problem(field, found.value, found.reason, found.example) for found in error.problems]
    return []


def holiday_calendar(region: str, years: Iterable[int], name: str | None = None) -> Calendar:
    """The public holidays of ``region`` in ``years``, written out: they stay as they are when the package changes."""
    known = _holidays(region)
    days = (
        date.fromordinal(number)
        for year in sorted(set(years))
        for number in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1)
    )
    return Calendar(name or f"holidays:{region}", dates=tuple(day for day in days if day in known))


@lru_cache(maxsize=256)
def _holidays(region: str) -> Container[date]:
    example = "'holidays:DE-BY'"
    try:
        package: Any = importlib.import_module("holidays")
    except ModuleNotFoundError as error:
        reason = "needs the holidays package, which is not installed here: pip install 'naq[holidays]'"
        raise InvalidSchedule(Problem("exclude", shown(f"holidays:{region}"), reason, example)) from error
    country, _, subdivision = region.strip().partition("-")
    try:
        if not subdivision and country.upper() in package.list_supported_financial():
            found: Container[date] = package.financial_holidays(country.upper())
        else:
            found = package.country_holidays(country.upper(), subdiv=subdivision or None)
    except NotImplementedError as error:
        reason = f"is no region the holidays package knows ({error})"
        raise InvalidSchedule(Problem("exclude", shown(f"holidays:{region}"), reason, example)) from error
    return found
