"""A recurrence as calendars write it: DTSTART, RRULE, EXDATE and RDATE, one a line.

::

    DTSTART;TZID=Europe/Berlin:20260105T090000
    RRULE:FREQ=WEEKLY;BYDAY=MO
    EXDATE;TZID=Europe/Berlin:20260406T090000
    RDATE;TZID=Europe/Berlin:20260407T090000
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from naq.exceptions import InvalidSchedule
from naq.timing.ics_lines import ContentLine, When, content_lines, read_when, read_whens
from naq.timing.ics_zones import FileZones
from naq.timing.rrule import RRule
from naq.timing.rrule_clock import recurrence
from naq.timing.rrule_parts import bad_rule
from naq.timing.zones import resolve

__all__ = ["is_recurrence", "read_recurrence", "times_on_day"]

LONGEST = 100_000
"""Characters of a text."""
_MOST_TIMES = 1_000
"""Times that EXDATE and RDATE may name together: each is stored with the schedule, and read with each plan."""
_MOST_A_DAY = 100
_ONE_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_NAMES = ("DTSTART", "RRULE", "EXDATE", "RDATE")


def is_recurrence(text: str) -> bool:
    """Whether a text is meant as a recurrence: a bare rule, its parts in any order, or lines of a calendar."""
    start = text.strip().removeprefix("\ufeff").upper()
    if re.match(r"(DTSTART|EXDATE|RDATE|EXRULE)[:;]|RRULE:", start):
        return True
    return " " not in start and re.search(r"(^|;)FREQ=", start) is not None


def read_recurrence(text: str, tz: str | None = None) -> RRule:
    """The rule in a text of one or more lines, not checked. ``tz`` is the zone of times without one (``None``: UTC).

    Raises `InvalidSchedule`, and nothing else.
    """
    try:
        return _read(text, tz)
    except (ValueError, OverflowError) as error:
        if isinstance(error, InvalidSchedule):
            raise
        raise bad_rule(text, str(error)) from error


def times_on_day(rule: str, start: datetime, tz: str, day: datetime) -> list[When]:
    """The times a rule has on the day that begins at the wall time ``day``: what an EXDATE without a time calls off.

    Raises `InvalidSchedule` when the rule cannot be read.
    """
    clock = recurrence(rule, start, tz)
    end = resolve(day + _ONE_DAY, tz)[0]
    found: list[When] = []
    at = clock.next_after(resolve(day, tz)[0] - _TICK)
    while at is not None and at < end:
        if len(found) >= _MOST_A_DAY:
            raise ValueError(f"EXDATE {day.date()} calls off more than {_MOST_A_DAY} times of the rule: name the times")
        found.append(When(at.replace(tzinfo=None), is_day=False, tz="UTC"))
        at = clock.next_after(at)
    return found


def _read(text: str, tz: str | None) -> RRule:
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    lines = _lines(text)
    rules = [line.value for line in lines if line.name == "RRULE"]
    starts = [line for line in lines if line.name == "DTSTART"]
    if len(rules) != 1 or len(starts) > 1:
        raise ValueError("must have one RRULE and at most one DTSTART; several rules are a list of schedules")
    zones = FileZones(())
    start = read_when(starts[0], zones.zone_of) if starts else None
    zone = (start.tz if start and start.tz and start.tz != "UTC" else None) or tz or "UTC"
    off, added = (
        [when for line in lines if line.name == name for when in read_whens(_begins(line), zones.zone_of)]
        for name in ("EXDATE", "RDATE")
    )
    if len(off) + len(added) > _MOST_TIMES:
        raise ValueError(f"names more than {_MOST_TIMES} times in EXDATE and RDATE")
    if start is not None and not start.is_day:
        off = [
            each
            for when in off
            for each in (times_on_day(rules[0], _stored(start, zone), zone, when.wall) if when.is_day else [when])
        ]
    dtstart = None if start is None else _stored(start, zone)
    without, beside = (tuple(_stored(when, zone) for when in whens) for whens in (off, added))
    return RRule(rules[0], dtstart, zone, without=without, added=beside)


def _lines(text: str) -> list[ContentLine]:
    """The lines of a text; each must be one of those that belong to a recurrence."""
    unfolded = re.sub(r"\r?\n[ \t]", "", text.removeprefix("\ufeff").strip())
    found = []
    for line in unfolded.splitlines():
        if not line.strip():
            continue
        bare = re.match(r"[A-Z-]+=", line.strip(), re.IGNORECASE)
        read = list(content_lines(f"RRULE:{line}" if bare else line))
        name = read[0].name if read else line.strip()[:20]
        if name == "EXRULE":
            raise ValueError("has an EXRULE, which RFC 5545 took out: use exclude")
        if name not in _NAMES:
            raise ValueError(f"has a line {name!r}; a recurrence has {', '.join(_NAMES)}")
        found += read
    return found


def _begins(line: ContentLine) -> ContentLine:
    """Of periods (RDATE;VALUE=PERIOD) the beginnings: a schedule fires, it does not last."""
    return line._replace(value=",".join(value.partition("/")[0] for value in line.value.split(",")))


def _stored(when: When, zone: str) -> datetime:
    """A time as a trigger in ``zone`` keeps it: naive on its clock, else aware UTC."""
    if when.tz is None or when.tz == zone != "UTC":
        return when.wall
    return when.instant(zone)
