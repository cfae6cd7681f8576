"""Declared sets: schedules that are written down, in code or in a file, and brought into the store as a set.

The set's name is stored with each of its schedules. What is declared is created or updated; what is in the store under
the set's name and is declared no more is removed; schedules of other sets, and those made by hand, are never touched.
Pure: `diff` says what would change, printable like a plan, and whoever carries it out uses `created` and `changed`.

A file is a mapping (YAML or TOML; reading the text is the caller's part)::

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

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.jobs.form import job_form, job_from_mapping, parse_job
from naq.jobs.job import Job, JobSpec
from naq.parsing import MISSING, Reader
from naq.schedules.forms.exclusions import read_exclusions
from naq.schedules.forms.specification import Form, never_fires, parse_schedule, schedule_form
from naq.schedules.forms.triggers import read_text, trigger_form
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import new_schedule, updated
from naq.store.keys import check_schedule_id
from naq.timing.calendars import Calendar, DayRange, TimeRange
from naq.timing.exclusions import ExcludedDates, ExcludedDays, ExcludedTime
from naq.timing.triggers import Trigger

__all__ = [
    "Change",
    "ChangeKind",
    "Definition",
    "FieldChange",
    "changed",
    "created",
    "define",
    "diff",
    "read_definitions",
    "render",
]

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


@dataclass(frozen=True, slots=True)
class Definition:
    """One schedule as it is declared. ``trigger`` is not bound to a time of creation."""

    schedule_id: str
    job: JobSpec
    trigger: Trigger
    policy: Policy = Policy()
    labels: Mapping[str, str] = field(default_factory=dict)
    note: str | None = None


class ChangeKind(StrEnum):
    """What is to be done about one schedule."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"
    KEEP = "keep"
    REFUSE = "refuse"
    """It is declared, and cannot be brought into the store; the reason says why."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One value that differs, as users write it; `MISSING` where there is none."""

    field: str
    before: Any
    after: Any

    def __str__(self) -> str:
        before, after = ("(none)" if value is MISSING else repr(value) for value in (self.before, self.after))
        return f"{self.field}: {before} -> {after}"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done about one schedule, and why."""

    kind: ChangeKind
    schedule_id: str
    definition: Definition | None = None
    fields: tuple[FieldChange, ...] = ()
    reason: str | None = None

    def __str__(self) -> str:
        line = f"{_SIGNS[self.kind]} {self.kind} {self.schedule_id}"
        if self.kind is ChangeKind.CREATE and self.definition is not None:
            line += f": {self.definition.job.func} {self.definition.trigger}"
        if self.reason is not None:
            line += f": {self.reason}"
        return "\n".join([line, *(f"    {each}" for each in self.fields)])


_SIGNS = {
    ChangeKind.CREATE: "+",
    ChangeKind.UPDATE: "~",
    ChangeKind.REMOVE: "-",
    ChangeKind.KEEP: "=",
    ChangeKind.REFUSE: "!",
}


def define(
    schedule_id: str,
    job: Job,
    schedule: Form,
    *,
    labels: Mapping[str, str] | None = None,
    note: str | None = None,
    path: str = "",
    calendars: Mapping[str, Calendar] | None = None,
) -> Definition:
    """One definition from what a user wrote. Raises `InvalidSchedule` with every complaint about id, job and schedule.

    ``path`` stands before the fields in complaints.
    """
    prefix = f"{path}." if path else ""
    problems: list[Problem] = []
    spec: JobSpec | None = None
    read: tuple[Trigger, Policy] | None = None
    try:
        check_schedule_id(schedule_id, f"{prefix}id")
    except InvalidInput as error:
        problems += error.problems
    try:
        spec = parse_job(job, f"{prefix}job")
    except InvalidInput as error:
        problems += error.problems
    try:
        read = parse_schedule(schedule, None, f"{prefix}schedule", calendars)
    except InvalidInput as error:
        problems += error.problems
    if problems or spec is None or read is None:
        raise InvalidSchedule(*problems)
    return Definition(schedule_id, spec, *read, labels=dict(labels or {}), note=note)


def read_definitions(form: Mapping[str, Any]) -> tuple[Definition, ...]:
    """The definitions of a file's mapping, in its order. Raises `InvalidSchedule` with every complaint of all entries."""
    problems: list[Problem] = []
    reader = Reader(form, "", problems, EXAMPLES)
    defaults = _mapping(reader, "defaults")
    calendars = _calendars(_mapping(reader, "calendars"), problems)
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
    calendars: Mapping[str, Calendar],
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
        return define(schedule_id, made, form, labels=labels, note=note, path=path, calendars=calendars)
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _with_defaults(schedule: Any, defaults: Mapping[str, Any]) -> Any:
    """The schedule's form with the file's defaults below it."""
    if not defaults:
        return schedule
    if isinstance(schedule, str):
        trigger = read_text(schedule, "", [])
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


def _calendars(form: Mapping[str, Any], problems: list[Problem]) -> dict[str, Calendar]:
    calendars = {}
    for name, days in form.items():
        try:
            calendars[str(name)] = _calendar(str(name), days)
        except InvalidInput as error:
            problems.extend(error.problems)
    return calendars


