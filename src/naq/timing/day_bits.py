"""A day as a number: one bit for each of its 86,400 seconds, so that unions and exclusions are ``|`` and ``& ~``.

Counting a union or what an exclusion takes from it cannot be done by adding up: equal instants are one. It can be done
for whole days at once. Each *part* (a cron expression, a grid, an exclusion) tells of a day of UTC its bits and its
*kind*: days of one kind have the same bits, and a year has few kinds. So the bits are computed and counted once for each
kind, and a year costs a few hundred look-ups, however fine its parts are.

Days are numbered from 1970-01-01, in UTC; bit ``n`` of a day is its second ``n``.
"""

from __future__ import annotations

from collections.abc import Hashable
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from naq.timing.cron_search import DAY
from naq.timing.wall import WallClock
from naq.timing.zones import EPOCH, Segment

__all__ = [
    "BITS",
    "INSTANT",
    "WHOLE_DAY",
    "CronBits",
    "DayBits",
    "GridBits",
    "Steps",
    "WalkedBits",
    "first_bit",
    "run_of_bits",
]

WHOLE_DAY = (1 << DAY) - 1
_KEPT = 16
"""Days' bits that a part keeps: 11 kB each."""
INSTANT = 5
BITS = 20
_LAST_DAY = (date.max - date(1970, 1, 1)).days
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


class Steps:
    """What a question may still cost: the bound on a plan is held by counting, not by a clock.

    A step is about a microsecond of today's machines: a look at a day is one, an instant that is asked for `INSTANT`, a
    day's bits that are made `BITS`.
    """

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> bool:
        """Whether ``count`` steps were left; they are used up."""
        self.left -= count
        return self.left >= 0

    @property
    def used_up(self) -> bool:
        """Whether more was asked for than there was: what came out is not the whole answer."""
        return self.left < 0


class DayBits(Protocol):
    """A set of seconds, day by day."""

    def kind(self, day: int) -> Hashable:
        """What decides about the day's bits: days of equal kind have equal bits."""

    def bits(self, day: int) -> int:
        """The day's seconds, bit 0 the first one."""


class WallDays(Protocol):
    """A set of wall times that is the same on each of its days."""

    def has_day(self, day: int) -> bool:
        """Whether the day, counted from 1970-01-01 on the wall, has any."""

    def day_bits(self) -> int:
        """The times of such a day, bit 0 for its first second."""


