"""Reading a calendar from an iCalendar (.ics) file: what a `Calendar` needs of RFC 5545, and no more.

Events become days (DTSTART as a date), spans of time (as a time), or rules (RRULE). Called-off and moved occurrences
(EXDATE, RECURRENCE-ID, also for all that follow) are honoured, cancelled events are left out, of several versions of an
event the newest counts (SEQUENCE, DTSTAMP), alarms and everything else is passed over. Our own reader instead of a
library, since a library's object model would be most of the work: the file is a list of events with a dozen properties
that matter, and RRULE is read by `naq.timing.rrule` anyway.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.timing.calendars import Calendar, DayRange, EventRule, TimeRange
from naq.timing.ics_lines import ContentLine, When, content_lines, read_duration, read_when, read_whens
from naq.timing.ics_zones import FileZones
from naq.timing.rrule_text import times_on_day
from naq.timing.zones import resolve

__all__ = ["read_ics"]

_ONE_DAY = timedelta(days=1)
_NO_TIME = timedelta(0)


@dataclass
class _Event:
    """The properties of one VEVENT that matter."""

    properties: dict[str, ContentLine] = field(default_factory=dict)
    rules: list[str] = field(default_factory=list)
    called_off: list[ContentLine] = field(default_factory=list)
    added: list[ContentLine] = field(default_factory=list)
    method: str = ""
    """That of the calendar object which it is in."""

    def text(self, name: str) -> str:
        found = self.properties.get(name)
        return "" if found is None else found.value

    @property
    def is_cancelled(self) -> bool:
        """Whether it says so, or is in an object that only cancels (METHOD:CANCEL; RFC 5546, 3.2.5)."""
        return self.method == "CANCEL" or self.text("STATUS").upper() == "CANCELLED"

    @property
    def version(self) -> tuple[int, str]:
        """What grows with each version of an event (RFC 5545, 3.8.7.4, RFC 5546, 2.1.5); DTSTAMP is always in UTC."""
        sequence = self.text("SEQUENCE")
        return int(sequence) if re.fullmatch("[0-9]{1,9}", sequence) else 0, self.text("DTSTAMP")

    @property
    def changes_rest(self) -> bool:
        """Whether it stands in for an occurrence and all that follow."""
        line = self.properties.get("RECURRENCE-ID")
        return line is not None and line.parameters.get("RANGE", "").upper() == "THISANDFUTURE"


class _Length(NamedTuple):
    """How long an event is: days of the calendar, and elapsed time after them."""

    days: timedelta
    plus: timedelta

    def end(self, begin: datetime, wall: datetime, tz: str) -> datetime:
        """When what starts at the instant ``begin``, which is the wall time ``wall``, ends."""
        return (resolve(wall + self.days, tz)[0] if self.days else begin) + self.plus


class _Piece(NamedTuple):
    """A stretch of a series in which its occurrences are alike."""

    since: When | None
    before: When | None
    moved: timedelta
    length: _Length
    is_left_out: bool


def read_ics(text: str, *, name: str | None = None, tz: str = "UTC", field: str = "calendar") -> Calendar:
    """The events of an iCalendar text as a `Calendar`.

    ``name`` defaults to the calendar's own (X-WR-CALNAME). Times without a zone ("floating") are read in ``tz``.
    Raises `InvalidSchedule` with a complaint for each event that cannot be read, naming its SUMMARY.
    """
    lines = list(content_lines(text))
    if not any(line.name == "BEGIN" and line.value.upper() == "VCALENDAR" for line in lines):
        raise InvalidSchedule(Problem(field, shown(text[:40]), "is no iCalendar text", "'BEGIN:VCALENDAR ...'"))
    own_name = next((line.value for line in lines if line.name == "X-WR-CALNAME"), None)
    reader = _Reader(tz, FileZones(lines))
    problems: list[Problem] = []
    events = reader.newest(list(_events(lines)))
    instead = _instead(events)
    for event in events:
        if event.is_cancelled or event.changes_rest:
            continue
        others = [] if "RECURRENCE-ID" in event.properties else instead.get(event.text("UID"), [])
        try:
            reader.add(event, others)
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


def _events(lines: list[ContentLine]) -> Iterator[_Event]:
    """Each VEVENT with its own properties, not those of the alarms in it."""
    depth: list[str] = []
    event, method = _Event(), ""
    for line in lines:
        if line.name == "BEGIN":
            depth.append(line.value.upper())
            if depth[-1] == "VCALENDAR":
                method = ""
            elif depth[-1] == "VEVENT":
                event = _Event(method=method)
        elif line.name == "END":
            if depth and depth.pop() == "VEVENT":
                yield event
        elif depth and depth[-1] == "VCALENDAR" and line.name == "METHOD":
            method = line.value.upper()
        elif depth and depth[-1] == "VEVENT":
            if line.name == "RRULE":
                event.rules.append(line.value)
            elif line.name == "EXDATE":
                event.called_off.append(line)
            elif line.name == "RDATE":
                event.added.append(line)
            else:
                event.properties[line.name] = line


def _instead(events: list[_Event]) -> dict[str, list[_Event]]:
    """The events that stand in for occurrences of recurring ones, by UID."""
    found: dict[str, list[_Event]] = {}
    for event in events:
        if "RECURRENCE-ID" in event.properties:
            found.setdefault(event.text("UID"), []).append(event)
    return found


class _Reader:
    """Gathers what events cover."""

    def __init__(self, tz: str, zones: FileZones) -> None:
        self._tz = tz
        self._zones = zones
        self._dates: list[date] = []
        self._ranges: list[DayRange] = []
        self._times: list[TimeRange] = []
        self._rules: list[EventRule] = []

    def calendar(self, name: str) -> Calendar:
        dates = tuple(sorted(set(self._dates)))
        return Calendar(name, dates, tuple(self._ranges), tuple(self._times), tuple(self._rules))

    def add(self, event: _Event, instead: Sequence[_Event]) -> None:
        """Take in one event, ``instead`` being those that stand in for some of its occurrences.

        Raises ValueError (also as `InvalidSchedule`) when it cannot be read.
        """
        start = self._start(event)
        zone = start.tz or self._tz
        pieces = self._pieces(start, self._length(event, start), instead)
        moved = [event.properties["RECURRENCE-ID"] for event in instead if not event.changes_rest]
        off = [when for line in [*event.called_off, *moved] for when in read_whens(line, self._zones.zone_of)]
        for rule in event.rules:
            self._add_rule(rule, start, off, pieces)
        if not event.rules:
            self._add_once(start, pieces, off, None, zone)
        for line in event.added:
            for when, length in self._added(line, start):
                self._add_once(_as_like(when, start, zone), pieces, off, length, zone)

    def newest(self, events: Sequence[_Event]) -> list[_Event]:
        """Of the versions of an event, or of an occurrence of it, the newest; where nothing says which that is, all.

        What stands in for occurrences goes with an event that a version no older than it cancels.
        """
        versions: dict[tuple[str, object], tuple[int, str]] = {}
        for event in events:
            key = event.text("UID"), self._occurrence(event)
            versions[key] = max(versions.get(key, event.version), event.version)
        found = [
            event
            for event in events
            if not event.text("UID") or event.version == versions[event.text("UID"), self._occurrence(event)]
        ]
        cancelled = {
            event.text("UID"): event.version
            for event in found
            if event.is_cancelled and event.text("UID") and "RECURRENCE-ID" not in event.properties
        }
        return [
            event
            for event in found
            if "RECURRENCE-ID" not in event.properties
            or (uid := event.text("UID")) not in cancelled
            or event.version > cancelled[uid]
        ]

    def _occurrence(self, event: _Event) -> object:
        """Which occurrence an event stands in for; ``None`` for none."""
        line = event.properties.get("RECURRENCE-ID")
        if line is None:
            return None
        try:
            when = self._when(line)
        except ValueError:
            return line.value
        return when.is_day, when.instant(self._tz), event.changes_rest

    def _start(self, event: _Event) -> When:
        if "DTSTART" not in event.properties:
            raise ValueError("it has no DTSTART")
        return self._when(event.properties["DTSTART"])

    def _pieces(self, start: When, length: _Length, instead: Sequence[_Event]) -> list[_Piece]:
        """The series cut where an event stands in for an occurrence and all that follow."""
        zone = start.tz or self._tz
        changes = [(_as_like(self._when(each.properties["RECURRENCE-ID"]), start, zone), each) for each in instead]
        changes = sorted(
            ((when, each) for when, each in changes if each.changes_rest), key=lambda change: change[0].instant(zone)
        )
        pieces = [_Piece(None, changes[0][0] if changes else None, _NO_TIME, length, is_left_out=False)]
        for index, (when, event) in enumerate(changes):
            before = changes[index + 1][0] if index + 1 < len(changes) else None
            if event.is_cancelled:
                pieces.append(_Piece(when, before, _NO_TIME, length, is_left_out=True))
                continue
            if event.rules:
                raise ValueError("RANGE=THISANDFUTURE beside an RRULE of its own says two things about what follows")
            begin = self._start(event)
            moved = _as_like(begin, start, zone).on_wall(zone) - when.on_wall(zone)
            pieces.append(_Piece(when, before, moved, self._length(event, begin), is_left_out=False))
        return pieces

    def _add_rule(self, rule: str, start: When, off: Sequence[When], pieces: Sequence[_Piece]) -> None:
        zone = start.tz or self._tz
        text = _rule_of_days(rule) if start.is_day else rule
        without = [each for when in off for each in self._off_rule(when, text, start)]
        for piece in pieces:
            if any(piece.length) and not piece.is_left_out:
                since, before = (when and _stored(when, zone) for when in (piece.since, piece.before))
                self._rules.append(
                    EventRule(
                        text,
                        start.wall,
                        piece.length.days,
                        tuple(dict.fromkeys(without)),
                        None if start.is_day else zone,
                        piece.length.plus,
                        since,
                        before,
                        piece.moved,
                    )
                )

    def _off_rule(self, when: When, rule: str, start: When) -> list[datetime]:
        """The times of a rule that an EXDATE calls off: those of the whole day, when it names no time."""
        zone = start.tz or self._tz
        if not when.is_day or start.is_day:
            return [_stored(_as_like(when, start, zone), zone)]
        return [_stored(each, zone) for each in times_on_day(rule, start.wall, zone, when.wall)]

    def _add_once(
        self, start: When, pieces: Sequence[_Piece], off: Sequence[When], own: _Length | None, zone: str
    ) -> None:
        """Take in one occurrence of a series in ``zone``, unless it is called off; ``own`` is its length when it has one."""
        begin, wall = start.instant(zone), start.on_wall(zone)
        for when in off:
            same_day = when.is_day and when.wall.date() == wall.date()
            if same_day or _as_like(when, start, zone).instant(zone) == begin:
                return
        piece = next(each for each in reversed(pieces) if each.since is None or each.since.instant(zone) <= begin)
        if piece.is_left_out:
            return
        length = own or piece.length
        if piece.moved:
            wall += piece.moved
            begin = resolve(wall, zone)[0]
        if start.is_day:
            last = (wall + max(length.days, _ONE_DAY) - _ONE_DAY).date()
            if last == wall.date():
                self._dates.append(last)
            else:
                self._ranges.append(DayRange(wall.date(), last))
        elif any(length):
            self._times.append(TimeRange(begin, length.end(begin, wall, zone)))

    def _added(self, line: ContentLine, start: When) -> Iterator[tuple[When, _Length | None]]:
        """The times of an RDATE; a period has a length of its own."""
        for value in line.value.split(","):
            begin_text, slash, end_text = value.strip().partition("/")
            begin = self._when(line._replace(value=begin_text))
            if not slash:
                yield begin, None
            elif end_text.startswith(("P", "+P")):
                yield begin, _Length(*read_duration(end_text))
            else:
                yield begin, self._until(begin, self._when(line._replace(value=end_text)))

    def _length(self, event: _Event, start: When) -> _Length:
        """How long an event is: by DTEND, by DURATION, else one day or no time at all."""
        if "DTEND" in event.properties:
            length = self._until(start, self._when(event.properties["DTEND"]))
        elif "DURATION" in event.properties:
            length = _Length(*read_duration(event.text("DURATION")))
        else:
            length = _Length(_NO_TIME, _NO_TIME)
        if start.is_day:
            # An end that is the start itself means that day: many files of holidays are written so.
            return _Length(max(_ONE_DAY, -(-(length.days + length.plus) // _ONE_DAY) * _ONE_DAY), _NO_TIME)
        return length

    def _until(self, start: When, end: When) -> _Length:
        """The length up to an end: days for a day, else exactly the time between (RFC 5545, 3.8.5.3)."""
        if start.is_day:
            length = _Length(_as_like(end, start, self._tz).wall - start.wall, _NO_TIME)
        else:
            length = _Length(_NO_TIME, end.instant(start.tz or self._tz) - start.instant(self._tz))
        if min(length) < _NO_TIME:
            raise ValueError("it ends before it begins")
        return length

    def _when(self, line: ContentLine) -> When:
        return read_when(line, self._zones.zone_of)


def _as_like(when: When, like: When, tz: str) -> When:
    """A time as one of the kind of ``like``: a day when that is one, else a wall time of ``tz``, or the instant it is.

    An instant is kept as one, since a wall time does not say which pass of an overlap it is in.
    """
    if like.is_day:
        return When(when.wall.replace(hour=0, minute=0, second=0), is_day=True, tz=None)
    if when.is_day or when.tz is None or when.tz == tz:
        return When(when.wall, is_day=False, tz=tz)
    return When(when.instant(tz).replace(tzinfo=None), is_day=False, tz="UTC")


def _stored(when: When, zone: str) -> datetime:
    """A time as a rule in ``zone`` keeps it: naive on its clock, else aware UTC."""
    return when.wall if when.tz in (None, zone) else when.instant(zone)


def _rule_of_days(text: str) -> str:
    """The rule of an event of whole days: times of day are ignored (RFC 5545, 3.3.10), and UNTIL is the day it names."""
    parts = [part for part in text.strip().upper().split(";") if not re.match(r"BY(HOUR|MINUTE|SECOND)=", part)]
    return ";".join(re.sub(r"^(UNTIL=\d{8})T\d{6}Z?$", r"\1", part) for part in parts)
