"""Reading a calendar from an iCalendar (.ics) file: what a `Calendar` needs of RFC 5545, and no more.

Events become days (DTSTART as a date), spans of time (as a time), or rules (RRULE). Called-off and moved occurrences
(EXDATE, RECURRENCE-ID) are honoured, cancelled events are left out, alarms and everything else is passed over. Our own
reader instead of a library, since a library's object model would be most of the work: the file is a list of events with
six properties that matter, and RRULE is read by `naq.timing.rrule` anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.timing.calendars import Calendar, DayRange, EventRule, TimeRange
from naq.timing.zones import check_zone, get_zone, resolve

__all__ = ["read_ics"]

_LINE = re.compile(r'([A-Za-z0-9-]+)((?:;[^:;="]+=(?:"[^"]*"|[^:;"]*))*):(.*)')
_PARAMETER = re.compile(r';([^:;="]+)=("[^"]*"|[^:;"]*)')
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)(Z?))?")
_DURATION = re.compile(r"\+?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_ONE_DAY = timedelta(days=1)


class _Property(NamedTuple):
    name: str
    parameters: dict[str, str]
    value: str


@dataclass
class _Event:
    """The properties of one VEVENT that matter."""

    properties: dict[str, _Property] = field(default_factory=dict)
    called_off: list[_Property] = field(default_factory=list)
    added: list[_Property] = field(default_factory=list)

    def text(self, name: str) -> str:
        found = self.properties.get(name)
        return "" if found is None else found.value


class _When(NamedTuple):
    """A DTSTART, DTEND or EXDATE: a naive wall time, and the zone it is in (``None``: wherever it is asked)."""

    wall: datetime
    is_day: bool
    tz: str | None


def read_ics(text: str, *, name: str | None = None, tz: str = "UTC", field: str = "calendar") -> Calendar:
    """The events of an iCalendar text as a `Calendar`.

    ``name`` defaults to the calendar's own (X-WR-CALNAME). Times without a zone ("floating") are read in ``tz``.
    Raises `InvalidSchedule` with a complaint for each event that cannot be read, naming its SUMMARY.
    """
    lines = list(_properties(text))
    if not any(line.name == "BEGIN" and line.value.upper() == "VCALENDAR" for line in lines):
        raise InvalidSchedule(Problem(field, shown(text[:40]), "is no iCalendar text", "'BEGIN:VCALENDAR ...'"))
    own_name = next((line.value for line in lines if line.name == "X-WR-CALNAME"), None)
    reader = _Reader(tz)
    problems: list[Problem] = []
    events = list(_events(lines))
    moved = _moved(events)
    for event in events:
        if event.text("STATUS").upper() == "CANCELLED":
            continue
        try:
            reader.add(event, moved.get(event.text("UID"), []))
        except (ValueError, OverflowError) as error:
            title = event.text("SUMMARY") or event.text("UID") or event.text("DTSTART")
            reason = str(error) if not isinstance(error, InvalidInput) else error.problems[0].reason
            problems.append(
                Problem(field, shown(title), f"is an event naq cannot read: {reason}", "'DTSTART:20301224'")
            )
    calendar = reader.calendar(name or own_name or "calendar")
    problems += calendar.check(field)
    if problems:
        raise InvalidSchedule(*problems)
    return calendar


def _properties(text: str) -> Iterator[_Property]:
    """The content lines, unfolded; a line that is none is passed over."""
    for line in re.sub(r"\r?\n[ \t]", "", text).splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is not None:
            parameters = {key.upper(): value.strip('"') for key, value in _PARAMETER.findall(match[2])}
            yield _Property(match[1].upper(), parameters, match[3].strip())


def _events(lines: list[_Property]) -> Iterator[_Event]:
    """Each VEVENT with its own properties, not those of the alarms in it."""
    depth: list[str] = []
    event = _Event()
    for line in lines:
        if line.name == "BEGIN":
            depth.append(line.value.upper())
            if depth[-1] == "VEVENT":
                event = _Event()
        elif line.name == "END":
            if depth and depth.pop() == "VEVENT":
                yield event
        elif depth and depth[-1] == "VEVENT":
            if line.name == "EXDATE":
                event.called_off.append(line)
            elif line.name == "RDATE":
                event.added.append(line)
            else:
                event.properties[line.name] = line


def _moved(events: list[_Event]) -> dict[str, list[_Property]]:
    """The occurrences of recurring events that another event stands in for, by UID."""
    moved: dict[str, list[_Property]] = {}
    for event in events:
        if "RECURRENCE-ID" in event.properties:
            moved.setdefault(event.text("UID"), []).append(event.properties["RECURRENCE-ID"])
    return moved


class _Reader:
    """Gathers what events cover."""

    def __init__(self, tz: str) -> None:
        self._tz = tz
        self._dates: list[date] = []
        self._ranges: list[DayRange] = []
        self._times: list[TimeRange] = []
        self._rules: list[EventRule] = []

    def calendar(self, name: str) -> Calendar:
        dates = tuple(sorted(set(self._dates)))
        return Calendar(name, dates, tuple(self._ranges), tuple(self._times), tuple(self._rules))

    def add(self, event: _Event, moved: list[_Property]) -> None:
        """Take in one event. Raises ValueError (also as `InvalidSchedule`) when it cannot be read."""
        if "DTSTART" not in event.properties:
            raise ValueError("it has no DTSTART")
        start = self._when(event.properties["DTSTART"])
        lasts = self._lasts(event, start)
        if lasts < timedelta(0):
            raise ValueError("it ends before it begins")
        for line in event.added:
            for when in self._whens(line):
                self._add_once(when, lasts)
        if "RRULE" not in event.properties:
            self._add_once(start, lasts)
        elif lasts:
            off = [when for line in [*event.called_off, *moved] for when in self._whens(line)]
            walls = tuple(_in_zone(when, start.tz or self._tz) for when in off)
            zone = None if start.is_day else start.tz or self._tz
            self._rules.append(EventRule(event.text("RRULE"), start.wall, lasts, walls, zone))

    def _add_once(self, start: _When, lasts: timedelta) -> None:
        if start.is_day:
            last = start.wall.date() + max(lasts, _ONE_DAY) - _ONE_DAY
            if last == start.wall.date():
                self._dates.append(last)
            else:
                self._ranges.append(DayRange(start.wall.date(), last))
        elif lasts:
            zone = start.tz or self._tz
            begin = resolve(start.wall, zone)[0]
            self._times.append(TimeRange(begin, resolve(start.wall + lasts, zone)[0]))

    def _lasts(self, event: _Event, start: _When) -> timedelta:
        """How long an event is: by DTEND, by DURATION, else one day or no time at all."""
        if "DTEND" in event.properties:
            end = self._when(event.properties["DTEND"])
            return _in_zone(end, start.tz or self._tz) - start.wall
        if "DURATION" in event.properties:
            text = event.text("DURATION")
            match = _DURATION.fullmatch(text)
            if match is None:
                raise ValueError(f"{text!r} is no duration")
            weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
            return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
        return _ONE_DAY if start.is_day else timedelta(0)

    def _whens(self, line: _Property) -> list[_When]:
        return [self._when(_Property(line.name, line.parameters, value)) for value in line.value.split(",")]

    def _when(self, line: _Property) -> _When:
        match = _TIME.fullmatch(line.value)
        if match is None:
            raise ValueError(f"{line.name} {line.value!r} is no date or time")
        year, month, day, hour, minute, second = (int(group or 0) for group in match.groups()[:6])
        wall = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone is told beside it
        if match[4] is None:
            return _When(wall, is_day=True, tz=None)
        tz = "UTC" if match[7] else line.parameters.get("TZID")
        if tz is not None and (problems := check_zone(tz, line.name)):
            raise ValueError(f"{line.name}: {tz!r} {problems[0].reason}")
        return _When(wall, is_day=False, tz=tz)


def _in_zone(when: _When, tz: str) -> datetime:
    """A time as the naive wall time of ``tz``; a day as its midnight."""
    if when.is_day or when.tz is None or when.tz == tz:
        return when.wall
    at = when.wall.replace(tzinfo=UTC) if when.tz == "UTC" else resolve(when.wall, when.tz)[0]
    return at.astimezone(get_zone(tz).info).replace(tzinfo=None)