class Walkable(Protocol):
    """What can be asked for its next instant."""

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``."""


def run_of_bits(low: int, high: int) -> int:
    """The bits [low, high)."""
    return (1 << high) - (1 << low) if high > low else 0


def first_bit(bits: int) -> int:
    """The lowest bit that is set; there must be one."""
    return (bits & -bits).bit_length() - 1


class CronBits:
    """The seconds of wall times in a zone; ``clock`` tells what a change of the clocks makes of them."""

    def __init__(self, clock: WallClock, days: WallDays) -> None:
        self._clock = clock
        self._days = days
        self._times = days.day_bits()
        self._plain: tuple[int, int, int] = (0, 0, 0)
        """[first, end) where one offset holds and no rule for the clocks speaks; and the offset."""
        self._known: dict[Hashable, int] = {}

    def kind(self, day: int) -> Hashable:
        low = day * DAY
        first, end, offset = self._plain
        if not first <= low <= end - DAY:
            segment = self._clock.zone.segment(low)
            low_wall, high_wall = self._clock.bounds(segment)
            # A gap's rule speaks at the very start of a segment.
            first = max(segment.start + 1, low_wall - segment.offset)
            end, offset = high_wall - segment.offset, segment.offset
            self._plain = (first, end, offset)
            if not first <= low <= end - DAY:
                return (day,)
        wall_day, second = divmod(low + offset, DAY)
        here = self._days.has_day(wall_day)
        return second * 4 + here * 2 + (second > 0 and self._days.has_day(wall_day + 1))

    def bits(self, day: int) -> int:
        kind = self.kind(day)
        known = self._known.get(kind)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[kind] = self._plain_bits(kind) if isinstance(kind, int) else self._cut(day * DAY)
        return known

    def _plain_bits(self, kind: int) -> int:
        second, days = divmod(kind, 4)
        bits = self._times >> second if days & 2 else 0
        return bits | (self._times << (DAY - second)) & WHOLE_DAY if days & 1 else bits

    def _cut(self, low: int) -> int:
        """The bits of a day on which the clocks change, put together from its pieces of one offset."""
        bits, at, end = 0, low, low + DAY
        while at < end:
            segment: Segment = self._clock.zone.segment(at)
            offset = segment.offset
            low_wall, high_wall = self._clock.bounds(segment)
            first, stop = max(low_wall, at + offset), min(high_wall, end + offset)
            if first < stop:
                bits |= self._wall_bits(first, stop) << (first - offset - low)
            if at == segment.start and self._clock.falls_in_gap(segment):
                bits |= 1 << (at - low)
            at = segment.end
        return bits

    def _wall_bits(self, first: int, end: int) -> int:
        """The wall times of [first, end), bit 0 for ``first``."""
        bits = 0
        for day in range(first // DAY, (end - 1) // DAY + 1):
            if self._days.has_day(day):
                start = day * DAY - first
                bits |= self._times << start if start >= 0 else self._times >> -start
        return bits & ((1 << (end - first)) - 1)


class GridBits:
    """Every ``period`` seconds from the second ``first`` on."""

    def __init__(self, first: int, period: int) -> None:
        self._first = first
        self._period = period
        bits, length = 1, period
        while length < DAY + min(period, DAY):
            bits |= bits << length
            length *= 2
        self._row = bits
        """A bit at every multiple of the period, for a day and one period more."""

    def kind(self, day: int) -> Hashable:
        ahead = self._first - day * DAY
        if ahead >= DAY:
            return -1
        ahead = ahead if ahead > 0 else ahead % self._period
        return ahead if ahead < DAY else -1

    def bits(self, day: int) -> int:
        ahead = self.kind(day)
        return 0 if not isinstance(ahead, int) or ahead < 0 else (self._row << ahead) & WHOLE_DAY

    def count(self, first: int, end: int) -> int:
        """How many of its seconds are in [first, end)."""
        return max(0, self._steps_before(end) - self._steps_before(first))

    def _steps_before(self, second: int) -> int:
        return max(0, -((self._first - second) // self._period))


class WalkedBits:
    """The seconds of anything that has a next instant, found by asking for one after the other.

    Each instant costs ``cost`` steps. When there are none left, the rest of the day stays empty and the steps say so.
    """

    def __init__(self, source: Walkable, steps: Steps, cost: int = INSTANT) -> None:
        self._source = source
        self._steps = steps
        self._cost = cost
        self._since: datetime | None = None
        self._ahead: datetime | None = None
        """The first instant since ``_since``, which days in between need not ask for again."""

    def kind(self, day: int) -> Hashable:
        at = self._first(_instant(day))
        return None if at is None or (at - EPOCH) // _SECOND // DAY > day else (day,)

    def bits(self, day: int) -> int:
        bits, low = 0, day * DAY
        at = self._first(_instant(day))
        while at is not None and (second := (at - EPOCH) // _SECOND - low) < DAY and self._steps.take(self._cost):
            bits |= 1 << second
            at = self._source.next_after(at)
        if day < _LAST_DAY:
            self._since, self._ahead = _instant(day + 1), at
        return bits

    def _first(self, low: datetime) -> datetime | None:
        """The first instant that is ``low`` or later."""
        known = self._since is not None and self._since <= low and (self._ahead is None or low <= self._ahead)
        if not known:
            self._since, self._ahead = low, self._source.next_after(low - _TICK)
        return self._ahead


def _instant(day: int) -> datetime:
    return datetime.fromtimestamp(day * DAY, UTC)
