"""What a schedule's exclusions cover, as seconds: stretches that are known once for all, and patterns, day by day.

A `Cover` answers the three questions that planning has: is this second covered, until when does the stretch go on that it
lies in (a far range is one step, not a million days), and which seconds of a day are covered (`naq.timing.day_bits`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import date

from naq.timing.calendars import EventRule, stretches
from naq.timing.cron_search import DAY
from naq.timing.day_bits import BITS, WHOLE_DAY, DayBits, Steps, first_bit, run_of_bits
from naq.timing.zones import MARGIN, Zone

__all__ = ["MOST_EVENTS", "Cover", "EventBits", "day_stretches"]

MOST_EVENTS = 10_000
"""Events of one rule that are looked at in `WINDOW` days; `EventRule` refuses rules that have more."""
WINDOW = 400
_LAST_DAY = (date(9000, 1, 1) - date(1970, 1, 1)).days
"""Behind it no event is looked for."""
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class Cover:
    """The seconds that any of some exclusions covers."""

    def __init__(self, spans: Iterable[tuple[int, int]], patterns: Sequence[DayBits]) -> None:
        """``spans``: stretches [first, end) of seconds, in any order."""
        merged: list[tuple[int, int]] = []
        for first, end in sorted(spans):
            if merged and first <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            elif first < end:
                merged.append((first, end))
        self.stretches: Sequence[tuple[int, int]] = merged
        self._starts = [first for first, _ in merged]
        self.patterns = patterns

    def stretch(self, second: int) -> tuple[int, int] | None:
        """The known stretch that ``second`` lies in; patterns are not asked."""
        place = bisect_right(self._starts, second) - 1
        if place >= 0 and second < self.stretches[place][1]:
            return self.stretches[place]
        return None

    def between(self, first: int, end: int) -> Iterator[tuple[int, int]]:
        """The known stretches within [first, end)."""
        for place in range(max(bisect_right(self._starts, first) - 1, 0), len(self.stretches)):
            low, high = self.stretches[place]
            if low >= end:
                return
            if high > first:
                yield max(low, first), min(high, end)

    def runs(self, first: int, end: int, steps: Steps) -> Iterator[tuple[int, int]]:
        """The covered runs within [first, end), in order, as far as the steps reach."""
        if not self.patterns:
            yield from self.between(first, end)
            return
        known: dict[Hashable, list[tuple[int, int]]] = {}
        open_run: tuple[int, int] | None = None
        for day in range(first // DAY, (end - 1) // DAY + 1):
            if not steps.take(len(self.patterns) + 1):
                break
            kind = self.kind(day)
            if kind not in known:
                steps.take(BITS)
                known[kind] = list(_runs_of(self.bits(day), steps))
            for low, high in known[kind]:
                low, high = max(low + day * DAY, first), min(high + day * DAY, end)
                if low >= high:
                    continue
                if open_run is not None and low == open_run[1]:
                    open_run = open_run[0], high
                    continue
                if open_run is not None:
                    yield open_run
                open_run = low, high
        if open_run is not None:
            yield open_run

    def kind(self, day: int) -> Hashable:
        """What decides about the day's bits; days of equal kind have equal bits."""
        known = self.stretch(day * DAY)
        if known is not None and known[1] >= (day + 1) * DAY:
            return True
        kinds = tuple([pattern.kind(day) for pattern in self.patterns])
        return kinds if next(self.between(day * DAY, (day + 1) * DAY), None) is None else (day, kinds)

    def bits(self, day: int) -> int:
        """The day's seconds that are covered, bit 0 the first one."""
        low = day * DAY
        bits = 0
        for first, end in self.between(low, low + DAY):
            bits |= run_of_bits(first - low, end - low)
        if bits != WHOLE_DAY:
            for pattern in self.patterns:
                bits |= pattern.bits(day)
        return bits


def _runs_of(bits: int, steps: Steps) -> Iterator[tuple[int, int]]:
    """The runs of bits that are set."""
    at = 0
    while bits and steps.take(BITS):
        ahead = first_bit(bits)
        bits >>= ahead
        length = first_bit(~bits)
        bits >>= length
        at += ahead + length
        yield at - length, at


class EventBits:
    """The seconds of a recurring event, read for `WINDOW` days at once."""

    def __init__(self, rule: EventRule, tz: str) -> None:
        self._rule = rule
        self._tz = tz
        self._window = 0, 0
        self._events = Cover((), ())

    def kind(self, day: int) -> Hashable:
        low = day * DAY
        self._load(day)
        first = next(self._events.between(low, low + DAY), None)
        return None if first is None else True if first == (low, low + DAY) else (day,)

    def bits(self, day: int) -> int:
        self._load(day)
        return self._events.bits(day)

    def _load(self, day: int) -> None:
        first, end = self._window
        if not first <= day < end:
            first = day - day % WINDOW
            self._window = first, first + WINDOW
            last = min(first + WINDOW, _LAST_DAY)
            found = self._rule.spans(first * DAY, last * DAY, self._tz) if first < last else ()
            self._events = Cover((span for _, span in zip(range(MOST_EVENTS), found, strict=False)), ())


def day_stretches(zone: Zone, first: date, last: date) -> Iterator[tuple[int, int]]:
    """The stretches of instants that lie on the days from ``first`` to ``last`` on the zone's calendar.

    Only the two rims are looked at closely: no offset is more than `MARGIN`.
    """
    low, high = (first.toordinal() - _EPOCH_ORDINAL) * DAY, (last.toordinal() + 1 - _EPOCH_ORDINAL) * DAY
    seams = [(low - MARGIN, high + MARGIN)] if high - low < 3 * MARGIN else []
    if not seams:
        yield low + MARGIN, high - MARGIN
        seams = [(low - MARGIN, low + MARGIN), (high - MARGIN, high + MARGIN)]
    for rim_start, rim_end in seams:
        for start, stop, offset in stretches(zone, rim_start, rim_end):
            piece = max(start, low - offset), min(stop, high - offset)
            if piece[0] < piece[1]:
                yield piece
