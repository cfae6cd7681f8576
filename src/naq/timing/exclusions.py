"""Exclusions: when a schedule must not fire although its trigger says so.

An excluded instant is recorded, not fired. An exclusion is a frozen value, like a trigger; it is asked about an instant
(`excludes`), for the stretches of time that it covers once for all (`spans`), and for what it covers day by day
(`patterns`). Out of these a `naq.timing.covering.Cover` is made, with which the instants of a long outage are counted
(`count_excluded`), and the next one that is allowed is found (`allowed_from`), without looking at every instant. Days
and cron fields are those of its zone ``tz``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from naq.exceptions import InvalidSchedule, Problem
from naq.timing.calendars import Calendar, DayRange, check_region, check_times, is_holiday, last_holiday_year
from naq.timing.covering import Cover, EventBits, day_stretches
from naq.timing.cron_search import DAY, CronSearch, search_of
from naq.timing.cron_words import describe
from naq.timing.day_bits import WHOLE_DAY, CronBits, DayBits
from naq.timing.dst import DstGap, DstOverlap
from naq.timing.kind import beside
from naq.timing.triggers import Trigger
from naq.timing.wall import Grid, WallClock
from naq.timing.zones import EPOCH, MARGIN, check_zone, get_zone

if TYPE_CHECKING:
    from naq.timing.counting import Count

__all__ = [
    "ExcludedCalendar",
    "ExcludedCron",
    "ExcludedDates",
    "ExcludedDays",
    "ExcludedHolidays",
    "ExcludedTime",
    "Exclusion",
    "allowed_from",
    "allowed_until",
    "count_excluded",
    "counted_excluded",
    "excluded_by",
]

_SECOND = timedelta(seconds=1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_FOREVER = 1 << 60


class ExcludedDates(msgspec.Struct, frozen=True, tag="dates", omit_defaults=True):
    """Not on these dates."""

    dates: tuple[date, ...]
    tz: str = "UTC"

    def excludes(self, instant: datetime) -> bool:
        """Whether ``instant`` is on one of the dates."""
        return _local_date(instant, self.tz) in self.dates

    def spans(self) -> Iterator[tuple[int, int]]:
        """The stretches [first, end) that are covered, in seconds since the epoch, in no order."""
        zone = get_zone(self.tz)
        return (span for day in self.dates for span in day_stretches(zone, day, day))

    def patterns(self) -> tuple[DayBits, ...]:
        """None."""
        return ()

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

    def spans(self) -> Iterator[tuple[int, int]]:
        """The stretches [first, end) that are covered, in seconds since the epoch, in no order."""
        return day_stretches(get_zone(self.tz), self.first, self.last)

    def patterns(self) -> tuple[DayBits, ...]:
        """None."""
        return ()

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

    def spans(self) -> Iterator[tuple[int, int]]:
        """The span, in seconds since the epoch."""
        yield (self.start - EPOCH) // _SECOND, -((EPOCH - self.end) // _SECOND)

    def patterns(self) -> tuple[DayBits, ...]:
        """None."""
        return ()

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

    def spans(self) -> tuple[tuple[int, int], ...]:
        """None."""
        return ()

    def patterns(self) -> tuple[DayBits, ...]:
        """The seconds that match."""
        days = _whole_minutes(self.expression, self.day_or)
        clock = WallClock(get_zone(self.tz), days, DstGap.SKIP, DstOverlap.BOTH, elapsed=True)
        return (CronBits(clock, days),)

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

    def spans(self) -> Iterator[tuple[int, int]]:
        """The stretches [first, end) that are covered, in seconds since the epoch, in no order."""
        zone = get_zone(self.tz)
        for day in self.calendar.dates:
            yield from day_stretches(zone, day, day)
        for days in self.calendar.ranges:
            yield from day_stretches(zone, days.first, days.last)
        for span in self.calendar.times:
            yield (span.start - EPOCH) // _SECOND, -((EPOCH - span.end) // _SECOND)

    def patterns(self) -> tuple[DayBits, ...]:
        """The events that recur."""
        return tuple(EventBits(rule, self.tz) for rule in self.calendar.rules)

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
        """Whether ``instant`` is on a holiday, or behind the last year whose holidays are known.

        Raises `InvalidSchedule` when the holidays are not known here.
        """
        return _HolidayDays(self.region).has_day(_local_date(instant, self.tz).toordinal() - _EPOCH_ORDINAL)

    def spans(self) -> tuple[tuple[int, int], ...]:
        """All time behind the last year that the ``holidays`` package knows: nothing there is known to be allowed."""
        return (((_HolidayDays(self.region).end - _EPOCH_ORDINAL) * DAY + MARGIN, _FOREVER),)

    def patterns(self) -> tuple[DayBits, ...]:
        """The holidays."""
        days = _HolidayDays(self.region)
        return (CronBits(WallClock(get_zone(self.tz), Grid(0, DAY), DstGap.SKIP, DstOverlap.BOTH, elapsed=True), days),)

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
    """How many of the trigger's instants in (``after``, ``until``] are excluded; see `counted_excluded`."""
    return counted_excluded(trigger, exclusions, after, until).number


