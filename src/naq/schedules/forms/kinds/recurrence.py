"""Recurrence rules as users write them: one rule, the lines of a calendar, or the mapping; and back."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime, time
from typing import Any

from naq.exceptions import InvalidSchedule, Problem
from naq.parsing import MISSING, Reader, instant_of
from naq.schedules.forms.kinds.form import TriggerForm, checked, dst_form, read_dst
from naq.timing.rrule import RRule
from naq.timing.rrule_text import read_recurrence

__all__ = ["RECURRENCE", "read_recurrence_text"]


def _read(reader: Reader) -> RRule | None:
    """The rule that a mapping describes; ``None`` when there is a complaint."""
    zone = reader.zone()
    gap, overlap = read_dst(reader)
    dtstart = _wall_time(reader, "dtstart", reader.take("dtstart"))
    without, added = _wall_times(reader, "exdate"), _wall_times(reader, "rdate")
    text = reader.text("rrule", required=True)
    if text is None:
        return None
    try:
        read = read_recurrence(text, zone)
    except InvalidSchedule as error:
        for problem in error.problems:
            reader.complain("rrule", text, problem.reason)
        return None
    if dtstart is not None and read.dtstart is not None:
        reader.complain("dtstart", dtstart.isoformat(), "is said twice: the rule's text has a DTSTART of its own")
    if zone is not None and read.tz != zone:
        reader.complain("timezone", zone, f"is another zone than that of DTSTART, {read.tz}: leave one of them out")
    start = read.dtstart if dtstart is None else dtstart
    rule = RRule(read.rrule, start, read.tz, gap, overlap, (*read.without, *without), (*read.added, *added))
    return checked(reader, "rrule", rule)


def read_recurrence_text(text: str, path: str, problems: list[Problem], zone: str | None = None) -> RRule | None:
    """The rule in a text of one or more lines; ``None`` when there is a complaint. ``zone`` is that of times without one."""
    try:
        rule = read_recurrence(text, zone)
    except InvalidSchedule as error:
        problems.extend(Problem(path, found.value, found.reason, found.example) for found in error.problems)
        return None
    problems.extend(found := rule.check(path))
    return None if found else rule


def _write(trigger: RRule) -> dict[str, Any]:
    form: dict[str, Any] = {"rrule": trigger.rrule, "timezone": trigger.tz}
    if trigger.dtstart is not None:
        form["dtstart"] = trigger.dtstart.isoformat()
    for name, times in (("exdate", trigger.without), ("rdate", trigger.added)):
        if times:
            form[name] = [at.isoformat() for at in times]
    return form | dst_form(trigger)


def _wall_times(reader: Reader, key: str) -> tuple[datetime, ...]:
    """The times of a list, or a single one."""
    value = reader.take(key)
    if value is MISSING or value is None:
        return ()
    items = value if isinstance(value, list | tuple) else [value]
    read = [_wall_time(reader, key, item) for item in items]
    return tuple(at for at in read if at is not None)


def _wall_time(reader: Reader, key: str, value: Any) -> datetime | None:
    """A naive time stays one: `RRule` reads it on the clock of its own zone. A date is its midnight there."""
    if value is MISSING or value is None:
        return None
    if isinstance(value, str):
        with suppress(ValueError):
            value = datetime.fromisoformat(value.strip())
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time(0))
    instant = instant_of(value)
    if instant is None:
        reader.complain(key, value, "must be a time (a datetime, a date, ISO 8601 text or epoch seconds)")
    return instant


RECURRENCE = TriggerForm("rrule", RRule, ("dtstart", "exdate", "rdate", "dst_gap", "dst_overlap"), _read, _write)