def _calendar(name: str, days: object) -> Calendar:
    path = f"calendars.{name}"
    found = read_exclusions(days, path)
    odd = [str(each) for each in found if not isinstance(each, ExcludedDates | ExcludedDays | ExcludedTime)]
    if odd:
        raise InvalidSchedule.of(path, odd, "a calendar holds dates, ranges of dates and times", ["2030-12-24"])
    return Calendar(
        name,
        dates=tuple(day for each in found if isinstance(each, ExcludedDates) for day in each.dates),
        ranges=tuple(DayRange(each.first, each.last) for each in found if isinstance(each, ExcludedDays)),
        times=tuple(TimeRange(each.start, each.end) for each in found if isinstance(each, ExcludedTime)),
    )


def diff(
    declared: Iterable[Definition], existing: Iterable[Schedule], set_name: str, now: datetime, prune: bool = True
) -> tuple[Change, ...]:
    """What has to be done so that the store holds the set as declared, by id. ``existing`` are all schedules there are.

    Without ``prune`` what is declared no more is kept, and said to be. Raises `InvalidSchedule` for an id declared twice.
    """
    wanted: dict[str, Definition] = {}
    for definition in declared:
        if definition.schedule_id in wanted:
            raise InvalidSchedule.of("schedules", definition.schedule_id, "is declared twice", "another id")
        wanted[definition.schedule_id] = definition
    there = {schedule.schedule_id: schedule for schedule in existing}
    changes = [_change(wanted[name], there.get(name), set_name, now) for name in wanted]
    for name, schedule in there.items():
        if name not in wanted and schedule.declared_in == set_name:
            kind = ChangeKind.REMOVE if prune else ChangeKind.KEEP
            changes.append(Change(kind, name, reason="it is declared no more"))
    return tuple(sorted(changes, key=lambda change: change.schedule_id))


def _change(definition: Definition, schedule: Schedule | None, set_name: str, now: datetime) -> Change:
    name = definition.schedule_id
    if schedule is None:
        problems = never_fires(definition.trigger, definition.policy, now)
        if problems:
            return Change(ChangeKind.REFUSE, name, definition, reason="; ".join(map(str, problems)))
        return Change(ChangeKind.CREATE, name, definition)
    if schedule.declared_in != set_name:
        owner = "made by hand" if schedule.declared_in is None else f"declared in {schedule.declared_in!r}"
        return Change(ChangeKind.REFUSE, name, definition, reason=f"a schedule of that id is {owner}; use another id")
    if schedule.status is ScheduleStatus.CANCELLED:
        reason = "it was cancelled, which is final; delete it to have it created again"
        return Change(ChangeKind.REFUSE, name, definition, reason=reason)
    fields = _differences(schedule, definition)
    return Change(ChangeKind.UPDATE if fields else ChangeKind.KEEP, name, definition, fields)


def _differences(schedule: Schedule, definition: Definition) -> tuple[FieldChange, ...]:
    bound = definition.trigger.bound(schedule.created_at)
    before = _flat(schedule.job, schedule.trigger, schedule.policy, schedule.labels, schedule.note)
    after = _flat(definition.job, bound, definition.policy, definition.labels, definition.note)
    return tuple(
        FieldChange(name, before.get(name, MISSING), after.get(name, MISSING))
        for name in sorted(before.keys() | after.keys())
        if before.get(name, MISSING) != after.get(name, MISSING)
    )


def _flat(
    job: JobSpec, trigger: Trigger, policy: Policy, labels: Mapping[str, str], note: str | None
) -> dict[str, Any]:
    """All values of a definition under the names users know."""
    flat = {f"job.{key}": value for key, value in job_form(job).items()}
    flat |= {f"schedule.{key}": value for key, value in schedule_form(trigger, policy).items()}
    flat |= {f"labels.{key}": value for key, value in labels.items()}
    return flat if note is None else {**flat, "note": note}


def created(definition: Definition, set_name: str, now: datetime) -> Schedule:
    """The fresh schedule of a definition."""
    return new_schedule(
        definition.schedule_id,
        definition.job,
        definition.trigger,
        definition.policy,
        now,
        labels=definition.labels,
        note=definition.note,
        declared_in=set_name,
    )


def changed(schedule: Schedule, definition: Definition, now: datetime) -> Schedule | None:
    """The schedule as it is declared now, with its history; ``None`` when it is cancelled."""
    return updated(
        schedule,
        now,
        job=definition.job,
        trigger=definition.trigger,
        policy=definition.policy,
        labels=definition.labels,
        note=definition.note,
    )


def render(changes: Iterable[Change]) -> str:
    """The changes as a plan to read: one block for each that is not kept as it is, and a line of totals."""
    every = tuple(changes)
    lines = [str(change) for change in every if change.kind is not ChangeKind.KEEP or change.reason is not None]
    totals = {kind: sum(change.kind is kind for change in every) for kind in ChangeKind}
    lines.append(", ".join(f"{count} to {kind}" for kind, count in totals.items() if count) or "nothing is declared")
    return "\n".join(lines)
