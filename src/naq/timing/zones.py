"""IANA zones as arithmetic: which offset holds when, and where it changes.

A zone is a line of seconds cut into `Segment` pieces of constant offset. `zoneinfo` answers "which offset holds at this
instant" but not "when does it change", so the changes are found by probing and bisection, once per zone and year, and
kept. Everything that has to do with wall-clock time (`naq.timing.wall`) stands on these pieces and on integers: seconds
since 1970-01-01T00:00 UTC for instants, and seconds since 1970-01-01T00:00 on the wall for local times.
"""

from __future__ import annotations

import difflib
import zoneinfo
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.dst import DstGap, DstOverlap
from naq.timing.zone_data import last_listed, load_zone, own_directory, zone_data

__all__ = [
    "EPOCH",
    "Segment",
    "Transition",
    "Zone",
    "check_zone",
    "get_zone",
    "nearest_zones",
    "resolve",
    "ruled_until",
    "use_zone_data",
]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400
CHUNK = 31_557_600
"""Seconds that are searched for changes in one go: a year of 365.25 days."""
MARGIN = 2 * DAY
"""No gap or overlap is longer than a day (Samoa left out one): two days around a chunk are enough to see it whole."""
_RULED = 2_145_916_800
"""2038-01-01: from here on a zone changes by its rule or by a table of months, never twice within `_RULED_PROBE`."""
_RULED_PROBE = 14 * DAY
_UNCHANGING = frozenset(("UTC", "UCT", "GMT", "Zulu", "Universal", "Greenwich"))
"""With all of ``Etc/``: the zones whose offset is part of their definition."""
_NO_ZONES = frozenset(("localtime", "posixrules", "Factory"))
_FAR = 1 << 60
_SECOND = timedelta(seconds=1)
_EARLIEST = (date.min.toordinal() - date(1970, 1, 1).toordinal() + 2) * DAY
_LATEST = (date.max.toordinal() - date(1970, 1, 1).toordinal() - 2) * DAY


class Segment(NamedTuple):
    """A stretch of time with one offset from UTC; all numbers are seconds."""

    start: int
    """The first second."""
    end: int
    """The second after the last one."""
    before: int
    """The offset just before ``start``; equal to ``offset`` when nothing changes there."""
    offset: int
    """Local time minus UTC."""
    after: int
    """The offset from ``end`` on; equal to ``offset`` when nothing changes there."""


class Transition(NamedTuple):
    """A change of a zone's offset."""

    at: datetime
    """The first instant with the new offset, aware UTC."""
    before: timedelta
    after: timedelta

    @property
    def is_gap(self) -> bool:
        """Whether wall times are left out; otherwise some come twice."""
        return self.after > self.before


