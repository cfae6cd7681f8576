"""Every so many days, weeks, months or years at a time of day, counted from a date.

Cron cannot say "every 10 days" or "every 2 months on the 31st": it forgets where it began when a month or a year ends.
"""

from __future__ import annotations

from datetime import date, datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import ClassVar

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.cron_search import month_length
from naq.timing.cron_words import MONTHS, WEEKDAYS, ordinal
from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.kind import SingleKind, beside
from naq.timing.wall import Grid, WallClock, WallRule
from naq.timing.zones import check_zone, get_zone

__all__ = ["CalendarInterval", "CalendarUnit"]

DAY = 86_400
MOST_UNITS = 100_000
"""More days than these are a mistake (273 years); whatever is longer never comes."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class CalendarUnit(StrEnum):
    """What a calendar interval counts."""

    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"


class CalendarInterval(SingleKind, frozen=True, tag="calendar", omit_defaults=True):
    """Every ``every`` units at the wall time ``at`` in ``tz``, on ``start`` first.

    Months and years keep the day of ``start`` (or ``day``, 1 to 31); in a month that is shorter it is the last day, and
    the next one is the full day again.
    """

    key: ClassVar[str] = "every"
    open_field: ClassVar[str | None] = "start"

    every: int
    unit: CalendarUnit
    at: time = time(0)
    tz: str = "UTC"
    start: date | None = None
    """The first date; ``None``: that of the creation in ``tz``, which `bound` fills in."""
    day: int | None = None
    """The day of the month, for months and years; ``None``: that of ``start``."""
    dst_gap: DstGap = DstGap.SHIFT
    dst_overlap: DstOverlap = DstOverlap.FIRST

    @property
    def zone_name(self) -> str:
        """Its zone."""
        return self.tz

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``. Raises `InvalidSchedule` when it is not usable here."""
        return _clock(self).next_after(after)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``. Raises like `next_after`."""
        return _clock(self).previous(before)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``]. Raises like `next_after`."""
        return _clock(self).count_between(after, until)

    def bound(self, created_at: datetime) -> CalendarInterval:
        """The same interval with its first date filled in."""
        if self.start is not None:
            return self
        return msgspec.structs.replace(self, start=created_at.astimezone(get_zone(self.tz).info).date())

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it: ``field`` is the user's name for ``every``; others are told beside it."""
        problems = []
        if self.every < 1:
            problems.append(Problem(field, shown(self.every), "must be 1 or more", "2"))
        elif self.every > MOST_UNITS:
            problems.append(Problem(field, shown(self.every), f"must be {MOST_UNITS} or less", "2"))
        if self.unit not in list(CalendarUnit):
            reason = f"must be one of {', '.join(CalendarUnit)}"
            problems.append(Problem(beside(field, "unit"), shown(str(self.unit)), reason, "'months'"))
        if self.at.tzinfo is not None or self.at.microsecond:
            reason = "must be a plain wall time, to the second; the zone goes into timezone"
            problems.append(Problem(beside(field, "at"), shown(self.at.isoformat()), reason, "'09:00'"))
        if self.day is not None and not (
            1 <= self.day <= 31 and self.unit in (CalendarUnit.MONTHS, CalendarUnit.YEARS)
        ):
            problems.append(
                Problem(beside(field, "day"), shown(self.day), "must be 1 to 31, for months or years", "31")
            )
        return [*problems, *check_zone(self.tz, beside(field, "timezone"))]

    def clock(self) -> WallClock:
        """The wall times hung in their zone, made once. Raises like `next_after`."""
        return _clock(self)

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of its own; ``None`` on ordinary days."""
        return _clock(self).mark(instant)

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of the gaps in (``after``, ``until``] that swallow one of its times, shifted or not."""
        return self.clock().gaps(after, until)

    def __str__(self) -> str:
        unit = str(self.unit)
        words = f"every {unit.removesuffix('s')}" if self.every == 1 else f"every {self.every} {unit}"
        if self.start is not None:
            day = self.day or self.start.day
            if self.unit == CalendarUnit.WEEKS:
                words += f" on {WEEKDAYS[self.start.isoweekday() % 7]}"
            elif self.unit == CalendarUnit.YEARS:
                words += f" on {day} {MONTHS[self.start.month - 1]}"
        if self.unit == CalendarUnit.MONTHS and (on := self.day or (self.start and self.start.day)):
            words += f" on the {ordinal(on)}"
            words += " (or the last day)" if on > 28 else ""
        words += f" at {self.at.isoformat('auto')[: 8 if self.at.second else 5]}, {self.tz}"
        return words if self.start is None else f"{words}, from {self.start.isoformat()}"


class _Months:
    """A grid of months, on a day or the last one of a shorter month; a `naq.timing.wall.WallRule`."""

    def __init__(self, start: date, step: int, day: int, second: int) -> None:
        self._first = start.year * 12 + start.month - 1
        self._step = step
        self._day = day
        self._second = second
        self._skipped = 1 if (self._wall(0) or 0) < (start.toordinal() - _EPOCH_ORDINAL) * DAY else 0
        """Grid points before ``start`` itself: one, when ``day`` is earlier in its month."""

    def _wall(self, step: int) -> int | None:
        year, month = divmod(self._first + step * self._step, 12)
        if not 1 <= year <= 9999:
            return None
        day = min(self._day, month_length(year, month + 1))
        return (date(year, month + 1, day).toordinal() - _EPOCH_ORDINAL) * DAY + self._second

    def _step_at(self, wall: int) -> int:
        """The first step (0 or more) whose wall time is ``wall`` or later; may be past the year 9999."""
        ordinal_day = min(max(wall // DAY + _EPOCH_ORDINAL, 1), date.max.toordinal())
        at = date.fromordinal(ordinal_day)
        step = max(self._skipped, (at.year * 12 + at.month - 1 - self._first) // self._step)
        found = self._wall(step)
        return step if found is None or found >= wall else step + 1

    def next_wall(self, wall: int) -> int | None:
        return self._wall(self._step_at(wall))

    def previous_wall(self, wall: int) -> int | None:
        step = self._step_at(wall + 1) - 1
        return None if step < self._skipped else self._wall(step)

    def count_walls(self, first: int, end: int) -> int:
        return max(0, self._step_at(end) - self._step_at(first))


@lru_cache(maxsize=16384)
def _clock(trigger: CalendarInterval) -> WallClock:
    problems = trigger.check("every")
    if problems:
        raise InvalidSchedule(*problems)
    start = trigger.start
    if start is None:
        raise InvalidSchedule.of("start", None, "is open: use bound(created_at) first", "2030-01-31")
    second = trigger.at.hour * 3600 + trigger.at.minute * 60 + trigger.at.second
    rule: WallRule
    if trigger.unit in (CalendarUnit.DAYS, CalendarUnit.WEEKS):
        days = trigger.every * (7 if trigger.unit == CalendarUnit.WEEKS else 1)
        rule = Grid((start.toordinal() - _EPOCH_ORDINAL) * DAY + second, days * DAY)
    else:
        months = trigger.every * (12 if trigger.unit == CalendarUnit.YEARS else 1)
        rule = _Months(start, months, trigger.day or start.day, second)
    return WallClock(get_zone(trigger.tz), rule, trigger.dst_gap, trigger.dst_overlap, elapsed=False)
