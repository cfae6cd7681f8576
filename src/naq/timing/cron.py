"""Cron expressions in a time zone, by Debian's rules.

The expression is read once (`naq.timing.cron_fields`), searched by arithmetic (`naq.timing.cron_search`) and hung
in its zone (`naq.timing.wall`); this module is the value that is stored, compared and printed.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import ClassVar

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.cron_search import search_of
from naq.timing.cron_words import describe
from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.kind import SingleKind, beside
from naq.timing.wall import WallClock
from naq.timing.zones import check_zone, get_zone

__all__ = ["Cron"]


class Cron(SingleKind, frozen=True, cache_hash=True, tag="cron", omit_defaults=True):
    """A cron expression of five fields, or six with leading seconds, read in the IANA zone ``tz``.

    A fixed-time expression (minute and hour both without a leading ``*``) obeys ``dst_gap`` and ``dst_overlap``; one
    with a wildcard follows elapsed time, whatever they say.
    """

    key: ClassVar[str] = "cron"

    expression: str
    tz: str = "UTC"
    day_or: bool = True
    """Day of month and day of week, when both are restricted: one is enough (as in cron). False: both must match."""
    dst_gap: DstGap = DstGap.SHIFT
    dst_overlap: DstOverlap = DstOverlap.FIRST

    @property
    def zone_name(self) -> str:
        """Its zone."""
        return self.tz

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``; ``None`` when there is none up to the year 9999.

        Raises `InvalidSchedule` when the zone cannot be loaded here or the expression cannot be read.
        """
        return _clock(self).next_after(after)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``. Raises like `next_after`."""
        return _clock(self).previous(before)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``], exactly; a year of seconds costs what one of days does."""
        return self.clock().count_between(after, until)

    def bound(self, created_at: datetime) -> Cron:
        """Itself: a cron expression needs no anchor."""
        return self

    def check(self, field: str) -> list[Problem]:
        """What is wrong with it, told for the user's ``field`` (the zone's complaint is for ``timezone`` beside it)."""
        problems = check_zone(self.tz, beside(field, "timezone"))
        try:
            search = search_of(self.expression, self.day_or)
        except InvalidSchedule as error:
            return [
                *(Problem(field, found.value, found.reason, found.example) for found in error.problems),
                *problems,
            ]
        if not search.can_fire():
            reason = "can never fire: no month has such a day"
            return [Problem(field, shown(self.expression), reason, "'0 0 L * *'"), *problems]
        return problems

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of its own; ``None`` on ordinary days."""
        return self.clock().mark(instant)

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of the gaps in (``after``, ``until``] that swallow one of its times, shifted or not."""
        return self.clock().gaps(after, until)

    def __str__(self) -> str:
        try:
            search = search_of(self.expression, self.day_or)
        except InvalidSchedule:
            return f"cron {self.expression}, {self.tz}"
        return f"{describe(search.fields, search.matches_both)}, {self.tz}"

    def clock(self) -> WallClock:
        """The expression hung in its zone, made once. Raises like `next_after`."""
        return _clock(self)


@lru_cache(maxsize=65536)
def _clock(trigger: Cron) -> WallClock:
    search = search_of(trigger.expression, trigger.day_or)
    gap, overlap = trigger.dst_gap, trigger.dst_overlap
    return WallClock(get_zone(trigger.tz), search, gap, overlap, elapsed=not search.fields.is_fixed)
