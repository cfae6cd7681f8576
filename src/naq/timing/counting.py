"""Counting the instants of a union, and those that exclusions take away, without walking through them.

The instants are sorted by their fraction of a second: only equal fractions can be equal instants, and exclusions are whole
seconds. What has one fraction is a set of seconds, counted day by day as bits (`naq.timing.day_bits`). A period of whole
seconds has one fraction; one of 1.5 s is two grids of 3 s. A period that has more than `MOST_FRACTIONS` of them, such as
1 ms, is counted by division, and only what it shares with the others is a grid.

Every count has a bound on its cost (`STEPS`). What would cost more is counted exactly as far as that goes and is an
upper bound from there on: a `Count` says which it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from math import gcd
from typing import NamedTuple, TypeAlias

from naq.timing.calendar_interval import CalendarInterval
from naq.timing.covering import Cover
from naq.timing.cron import Cron
from naq.timing.cron_search import DAY, CronSearch
from naq.timing.day_bits import BITS, INSTANT, CronBits, DayBits, GridBits, Steps, WalkedBits, run_of_bits
from naq.timing.periods import FixedDelay, Interval, Once
from naq.timing.rrule import RRule
from naq.timing.wall import WallClock
from naq.timing.zones import EPOCH

__all__ = ["STEPS", "Count", "Single", "bits_of", "count_covered", "count_union"]

STEPS = 10_000
"""What one count or search may cost, in the steps of `naq.timing.day_bits.Steps`."""
MOST_FRACTIONS = 64
_WALK = 4 * INSTANT
"""Steps for an instant of a recurrence rule."""
_MICRO = timedelta(microseconds=1)
_SECOND = 1_000_000

Single: TypeAlias = Once | Interval | FixedDelay | Cron | CalendarInterval | RRule
"""A trigger that is no union."""


class Count(NamedTuple):
    """A number of instants."""

    number: int
    is_exact: bool
    """Otherwise ``number`` is an upper bound."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Instants of one fraction of a second."""

    bits: DayBits
    count: Callable[[int, int], int]
    """How many of its seconds are in [first, end)."""


def count_union(triggers: Iterable[Single], after: datetime, until: datetime, steps: int = STEPS) -> Count:
    """How many different instants any of the triggers has in (``after``, ``until``]."""
    different = tuple(dict.fromkeys(triggers))
    if len(different) == 1:
        return Count(different[0].count_between(after, until), True)
    after = _before_first(different, after, until)
    low, high = (after - EPOCH) // _MICRO, (until - EPOCH) // _MICRO
    left = Steps(steps)
    groups, fine, dense = _by_fraction(different, after, until, left)
    total = sum(trigger.count_between(after, until) for trigger in dense)
    for interval in fine:
        total += interval.count_between(after, until)
        for fraction, parts in groups.items():
            shared = _shared(interval, fraction)
            if shared is not None:
                parts.append(_Part(shared, shared.count))
                total -= shared.count(*_seconds(low, high, fraction))
    for fraction, parts in groups.items():
        first, end = _seconds(low, high, fraction)
        if len(parts) == 1:
            total += parts[0].count(first, end)
        else:
            total += _count_days(parts, first, end, left)
    return Count(total, not left.used_up and not dense and len(fine) < 2)


def count_covered(
    triggers: Iterable[Single], cover: Cover, after: datetime, until: datetime, steps: int = STEPS
) -> Count:
    """How many different instants any of the triggers has in (``after``, ``until``] in the seconds that ``cover`` has."""
    different = tuple(dict.fromkeys(triggers))
    low, high = (after - EPOCH) // _MICRO, (until - EPOCH) // _MICRO
    left = Steps(steps)
    if len(different) == 1 and (not cover.patterns or _is_by_runs(different[0])):
        return Count(_count_runs(different[0], cover, low, high, left), not left.used_up)
    after = _before_first(different, after, until)
    low = (after - EPOCH) // _MICRO
    groups, fine, dense = _by_fraction(different, after, until, left)
    total = sum(_count_runs(trigger, cover, low, high, left) for trigger in dense)
    for interval in fine:
        total += _count_runs(interval, cover, low, high, left)
        for fraction, parts in groups.items():
            shared = _shared(interval, fraction)
            if shared is not None:
                part = _Part(shared, shared.count)
                parts.append(part)
                total -= _count_days([part], *_seconds(low, high, fraction), left, cover)
    for fraction, parts in groups.items():
        total += _count_days(parts, *_seconds(low, high, fraction), left, cover)
    return Count(total, not left.used_up and not dense and len(fine) < 2)


