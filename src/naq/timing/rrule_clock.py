"""The instants of a recurrence rule: the pieces of the rule, put together and hung in its zone.

The rule is read once (`naq.timing.rrule_parts`), searched by arithmetic over its periods (`naq.timing.rrule_search`; by the
hour and finer `naq.timing.rrule_elapsed`) and hung in its zone (`naq.timing.wall`).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.rrule_days import RuleDays
from naq.timing.rrule_elapsed import HORIZON, ElapsedRule
from naq.timing.rrule_parts import Frequency, RuleParts, bad_rule, parse_rule
from naq.timing.rrule_search import DayRule, Ended, PositionRule, Without, last_of_count
from naq.timing.rrule_times import DAY, Align, DayTimes, times_of, times_selected
from naq.timing.wall import Grid, WallClock, WallRule
from naq.timing.zones import EPOCH, Zone, get_zone, resolve

__all__ = ["FIRST_YEAR", "LAST_YEAR", "RuleClock", "WrittenRule", "can_fire", "clock_of", "recurrence"]

FIRST_YEAR, LAST_YEAR = 1600, 2200
"""The years a rule may count from."""
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_UNIT = {Frequency.WEEKLY: 7 * DAY, Frequency.DAILY: DAY}
_SHORT_UNIT = {Frequency.HOURLY: 3600, Frequency.MINUTELY: 60, Frequency.SECONDLY: 1}
_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_COUNTED = (330 * 365 + 80) * DAY
"""The year 2300: a rule whose COUNT is not reached by then, nor in a hundred years, goes on for ever."""
_MIDNIGHT = datetime(2000, 1, 1)  # noqa: DTZ001 - a wall time has no zone


class WrittenRule(NamedTuple):
    """What a clock is made of: the fields of `naq.timing.rrule.RRule`."""

    rrule: str
    start: datetime
    tz: str
    dst_gap: DstGap = DstGap.SHIFT
    dst_overlap: DstOverlap = DstOverlap.FIRST
    without: tuple[datetime, ...] = ()
    added: tuple[datetime, ...] = ()


class RuleClock:
    """The instants of a rule in its zone, aware UTC: those of its clock from ``first`` to ``last``, and the added ones."""

    __slots__ = ("_added", "_first", "_inner", "_last", "_marks")

    def __init__(
        self, inner: WallClock, marks: WallClock, first: datetime, last: datetime, added: tuple[datetime, ...] = ()
    ) -> None:
        self._inner = inner
        self._marks = marks
        self._first = first
        self._last = last
        self._added: tuple[datetime, ...] = ()
        self._added = tuple(sorted({at for at in added if self.next_after(at - _TICK) != at}))

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``."""
        found = self._inner.next_after(max(after, self._first - _TICK)) if after < self._last else None
        found = found if found is not None and found <= self._last else None
        place = bisect_right(self._added, after)
        if place < len(self._added) and (found is None or self._added[place] < found):
            return self._added[place]
        return found

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``."""
        found = self._inner.previous(min(before, self._last + _TICK)) if before > self._first else None
        found = found if found is not None and found >= self._first else None
        place = bisect_left(self._added, before) - 1
        if place >= 0 and (found is None or self._added[place] > found):
            return self._added[place]
        return found

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``]."""
        low, high = max(after, self._first - _TICK), min(until, self._last)
        found = self._inner.count_between(low, high) if low < high else 0
        return found + max(0, bisect_right(self._added, until) - bisect_right(self._added, after))

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of this rule's own; ``None`` on ordinary days."""
        return self._marks.mark(instant)

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of those gaps in (``after``, ``until``] that swallow a time of the rule, shifted or not."""
        return self._marks.gaps(after, until)


@lru_cache(maxsize=16384)
def recurrence(text: str, start: datetime, tz: str, without: tuple[datetime, ...] = ()) -> RuleClock:
    """The instants of a rule that counts from ``start``, a naive one being a wall time of ``tz``, by the default rules
    for daylight saving time. Raises `InvalidSchedule`."""
    return clock_of(WrittenRule(text, start, tz, without=without))


def clock_of(trigger: WrittenRule) -> RuleClock:
    """The rule hung in its zone. Raises `InvalidSchedule`."""
    parts, zone, start = parse_rule(trigger.rrule), get_zone(trigger.tz), trigger.start
    if not FIRST_YEAR <= start.year <= LAST_YEAR:
        raise bad_rule(trigger.rrule, f"counts from the year {start.year}, not from {FIRST_YEAR} to {LAST_YEAR}")
    off = [_instant(at, zone) for at in trigger.without]
    if parts.is_elapsed:
        rule = _elapsed(trigger.rrule, parts, zone, start)
        rule = Without(rule, map(_second, off)) if off else rule
        inner = WallClock(get_zone("UTC"), rule, trigger.dst_gap, trigger.dst_overlap, elapsed=True)
    else:
        rule = _by_days(parts, _wall(start, zone))
        rule = Without(rule, _walls_off(trigger, zone)) if off else rule
        inner = WallClock(zone, rule, trigger.dst_gap, trigger.dst_overlap, elapsed=False)
    marks = WallClock(zone, rule, trigger.dst_gap, trigger.dst_overlap, elapsed=parts.is_elapsed)
    first = EPOCH.replace(year=FIRST_YEAR - 1) if start.tzinfo is None else start.astimezone(UTC).replace(microsecond=0)
    until = parts.until
    last = _LAST if until is None or not until.is_utc else _within(until.wall).replace(tzinfo=UTC)
    added = tuple(at for at in (_instant(at, zone) for at in trigger.added) if at not in off)
    return RuleClock(inner, marks, first, last, added)


def _by_days(parts: RuleParts, start: int) -> WallRule:
    """A rule by the day or a longer period, from the wall second ``start`` on."""
    rule: WallRule
    if parts.is_plain and parts.frequency in _UNIT:
        rule = Grid(start, _UNIT[parts.frequency] * parts.interval)
    else:
        days, times = RuleDays(parts, start // DAY), times_of(parts, start % DAY)
        if parts.positions and parts.frequency != Frequency.DAILY:
            rule = PositionRule(parts, days, times, start)
        else:
            rule = DayRule(days, DayTimes(times_selected(parts, *times)), start)
    if parts.count is not None:
        last = last_of_count(rule, parts.count, start, max(_COUNTED, start + 100 * 366 * DAY))
        return rule if last is None else Ended(rule, last)
    until = parts.until
    return rule if until is None or until.is_utc else Ended(rule, _number(_within(until.wall)))


def _walls_off(trigger: WrittenRule, zone: Zone) -> list[int]:
    """The wall times that are called off; an instant in the pass of an overlap that the rule leaves out calls off none."""
    return [
        _wall(at, zone)
        for at in trigger.without
        if at.tzinfo is None
        or _instant(at, zone)
        in resolve(at.astimezone(zone.info).replace(tzinfo=None, microsecond=0), zone.name, overlap=trigger.dst_overlap)
    ]


def _elapsed(text: str, parts: RuleParts, zone: Zone, start: datetime) -> WallRule:
    """A rule by the hour or finer, in seconds since the epoch (UTC)."""
    first, wall = _second(_instant(start, zone)), _wall(start, zone)
    unit = _SHORT_UNIT[parts.frequency]
    rule: WallRule
    if parts.is_plain:
        rule = Grid(first, unit * parts.interval)
    else:
        length = unit if parts.expands else 1
        align = Align(unit * parts.interval, length)
        times = DayTimes(times_selected(parts, *times_of(parts, wall % DAY)))
        rule = ElapsedRule(zone, RuleDays(parts, wall // DAY), times, align, first - wall % length, first)
    if parts.count is not None:
        last = last_of_count(rule, parts.count, first, first + HORIZON)
        if last is None and rule.next_wall(first) is not None:
            raise bad_rule(text, "has a COUNT that it does not reach within 41 years; use max_runs")
        return rule if last is None else Ended(rule, last)
    until = parts.until
    if until is None or until.is_utc:
        return rule
    return Ended(rule, _second(resolve(_within(until.wall), zone.name, overlap=DstOverlap.LAST)[0]))


def can_fire(text: str) -> bool:
    """Whether the rule has any time at all when it may count from wherever it likes. Raises `InvalidSchedule`."""
    parts = parse_rule(text)
    days, times = RuleDays(parts, _number(_MIDNIGHT) // DAY), times_of(parts, 0)
    if parts.positions and parts.frequency < Frequency.DAILY:
        total = days.most_in_period() * len(times[0]) * len(times[1]) * len(times[2])
        return total >= min(abs(position) for position in parts.positions)
    return days.can_match() and times_selected(parts, *times) != 0


def _within(until: datetime) -> datetime:
    """A last wall time, brought to years in which every zone can be reckoned with: nothing lies beyond them."""
    return min(max(until, datetime(1000, 1, 1)), datetime(9000, 1, 1))  # noqa: DTZ001


def _wall(at: datetime, zone: Zone) -> int:
    """A time as a wall second of ``zone``."""
    return _number((at if at.tzinfo is None else at.astimezone(zone.info)).replace(tzinfo=None))


def _number(wall: datetime) -> int:
    """A naive wall time as seconds since 1970-01-01T00:00 on the wall."""
    return (wall.replace(microsecond=0, tzinfo=UTC) - EPOCH) // _SECOND


def _instant(at: datetime, zone: Zone) -> datetime:
    """A time as an instant, to the second; a naive one on the clock of ``zone``."""
    whole = at.replace(microsecond=0)
    return whole.astimezone(UTC) if at.tzinfo is not None else resolve(whole, zone.name)[0]


def _second(instant: datetime) -> int:
    return (instant - EPOCH) // _SECOND
