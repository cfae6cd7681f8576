"""The times of a day as one number: bit n is second n of the day.

86,400 bits are 11 kB, and a shift, an AND or a count of bits is one operation of the machine's own speed. So "every
second of the day" costs no more than "09:00", and an even grid that goes on from day to day (every 7 minutes) is laid over
a day's times by one AND.
"""

from __future__ import annotations

from naq.timing.rrule_parts import Frequency, RuleParts

__all__ = ["DAY", "Align", "DayTimes", "times_of", "times_selected"]

DAY = 86_400
_ALL_DAY = (1 << DAY) - 1


class DayTimes:
    """A set of seconds of the day; -1 is the answer "none"."""

    __slots__ = ("_bytes", "bits", "count", "earliest", "latest")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._bytes: bytes | None = None
        self.count = bits.bit_count()
        self.earliest = (bits & -bits).bit_length() - 1
        self.latest = bits.bit_length() - 1

    def has(self, second: int) -> bool:
        """Whether ``second`` is one of them."""
        if self._bytes is None:
            self._bytes = self.bits.to_bytes(DAY // 8, "little")
        return bool(self._bytes[second >> 3] >> (second & 7) & 1)

    def next(self, second: int) -> int:
        """The first time that is ``second`` or later."""
        if second <= self.earliest:
            return self.earliest
        left = self.bits >> second
        return second + (left & -left).bit_length() - 1 if left else -1

    def previous(self, second: int) -> int:
        """The last time that is ``second`` or earlier."""
        if second >= self.latest:
            return self.latest
        return (self.bits & ((2 << second) - 1)).bit_length() - 1 if second >= 0 else -1

    def count_before(self, second: int) -> int:
        """How many times are earlier than ``second``."""
        return (self.bits & ((1 << second) - 1)).bit_count()


class Align:
    """An even grid on a line of seconds: runs of ``length`` seconds, ``step`` seconds from one start to the next."""

    __slots__ = ("_base", "length", "step")

    def __init__(self, step: int, length: int) -> None:
        self.step = step
        self.length = length
        base, width = (1 << length) - 1, step
        while width < DAY + step and step < DAY:
            base |= base << width
            width *= 2
        self._base = base

    def on_day(self, phase: int) -> int:
        """The bits of a day on which a run starts at second ``phase`` (0 to ``step`` - 1)."""
        bits = (self._base << phase) & _ALL_DAY if phase < DAY else 0
        rest = phase - self.step + self.length
        return bits | ((1 << rest) - 1 if rest > 0 else 0)

    def next(self, second: int, anchor: int) -> int:
        """The first second at ``second`` or later that lies in a run of the grid through ``anchor``."""
        into = (second - anchor) % self.step
        return second if into < self.length else second + self.step - into

    def previous(self, second: int, anchor: int) -> int:
        """The last second at ``second`` or earlier that lies in a run of the grid through ``anchor``."""
        into = (second - anchor) % self.step
        return second if into < self.length else second - into + self.length - 1


def _spread(values: tuple[int, ...], pattern: int, width: int) -> int:
    """``pattern`` laid down at each of ``values`` times ``width``."""
    bits = 0
    for value in values:
        bits |= pattern << (value * width)
    return bits


def times_of(rule: RuleParts, start: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """The hours, minutes and seconds of a rule, those it takes from its start's second of the day filled in.

    A finer unit than that of the rule comes from the start. Of a rule by the hour or finer the unit itself and what is
    coarser is free. Where such a rule has no finer part, its grid says the rest (`naq.timing.rrule_search`).
    """
    hour, minute, second = start // 3600, start // 60 % 60, start % 60
    free = (tuple(range(24)), tuple(range(60)), tuple(range(60)))
    told = rule.times
    if not rule.is_elapsed:
        return told[0] or (hour,), told[1] or (minute,), told[2] or (second,)
    own = rule.frequency - Frequency.HOURLY
    expands = rule.expands
    start_values = (hour, minute, second)
    found = []
    for unit in range(3):
        if told[unit]:
            found.append(told[unit])
        else:
            found.append((start_values[unit],) if expands and unit > own else free[unit])
    return found[0], found[1], found[2]


def times_selected(rule: RuleParts, hours: tuple[int, ...], minutes: tuple[int, ...], seconds: tuple[int, ...]) -> int:
    """The bits of a day; BYSETPOS of a rule by the day or finer picks from each of its periods."""
    pick = rule.positions
    if pick and rule.frequency == Frequency.SECONDLY:
        second_bits = _spread(seconds, 1, 1) if any(at in (1, -1) for at in pick) else 0
        return _spread(hours, _spread(minutes, second_bits, 60), 3600)
    second_bits = _spread(seconds, 1, 1)
    if pick and rule.frequency == Frequency.MINUTELY:
        second_bits = _picked(pick, (len(seconds),), (seconds,))
    hour_bits = _spread(minutes, second_bits, 60)
    if pick and rule.frequency == Frequency.HOURLY:
        hour_bits = _picked(pick, (len(minutes), len(seconds)), (minutes, seconds))
    if pick and rule.frequency == Frequency.DAILY:
        return _picked(pick, (len(hours), len(minutes), len(seconds)), (hours, minutes, seconds))
    return _spread(hours, hour_bits, 3600)


def _picked(pick: tuple[int, ...], sizes: tuple[int, ...], values: tuple[tuple[int, ...], ...]) -> int:
    """The bits of those members of a product of hours, minutes and seconds that stand at the positions ``pick``."""
    total = 1
    for size in sizes:
        total *= size
    bits = 0
    for position in pick:
        index = position - 1 if position > 0 else total + position
        if 0 <= index < total:
            second, weight = 0, 1
            for size, numbers in zip(reversed(sizes), reversed(values), strict=True):
                index, place = divmod(index, size)
                second += numbers[place] * weight
                weight *= 60
            bits |= 1 << second
    return bits
