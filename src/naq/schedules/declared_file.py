"""Declared sets in files: `read_definitions` reads the mapping that a YAML, TOML or JSON file holds.

A file looks like this (reading the text is the caller's part)::

    schedules:
      daily-report:
        job: reports:send_daily               # or a mapping: {func: ..., args: [...], queue: mail}
        schedule: {cron: "0 9 * * MON-FRI"}   # or text such as "every 5m", or a list
        labels: {team: billing}
        note: asked for by accounting
    defaults:
      schedule: {timezone: Europe/Berlin, overlap: skip}
      job: {retries: 3}
    calendars:
      works: ["2030-12-24..2031-01-01"]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.jobs.form import job_from_mapping
from naq.parsing import MISSING, Reader
from naq.schedules.declared import Definition, define
from naq.schedules.forms.exclusions import read_exclusions
from naq.schedules.forms.triggers import read_text, trigger_form
from naq.timing.calendars import Calendar, DayRange, TimeRange
from naq.timing.exclusions import ExcludedDates, ExcludedDays, ExcludedTime
from naq.timing.zones import check_zone

__all__ = ["read_definitions"]

FILE_KEYS = ("schedules", "defaults", "calendars")
ENTRY_KEYS = ("job", "schedule", "labels", "note")
EXAMPLES: Mapping[str, str] = {
    "schedules": "{'daily-report': {'job': 'reports:send', 'schedule': '0 9 * * *'}}",
    "defaults": "{'schedule': {'timezone': 'Europe/Berlin'}, 'job': {'retries': 3}}",
    "calendars": "{'works': ['2030-12-24..2031-01-01']}",
    "job": "'reports:send_daily'",
    "schedule": "{'cron': '0 9 * * MON-FRI'}",
    "labels": "{'team': 'billing'}",
    "note": "'asked for by accounting'",
}


def read_definitions(form: Mapping[str, Any]) -> tuple[Definition, ...]:
    """The definitions of a file's mapping, in its order. Raises `InvalidSchedule` with every complaint of all entries."""
    problems: list[Problem] = []
    reader = Reader(form, "", problems, EXAMPLES)
    defaults = _mapping(reader, "defaults")
    calendars = _mapping(reader, "calendars")
    _calendars(calendars, "UTC", problems)
    entries = _mapping(reader, "schedules", required=True)
    reader.finish(FILE_KEYS)
    default_reader = Reader(defaults, "defaults", problems, EXAMPLES)
    job, schedule = _mapping(default_reader, "job"), _mapping(default_reader, "schedule")
    default_reader.finish(("job", "schedule"))
    definitions = [
        _entry(str(schedule_id), entry, job, schedule, calendars, problems) for schedule_id, entry in entries.items()
    ]
    if problems:
        raise InvalidSchedule(*problems)
    return tuple(definition for definition in definitions if definition is not None)


def _entry(
    schedule_id: str,
    entry: object,
    default_job: Mapping[str, Any],
    default_schedule: Mapping[str, Any],
    calendars: Mapping[str, Any],
    problems: list[Problem],
) -> Definition | None:
    path = f"schedules.{schedule_id}"
    if not isinstance(entry, Mapping):
        problems.append(Problem(path, shown(entry), "must be a mapping", EXAMPLES["schedules"]))
        return None
    reader = Reader(entry, path, problems, EXAMPLES)
    job, schedule = reader.require("job"), reader.require("schedule")
    labels, note = _labels(reader), reader.text("note")
    reader.finish(ENTRY_KEYS)
    if job is MISSING or schedule is MISSING:
        return None
    try:
        named = {"func": job} if isinstance(job, str) else job
        made = job_from_mapping({**default_job, **named} if isinstance(named, Mapping) else named, f"{path}.job")
        form = _with_defaults(schedule, default_schedule)
        zone = form.get("timezone") if isinstance(form, Mapping) else None
        named_days = _calendars(calendars, zone if isinstance(zone, str) and not check_zone(zone, "") else "UTC", [])
        return define(schedule_id, made, form, labels=labels, note=note, path=path, calendars=named_days)
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _with_defaults(schedule: Any, defaults: Mapping[str, Any]) -> Any:
    """The schedule's form with the file's defaults below it."""
    if not defaults:
        return schedule
    if isinstance(schedule, str):
        zone = defaults.get("timezone")
        trigger = read_text(schedule, "", [], zone if isinstance(zone, str) and not check_zone(zone, "") else None)
        if trigger is None:
            return schedule
        schedule = {key: value for key, value in trigger_form(trigger).items() if key != "timezone"}
    elif isinstance(schedule, list | tuple):
        schedule = {"type": "several", "of": schedule}
    return {**defaults, **schedule} if isinstance(schedule, Mapping) else schedule


def _mapping(reader: Reader, key: str, *, required: bool = False) -> Mapping[str, Any]:
    value = reader.require(key) if required else reader.take(key)
    if value is MISSING or (value is None and not required):
        return {}
    if not isinstance(value, Mapping):
        reader.complain(key, value, "must be a mapping")
        return {}
    return value


def _labels(reader: Reader) -> dict[str, str]:
    labels = _mapping(reader, "labels")
    if all(isinstance(part, str) for pair in labels.items() for part in pair):
        return dict(labels)
    reader.complain("labels", labels, "must be a mapping of text to text")
    return {}


def _calendars(form: Mapping[str, Any], zone: str, problems: list[Problem]) -> dict[str, Calendar]:
    """The file's calendars for a schedule in ``zone``: times without an offset are on its clock, as days are."""
    calendars = {}
    for name, days in form.items():
        try:
            calendars[str(name)] = _calendar(str(name), days, zone)
        except InvalidInput as error:
            problems.extend(error.problems)
    return calendars


def _calendar(name: str, days: object, zone: str) -> Calendar:
    path = f"calendars.{name}"
    found = read_exclusions(days, path, zone)
    odd = [str(each) for each in found if not isinstance(each, ExcludedDates | ExcludedDays | ExcludedTime)]
    if odd:
        raise InvalidSchedule.of(path, odd, "a calendar holds dates, ranges of dates and times", ["2030-12-24"])
    return Calendar(
        name,
        dates=tuple(day for each in found if isinstance(each, ExcludedDates) for day in each.dates),
        ranges=tuple(DayRange(each.first, each.last) for each in found if isinstance(each, ExcludedDays)),
        times=tuple(TimeRange(each.start, each.end) for each in found if isinstance(each, ExcludedTime)),
    )
