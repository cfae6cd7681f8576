"""Searching a recurrence rule: the next, the previous and the number of its wall times, by arithmetic over periods.

`DayRule` is a rule whose days all have the same times; `PositionRule` one whose BYSETPOS picks from the times of a whole
week, month or year. Each is a `naq.timing.wall.WallRule`: integers, seconds since 1970-01-01T00:00 on the wall. What ends
a rule (UNTIL, COUNT) and what is called off (EXDATE) is laid around it: `Ended`, `Without`. Rules by the hour and finer
are in `naq.timing.rrule_elapsed`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date

from naq.timing.rrule_days import EPOCH_ORDINAL, LAST_DAY, RuleDays, new_year
from naq.timing.rrule_parts import Frequency, RuleParts
from naq.timing.rrule_times import DAY, DayTimes
from naq.timing.wall import WallRule

__all__ = ["FAR", "DayRule", "Ended", "PositionRule", "Without", "last_of_count"]

FAR = (LAST_DAY + 1) * DAY
"""The wall second after the year 9999."""
_MOST_PERIODS = 1_000
"""Periods with a day of the rule that one search looks at before it gives up."""


class DayRule:
    """Every time of ``times`` on every day of ``days``, from the wall second ``first`` on."""

    def __init__(self, days: RuleDays, times: DayTimes, first: int) -> None:
        self._days = days
        self._times = times
        self._first = first

    def next_wall(self, wall: int) -> int | None:
        wall = max(wall, self._first)
        if not self._times.count:
            return None
        day, second = divmod(wall, DAY)
        if self._days.has(day) and (time := self._times.next(second)) >= 0:
            return day * DAY + time
        following = self._days.next(day + 1)
        return None if following is None else following * DAY + self._times.earliest

    def previous_wall(self, wall: int) -> int | None:
        if wall < self._first or not self._times.count:
            return None
        day, second = divmod(wall, DAY)
        if self._days.has(day) and (time := self._times.previous(second)) >= 0:
            found = day * DAY + time
        else:
            before = self._days.previous(day - 1)
            found = self._first - 1 if before is None else before * DAY + self._times.latest
        return found if found >= self._first else None

    def count_walls(self, first: int, end: int) -> int:
        first = max(first, self._first)
        if first >= end:
            return 0
        first_day, first_second = divmod(first, DAY)
        end_day, end_second = divmod(end, DAY)
        total = self._days.count(first_day, end_day) * self._times.count
        if first_second and self._days.has(first_day):
            total -= self._times.count_before(first_second)
        if end_second and self._days.has(end_day):
            total += self._times.count_before(end_second)
        return total


class PositionRule:
    """The times at the positions BYSETPOS of each week, month or year; ``times`` are hours, minutes and seconds.

    All times of a period have a place in it, also those before the rule's start.
    """

    def __init__(self, rule: RuleParts, days: RuleDays, times: tuple[tuple[int, ...], ...], start: int) -> None:
        self._rule = rule
        self._days = days
        self._hours, self._minutes, self._seconds = times
        self._per_day = len(self._hours) * len(self._minutes) * len(self._seconds)
        self._first = start
        self._step = rule.interval
        self._origin = self._period_of(start // DAY)
        self._picked: dict[int, tuple[tuple[int, int], ...]] = {}
        nearest = min(abs(position) for position in rule.positions)
        self._can_fire = days.most_in_period() * self._per_day >= nearest

    def next_wall(self, wall: int) -> int | None:
        wall = max(wall, self._first)
        period = self._occupied(self._aligned(wall // DAY))
        for _ in range(_MOST_PERIODS if self._can_fire else 0):
            if period is None:
                break
            found = self._walls(period)
            index = bisect_left(found, wall)
            if index < len(found):
                return found[index]
            period = self._occupied(period + self._step)
        return None

    def previous_wall(self, wall: int) -> int | None:
        wall = min(wall, FAR - 1)
        day = self._days.previous(wall // DAY)
        for _ in range(_MOST_PERIODS if self._can_fire else 0):
            if day is None or wall < self._first:
                break
            period = self._period_of(day)
            found = self._walls(period)
            index = bisect_right(found, wall)
            if index:
                return found[index - 1] if found[index - 1] >= self._first else None
            day = self._days.previous(self._begin(period) - 1)
        return None

    def count_walls(self, first: int, end: int) -> int:
        """Whole periods by the number of their days (weeks that are all alike at once), the two rims by their times."""
        first, end = max(first, self._first), min(end, FAR)
        period, total = self._occupied(self._aligned(first // DAY)), 0
        alike = self._rule.frequency == Frequency.WEEKLY and not self._rule.months
        while self._can_fire and period is not None and self._begin(period) * DAY < end:
            if self._begin(period) * DAY >= first and self._begin(period + 1) * DAY <= end:
                steps = max(1, (end // DAY - self._begin(period)) // 7 // self._step) if alike else 1
                total += steps * len(self._picks(self._bits(period)[1].bit_count()))
            else:
                steps, found = 1, self._walls(period)
                total += max(0, bisect_left(found, end) - bisect_left(found, first))
            period = self._occupied(period + steps * self._step)
        return total

    def _occupied(self, period: int) -> int | None:
        """``period`` or the first later one of the INTERVAL that has a day of the rule; ``None`` when there is none."""
        if self._begin(period) > LAST_DAY:
            return None
        if self._bits(period)[1]:
            return period
        day = self._days.next(self._begin(period))
        return None if day is None else self._period_of(day)

    def _period_of(self, day: int) -> int:
        """The number of the year, month or week that a day is in."""
        at = date.fromordinal(min(max(day + EPOCH_ORDINAL, 1), LAST_DAY + EPOCH_ORDINAL))
        if self._rule.frequency == Frequency.YEARLY:
            return at.year
        if self._rule.frequency == Frequency.MONTHLY:
            return at.year * 12 + at.month - 1
        return (day + 3 - self._rule.week_start) // 7

    def _aligned(self, day: int) -> int:
        """The first period of the rule's INTERVAL that ``day`` or a later day is in."""
        period = max(self._period_of(day), self._origin)
        return period + (self._origin - period) % self._step

    def _begin(self, period: int) -> int:
        """The first day of a period."""
        if self._rule.frequency == Frequency.YEARLY:
            return new_year(period)
        if self._rule.frequency == Frequency.MONTHLY:
            year, month = divmod(period, 12)
            return date(year, month + 1, 1).toordinal() - EPOCH_ORDINAL if year <= 9999 else LAST_DAY + 1
        return period * 7 - 3 + self._rule.week_start

    def _bits(self, period: int) -> tuple[int, int]:
        """The first day that bit 0 stands for, and the matching days of a period."""
        if self._rule.frequency == Frequency.YEARLY:
            return new_year(period), self._days.of_year(period)
        if self._rule.frequency == Frequency.MONTHLY:
            year, month = divmod(period, 12)
            return new_year(year), self._days.of_month(year, month + 1)
        begin = self._begin(period)
        return begin, self._days.of_week(begin)

    def _walls(self, period: int) -> list[int]:
        """The picked times of a period, in order."""
        begin, bits = self._bits(period)
        days = []
        while bits:
            lowest = bits & -bits
            days.append(begin + lowest.bit_length() - 1)
            bits ^= lowest
        return [days[index] * DAY + second for index, second in self._picks(len(days))]

    def _picks(self, count: int) -> tuple[tuple[int, int], ...]:
        """Which times are picked from ``count`` days: the number of the day, and the second of the day."""
        known = self._picked.get(count)
        if known is None:
            total = count * self._per_day
            places = {position - 1 if position > 0 else total + position for position in self._rule.positions}
            found = [self._place(place) for place in sorted(places) if 0 <= place < total]
            known = self._picked[count] = tuple(found)
        return known

    def _place(self, place: int) -> tuple[int, int]:
        day, rest = divmod(place, self._per_day)
        rest, second = divmod(rest, len(self._seconds))
        hour, minute = divmod(rest, len(self._minutes))
        return day, self._hours[hour] * 3600 + self._minutes[minute] * 60 + self._seconds[second]


