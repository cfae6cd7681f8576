"""Changes of clocks, written down by hand from the announcements: what the tests of the DST rules stand on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


def wall(text: str) -> datetime:
    """A naive wall time."""
    return datetime.fromisoformat(text)


def offset(text: str) -> timedelta:
    """``+05:30`` as a timedelta."""
    sign = -1 if text.startswith("-") else 1
    hours, minutes = text[1:].split(":")
    return sign * timedelta(hours=int(hours), minutes=int(minutes))


@dataclass(frozen=True)
class Change:
    """A zone, what its clocks showed when they were changed, what they showed then, and the offsets."""

    zone: str
    old: datetime
    new: datetime
    before: timedelta
    after: timedelta

    @property
    def at(self) -> datetime:
        """The first instant after the change."""
        return (self.old - self.before).replace(tzinfo=UTC)

    @property
    def middle(self) -> datetime:
        """A wall time, to the minute, in the middle of what was left out or came twice."""
        low, high = min(self.old, self.new), max(self.old, self.new)
        return (low + (high - low) / 2).replace(second=0)

    @property
    def length(self) -> timedelta:
        return abs(self.new - self.old)

    def early(self, local: datetime) -> datetime:
        """The instant of a wall time by the old offset."""
        return (local - self.before).replace(tzinfo=UTC)

    def late(self, local: datetime) -> datetime:
        """The instant of a wall time by the new offset."""
        return (local - self.after).replace(tzinfo=UTC)

    def __str__(self) -> str:
        return f"{self.zone.rpartition('/')[2]} {self.old.date()}"


def _changes(table: str) -> list[Change]:
    changes = []
    for line in table.strip().splitlines():
        zone, old, new, before, after = line.split()
        change = Change(zone, wall(old), wall(new), offset(before), offset(after))
        assert change.new - change.old == change.after - change.before
        changes.append(change)
    return changes


GAPS = _changes("""
Europe/Berlin          2026-03-29T02:00  2026-03-29T03:00  +01:00  +02:00
Europe/London          2026-03-29T01:00  2026-03-29T02:00  +00:00  +01:00
Europe/Dublin          2026-03-29T01:00  2026-03-29T02:00  +00:00  +01:00
America/New_York       2026-03-08T02:00  2026-03-08T03:00  -05:00  -04:00
America/Havana         2024-03-10T00:00  2024-03-10T01:00  -05:00  -04:00
America/Asuncion       2023-10-01T00:00  2023-10-01T01:00  -04:00  -03:00
America/Sao_Paulo      2018-11-04T00:00  2018-11-04T01:00  -03:00  -02:00
America/St_Johns       2006-04-02T00:01  2006-04-02T01:01  -03:30  -02:30
America/Caracas        2016-05-01T02:30  2016-05-01T03:00  -04:30  -04:00
Asia/Beirut            2022-03-27T00:00  2022-03-27T01:00  +02:00  +03:00
Asia/Pyongyang         2018-05-04T23:30  2018-05-05T00:00  +08:30  +09:00
Africa/Casablanca      2023-04-23T02:00  2023-04-23T03:00  +00:00  +01:00
Antarctica/Troll       2025-03-30T01:00  2025-03-30T03:00  +00:00  +02:00
Australia/Sydney       2026-10-04T02:00  2026-10-04T03:00  +10:00  +11:00
Australia/Lord_Howe    2026-10-04T02:00  2026-10-04T02:30  +10:30  +11:00
Pacific/Apia           2011-12-30T00:00  2011-12-31T00:00  -10:00  +14:00
Pacific/Kwajalein      1993-08-21T00:00  1993-08-22T00:00  -12:00  +12:00
""")

OVERLAPS = _changes("""
Europe/Berlin          2026-10-25T03:00  2026-10-25T02:00  +02:00  +01:00
Europe/London          2026-10-25T02:00  2026-10-25T01:00  +01:00  +00:00
Europe/Dublin          2026-10-25T02:00  2026-10-25T01:00  +01:00  +00:00
America/New_York       2026-11-01T02:00  2026-11-01T01:00  -04:00  -05:00
America/Havana         2024-11-03T01:00  2024-11-03T00:00  -04:00  -05:00
America/Asuncion       2024-03-24T00:00  2024-03-23T23:00  -03:00  -04:00
America/Sao_Paulo      2019-02-17T00:00  2019-02-16T23:00  -02:00  -03:00
America/St_Johns       2006-10-29T00:01  2006-10-28T23:01  -02:30  -03:30
America/Caracas        2007-12-09T03:00  2007-12-09T02:30  -04:00  -04:30
Asia/Beirut            2022-10-30T00:00  2022-10-29T23:00  +03:00  +02:00
Asia/Pyongyang         2015-08-15T00:00  2015-08-14T23:30  +09:00  +08:30
Africa/Casablanca      2023-03-19T03:00  2023-03-19T02:00  +01:00  +00:00
Antarctica/Troll       2025-10-26T03:00  2025-10-26T01:00  +02:00  +00:00
Australia/Sydney       2026-04-05T03:00  2026-04-05T02:00  +11:00  +10:00
Australia/Lord_Howe    2026-04-05T02:00  2026-04-05T01:30  +11:00  +10:30
Pacific/Apia           2012-04-01T04:00  2012-04-01T03:00  +14:00  +13:00
""")