def counted_excluded(trigger: Trigger, exclusions: Sequence[Exclusion], after: datetime, until: datetime) -> Count:
    """How many of the trigger's instants in (``after``, ``until``] are excluded, exactly unless that would cost too much."""
    from naq.timing.counting import Count, count_covered

    if not exclusions or after >= until:
        return Count(0, True)
    return count_covered(trigger.singles(), _cover(tuple(exclusions)), after, until)


def allowed_from(
    trigger: Trigger,
    exclusions: Sequence[Exclusion],
    first: datetime,
    following: Callable[[datetime], datetime | None],
) -> datetime | None:
    """``first``, or the next instant after it that is not excluded.

    ``following`` is the trigger's next instant after one, inside whatever window it has. ``None`` when there is none, or
    none on the next thousands of days on which the trigger has an instant (`naq.timing.allowed`).
    """
    if excluded_by(exclusions, first) is None:
        return first
    from naq.timing.allowed import Search

    return Search(trigger.singles(), _cover(tuple(exclusions))).forward(first, following)


def allowed_until(
    trigger: Trigger,
    exclusions: Sequence[Exclusion],
    last: datetime,
    first: datetime,
    before: Callable[[datetime], datetime | None],
) -> datetime | None:
    """``last``, or the instant before it that is not excluded and not earlier than ``first``; see `allowed_from`."""
    if excluded_by(exclusions, last) is None:
        return last if last >= first else None
    from naq.timing.allowed import Search

    return Search(trigger.singles(), _cover(tuple(exclusions))).backward(last, first, before)


class _HolidayDays:
    """The holidays of a region as days."""

    def __init__(self, region: str) -> None:
        self._region = region
        self.end = date(last_holiday_year(region) + 1, 1, 1).toordinal()
        """The ordinal of the first day about which nothing is known."""

    def has_day(self, day: int) -> bool:
        number = day + _EPOCH_ORDINAL
        return number >= self.end or (number >= 1 and is_holiday(self._region, date.fromordinal(number)))

    def day_bits(self) -> int:
        return WHOLE_DAY


@lru_cache(maxsize=64)
def _cover(exclusions: tuple[Exclusion, ...]) -> Cover:
    return Cover(
        [span for exclusion in exclusions for span in exclusion.spans()],
        [pattern for exclusion in exclusions for pattern in exclusion.patterns()],
    )


def _local_date(instant: datetime, tz: str) -> date:
    return instant.astimezone(get_zone(tz).info).date()


@lru_cache(maxsize=1024)
def _whole_minutes(expression: str, day_or: bool) -> CronSearch:
    """The seconds that an expression matches: with five fields those of whole minutes."""
    fields = search_of(expression, day_or).fields
    if not fields.has_seconds:
        fields = dataclasses.replace(fields, seconds=tuple(range(60)))
    return CronSearch(fields, day_or)
