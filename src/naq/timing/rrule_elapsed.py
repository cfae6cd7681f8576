"""Rules by the hour, minute or second: a grid of elapsed time, filtered by what the wall clock shows.

INTERVAL counts elapsed time from the start, through every change of the clocks: ``HOURLY;INTERVAL=24`` from 02:30 is at
03:30 after the clocks went forward. The BY... parts are read on the wall clock. Within a stretch of constant offset that is
an even grid over days and times of day, both of which are numbers whose bits can be laid over each other; so the work
is by days, never by seconds.

The numbers here are seconds since the epoch (UTC), not wall times: hung in the zone UTC, this is a
`naq.timing.wall.WallRule`.
"""

from __future__ import annotations

from math import gcd

from naq.timing.rrule_days import RuleDays
from naq.timing.rrule_times import DAY, Align, DayTimes
from naq.timing.zones import MARGIN, Zone

__all__ = ["HORIZON", "ElapsedRule"]

HORIZON = 41 * 366 * DAY
"""How far a search looks: 29 February comes round to each weekday within 40 years. What is rarer never comes."""
_FEW = 4
"""So many runs of a grid in a day are looked at one by one."""
_MOST_DAYS = 1_000
"""Days that match, but have no time on the grid, that one search looks at before it gives up."""
_KEPT = 8_192


class ElapsedRule:
    """The instants from ``first`` on that lie on the grid through ``anchor``, on one of ``days`` at one of ``times`` on
    the clocks of ``zone``."""

    def __init__(self, zone: Zone, days: RuleDays, times: DayTimes, align: Align, anchor: int, first: int) -> None:
        self._zone = zone
        self._days = days
        self._times = times
        self._align = align
        self._anchor = anchor
        self._first = first
        self._few = align.length == 1 and align.step * _FEW >= DAY
        self._counts: dict[int, int] = {}
        self._cycle = align.step // gcd(align.step, DAY)
        """Days after which the grid has the same phase."""

    def next_wall(self, second: int) -> int | None:
        second = max(second, self._first)
        limit = second + HORIZON
        looks = _MOST_DAYS
        while second < limit and looks > 0 and self._times.count:
            segment = self._zone.segment(second)
            low, end = second + segment.offset, min(segment.end, limit) + segment.offset
            found, looks = self._next_in(low, end, self._anchor + segment.offset, looks)
            if found is not None:
                return found - segment.offset
            second = segment.end
            if second < limit:
                day = self._days.next((second - MARGIN) // DAY)
                if day is None:
                    return None
                second = max(second, day * DAY - MARGIN)
        return None

    def previous_wall(self, second: int) -> int | None:
        limit = max(self._first, second - HORIZON)
        looks = _MOST_DAYS
        while second >= limit and looks > 0 and self._times.count:
            segment = self._zone.segment(second)
            low, end = max(segment.start, limit) + segment.offset, second + segment.offset
            found, looks = self._previous_in(low, end, self._anchor + segment.offset, looks)
            if found is not None:
                return found - segment.offset
            second = segment.start - 1
            if second >= limit:
                day = self._days.previous((second + MARGIN) // DAY)
                if day is None:
                    return None
                second = min(second, (day + 1) * DAY + MARGIN)
        return None

    def count_walls(self, first: int, end: int) -> int:
        first = max(first, self._first)
        total = 0
        while first < end and self._times.count:
            segment = self._zone.segment(first)
            stop = min(segment.end, end)
            total += self._count_in(first + segment.offset, stop + segment.offset, self._anchor + segment.offset)
            first = stop
        return total

    def _next_in(self, low: int, end: int, anchor: int, looks: int) -> tuple[int | None, int]:
        """The first wall second in [low, end), a stretch of one offset in which the grid goes through ``anchor``; and how
        many of ``looks`` are left."""
        while low < end and looks > 0:
            low = self._align.next(low, anchor)
            day = self._days.next(low // DAY)
            if day is None or day * DAY >= end:
                break
            looks -= 1
            if day > low // DAY:
                low = day * DAY
                continue
            found = self._next_on_day(day * DAY, low, anchor)
            if found is not None:
                return (found if found < end else None), looks
            low = (day + 1) * DAY
        return None, looks

    def _previous_in(self, low: int, end: int, anchor: int, looks: int) -> tuple[int | None, int]:
        """The last wall second in [low, end], and how many of ``looks`` are left."""
        while end >= low and looks > 0:
            end = self._align.previous(end, anchor)
            day = self._days.previous(end // DAY)
            if day is None or (day + 1) * DAY <= low:
                break
            looks -= 1
            if day < end // DAY:
                end = (day + 1) * DAY - 1
                continue
            found = DayTimes(self._bits(day * DAY, anchor)).previous(end - day * DAY)
            if found >= 0:
                return (day * DAY + found if day * DAY + found >= low else None), looks
            end = day * DAY - 1
        return None, looks

    def _count_in(self, low: int, end: int, anchor: int) -> int:
        """How many wall seconds are in [low, end): the days at the rims by their times, whole ones by their phase."""
        first, last = -(-low // DAY), end // DAY
        if first > last:
            return self._count_part(low, end, anchor)
        total = self._count_part(low, first * DAY, anchor) + self._count_part(last * DAY, end, anchor)
        if self._cycle * 3 <= self._days.count(first, last):
            for day in range(first, min(first + self._cycle, last)):
                if count := self._count_on(day * DAY, anchor):
                    total += count * self._days.count(day, last, self._cycle)
            return total
        return total + sum(self._count_on(day * DAY, anchor) for day in self._days.each(first, last))

    def _count_part(self, low: int, end: int, anchor: int) -> int:
        """How many wall seconds are in [low, end), which lies within a day."""
        day = low // DAY
        if low >= end or not self._days.has(day):
            return 0
        times = DayTimes(self._bits(day * DAY, anchor))
        return times.count_before(end - day * DAY) - times.count_before(low - day * DAY)

    def _count_on(self, begin: int, anchor: int) -> int:
        """How many times a whole day has."""
        step = self._align.step
        phase = (anchor - begin) % step
        if self._few:
            return sum(map(self._times.has, range(phase, DAY, step)))
        count = self._counts.get(phase)
        if count is None:
            if len(self._counts) >= _KEPT:
                self._counts.clear()
            count = self._counts[phase] = self._bits(begin, anchor).bit_count()
        return count

    def _next_on_day(self, begin: int, low: int, anchor: int) -> int | None:
        """The first time at ``low`` or later on the day that begins at ``begin``."""
        if self._few:
            for second in range(low, begin + DAY, self._align.step):
                if self._times.has(second - begin):
                    return second
            return None
        bits = self._bits(begin, anchor) >> (low - begin)
        return low + (bits & -bits).bit_length() - 1 if bits else None

    def _bits(self, begin: int, anchor: int) -> int:
        """The times of the day that begins at ``begin``."""
        return self._times.bits & self._align.on_day((anchor - begin) % self._align.step)
