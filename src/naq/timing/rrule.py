"""Recurrence rules of RFC 5545 (iCalendar), read on the wall clock of a zone: the value that is stored, compared and printed.

What computes their instants (`naq.timing.rrule_clock`) is loaded with the first rule that is asked for one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.kind import SingleKind, beside

if TYPE_CHECKING:
    from naq.timing.rrule_clock import RuleClock

__all__ = ["RRule"]


class RRule(SingleKind, frozen=True, tag="rrule", omit_defaults=True):
    """An RFC 5545 recurrence rule, e.g. ``FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1``, on the wall clock of ``tz``.

    ``dtstart`` is where it counts from, and the wall time of day it has when the rule names none; a naive one is a wall
    time of ``tz``. It is an occurrence only if the rule says so. Rules by the hour, minute or second count elapsed
    time, all others obey ``dst_gap`` and ``dst_overlap``.
    """

    key: ClassVar[str] = "rrule"
    open_field: ClassVar[str | None] = "dtstart"

    rrule: str
    dtstart: datetime | None = None
    """``None``: the time of creation, to the second, which `bound` fills in."""
    tz: str = "UTC"
    dst_gap: DstGap = DstGap.SHIFT
    dst_overlap: DstOverlap = DstOverlap.FIRST
    without: tuple[datetime, ...] = ()
    """EXDATE: times of the rule that are called off; naive ones are wall times of ``tz``."""
    added: tuple[datetime, ...] = ()
    """RDATE: times beside those of the rule; UNTIL and COUNT do not count them."""

    @property
    def zone_name(self) -> str:
        """Its zone."""
        return self.tz

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``. Raises `InvalidSchedule` when it is not usable here."""
        return _clock(self).next_after(after)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``. Raises like `next_after`."""
        return _clock(self).previous(before)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``], exactly, by arithmetic over periods. Raises like `next_after`."""
        return _clock(self).count_between(after, until)

    def bound(self, created_at: datetime) -> RRule:
        """The same rule with its start filled in, as a wall time."""
        if self.dtstart is not None:
            return self
        from naq.timing.zones import get_zone

        wall = created_at.astimezone(get_zone(self.tz).info).replace(tzinfo=None, microsecond=0)
        return msgspec.structs.replace(self, dtstart=wall)

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it, told for the user's ``field``; a rule that can never fire is refused.

        Without ``dtstart`` only what no start at all can make fire is refused.
        """
        from naq.timing.rrule_clock import FIRST_YEAR, LAST_YEAR, can_fire
        from naq.timing.rrule_parts import bad_rule
        from naq.timing.zones import check_zone

        problems = check_zone(self.tz, beside(field, "timezone"))
        for at in (self.dtstart, *self.without, *self.added):
            if at is not None and not FIRST_YEAR <= at.year <= LAST_YEAR:
                reason = f"must lie between the years {FIRST_YEAR} and {LAST_YEAR}"
                problems.append(Problem(beside(field, "dtstart"), shown(str(at)), reason, "'2030-01-07T09:00:00'"))
        if problems:
            return problems
        try:
            if self.dtstart is None:
                never = not can_fire(self.rrule)
            else:
                never = _clock(self).next_after(datetime(FIRST_YEAR - 1, 1, 1, tzinfo=UTC)) is None
            if never:
                raise bad_rule(self.rrule, "can never fire")
        except InvalidSchedule as error:
            return [Problem(field, found.value, found.reason, found.example) for found in error.problems]
        return []

    def clock(self) -> RuleClock:
        """The rule hung in its zone, made once. Raises like `next_after`."""
        return _clock(self)

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of its own; ``None`` on ordinary days."""
        return _clock(self).mark(instant)

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of the gaps in (``after``, ``until``] that swallow one of its times, shifted or not."""
        return self.clock().gaps(after, until)

    def __str__(self) -> str:
        from naq.timing.rrule_parts import parse_rule
        from naq.timing.rrule_words import describe_rule

        try:
            words = describe_rule(parse_rule(self.rrule), self.dtstart)
        except InvalidSchedule:
            words = self.rrule
        if self.added:
            words += f", and {len(self.added)} more time{'s' if len(self.added) > 1 else ''}"
        if self.without:
            words += f", without {len(self.without)} time{'s' if len(self.without) > 1 else ''}"
        start = self.dtstart
        if start is None:
            return f"{words}, {self.tz}"
        return f"{words}, {self.tz}, from {start.isoformat(sep=' ', timespec='seconds' if start.second else 'minutes')}"


@lru_cache(maxsize=16384)
def _clock(trigger: RRule) -> RuleClock:
    from naq.timing.rrule_clock import WrittenRule, clock_of

    start = trigger.dtstart
    if start is None:
        raise InvalidSchedule.of("dtstart", None, "is open: use bound(created_at) first", "2030-01-31T09:00:00")
    gap, overlap = trigger.dst_gap, trigger.dst_overlap
    return clock_of(WrittenRule(trigger.rrule, start, trigger.tz, gap, overlap, trigger.without, trigger.added))