class Ended:
    """A rule up to the wall second ``last`` (UNTIL, COUNT); a `naq.timing.wall.WallRule`."""

    def __init__(self, rule: WallRule, last: int) -> None:
        self._rule = rule
        self._last = last

    def next_wall(self, wall: int) -> int | None:
        found = self._rule.next_wall(wall) if wall <= self._last else None
        return found if found is not None and found <= self._last else None

    def previous_wall(self, wall: int) -> int | None:
        return self._rule.previous_wall(min(wall, self._last))

    def count_walls(self, first: int, end: int) -> int:
        return self._rule.count_walls(first, min(end, self._last + 1))


class Without:
    """A rule without some of its times (EXDATE); a `naq.timing.wall.WallRule`."""

    def __init__(self, rule: WallRule, removed: Iterable[int]) -> None:
        self._rule = rule
        self._removed = tuple(sorted({at for at in removed if rule.next_wall(at) == at}))
        self._set = frozenset(self._removed)

    def next_wall(self, wall: int) -> int | None:
        found = self._rule.next_wall(wall)
        while found is not None and found in self._set:
            found = self._rule.next_wall(found + 1)
        return found

    def previous_wall(self, wall: int) -> int | None:
        found = self._rule.previous_wall(wall)
        while found is not None and found in self._set:
            found = self._rule.previous_wall(found - 1)
        return found

    def count_walls(self, first: int, end: int) -> int:
        removed = bisect_left(self._removed, end) - bisect_left(self._removed, first)
        return self._rule.count_walls(first, end) - max(0, removed)


def last_of_count(rule: WallRule, count: int, first: int, limit: int) -> int | None:
    """The ``count``-th time of a rule from ``first`` on; ``None`` when it has fewer before ``limit``.

    Bisection over time, with what was counted once not counted again: all in all the span is counted about twice.
    """
    low, known, width = first, 0, DAY
    while True:
        high = min(low + width, limit)
        found = rule.count_walls(low, high)
        if known + found >= count:
            break
        if high == limit:
            return None
        low, known, width = high, known + found, width * 2
    while high - low > 1:
        middle = (low + high) // 2
        found = rule.count_walls(low, middle)
        if known + found >= count:
            high = middle
        else:
            low, known = middle, known + found
    return low
