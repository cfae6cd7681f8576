"""Searching a cron expression: the next, the previous and the number of its wall times, by arithmetic.

A day's times are hours x minutes x seconds, and three small tables find the next one without a loop. The days of a
month that match depend on no more than the weekday of its first and its length, so there are at most 28 patterns that
years are made of: bit masks, built when first needed. Because of that, "can this ever fire" is decided, not guessed;
and since 29 February comes round to each weekday within 40 years, a search never looks further than that.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import date
from functools import lru_cache

from naq.timing.cron_fields import CronFields, parse_cron

__all__ = ["CronSearch", "month_length", "search_of"]

DAY = 86_400
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_LAST_ORDINAL = date.max.toordinal()
_FIRST_DAY, _LAST_DAY = 1 - _EPOCH_ORDINAL, _LAST_ORDINAL - _EPOCH_ORDINAL
_LENGTHS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MONTHS_TO_LOOK = 12 * 41


def month_length(year: int, month: int) -> int:
    """Days of a month."""
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):
        return 29
    return _LENGTHS[month]


def _next_table(values: tuple[int, ...], size: int) -> tuple[int, ...]:
    """For each number up to ``size``: the first value that is not less, or -1."""
    return tuple(next((value for value in values if value >= number), -1) for number in range(size + 1))


def _previous_table(values: tuple[int, ...], size: int) -> tuple[int, ...]:
    """For each number from -1 (the last place) on: the last value that is not more, or -1."""
    table = [next((value for value in reversed(values) if value <= number), -1) for number in range(size)]
    return (*table, -1)


class CronSearch:
    """The wall times of a cron expression; a `naq.timing.wall.WallRule`.

    ``day_or=False``: day of month and day of week must both match, even when both are restricted.
    """

    __slots__ = (
        "_earliest",
        "_latest",
        "_masks",
        "_month",
        "_months",
        "_next",
        "_per_day",
        "_previous",
        "fields",
        "matches_both",
    )

    def __init__(self, fields: CronFields, day_or: bool) -> None:
        self.fields = fields
        self.matches_both = fields.starred_days or not day_or
        hours, minutes, seconds = fields.hours, fields.minutes, fields.seconds
        self._months = frozenset(fields.months)
        self._masks: dict[tuple[int, int], int] = {}
        self._month = (0, 0, 0)
        """The month that was looked at last: its first day, the day after its last, and its matching days as bits."""
        self._per_day = len(hours) * len(minutes) * len(seconds)
        self._earliest = hours[0] * 3600 + minutes[0] * 60 + seconds[0]
        self._latest = hours[-1] * 3600 + minutes[-1] * 60 + seconds[-1]
        self._next = (_next_table(hours, 24), _next_table(minutes, 60), _next_table(seconds, 60))
        self._previous = (_previous_table(hours, 24), _previous_table(minutes, 60), _previous_table(seconds, 60))

    def can_fire(self) -> bool:
        """Whether there is any wall time at all. Every month occurs with each weekday as its first."""
        lengths = {(29, 28) if month == 2 else (_LENGTHS[month],) for month in self._months}
        return any(self._mask(first, length) for group in lengths for length in group for first in range(7))

    def has_day(self, day: int) -> bool:
        """Whether the day, counted from 1970-01-01, has wall times."""
        first, end, mask = self._month
        if not first <= day < end:
            ordinal = day + _EPOCH_ORDINAL
            if not 1 <= ordinal <= _LAST_ORDINAL:
                return False
            first, end, mask = self._month_of(day)
        return bool(mask >> (day - first) & 1)

    def day_bits(self) -> int:
        """The times of a matching day, bit 0 for its first second."""
        minute = sum(1 << second for second in self.fields.seconds)
        hour = sum(minute << 60 * at for at in self.fields.minutes)
        return sum(hour << 3600 * at for at in self.fields.hours)

    def _month_of(self, day: int) -> tuple[int, int, int]:
        """The month that holds ``day``, and remembers it: the next question is mostly about the same one."""
        at = date.fromordinal(day + _EPOCH_ORDINAL)
        first = day - at.day + 1
        length = month_length(at.year, at.month)
        mask = self._mask((first + 3) % 7, length) if at.month in self._months else 0
        self._month = month = (first, first + length, mask)
        return month

    def matches_wall(self, wall: int) -> bool:
        """Whether ``wall`` matches; with five fields, any second of a matching minute does."""
        start = wall if self.fields.has_seconds else wall - wall % 60
        return self.next_wall(start) == start

    def next_wall(self, wall: int) -> int | None:
        """The first wall time that is ``wall`` or later; ``None`` when there is none up to the year 9999."""
        day, second = divmod(wall, DAY)
        first, end, mask = self._month
        if not first <= day < end:
            if not _FIRST_DAY <= day <= _LAST_DAY:
                return None if day > 0 else self.next_wall(_FIRST_DAY * DAY)
            first, end, mask = self._month_of(day)
        left = mask >> (day - first)
        if left & 1:
            # The day itself: this minute, this hour, or a later one. It is written out, for nearly every question ends here.
            hours, minutes, seconds = self._next
            hour, rest = divmod(second, 3600)
            if hours[hour] == hour:
                minute, rest = divmod(rest, 60)
                if minutes[minute] == minute and (found := seconds[rest]) >= 0:
                    return day * DAY + hour * 3600 + minute * 60 + found
                if (minute := minutes[minute + 1]) >= 0:
                    return day * DAY + hour * 3600 + minute * 60 + seconds[0]
            if (hour := hours[hour + 1]) >= 0:
                return day * DAY + hour * 3600 + minutes[0] * 60 + seconds[0]
        left &= -2
        if left:
            return (day + (left & -left).bit_length() - 1) * DAY + self._earliest
        return self._next_month(end)

    def _next_month(self, first: int) -> int | None:
        """The first wall time of the month that begins with the day ``first``, or of a later one."""
        if first > _LAST_DAY:
            return None
        at = date.fromordinal(first + _EPOCH_ORDINAL)
        year, month = at.year, at.month
        for _ in range(_MONTHS_TO_LOOK):
            length = month_length(year, month)
            if month in self._months and (mask := self._mask((first + 3) % 7, length)):
                found = first + (mask & -mask).bit_length() - 1
                return found * DAY + self._earliest if found <= _LAST_DAY else None
            first += length
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return None

    def previous_wall(self, wall: int) -> int | None:
        """The last wall time that is ``wall`` or earlier; ``None`` when there is none since the year 1."""
        day, second = divmod(wall, DAY)
        ordinal = day + _EPOCH_ORDINAL
        if not 1 <= ordinal <= _LAST_ORDINAL:
            return None if ordinal < 1 else self.previous_wall((_LAST_ORDINAL - _EPOCH_ORDINAL + 1) * DAY - 1)
        at = date.fromordinal(ordinal)
        year, month = at.year, at.month
        first = day - at.day + 1
        mask = self._mask((first + 3) % 7, month_length(year, month)) if month in self._months else 0
        mask &= (1 << at.day) - 1
        if mask >> (at.day - 1) and (time := self._previous_time(second)) >= 0:
            return day * DAY + time
        mask &= (1 << (at.day - 1)) - 1
        if mask:
            return (first + mask.bit_length() - 1) * DAY + self._latest
        for _ in range(_MONTHS_TO_LOOK):
            year, month = (year, month - 1) if month > 1 else (year - 1, 12)
            if year < 1:
                return None
            length = month_length(year, month)
            first -= length
            if month in self._months and (mask := self._mask((first + 3) % 7, length)):
                return (first + mask.bit_length() - 1) * DAY + self._latest
        return None

    def count_walls(self, first: int, end: int) -> int:
        """How many wall times are in [first, end): whole days by multiplication, the two rims by their time."""
        first_day, first_second = divmod(first, DAY)
        end_day, end_second = divmod(end, DAY)
        total = self._count_days(first_day, end_day) * self._per_day
        if first_second and self._count_days(first_day, first_day + 1):
            total -= self._count_times(first_second)
        if end_second and self._count_days(end_day, end_day + 1):
            total += self._count_times(end_second)
        return total

    def _count_days(self, low: int, high: int) -> int:
        """How many matching days are in [low, high), counted from 1970-01-01."""
        low, high = max(low, 1 - _EPOCH_ORDINAL), min(high, _LAST_ORDINAL - _EPOCH_ORDINAL + 1)
        if low >= high:
            return 0
        at = date.fromordinal(low + _EPOCH_ORDINAL)
        year, month, first = at.year, at.month, low - at.day + 1
        total = 0
        while first < high:
            length = month_length(year, month)
            if month in self._months:
                mask = self._mask((first + 3) % 7, length)
                if high < first + length:
                    mask &= (1 << (high - first)) - 1
                if low > first:
                    mask >>= low - first
                total += mask.bit_count()
            first += length
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        return total

    def _count_times(self, before: int) -> int:
        """How many times of a matching day are earlier than second ``before`` of the day."""
        hour, rest = divmod(before, 3600)
        minute, second = divmod(rest, 60)
        hours, minutes, seconds = self.fields.hours, self.fields.minutes, self.fields.seconds
        total = bisect_left(hours, hour) * len(minutes) * len(seconds)
        if self._next[0][hour] == hour:
            total += bisect_left(minutes, minute) * len(seconds)
            if self._next[1][minute] == minute:
                total += bisect_left(seconds, second)
        return total

    def _previous_time(self, second: int) -> int:
        """The last second of the day that matches and is not more than ``second``; -1 when there is none."""
        hours, minutes, seconds = self._previous
        hour, rest = divmod(second, 3600)
        if hours[hour] == hour:
            minute, rest = divmod(rest, 60)
            if minutes[minute] == minute and (found := seconds[rest]) >= 0:
                return hour * 3600 + minute * 60 + found
            if (minute := minutes[minute - 1]) >= 0:
                return hour * 3600 + minute * 60 + seconds[59]
        if (hour := hours[hour - 1]) < 0:
            return -1
        return hour * 3600 + minutes[59] * 60 + seconds[59]

    def _mask(self, first_weekday: int, length: int) -> int:
        """The matching days of a month, bit 0 for the first, by the weekday (Monday = 0) it begins with."""
        key = (first_weekday, length)
        mask = self._masks.get(key)
        if mask is None:
            days, weekdays = self._by_date(first_weekday, length), self._by_weekday(first_weekday, length)
            mask = self._masks[key] = days & weekdays if self.matches_both else days | weekdays
        return mask

    def _by_date(self, first_weekday: int, length: int) -> int:
        fields = self.fields
        days = {day for day in fields.days if day <= length}
        days.update(length - back for back in fields.from_last if back < length)
        days.update(_nearest_weekday(day, first_weekday, length) for day in fields.nearest if day <= length)
        days.update(
            _nearest_weekday(length - back, first_weekday, length) for back in fields.nearest_from_last if back < length
        )
        if fields.last_weekday:
            days.add(_nearest_weekday(length, first_weekday, length))
        return sum(1 << (day - 1) for day in days)

    def _by_weekday(self, first_weekday: int, length: int) -> int:
        fields = self.fields
        mask = 0
        for day in range(1, length + 1):
            weekday = (first_weekday + day) % 7
            if (
                weekday in fields.weekdays
                or (weekday, (day + 6) // 7) in fields.nth
                or (day + 7 > length and weekday in fields.last_of)
            ):
                mask |= 1 << (day - 1)
        return mask


def _nearest_weekday(day: int, first_weekday: int, length: int) -> int:
    """The Monday-to-Friday nearest to ``day`` that is in the same month."""
    weekday = (first_weekday + day - 1) % 7
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day


@lru_cache(maxsize=4096)
def search_of(expression: str, day_or: bool = True) -> CronSearch:
    """The search for an expression, made once. Raises `InvalidSchedule` when it cannot be read."""
    return CronSearch(parse_cron(expression), day_or)
