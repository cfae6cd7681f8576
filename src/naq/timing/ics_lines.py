"""The content lines of RFC 5545: unfolding them, and the times that stand on them.

Read alike for iCalendar files (`naq.timing.ics`) and for the text of a single recurrence (`naq.timing.rrule_text`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from naq.timing.zones import get_zone, resolve

__all__ = ["ContentLine", "When", "content_lines", "read_duration", "read_when", "read_whens"]

_LINE = re.compile(r'([A-Za-z0-9-]+)((?:;[^:;="]+=(?:"[^"]*"|[^:;"]*))*):(.*)')
_PARAMETER = re.compile(r';([^:;="]+)=("[^"]*"|[^:;"]*)')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?", re.ASCII)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?", re.ASCII
)


class ContentLine(NamedTuple):
    """``NAME;PARAMETER=value:VALUE``; names are upper case."""

    name: str
    parameters: dict[str, str]
    value: str


class When(NamedTuple):
    """A time as it is written: a naive wall time, and the zone it is in (``None``: wherever it is asked)."""

    wall: datetime
    is_day: bool
    tz: str | None

    def instant(self, tz: str) -> datetime:
        """The instant, aware UTC; a time without a zone is one of ``tz``, a day is its midnight."""
        if self.tz == "UTC":
            return self.wall.replace(tzinfo=UTC)
        return resolve(self.wall, self.tz or tz)[0]

    def on_wall(self, tz: str) -> datetime:
        """The naive wall time that the clocks of ``tz`` show; a day, or a time without a zone, as it is written."""
        if self.is_day or self.tz is None or self.tz == tz:
            return self.wall
        return self.instant(tz).astimezone(get_zone(tz).info).replace(tzinfo=None)


def content_lines(text: str) -> Iterator[ContentLine]:
    """The content lines, unfolded; a line that is none, and a byte order mark, are passed over."""
    for line in re.sub(r"\r?\n[ \t]", "", text.removeprefix("\ufeff")).splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            parameters = {key.upper(): value.strip('"') for key, value in _PARAMETER.findall(match[2])}
            yield ContentLine(match[1].upper(), parameters, match[3].strip())


def read_when(line: ContentLine, zone_of: Callable[[str], str]) -> When:
    """The date or time on a line. ``zone_of`` gives the IANA zone of a TZID. Raises ValueError with the reason."""
    match = _TIME.fullmatch(line.value)
    if match is None:
        raise ValueError(f"{line.name} {line.value!r} is no date or time")
    year, month, day, hour, minute, second = (int(group or 0) for group in match.groups()[:6])
    try:
        wall = datetime(year, month, day, hour, minute, min(second, 59) if second == 60 else second)  # noqa: DTZ001
    except ValueError as error:
        raise ValueError(f"{line.name} {line.value!r} is no date or time: {error}") from error
    if not 1 < year < 9999:
        raise ValueError(f"{line.name} {line.value!r} is no date or time naq can reckon with")
    if match[4] is None:
        return When(wall, is_day=True, tz=None)
    name = line.parameters.get("TZID")
    try:
        tz = "UTC" if match[7] else None if name is None else zone_of(name)
    except ValueError as error:
        raise ValueError(f"{line.name}: {error}") from error
    return When(wall, is_day=False, tz=tz)


def read_whens(line: ContentLine, zone_of: Callable[[str], str]) -> list[When]:
    """The dates or times on a line, separated by commas. Raises ValueError."""
    return [read_when(line._replace(value=value.strip()), zone_of) for value in line.value.split(",")]


def read_duration(text: str) -> tuple[timedelta, timedelta]:
    """A DURATION: its weeks and days, which are those of the calendar, and the rest, which is elapsed time.

    Raises ValueError.
    """
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError(f"{text!r} is no duration")
    weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(weeks=weeks, days=days), timedelta(hours=hours, minutes=minutes, seconds=seconds)
