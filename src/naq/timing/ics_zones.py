"""Which IANA zone a TZID means: by its name, by the Windows zone of that name, or by the file's own definition.

Outlook and Exchange write names of Windows (``W. Europe Standard Time``) or of their own (``Customized Time Zone``), with a
VTIMEZONE that gives the rules. Of such a definition the IANA zone is looked for that has had, and will have, the same
offsets for ten years: only that knows what governments decide later.
"""

from __future__ import annotations

import re
import zoneinfo
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from naq.exceptions import InvalidSchedule
from naq.timing.ics_lines import ContentLine, read_when, read_whens
from naq.timing.rrule_clock import recurrence
from naq.timing.rrule_parts import parse_rule
from naq.timing.windows_zones import WINDOWS_ZONES
from naq.timing.zones import EPOCH, check_zone, get_zone

__all__ = ["FileZones"]

_FROM, _TO = datetime(2024, 1, 1, tzinfo=UTC), datetime(2034, 1, 1, tzinfo=UTC)
"""The years in which a definition must agree with a zone."""
_SECOND = timedelta(seconds=1)
_TICK = timedelta(microseconds=1)
_OFFSET = re.compile(r"([+-])(\d\d)(\d\d)(\d\d)?", re.ASCII)
_MOST_ONSETS = 200
_WINDOWS = {name.casefold(): zone for name, zone in WINDOWS_ZONES.items()}


class _Onset(NamedTuple):
    """A change of the clocks: from that second on the offset is ``after``."""

    at: int
    before: int
    after: int


class FileZones:
    """The zones that a file's TZIDs mean."""

    def __init__(self, lines: Iterable[ContentLine]) -> None:
        self._definitions = _definitions(lines)
        self._known: dict[str, str] = {}

    def zone_of(self, name: str) -> str:
        """The IANA name of the zone called ``name`` in the file. Raises ValueError with the reason."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._found(name)
        return known

    def _found(self, name: str) -> str:
        for candidate in (name, _WINDOWS.get(name.casefold(), ""), *_endings(name)):
            if candidate and not check_zone(candidate, "TZID"):
                return candidate
        definition = self._definitions.get(name)
        if definition is None:
            reason = check_zone(name, "TZID")[0].reason
            raise ValueError(f"{name!r} {reason}, is no zone of Windows, and the file does not define it")
        for line in definition:
            if line.name in ("X-LIC-LOCATION", "TZID-ALIAS-OF") and not check_zone(line.value, "TZID"):
                return line.value
        zone = _matching(_onsets(definition))
        if zone is None:
            raise ValueError(f"{name!r} is defined in the file by rules that no zone of the IANA database follows")
        return zone


def _endings(name: str) -> list[str]:
    """``/mozilla.org/20050126_1/Europe/Berlin`` ends with the name of a zone."""
    parts = name.strip("/").split("/")
    return ["/".join(parts[-count:]) for count in (3, 2) if name.startswith("/") and len(parts) > count]


def _definitions(lines: Iterable[ContentLine]) -> dict[str, list[ContentLine]]:
    """The lines of each VTIMEZONE by its TZID."""
    found: dict[str, list[ContentLine]] = {}
    current: list[ContentLine] | None = None
    for line in lines:
        if line.name == "BEGIN" and line.value.upper() == "VTIMEZONE":
            current = []
        elif line.name == "END" and line.value.upper() == "VTIMEZONE" and current is not None:
            name = next((each.value for each in current if each.name == "TZID"), "")
            found[name] = current
            current = None
        elif current is not None:
            current.append(line)
    return found


def _onsets(definition: Sequence[ContentLine]) -> list[_Onset]:
    """The changes of the clocks in the years looked at, and the last one before. Raises ValueError."""
    found: list[_Onset] = []
    part: list[ContentLine] = []
    for line in definition:
        if line.name == "BEGIN":
            part = []
        elif line.name == "END":
            found += _onsets_of(part)
        else:
            part.append(line)
    if not found:
        raise ValueError("its VTIMEZONE says of no time what the clocks show")
    return sorted(found)


def _onsets_of(part: Sequence[ContentLine]) -> list[_Onset]:
    """The changes that one STANDARD or DAYLIGHT names."""
    named = {line.name: line for line in part}
    missing = [name for name in ("DTSTART", "TZOFFSETFROM", "TZOFFSETTO") if name not in named]
    if missing:
        raise ValueError(f"its VTIMEZONE has no {missing[0]}")
    before, after = _offset(named["TZOFFSETFROM"].value), _offset(named["TZOFFSETTO"].value)
    start = read_when(named["DTSTART"], lambda name: name).wall
    walls = [start.replace(tzinfo=UTC)]
    walls += [wall.replace(tzinfo=UTC) for line in part if line.name == "RDATE" for wall in _walls_of(line)]
    for line in part:
        if line.name == "RRULE":
            walls += _recurring(line.value, start, timedelta(seconds=before))
    return [_Onset((wall - EPOCH) // _SECOND - before, before, after) for wall in walls]


def _walls_of(line: ContentLine) -> list[datetime]:
    return [when.wall for when in read_whens(line, lambda name: name)]


def _recurring(text: str, start: datetime, before: timedelta) -> list[datetime]:
    """The wall times of a rule in the years looked at, and the last one before, as if they were UTC.

    UNTIL is true UTC: there the clocks are still ``before`` away from it.
    """
    try:
        until = parse_rule(text).until
        clock = recurrence(re.sub(r";?UNTIL=[^;]*", "", text.upper()), start, "UTC")
        found = [clock.previous(_FROM)]
        while len(found) < _MOST_ONSETS and (following := clock.next_after(found[-1] or _FROM - _TICK)) is not None:
            if following >= _TO:
                break
            found.append(following)
    except InvalidSchedule as error:
        raise ValueError(f"its VTIMEZONE has an RRULE that {error.problems[0].reason}") from error
    walls = [wall for wall in found if wall is not None]
    if until is None:
        return walls
    last = until.wall.replace(tzinfo=UTC) + (before if until.is_utc else timedelta(0))
    if walls and walls[0] > last:
        return [wall for wall in (clock.previous(last + _TICK),) if wall is not None]
    return [wall for wall in walls if wall <= last]


def _offset(text: str) -> int:
    match = _OFFSET.fullmatch(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        raise ValueError(f"its VTIMEZONE has an offset {text!r} that is none (+0100)")
    seconds = int(match[2]) * 3600 + int(match[3]) * 60 + int(match[4] or 0)
    return -seconds if match[1] == "-" else seconds


def _matching(onsets: Sequence[_Onset]) -> str | None:
    """The zone with the same offsets in the years looked at; one that Windows knows before others."""
    times = [onset.at for onset in onsets]
    first, last = ((at - EPOCH) // _SECOND for at in (_FROM, _TO))
    moments = {moment for at in times for moment in (at - 1, at) if first <= moment < last}
    moments.update(range(first, last, 15 * 86_400))
    expected = []
    for moment in sorted(moments):
        place = bisect_right(times, moment)
        expected.append((moment, onsets[place - 1].after if place else onsets[0].before))
    names = [*sorted(set(WINDOWS_ZONES.values())), *sorted(zoneinfo.available_timezones())]
    return next((name for name in names if not check_zone(name, "TZID") and _agrees(name, expected)), None)


def _agrees(name: str, expected: Sequence[tuple[int, int]]) -> bool:
    zone = get_zone(name)
    return all(zone.offset_at(moment) == offset for moment, offset in expected)
