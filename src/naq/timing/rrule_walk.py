"""Random access to a recurrence rule that dateutil can only walk through from its start.

The rule's time is cut into pages of some dozens of periods. A page is expanded when it is first asked for, by a walk from
a start that is moved close to it by whole periods, which changes nothing about the rule's phase; a few pages are kept. So a
question costs the same however old the rule is. A rule that ends by COUNT cannot be entered in the middle: it is
written out once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from dateutil import rrule as du

from naq.exceptions import InvalidSchedule, Problem, shown

__all__ = ["DAY_PARTS", "PERIODS", "Counted", "Paged", "bad_rule", "number"]

PERIODS = {du.WEEKLY: 604_800, du.DAILY: 86_400, du.HOURLY: 3_600, du.MINUTELY: 60, du.SECONDLY: 1}
"""The length in seconds of those periods that have one."""
DAY_PARTS = frozenset(("BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYWEEKDAY", "BYEASTER"))
"""The parts that say on which days; without any, the start's own day counts."""
_PAGE = {
    du.YEARLY: 8,
    du.MONTHLY: 24,
    du.WEEKLY: 26,
    du.DAILY: 60,
    du.HOURLY: 96,
    du.MINUTELY: 240,
    du.SECONDLY: 600,
}
"""Periods in a page."""
_KEPT = 32
_NEVER = 1 << 62
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall time has no zone
_SECOND = timedelta(seconds=1)


def bad_rule(text: str, reason: str) -> InvalidSchedule:
    """The complaint about the rule ``text``."""
    return InvalidSchedule(Problem("rrule", shown(text), reason, "'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO'"))


def number(wall: datetime) -> int:
    """A naive wall time as seconds since 1970-01-01T00:00 on the wall."""
    return (wall - _EPOCH) // _SECOND


class Counted:
    """A rule that ends by COUNT, written out; a `naq.timing.wall.WallRule`."""

    def __init__(self, rule: du.rrule, text: str) -> None:
        self._walls = tuple(_expanded(rule, text))

    def next_wall(self, wall: int) -> int | None:
        index = bisect_left(self._walls, wall)
        return self._walls[index] if index < len(self._walls) else None

    def previous_wall(self, wall: int) -> int | None:
        index = bisect_right(self._walls, wall)
        return self._walls[index - 1] if index else None

    def count_walls(self, first: int, end: int) -> int:
        return max(0, bisect_left(self._walls, end) - bisect_left(self._walls, first))


class Paged:
    """A rule without COUNT, expanded page by page; a `naq.timing.wall.WallRule`.

    ``parts`` are the names of the rule's parts, ``until`` its last wall second.
    """

    def __init__(
        self,
        rule: du.rrule,
        text: str,
        start: datetime,
        frequency: int,
        interval: int,
        parts: Collection[str],
        until: int | None,
    ) -> None:
        self._text = text
        self._start = start
        self._until = _NEVER if until is None else until
        self._period = PERIODS.get(frequency, 0) * interval
        self._months = interval * (12 if frequency == du.YEARLY else 1)
        self._size = _PAGE[frequency]
        self._rule = rule.replace(**_made_explicit(frequency, parts, start))
        self._pages: dict[int, tuple[list[int], int]] = {}

    def next_wall(self, wall: int) -> int | None:
        if wall > self._until:
            return None
        walls, following = self._page(self._page_of(wall))
        index = bisect_left(walls, wall)
        found = walls[index] if index < len(walls) else following
        return found if found <= self._until and found != _NEVER else None

    def previous_wall(self, wall: int) -> int | None:
        wall = min(wall, self._until)
        page = self._page_of(wall)
        walls, _ = self._page(page)
        if index := bisect_right(walls, wall):
            return walls[index - 1]
        back = 1
        while page > 0:
            end, page = self._begin(page), max(0, page - back)
            last = None
            for found in self._walk(page):
                if found >= end:
                    break
                last = found
            if last is not None:
                return last
            back *= 8
        return None

    def count_walls(self, first: int, end: int) -> int:
        end = min(end, self._until + 1)
        total = 0
        while first < end:
            walls, following = self._page(self._page_of(first))
            total += bisect_left(walls, end) - bisect_left(walls, first)
            first = following
        return total

    def _page(self, page: int) -> tuple[list[int], int]:
        """The wall times of a page, and the first one after it (`_NEVER` when there is none)."""
        known = self._pages.get(page)
        if known is None:
            end = self._begin(page + 1)
            walls: list[int] = []
            following = _NEVER
            for found in self._walk(page):
                if found >= end:
                    following = found
                    break
                walls.append(found)
            if len(self._pages) >= _KEPT:
                self._pages.clear()
            known = self._pages[page] = (walls, following)
        return known

    def _page_of(self, wall: int) -> int:
        if self._period:
            return max(0, (wall - number(self._start)) // self._period // self._size)
        ordinal = min(max(wall // 86_400 + _EPOCH.toordinal(), 1), date.max.toordinal())
        at = date.fromordinal(ordinal)
        months = (at.year - self._start.year) * 12 + at.month - self._start.month
        return max(0, months // self._months // self._size)

    def _begin(self, page: int) -> int:
        """The first wall second of a page."""
        at = self._period_start(page * self._size)
        if at is None:
            return _NEVER
        return number(at if self._period or page == 0 else datetime.combine(at.date(), time()))

    def _period_start(self, period: int) -> datetime | None:
        """A start in phase with the real one; ``None`` after the year 9999."""
        if period <= 0:
            return self._start
        try:
            if self._period:
                return self._start + timedelta(seconds=period * self._period)
            year, month = divmod(self._start.year * 12 + self._start.month - 1 + period * self._months, 12)
            return datetime.combine(date(year, month + 1, 1), self._start.time())
        except (OverflowError, ValueError):
            return None

    def _walk(self, page: int) -> Iterator[int]:
        """The wall times from the page on.

        The walk begins two periods before: BYSETPOS counts from the start in the first period, so that one cannot be
        trusted, unless it is the rule's own first.
        """
        near = self._period_start(page * self._size - 2)
        if near is None:
            return
        begin = self._begin(page)
        for found in _expanded(self._rule.replace(dtstart=near), self._text):
            if found >= begin:
                yield found


def _expanded(rule: du.rrule, text: str) -> Iterator[int]:
    """The wall seconds of a rule, from its start on."""
    try:
        for at in rule:
            yield number(at)
    except ValueError as error:
        # dateutil finds out while it walks that BYHOUR, BYMINUTE or BYSECOND are never met at this INTERVAL.
        raise bad_rule(text, f"is no recurrence rule ({error})") from error


def _made_explicit(frequency: int, parts: Collection[str], start: datetime) -> dict[str, Any]:
    """What the rule takes from its start's date, said aloud, so that the start can be moved."""
    explicit: dict[str, Any] = {}
    if DAY_PARTS.isdisjoint(parts):
        if frequency == du.YEARLY and "BYMONTH" not in parts:
            explicit["bymonth"] = start.month
        if frequency in (du.YEARLY, du.MONTHLY):
            explicit["bymonthday"] = start.day
    return explicit
