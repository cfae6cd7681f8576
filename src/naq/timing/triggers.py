"""Triggers: values that say at which instants a schedule is to fire.

A trigger is frozen, serialises, compares, prints itself in plain words, and answers two questions without any state:
`next_after` and `previous`. Instants are aware UTC. The rules are those of ``docs/concepts/schedules.md``.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from naq.timing.cron import Cron
from naq.timing.duration import duration_text

__all__ = ["Cron", "Interval", "Once", "Trigger"]


class Once(msgspec.Struct, frozen=True, tag="once"):
    """One instant."""

    at: datetime

    def next_after(self, after: datetime) -> datetime | None:
        """The instant, if it is later than ``after``."""
        return self.at if self.at > after else None

    def previous(self, before: datetime) -> datetime | None:
        """The instant, if it is earlier than ``before``."""
        return self.at if self.at < before else None

    def __str__(self) -> str:
        return f"once at {self.at.astimezone(UTC).isoformat(sep=' ', timespec='seconds')}"


class Interval(msgspec.Struct, frozen=True, tag="interval"):
    """Every ``every`` from ``anchor`` on: anchor, anchor + every, anchor + 2 every, ... so it cannot drift.

    ``anchor`` ``None`` means the time of creation; `bound` fills it in.
    """

    every: timedelta
    anchor: datetime | None = None

    def bound(self, created_at: datetime) -> Interval:
        """The same interval with its anchor filled in."""
        return self if self.anchor is not None else Interval(self.every, created_at)

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant of the grid later than ``after``; the first one of all is the anchor."""
        anchor = self._anchor()
        steps = max(0, (after - anchor) // self.every + 1)
        try:
            return anchor + steps * self.every
        except OverflowError:
            return None

    def previous(self, before: datetime) -> datetime | None:
        """The last instant of the grid earlier than ``before``."""
        anchor = self._anchor()
        steps = -((anchor - before) // self.every) - 1
        return anchor + steps * self.every if steps >= 0 else None

    def _anchor(self) -> datetime:
        if self.anchor is None:
            raise ValueError("the interval has no anchor yet: use bound(created_at)")
        return self.anchor

    def __str__(self) -> str:
        return f"every {duration_text(self.every)}"


Trigger = Once | Interval | Cron
