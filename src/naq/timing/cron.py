"""Cron expressions in a time zone, by Debian's rules."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from cronsim import CronSim

__all__ = ["Cron"]


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


class Cron(msgspec.Struct, frozen=True, tag="cron", omit_defaults=True):
    """A cron expression of five fields, or six with leading seconds, read in the IANA zone ``tz``."""

    expression: str
    tz: str = "UTC"

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant later than ``after``; ``None`` when there is none within fifty years."""
        it = CronSim(self.expression, after.astimezone(_zone(self.tz)))
        try:
            return next(it).astimezone(UTC)
        except StopIteration:
            return None

    def previous(self, before: datetime) -> datetime | None:
        """The last instant earlier than ``before``."""
        it = CronSim(self.expression, before.astimezone(_zone(self.tz)), reverse=True)
        try:
            return next(it).astimezone(UTC)
        except StopIteration:
            return None

    def __str__(self) -> str:
        return f"{self.expression} ({self.tz})"