def _before_first(triggers: Sequence[Single], after: datetime, until: datetime) -> datetime:
    """Right before their first instant, or ``until`` when that is earlier: empty years before a start cost no steps."""
    firsts = [instant for each in triggers if (instant := each.next_after(after)) is not None]
    return min([until, *(instant - _MICRO for instant in firsts)])


def _is_by_runs(trigger: Single) -> bool:
    """Whether its count between two instants costs little and its days' bits would cost much."""
    return isinstance(trigger, RRule) or (isinstance(trigger, Interval) and not _grids(trigger))


def _count_runs(trigger: Single, cover: Cover, low: int, high: int, steps: Steps) -> int:
    """The instants of a trigger in (``low``, ``high``] (microseconds) in each run of seconds that is covered."""
    if isinstance(trigger, Interval) and cover.patterns and _SECOND % (trigger.every // _MICRO or _SECOND) == 0:
        return _count_even(trigger, cover, low, high, steps)
    total = 0
    if cover.patterns and 2 * INSTANT * trigger.count_between(_from_micros(low), _from_micros(high)) < steps.left:
        return _count_walking(trigger, cover, _from_micros(low), _from_micros(high), steps)
    reached = low
    for first, end in cover.runs(low // _SECOND, high // _SECOND + 1, steps):
        start, stop = max(low, first * _SECOND - 1), min(high, end * _SECOND - 1)
        if not steps.take(2 * INSTANT):
            break
        total += trigger.count_between(_from_micros(start), _from_micros(stop)) if start < stop else 0
        reached = stop
    return total + trigger.count_between(_from_micros(reached), _from_micros(high)) if steps.used_up else total


def _count_walking(trigger: Single, cover: Cover, after: datetime, until: datetime, steps: Steps) -> int:
    """The same for few instants: each is asked for."""
    total, of_day, bits = 0, None, 0
    at = trigger.next_after(after)
    while at is not None and at <= until:
        steps.take(2 * INSTANT)
        day, second = divmod((at - EPOCH) // timedelta(seconds=1), DAY)
        if day != of_day:
            of_day, bits = day, cover.bits(day)
        total += bits >> second & 1
        at = trigger.next_after(at)
    return total


def _count_even(interval: Interval, cover: Cover, low: int, high: int, steps: Steps) -> int:
    """The same for a period that divides the second: each whole second has as many."""
    low = max(low, _micros(interval.origin()) - 1)
    first, end = low // _SECOND + 1, (high + 1) // _SECOND
    every = GridBits(first, 1)
    whole = _count_days([_Part(every, every.count)], first, end, steps, cover) if first < end else 0
    total = whole * (_SECOND // (interval.every // _MICRO))
    for second in {(low + 1) // _SECOND, high // _SECOND}:
        if not first <= second < end and cover.bits(second // DAY) >> second % DAY & 1:
            start, stop = max(low, second * _SECOND - 1), min(high, (second + 1) * _SECOND - 1)
            total += interval.count_between(_from_micros(start), _from_micros(stop)) if start < stop else 0
    return total


def bits_of(trigger: Single, steps: Steps) -> DayBits | None:
    """The seconds in which a trigger has an instant; ``None`` when asking it is better than looking at its days."""
    match trigger:
        case Cron():
            clock = trigger.clock()
            assert isinstance(clock.rule, CronSearch)
            return _cron_bits(clock, clock.rule)
        case Interval():
            period = trigger.every // _MICRO
            anchor = _micros(trigger.origin())
            if period % _SECOND == 0:
                return GridBits(anchor // _SECOND, period // _SECOND)
            return GridBits(anchor // _SECOND, 1) if period < _SECOND else None
        case RRule():
            return None
        case _:
            return WalkedBits(trigger, steps)


def _count_days(parts: Sequence[_Part], first: int, end: int, steps: Steps, cover: Cover | None = None) -> int:
    """How many seconds of [first, end) any of the parts has that are covered, if there is a cover.

    From where the steps are used up it is all that each of them has.
    """
    known: dict[tuple[Hashable, ...], int] = {}
    sets = [part.bits for part in parts]
    total = 0
    look = len(sets) + (len(cover.patterns) + 1 if cover else 0)
    for day in range(first // DAY, (end - 1) // DAY + 1):
        low = day * DAY
        if not steps.take(look):
            rest = max(first, low)
            return total + sum(part.count(rest, end) for part in parts)
        kinds: tuple[Hashable, ...] = tuple([each.kind(day) for each in sets])
        if cover is not None:
            kinds = (*kinds, cover.kind(day))
        number = known.get(kinds)
        if number is None or low < first or low + DAY > end:
            steps.take(BITS)
            bits = 0
            for each in sets:
                bits |= each.bits(day)
            if cover is not None and bits:
                bits &= cover.bits(day)
            if low < first or low + DAY > end:
                bits &= run_of_bits(max(first - low, 0), min(end - low, DAY))
                number = bits.bit_count()
            else:
                number = known[kinds] = bits.bit_count()
        total += number
    return total


def _by_fraction(
    triggers: Sequence[Single], after: datetime, until: datetime, steps: Steps
) -> tuple[dict[int, list[_Part]], list[Interval], list[RRule]]:
    """The triggers' parts by their fraction of a second; the intervals that have too many fractions; and the recurrence
    rules that are too dense to be walked through, which are counted as if they shared nothing."""
    groups: dict[int, list[_Part]] = {}
    fine: list[Interval] = []
    dense: list[RRule] = []
    for trigger in triggers:
        if isinstance(trigger, Interval):
            grids = _grids(trigger)
            if not grids:
                fine.append(trigger)
            for fraction, grid in grids:
                groups.setdefault(fraction, []).append(_Part(grid, grid.count))
            continue
        if isinstance(trigger, RRule) and _WALK * trigger.count_between(after, until) > steps.left // 2:
            dense.append(trigger)
            continue
        first = trigger.next_after(EPOCH.replace(year=1)) if isinstance(trigger, Once | FixedDelay) else None
        fraction = 0 if first is None else first.microsecond
        bits = bits_of(trigger, steps) or WalkedBits(trigger, steps, _WALK)
        groups.setdefault(fraction, []).append(_Part(bits, _counter(trigger, fraction)))
    return groups, fine, dense


def _counter(trigger: Single, fraction: int) -> Callable[[int, int], int]:
    def count(first: int, end: int) -> int:
        shift = timedelta(microseconds=fraction) - _MICRO
        return trigger.count_between(_at(first) + shift, _at(end) + shift) if first < end else 0

    return count


def _grids(interval: Interval) -> list[tuple[int, GridBits]]:
    """An interval as grids of whole seconds, each with its fraction; none when they were too many."""
    period, anchor = interval.every // _MICRO, _micros(interval.origin())
    whole = period // gcd(period, _SECOND)  # in seconds, until the fractions come round
    many = whole * _SECOND // period
    if many > MOST_FRACTIONS:
        return []
    starts = [divmod(anchor + step * period, _SECOND) for step in range(many)]
    return [(fraction, GridBits(second, whole)) for second, fraction in starts]


def _shared(interval: Interval, fraction: int) -> GridBits | None:
    """Those instants of an interval that have a fraction of a second, found by the Chinese remainder theorem."""
    period, anchor = interval.every // _MICRO, _micros(interval.origin())
    common = gcd(period, _SECOND)
    ahead, rest = divmod(fraction - anchor, common)
    if rest:
        return None
    turn = _SECOND // common
    step = ahead * pow(period // common, -1, turn) % turn
    return GridBits((anchor + step * period - fraction) // _SECOND, period // common)


def _seconds(low: int, high: int, fraction: int) -> tuple[int, int]:
    """The seconds [first, end) whose instants with this fraction are in (``low``, ``high``], in microseconds."""
    return (low - fraction) // _SECOND + 1, (high - fraction) // _SECOND + 1


def _micros(instant: datetime) -> int:
    return (instant - EPOCH) // _MICRO


def _from_micros(number: int) -> datetime:
    return EPOCH + timedelta(microseconds=number)


def _at(second: int) -> datetime:
    return EPOCH + timedelta(seconds=second)


@lru_cache(maxsize=128)
def _cron_bits(clock: WallClock, search: CronSearch) -> CronBits:
    return CronBits(clock, search)
