"""From times on the wall to instants: the one place where the rules for daylight saving time are written.

A `WallRule` (a cron expression, a calendar interval, an RRULE) knows only the wall clock and the calendar: integers,
seconds since 1970-01-01T00:00 on the wall. `WallClock` hangs such a rule in a zone. Within a segment of constant offset
(`naq.timing.zones`) instants are wall times minus the offset; only at the seams something has to be decided:

- *gap* (clocks go forward): wall times are left out. A fixed-time rule that names one runs once, at the first valid
  instant after the gap (``dst_gap="shift"``), or not at all (``"skip"``).
- *overlap* (clocks go back): wall times come twice. A fixed-time rule runs at the ``first`` occurrence, the ``last``,
  or ``both``.
- A rule that follows elapsed time (a cron job with ``*`` in its minute or hour) takes the clock as it is: what is
  left out does not run, what comes twice runs twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.zones import EPOCH, MARGIN, Segment, Zone

__all__ = ["Grid", "WallClock", "WallRule"]

_SECOND = timedelta(seconds=1)
_from_second = datetime.fromtimestamp
_LATEST = (datetime.max.replace(microsecond=0, tzinfo=UTC) - EPOCH) // _SECOND
"""The last wall second there is: what has not come by then never comes."""


class WallRule(Protocol):
    """A set of wall times, in whole seconds since 1970-01-01T00:00 on the wall."""

    def next_wall(self, wall: int) -> int | None:
        """The first member that is ``wall`` or later."""

    def previous_wall(self, wall: int) -> int | None:
        """The last member that is ``wall`` or earlier."""

    def count_walls(self, first: int, end: int) -> int:
        """How many members are in [first, end)."""


class Grid:
    """Wall times at an even distance from ``start`` on, up to ``last`` (inclusive) or the year 9999; a `WallRule`."""

    __slots__ = ("_last", "_start", "_step")

    def __init__(self, start: int, step: int, last: int | None = None) -> None:
        self._start = start
        self._step = step
        self._last = _LATEST if last is None else min(last, _LATEST)

    def next_wall(self, wall: int) -> int | None:
        found = self._start + self._steps_before(wall) * self._step
        return found if found <= self._last else None

    def previous_wall(self, wall: int) -> int | None:
        steps = (min(wall, self._last) - self._start) // self._step
        return None if steps < 0 else self._start + steps * self._step

    def count_walls(self, first: int, end: int) -> int:
        end = min(end, self._last + 1)
        return max(0, self._steps_before(end) - self._steps_before(first))

    def _steps_before(self, wall: int) -> int:
        return max(0, -((self._start - wall) // self._step))


class WallClock:
    """A wall rule in a zone: instants, aware UTC, in whole seconds.

    ``elapsed`` rules ignore ``gap`` and ``overlap``.
    """

    __slots__ = ("_elapsed", "_first", "_last", "_near", "_shift", "rule", "zone")

    def __init__(self, zone: Zone, rule: WallRule, gap: DstGap, overlap: DstOverlap, *, elapsed: bool) -> None:
        self.zone = zone
        self.rule = rule
        self._elapsed = elapsed
        self._shift = not elapsed and gap == DstGap.SHIFT
        self._first = elapsed or overlap != DstOverlap.LAST
        self._last = elapsed or overlap != DstOverlap.FIRST
        self._near = (0, 0, 0)
        """[first, end) of seconds, the latest that were asked about, in which no clock changes; and their offset."""

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``."""
        passed = after - EPOCH
        second = passed.days * 86_400 + passed.seconds + 1
        first, end, offset = self._near
        if not first <= second < end:
            first, end, offset = self._near = self._quiet(second)
        if first <= second < end:
            # Nearly always: no clock changes between here and there.
            wall = self.rule.next_wall(second + offset)
            if wall is None:
                return None
            if wall - offset < end:
                try:
                    return _from_second(wall - offset, UTC)
                except (OverflowError, ValueError):
                    return None  # behind the year 9999
        found = self._next_second(second)
        return None if found is None else _instant(found)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``."""
        second = self._previous_second(-((EPOCH - before) // _SECOND) - 1)
        return None if second is None else _instant(second)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``]; its cost does not depend on how many there are."""
        second, end = (after - EPOCH) // _SECOND + 1, (until - EPOCH) // _SECOND + 1
        total = 0
        while second < end:
            segment = self.zone.segment(second)
            low, high = self.bounds(segment)
            first = max(low, second + segment.offset)
            last = min(high, end + segment.offset)
            found = self.rule.count_walls(first, last) if first < last else 0
            total += found
            if second == segment.start and self.falls_in_gap(segment):
                total += self.rule.count_walls(low, low + 1) == 0
            second = segment.end
            if not found and second < end and segment.after >= segment.offset:
                # As in `_next_second`: a sparse rule leaps over the segments that have nothing.
                wall = self.rule.next_wall(first)
                second = end if wall is None else max(second, wall - MARGIN)
        return total

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of this rule's own; ``None`` on ordinary days."""
        second = (instant - EPOCH) // _SECOND
        segment = self.zone.segment(second)
        wall = second + segment.offset
        if second == segment.start and self.falls_in_gap(segment) and self.rule.next_wall(wall) != wall:
            return DstMark.SHIFTED
        if wall < segment.start + segment.before:
            return DstMark.SECOND
        if wall >= segment.end + segment.after:
            return DstMark.FIRST
        return None

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of those gaps in (``after``, ``until``] that swallow a time of a fixed-time rule, shifted or not."""
        if self._elapsed:
            return []
        found = []
        for change in self.zone.transitions(after, until):
            end = (change.at - EPOCH) // _SECOND
            wall = self.rule.next_wall(end + change.before // _SECOND)
            if change.is_gap and wall is not None and wall < end + change.after // _SECOND:
                found.append(change.at)
        return found

    def bounds(self, segment: Segment) -> tuple[int, int]:
        """The wall times [low, high) of a segment that count: those that come twice belong to one side, or to both."""
        low, high = segment.start + segment.offset, segment.end + segment.offset
        if not self._last and segment.before > segment.offset:
            low = segment.start + segment.before
        if not self._first and segment.after < segment.offset:
            high = segment.end + segment.after
        return low, high

    def falls_in_gap(self, segment: Segment) -> bool:
        """Whether the rule names a time in the gap at the segment's start, and gaps are shifted."""
        if not self._shift or segment.before >= segment.offset:
            return False
        wall = self.rule.next_wall(segment.start + segment.before)
        return wall is not None and wall < segment.start + segment.offset

    def _quiet(self, second: int) -> tuple[int, int, int]:
        """The seconds around ``second`` whose wall times all count as they are, and their offset; none at a seam."""
        segment = self.zone.segment(second)
        low, high = self.bounds(segment)
        # At the very start of a segment a gap may speak, so that second is left out.
        return max(segment.start + 1, low - segment.offset), high - segment.offset, segment.offset

    def _next_second(self, second: int) -> int | None:
        """The first instant at ``second`` or later."""
        while True:
            segment = self.zone.segment(second)
            if second == segment.start and self.falls_in_gap(segment):
                return second
            low, high = self.bounds(segment)
            wall = self.rule.next_wall(max(low, second + segment.offset))
            if wall is not None and wall < high:
                return wall - segment.offset
            second = segment.end
            if segment.after >= segment.offset:
                # No clock goes back here, so nothing is due before ``wall``: leap over the segments between.
                if wall is None:
                    return None
                second = max(second, wall - MARGIN)

    def _previous_second(self, second: int) -> int | None:
        """The last instant at ``second`` or earlier."""
        while True:
            segment = self.zone.segment(second)
            low, high = self.bounds(segment)
            wall = self.rule.previous_wall(min(high - 1, second + segment.offset))
            if wall is not None and wall >= low:
                return wall - segment.offset
            if self.falls_in_gap(segment):
                return segment.start
            second = segment.start - 1
            if segment.before <= segment.offset:
                if wall is None:
                    return None
                second = min(second, wall + MARGIN)


def _instant(second: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(second, UTC)
    except (OverflowError, ValueError):
        return None  # behind the year 9999
