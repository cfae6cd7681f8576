"""Triggers as users write them: the mapping of each kind, lists of them, and short text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, get_args

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.parsing import EARLIEST, MISSING, Reader, epoch, instant_of, nearest, seconds
from naq.schedules.forms.recurrence import checked, read_dst, read_recurrence_text, read_rrule, rrule_form
from naq.timing.duration import parse_duration
from naq.timing.rrule_text import is_recurrence
from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    CalendarUnit,
    Cron,
    DstGap,
    DstOverlap,
    FixedDelay,
    Interval,
    Once,
    RRule,
    Trigger,
)

__all__ = [
    "EXAMPLES",
    "KIND_OF_KEY",
    "TRIGGER_KEYS",
    "TRIGGER_TYPES",
    "read_several",
    "read_text",
    "read_trigger",
    "trigger_form",
]


TRIGGER_TYPES = get_args(Trigger)

ZONE_BESIDE: Final = "names a zone inside of the expression; the zone stands beside it, as timezone"
SHORTEST: Final = timedelta(milliseconds=1)

EXAMPLES: Mapping[str, str] = {
    "type": "'interval'",
    "run_at": "'2030-01-31T09:00:00+00:00'",
    "timezone": "'Europe/Berlin'",
    "interval": "3600",
    "anchor": "'epoch'",
    "delay": "'5m'",
    "first_at": "'2030-01-31T09:00:00+00:00'",
    "cron": "'0 9 * * MON-FRI'",
    "day_or": "False",
    "dst_gap": "'shift'",
    "dst_overlap": "'first'",
    "every": "'2 months'",
    "unit": "'months'",
    "at": "'09:00'",
    "start": "'2030-01-31'",
    "day": "31",
    "rrule": "'FREQ=WEEKLY;INTERVAL=2;BYDAY=MO'",
    "dtstart": "'2030-01-07T09:00:00'",
    "exdate": "['2030-04-22T09:00:00']",
    "rdate": "['2030-04-23T09:00:00']",
    "of": "[{'cron': '0 9 * * *'}, {'cron': '0 18 * * *'}]",
    "max_runs": "10",
    "start_at": "'2030-01-01T00:00:00Z'",
    "end_at": "'2031-01-01T00:00:00Z'",
    "catch_up": "'1h'",
    "coalesce": "'latest'",
    "start_deadline": "'10m'",
    "jitter": "'30s'",
    "overlap": "'skip'",
    "exclude": "['2030-12-24..2031-01-01', 'holidays:DE-BY']",
    "keep_finished": "'7d'",
    "first": "'now'",
    "schedule": "{'type': 'interval', 'interval': 3600}",
    "next_run_at": "'2030-01-31T09:00:00+00:00'",
    "job": "{'queue': 'mail'}",
    "labels": "{'team': 'billing'}",
    "note": "'asked for by accounting'",
}


def _once(reader: Reader) -> Once | None:
    at = reader.instant("run_at", reader.zone(), required=True)
    return None if at is None else Once(at)


def _interval(reader: Reader) -> Interval | None:
    zone = reader.zone()
    period = _period(reader, "interval")
    anchor = _anchor(reader, zone)
    return None if period is None else Interval(period, anchor)


def _fixed_delay(reader: Reader) -> FixedDelay | None:
    zone = reader.zone()
    delay = _period(reader, "delay")
    first_at = reader.instant("first_at", zone)
    return None if delay is None else FixedDelay(delay, first_at)


def _period(reader: Reader, key: str) -> timedelta | None:
    period = reader.duration(key, required=True)
    if period is not None and period < SHORTEST:
        reader.complain(key, str(period), "must be a millisecond or more")
        return None
    return period


def _anchor(reader: Reader, zone: str | None) -> datetime | None:
    value = reader.take("anchor")
    if value is MISSING or value is None or value == "creation":
        return None
    if value == "epoch":
        return EARLIEST
    return Reader({"anchor": value}, reader.path, reader.problems, EXAMPLES).instant("anchor", zone)


def _cron(reader: Reader) -> Cron | None:
    zone = reader.zone() or "UTC"
    gap, overlap = read_dst(reader)
    day_or = reader.boolean("day_or")
    expression = reader.text("cron", required=True)
    if expression is None:
        return None
    if _names_a_zone(expression):
        reader.complain("cron", expression, ZONE_BESIDE)
        return None
    return checked(reader, "cron", Cron(expression, zone, day_or is not False, gap, overlap))


def _calendar(reader: Reader) -> CalendarInterval | None:
    zone = reader.zone() or "UTC"
    gap, overlap = read_dst(reader)
    count, unit = _count_and_unit(reader)
    at = _time_of_day(reader)
    start = _date(reader)
    day = reader.integer("day", at_least=1)
    if count is None or unit is None:
        return None
    return checked(reader, "every", CalendarInterval(count, unit, at, zone, start, day, gap, overlap))


def _count_and_unit(reader: Reader) -> tuple[int | None, CalendarUnit | None]:
    """``every=2, unit="months"``, or both in one: ``every="2 months"``, ``every="month"``."""
    value = reader.require("every")
    if isinstance(value, int) and not isinstance(value, bool):
        if not reader.has("unit"):
            reader.complain("unit", MISSING, f"must be given: one of {', '.join(CalendarUnit)}")
            return None, None
        return value, reader.choice("unit", CalendarUnit)
    words = (
        re.fullmatch(r"(?:(\d{1,6})\s+)?(day|week|month|year)s?", value.strip().lower()) if _is_text(value) else None
    )
    if words is None:
        if value is not MISSING:
            reader.complain("every", value, "must be a number of days, weeks, months or years")
        return None, None
    return int(words[1] or 1), CalendarUnit(f"{words[2]}s")


def _time_of_day(reader: Reader) -> time:
    value = reader.take("at")
    if isinstance(value, time):
        return value
    if value is MISSING or value is None:
        return time(0)
    try:
        return time.fromisoformat(value)
    except (TypeError, ValueError):
        reader.complain("at", value, "must be a time of day")
        return time(0)


def _date(reader: Reader) -> date | None:
    value = reader.take("start")
    if value is MISSING or value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        reader.complain("start", value, "must be a date")
        return None


def _several(reader: Reader) -> AnyOf | None:
    zone = reader.zone()
    parts = reader.require("of")
    return None if parts is MISSING else read_several(parts, reader.field("of"), reader.problems, zone)


def read_several(parts: Any, path: str, problems: list[Problem], zone: str | None = None) -> AnyOf | None:
    """The union of the triggers in a list; ``None`` when there is a complaint. ``zone`` is that of the parts that name
    none. A union inside is taken apart."""
    if not isinstance(parts, list | tuple) or not parts:
        problems.append(Problem(path, shown(parts), "must be a list of schedules", EXAMPLES["of"]))
        return None
    triggers = [_part(part, f"{path}[{index}]", problems, zone) for index, part in enumerate(parts)]
    known = [trigger for trigger in triggers if trigger is not None]
    if len(known) < len(triggers):
        return None
    return AnyOf(tuple(each for part in known for each in (part.triggers if isinstance(part, AnyOf) else (part,))))


def _part(part: Any, path: str, problems: list[Problem], zone: str | None) -> Trigger | None:
    trigger: Trigger | None
    if isinstance(part, TRIGGER_TYPES):
        trigger = part
    elif _is_text(part):
        trigger = read_text(part, path, problems, zone)
    elif isinstance(part, Mapping):
        reader = Reader(part if zone is None else {"timezone": zone, **part}, path, problems, EXAMPLES)
        trigger = read_trigger(reader)
        reader.finish(TRIGGER_KEYS)
    else:
        problems.append(Problem(path, shown(part), "must be a schedule", EXAMPLES["schedule"]))
        return None
    if isinstance(trigger, FixedDelay):
        reason = "a fixed delay waits for the end of its own run, and cannot be one of several"
        problems.append(Problem(path, shown(str(trigger)), reason, "{'interval': '5m'}"))
        return None
    return trigger


def _is_text(value: object) -> bool:
    return isinstance(value, str)


KINDS: Mapping[str, Callable[[Reader], Trigger | None]] = {
    "once": _once,
    "interval": _interval,
    "fixed_delay": _fixed_delay,
    "cron": _cron,
    "calendar": _calendar,
    "rrule": read_rrule,
    "several": _several,
}

KIND_OF_KEY: Mapping[str, str] = {
    "run_at": "once",
    "interval": "interval",
    "delay": "fixed_delay",
    "cron": "cron",
    "every": "calendar",
    "rrule": "rrule",
    "of": "several",
}
"""The key that implies the kind where ``type`` is left out."""

TRIGGER_KEYS = (
    "type",
    "timezone",
    *KIND_OF_KEY,
    *(
        "anchor",
        "first_at",
        "day_or",
        "dst_gap",
        "dst_overlap",
        "unit",
        "at",
        "start",
        "day",
        "dtstart",
        "exdate",
        "rdate",
    ),
)


def read_trigger(reader: Reader) -> Trigger | None:
    """The trigger that a mapping describes; ``None`` when there is a complaint."""
    kind = reader.take("type")
    if kind is MISSING:
        named = [name for key, name in KIND_OF_KEY.items() if reader.has(key)]
        if len(named) != 1:
            reader.complain("type", MISSING, f"must be one of {', '.join(KINDS)}")
            return None
        kind = named[0]
    known = kind.lower().replace("-", "_") if isinstance(kind, str) else ""
    if known not in KINDS:
        near = nearest(known, KINDS)
        hint = f"; did you mean {near!r}?" if near else ""
        reader.complain("type", kind, f"must be one of {', '.join(KINDS)}{hint}")
        return None
    return KINDS[known](reader)


def read_text(text: str, path: str, problems: list[Problem], zone: str | None = None) -> Trigger | None:
    """The trigger that short text describes: ``every 5m``, ``every 2 months``, a cron expression, ``@daily``, a
    recurrence rule (``FREQ=...``), or an ISO 8601 time. Wall times are those of ``zone``, UTC when there is none."""
    words = text.strip()
    if is_recurrence(words):
        return read_recurrence_text(words, path, problems, zone)
    if match := re.fullmatch(r"every\s+(.+)", words, re.IGNORECASE):
        return _read_every(match[1], path, problems, zone)
    if words.startswith("@") or _names_a_zone(words) or len(words.split()) in (5, 6):
        return _cron_text(words, path, problems, zone)
    at = instant_of(words, zone)
    if at is None:
        reason = "must be a schedule (a cron expression, 'every 5m', FREQ=..., or a time)"
        problems.append(Problem(path, shown(text), reason, "'every 5m'"))
        return None
    return Once(at)


def _names_a_zone(expression: str) -> bool:
    return re.match(r"(CRON_)?TZ=", expression, re.IGNORECASE) is not None


def _cron_text(text: str, path: str, problems: list[Problem], zone: str | None) -> Cron | None:
    if _names_a_zone(text):
        problems.append(Problem(path, shown(text), ZONE_BESIDE, "{'cron': '0 9 * * *', 'timezone': 'Europe/Berlin'}"))
        return None
    trigger = Cron(text, zone or "UTC")
    problems.extend(found := trigger.check(path))
    return None if found else trigger


def _read_every(text: str, path: str, problems: list[Problem], zone: str | None) -> Trigger | None:
    if re.fullmatch(r"(\d+\s+)?(month|year)s?", text.strip().lower()):
        return _calendar(Reader({"every": text, "timezone": zone}, path, problems, EXAMPLES))
    spoken = re.sub(r"\s*(second|minute|hour|day|week)s?\b", lambda unit: unit[1][0], text.strip().lower())
    try:
        return Interval(parse_duration(f"1{spoken}" if spoken.isalpha() else spoken, path))
    except InvalidInput as error:
        problems.extend(Problem(path, shown(text), found.reason, "'every 5m'") for found in error.problems)
        return None


def trigger_form(trigger: Trigger) -> dict[str, Any]:
    """The mapping that `naq.schedules.forms.specification.parse_schedule` reads as this trigger."""
    form: dict[str, Any]
    match trigger:
        case Once():
            form = {"type": "once", "run_at": epoch(trigger.at)}
        case Interval():
            form = {"type": "interval", "interval": seconds(trigger.every), "anchor": epoch(trigger.anchor)}
        case FixedDelay():
            form = {"type": "fixed_delay", "delay": seconds(trigger.delay), "first_at": epoch(trigger.first_at)}
        case Cron():
            form = {"type": "cron", "cron": trigger.expression, "timezone": trigger.tz, **_dst_form(trigger)}
            if not trigger.day_or:
                form["day_or"] = False
        case CalendarInterval():
            form = {"type": "calendar", "every": trigger.every, "unit": str(trigger.unit), "timezone": trigger.tz}
            form |= {"at": trigger.at.isoformat(), "start": _iso(trigger.start), "day": trigger.day}
            form |= _dst_form(trigger)
        case RRule():
            form = {**rrule_form(trigger), **_dst_form(trigger)}
        case AnyOf():
            form = _several_form([trigger_form(part) for part in trigger.triggers])
    return {key: value for key, value in form.items() if value is not None}


def _several_form(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """A union; a zone that all its parts share stands outside of them."""
    zones = {part["timezone"] for part in parts if "timezone" in part}
    if len(zones) != 1:
        return {"type": "several", "of": parts}
    bare = [{key: value for key, value in part.items() if key != "timezone"} for part in parts]
    return {"type": "several", "of": bare, "timezone": zones.pop()}


def _dst_form(trigger: Cron | CalendarInterval | RRule) -> dict[str, Any]:
    form: dict[str, Any] = {}
    if trigger.dst_gap is not DstGap.SHIFT:
        form["dst_gap"] = str(trigger.dst_gap)
    if trigger.dst_overlap is not DstOverlap.FIRST:
        form["dst_overlap"] = str(trigger.dst_overlap)
    return form


def _iso(moment: date | None) -> str | None:
    return None if moment is None else moment.isoformat()


def parse_cron(expression: str, zone: str, now: datetime) -> Trigger:
    """The trigger of a cron expression alone. Raises `InvalidSchedule`, also when it never fires after ``now``."""
    problems: list[Problem] = []
    trigger = read_trigger(Reader({"cron": expression, "timezone": zone}, "schedule", problems, EXAMPLES))
    if trigger is not None and not problems and trigger.next_after(now) is None:
        problems.append(Problem("schedule", shown(str(trigger)), "it never fires", EXAMPLES["schedule"]))
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return trigger
