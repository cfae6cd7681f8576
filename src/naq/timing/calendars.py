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
from typing import TYPE_CHECKING, Any

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.zones import EPOCH, Zone, check_zone, get_zone, resolve

if TYPE_CHECKING:
    from naq.timing.rrule_clock import RuleClock

__all__ = ["Calendar", "DayRange", "EventRule", "TimeRange", "check_region", "holiday_calendar", "is_holiday"]

DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
MOST_IN_YEAR = 24 * 366
"""Times that an event may recur in a year: by the hour. What a calendar covers is looked at event by event."""


class DayRange(msgspec.Struct, frozen=True):
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date


class TimeRange(msgspec.Struct, frozen=True):
    """Time from ``start`` up to, but without, ``end``; both aware."""

    start: datetime
    end: datetime


class EventRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that recurs: it begins at each time of the rule, and lasts ``lasts`` on the wall clock and then ``plus``.

    RFC 5545 counts days as those of the calendar, and hours, minutes and seconds as elapsed time: the first belong into
    ``lasts``, the others into ``plus``.
    """

    rrule: str
    start: datetime
    """The wall time the rule counts from, naive."""
    lasts: timedelta
    without: tuple[datetime, ...] = ()
    """Times of the rule that were called off; naive ones are wall times."""
    tz: str | None = None
    """The event's own zone; ``None``: that in which the calendar is asked."""
    plus: timedelta = timedelta(0)
    since: datetime | None = None
    """The first time of the rule that counts, when the rule was changed from it on; a naive one is a wall time."""
    before: datetime | None = None
    """The first time of the rule that counts no more, when the rule was changed from it on; like ``since``."""
    moved: timedelta = timedelta(0)
    """How much later (or earlier) than the rule says it begins, on the wall clock."""

    def covers(self, instant: datetime, tz: str) -> bool:
        """Whether the event goes on at ``instant``. Later begins end later, so the last one decides."""
        clock, zone = self._clock(tz), self.tz or tz
        first, end = self._bounds(zone)
        begin = clock.previous(min(self._unmoved(instant, zone) + _TICK, end))
        return (
            begin is not None and begin >= first and self._span(begin, zone)[1] > instant >= self._span(begin, zone)[0]
        )

    def spans(self, low: int, high: int, tz: str) -> Iterator[tuple[int, int]]:
        """The stretches [start, end) of seconds since the epoch that touch [low, high), in order."""
        clock, zone = self._clock(tz), self.tz or tz
        first, end = self._bounds(zone)
        at = self._unmoved(EPOCH + timedelta(seconds=low), zone)
        begin = clock.previous(min(max(at, first) + _TICK, end)) or clock.next_after(first - _TICK)
        while begin is not None and begin < end:
            start, stop = self._span(begin, zone)
            if start >= EPOCH + timedelta(seconds=high):
                break
            if begin >= first and start < stop:
                yield (start - EPOCH) // _SECOND, -((EPOCH - stop) // _SECOND)
            begin = clock.next_after(begin)

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it: an unreadable rule, one that is denser than by the hour, an unknown zone."""
        problems = check_zone(self.tz or "UTC", field)
        if problems:
            return problems
        try:
            clock = self._clock("UTC")
        except InvalidSchedule as error:
            return [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        begin = clock.next_after(EPOCH.replace(year=1600)) or EPOCH
        if clock.count_between(begin, begin + timedelta(days=366)) > MOST_IN_YEAR:
            reason = f"recurs more than {MOST_IN_YEAR} times a year: too often for an event"
            return [Problem(field, shown(self.rrule), reason, "'FREQ=HOURLY'")]
        return []

    def _clock(self, tz: str) -> RuleClock:
        from naq.timing.rrule_clock import recurrence  # few calendars have events that recur

        return recurrence(self.rrule, self.start, self.tz or tz, self.without)

    def _bounds(self, zone: str) -> tuple[datetime, datetime]:
        """The instants from which and up to which (not included) times of the rule count."""
        first = EPOCH.replace(year=1600) if self.since is None else _instant(self.since, zone)
        return first, EPOCH.replace(year=9000) if self.before is None else _instant(self.before, zone)

    def _unmoved(self, instant: datetime, zone: str) -> datetime:
        """The instant at which the rule itself would have begun what begins at ``instant``."""
        return resolve(_wall(instant, zone) - self.moved, zone)[0] if self.moved else instant

    def _span(self, begin: datetime, zone: str) -> tuple[datetime, datetime]:
        """The event that the rule begins at ``begin``."""
        if not self.moved and not self.lasts:
            return begin, begin + self.plus
        wall = _wall(begin, zone) + self.moved
        start = resolve(wall, zone)[0] if self.moved else begin
        return start, (resolve(wall + self.lasts, zone)[0] if self.lasts else start) + self.plus


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
        return any(rule.covers(instant, tz) for rule in self.rules)

    def has_day(self, day: date) -> bool:
        """Whether the whole ``day`` is named, as a date or in a range."""
        return day in self.dates or any(days.first <= day <= days.last for days in self.ranges)

    def spans(self, first: int, end: int, tz: str) -> Iterator[tuple[int, int]]:
        """The stretches of instants in [first, end) that it covers, in seconds since the epoch, in no order."""
        yield from day_spans(get_zone(tz), first, end, self)
        for span in self.times:
            yield (span.start - EPOCH) // _SECOND, -((EPOCH - span.end) // _SECOND)
        for rule in self.rules:
            yield from rule.spans(first, end, tz)

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
            problems += rule.check(field)
        return problems

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.has_day(day)

    def __str__(self) -> str:
        return f"calendar {self.name}"


def _instant(at: datetime, zone: str) -> datetime:
    """A time as an instant; a naive one on the clock of ``zone``."""
    return resolve(at, zone)[0] if at.tzinfo is None else at


def _wall(instant: datetime, zone: str) -> datetime:
    """What the clocks of ``zone`` show at ``instant``, naive."""
    return instant.astimezone(get_zone(zone).info).replace(tzinfo=None)


def check_times(start: datetime, end: datetime, field: str) -> list[Problem]:
    """What is wrong with a span of time."""
    example = "'2030-12-24T22:00:00Z..2030-12-25T02:00:00Z'"
    text = f"{start.isoformat()}..{end.isoformat()}"
    if start.tzinfo is None or end.tzinfo is None:
        return [Problem(field, text, "has no time zone", example)]
    if start.microsecond or end.microsecond:
        return [Problem(field, text, "must be told to the second", example)]
    return [Problem(field, text, "ends before it begins", example)] if end <= start else []


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
