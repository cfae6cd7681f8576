"""The next and the last instant of a trigger that its exclusions leave, found by days and not by walking.

A stretch of exclusion is left behind in one step, however long it is. Where patterns meet (a cron expression that
excludes, beside one that fires), both are looked at as the bits of a day (`naq.timing.day_bits`), once for each kind of
day. A search costs no more than `naq.timing.counting.STEPS`: that is some thousand days on which the trigger has an
instant, ten years of a daily one. When none of them is allowed, there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from datetime import datetime, timedelta

from naq.timing.counting import STEPS, Single, bits_of
from naq.timing.covering import Cover
from naq.timing.cron_search import DAY
from naq.timing.day_bits import BITS, INSTANT, WHOLE_DAY, DayBits, Steps, first_bit
from naq.timing.zones import EPOCH

__all__ = ["Search"]

_KEPT = 128
"""Kinds of days that a search remembers: 11 kB each."""
_TICK = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)

Ask = Callable[[datetime], datetime | None]


class Search:
    """One search; ``cover`` is what the exclusions cover."""

    def __init__(self, triggers: Sequence[Single], cover: Cover, steps: int = STEPS) -> None:
        self.steps = Steps(steps)
        self._cover = cover
        self._cost = INSTANT * len(triggers)
        self._look = len(triggers) + len(cover.patterns) + 1
        sets = [bits_of(trigger, self.steps) for trigger in triggers]
        self._sets: list[DayBits] | None = [each for each in sets if each is not None]
        if len(self._sets) < len(sets):
            self._sets = None
        self._known: dict[Hashable, tuple[int, bool]] = {}

    def forward(self, first: datetime, following: Ask) -> datetime | None:
        """``first`` if it is allowed, or the first instant after it that is. ``following`` is the trigger's next instant.

        ``None`` when there is none, or none that the search reached.
        """
        at: datetime | None = first
        while at is not None and self.steps.take(self._cost):
            second = (at - EPOCH) // _SECOND
            stretch = self._cover.stretch(second)
            goal = stretch[1] if stretch else self._free_from(second)
            if goal == second:
                return None if self.steps.used_up else at
            begin = _instant(goal)
            at = None if begin is None else following(begin - _TICK)
        return None

    def backward(self, last: datetime, first: datetime, before: Ask) -> datetime | None:
        """``last`` if it is allowed, or the one before it that is, not earlier than ``first``; else ``None``."""
        at: datetime | None = last
        while at is not None and at >= first and self.steps.take(self._cost):
            second = (at - EPOCH) // _SECOND
            stretch = self._cover.stretch(second)
            goal = stretch[0] - 1 if stretch else self._free_until(second)
            if goal == second:
                return None if self.steps.used_up else at
            begin = _instant(goal + 1)
            at = None if begin is None else before(begin)
        return None

    def _free_from(self, second: int) -> int:
        """The first second from ``second`` on at which an instant may be allowed, or one before it to go on from."""
        day, ahead = divmod(second, DAY)
        while self.steps.take(self._look):
            bits, has_any = self._free(day)
            bits >>= ahead
            if bits:
                return day * DAY + ahead + first_bit(bits)
            day, ahead = day + 1, 0
            if not has_any or self._cover.stretch(day * DAY):
                break
        return day * DAY

    def _free_until(self, second: int) -> int:
        """The last second up to ``second`` at which an instant may be allowed, or one after it to go on from."""
        day, ahead = divmod(second, DAY)
        while self.steps.take(self._look):
            bits, has_any = self._free(day)
            bits &= (2 << ahead) - 1
            if bits:
                return day * DAY + bits.bit_length() - 1
            day, ahead = day - 1, DAY - 1
            if not has_any or self._cover.stretch(day * DAY + ahead):
                break
        return day * DAY + ahead

    def _free(self, day: int) -> tuple[int, bool]:
        """The day's seconds in which an instant may be allowed, and whether the trigger has any at all that day."""
        kind = (self._cover.kind(day), *(each.kind(day) for each in self._sets or ()))
        known = self._known.get(kind)
        if known is None:
            self.steps.take(BITS)
            bits = WHOLE_DAY
            if self._sets is not None:
                bits = 0
                for each in self._sets:
                    bits |= each.bits(day)
            if len(self._known) >= _KEPT:
                self._known.clear()
            known = self._known[kind] = (bits & ~self._cover.bits(day), bits != 0)
        return known


def _instant(second: int) -> datetime | None:
    try:
        return EPOCH + timedelta(seconds=second)
    except OverflowError:
        return None