class Zone:
    """An IANA zone with its changes of offset; get one by `get_zone`."""

    __slots__ = ("_chunks", "_whole", "info", "name")

    def __init__(self, name: str, info: zoneinfo.ZoneInfo) -> None:
        self.name = name
        self.info = info
        self._chunks: dict[int, tuple[Segment, ...]] = {}
        self._whole: Segment | None = None
        if name.startswith("Etc/") or name in _UNCHANGING:
            offset = self.offset_at(0)
            self._whole = Segment(-_FAR, _FAR, offset, offset, offset)

    def segment(self, second: int) -> Segment:
        """The stretch of constant offset that ``second`` (UTC) lies in.

        A long stretch is handed out in pieces of about a year (of UTC and its like, whole); a piece that begins or ends
        without a change has ``before`` or ``after`` equal to ``offset``.
        """
        if self._whole is not None:
            return self._whole
        number = second // CHUNK
        for segment in self._chunks.get(number) or self._load(number):
            if second < segment.end:
                return segment
        raise AssertionError("a chunk covers its whole year")

    def offset_at(self, second: int) -> int:
        """Local time minus UTC at ``second``, in seconds; outside of the years 1 to 9999 that of the nearest day."""
        clamped = min(max(second, _EARLIEST), _LATEST)
        offset = (EPOCH + timedelta(seconds=clamped)).astimezone(self.info).utcoffset()
        assert offset is not None
        return offset // _SECOND

    def transitions(self, after: datetime, until: datetime) -> tuple[Transition, ...]:
        """The changes of offset in (``after``, ``until``], in order."""
        found = []
        last = (until - EPOCH) // _SECOND
        segment = self.segment((after - EPOCH) // _SECOND)
        while segment.end <= last:
            if segment.after != segment.offset:
                at = EPOCH + timedelta(seconds=segment.end)
                found.append(Transition(at, timedelta(seconds=segment.offset), timedelta(seconds=segment.after)))
            segment = self.segment(segment.end)
        return tuple(found)

    def _load(self, number: int) -> tuple[Segment, ...]:
        """Cut one chunk into segments; seams a little outside are looked for too: those at its rims must be real."""
        low, high = number * CHUNK, (number + 1) * CHUNK
        first = (low - MARGIN, self.offset_at(low - MARGIN))
        marks = [first, *self._changes(low - MARGIN, high + MARGIN)]
        segments = []
        for index, (start, offset) in enumerate(marks):
            is_last = index + 1 == len(marks)
            end, after = (high, offset) if is_last else marks[index + 1]
            if end > low and start < high:
                before = marks[max(0, index - 1)][1]
                segments.append(Segment(start if index else low, end, before, offset, after))
        self._chunks[number] = tuple(segments)
        return self._chunks[number]

    def _changes(self, low: int, high: int) -> list[tuple[int, int]]:
        """Every (second, new offset) in (low, high]. No zone has ever changed twice within a day."""
        changes = []
        probe = DAY if low < _RULED else _RULED_PROBE
        left, offset = low, self.offset_at(low)
        while left < high:
            right = min(left + probe, high)
            changed = self.offset_at(right)
            if changed != offset:
                inside, outside = left, right
                while outside - inside > 1:
                    middle = (inside + outside) // 2
                    if self.offset_at(middle) == offset:
                        inside = middle
                    else:
                        outside = middle
                changes.append((outside, changed))
            left, offset = right, changed
        return changes


def resolve(
    wall: datetime, zone: str, gap: DstGap = DstGap.SHIFT, overlap: DstOverlap = DstOverlap.FIRST
) -> tuple[datetime, ...]:
    """The instants (aware UTC) at which the clocks of ``zone`` show the naive time ``wall``: none, one or two.

    A time that does not exist is none with ``gap="skip"``, and otherwise the first instant after the gap.
    """
    known = get_zone(zone)
    whole = wall.replace(microsecond=0, tzinfo=UTC)
    second = (whole - EPOCH) // _SECOND
    found: list[int] = []
    gap_end: int | None = None
    at = second - MARGIN
    while at <= second + MARGIN:
        segment = known.segment(at)
        instant = second - segment.offset
        if segment.start <= instant < segment.end and instant not in found:
            found.append(instant)
        if segment.start + segment.before <= second < segment.start + segment.offset:
            gap_end = segment.start
        at = segment.end
    if not found and gap_end is not None:
        return () if gap == DstGap.SKIP else (EPOCH + timedelta(seconds=gap_end),)
    chosen = {DstOverlap.FIRST: found[:1], DstOverlap.LAST: found[-1:], DstOverlap.BOTH: found}[overlap]
    fraction = wall - wall.replace(microsecond=0)
    return tuple(EPOCH + timedelta(seconds=instant) + fraction for instant in chosen)


@lru_cache(maxsize=2048)
def get_zone(name: str) -> Zone:
    """The zone with the IANA name ``name``, loaded once per process.

    Raises `InvalidSchedule` when this machine has no such zone: that schedule alone cannot be planned here. Names that
    mean something else on each machine (``localtime``), or another time (``right/...`` counts leap seconds), are none.
    """
    if name in _NO_ZONES or name.startswith(("right/", "posix/")):
        raise InvalidSchedule(_unknown(name, "timezone"))
    try:
        return Zone(name, load_zone(name))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidSchedule(_unknown(name, "timezone")) from error


_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})


def check_zone(name: str, field: str) -> list[Problem]:
    """What is wrong with the zone called ``name`` that the user wrote in ``field``; empty when it can be loaded."""
    try:
        get_zone(name)
    except InvalidSchedule:
        return [_unknown(name, field)]
    return []


def _unknown(name: str, field: str) -> Problem:
    if name in _NO_ZONES:
        reason = "means another zone on each machine: write the zone's own name, or UTC"
        return Problem(field, shown(name), reason, "'Europe/Berlin'")
    near = nearest_zones(name)
    hint = f"; did you mean {' or '.join(near)}?" if near else ""
    return Problem(field, shown(name), f"is no time zone of the IANA database on this machine{hint}", "'Europe/Berlin'")


def nearest_zones(name: str, count: int = 3) -> tuple[str, ...]:
    """Zones whose name, or whose city, is written much like ``name``; the likeliest first."""
    by_word: dict[str, list[str]] = {}
    for zone in sorted(zoneinfo.available_timezones()):
        for word in (zone.casefold(), zone.rpartition("/")[2].casefold()):
            by_word.setdefault(word, []).append(zone)
    wanted = name.strip().casefold().replace(" ", "_")
    near = [*([wanted] if wanted in by_word else []), *difflib.get_close_matches(wanted, by_word, n=count, cutoff=0.75)]
    zones = dict.fromkeys(zone for word in near for zone in sorted(by_word[word], key=lambda zone: -zone.count("/")))
    return tuple(zones)[:count]


def use_zone_data(directory: str | Path | None) -> None:
    """Use the zone database in this directory, too, where it is the newest: in the whole process, from its start on. Zones that
    were planned with before stay as they were. ``None``: nothing changes."""
    if directory is not None and Path(directory) != own_directory.path:
        own_directory.path = Path(directory)
        get_zone.cache_clear()


def ruled_until(name: str) -> datetime | None:
    """The last change of offset that the database lists for a zone by its date, if that lies after its release; ``None``: it
    goes by a rule, or does not change.

    Gaza's clocks follow Ramadan, and the database has its dates until 2086; from then on the rule takes no account of it.
    """
    get_zone(name)
    year, listed = zone_data().year, last_listed(name)
    return listed if year is not None and listed is not None and listed.year > year else None
