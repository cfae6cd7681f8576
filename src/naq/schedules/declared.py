"""Declared sets: schedules that are written down, in code or in a file, and brought into the store as a set.

The set's name is stored with each of its schedules. What is declared is created or updated; what is in the store under
the set's name and is not declared any more is kept, or removed when that is asked for; schedules of other sets, and those
made by hand, are never touched. Pure: `diff` says what would change, printable like a plan, and `naq.schedules.sync`
carries it out with `created` and `changed`. `naq.schedules.declared_file` reads a set from a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule, Problem
from naq.jobs.form import job_form, parse_job
from naq.jobs.job import Job, JobSpec
from naq.parsing import MISSING
from naq.schedules.binding import Bound, rebind
from naq.schedules.forms.specification import Form, never_fires, parse_schedule, schedule_form
from naq.schedules.ownership import digest_of
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import new_schedule, updated
from naq.store.keys import check_schedule_id
from naq.timing.calendars import Calendar
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
    "digest",
    "plan_blocks",
    "render",
]


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
    owner: str | None = None
    """The set that a refused schedule belongs to."""

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


def digest(definitions: Iterable[Definition]) -> str:
    """A digest by which sets of definitions are compared; their order does not matter."""
    return digest_of(
        (each.schedule_id, _flat(each.job, each.trigger, each.policy, each.labels, each.note)) for each in definitions
    )


def diff(
    declared: Iterable[Definition],
    existing: Iterable[Schedule],
    set_name: str,
    now: datetime,
    prune: bool = True,
    adopt: Collection[str] = (),
) -> tuple[Change, ...]:
    """What has to be done so that the store holds the set as declared, by id. ``existing`` are all schedules there are.

    Without ``prune`` what is declared no more is kept, with that reason. Schedules of the sets in ``adopt`` that are
    declared here become schedules of this set. Raises `InvalidSchedule` for an id declared twice.
    """
    wanted: dict[str, Definition] = {}
    for definition in declared:
        if definition.schedule_id in wanted:
            raise InvalidSchedule.of("schedules", definition.schedule_id, "is declared twice", "another id")
        wanted[definition.schedule_id] = definition
    there = {schedule.schedule_id: schedule for schedule in existing}
    changes = [_change(wanted[name], there.get(name), {set_name, *adopt}, set_name, now) for name in wanted]
    for name, schedule in there.items():
        if name not in wanted and schedule.declared_in == set_name:
            kind = ChangeKind.REMOVE if prune else ChangeKind.KEEP
            changes.append(Change(kind, name, reason="it is declared no more"))
    return tuple(sorted(changes, key=lambda change: change.schedule_id))


def _change(
    definition: Definition, schedule: Schedule | None, owners: Collection[str], set_name: str, now: datetime
) -> Change:
    name = definition.schedule_id
    if schedule is None:
        problems = never_fires(definition.trigger, definition.policy, now)
        if problems:
            return Change(ChangeKind.REFUSE, name, definition, reason="; ".join(map(str, problems)))
        return Change(ChangeKind.CREATE, name, definition)
    if schedule.declared_in not in owners:
        owner, remedy = "made by hand", "use another id"
        if schedule.declared_in is not None:
            owner = f"declared in {schedule.declared_in!r}"
            remedy = f"use another id, or take it over: adopt={schedule.declared_in!r}"
        reason = f"a schedule of that id is {owner}; {remedy}"
        return Change(ChangeKind.REFUSE, name, definition, reason=reason, owner=schedule.declared_in)
    if schedule.status is ScheduleStatus.CANCELLED:
        reason = "it was cancelled, which is final; delete it to have it created again"
        return Change(ChangeKind.REFUSE, name, definition, reason=reason)
    fields = _differences(schedule, definition, now)
    if schedule.declared_in != set_name:
        fields = (FieldChange("declared_in", schedule.declared_in, set_name), *fields)
    return Change(ChangeKind.UPDATE if fields else ChangeKind.KEEP, name, definition, fields)


def _differences(schedule: Schedule, definition: Definition, now: datetime) -> tuple[FieldChange, ...]:
    bound = rebind(Bound(schedule.trigger, schedule.filled), definition.trigger, now).trigger
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


def changed(schedule: Schedule, definition: Definition, now: datetime, set_name: str | None = None) -> Schedule | None:
    """The schedule as it is declared now, with its history; ``None`` when it is cancelled."""
    return updated(
        schedule,
        now,
        job=definition.job,
        trigger=definition.trigger,
        policy=definition.policy,
        labels=definition.labels,
        note=definition.note,
        declared_in=set_name or schedule.declared_in,
    )


def render(changes: Iterable[Change]) -> str:
    """The changes as a plan to read: one block for each that is not kept as it is, and a line of totals."""
    return "\n".join(plan_blocks(changes))


def plan_blocks(changes: Iterable[Change]) -> list[str]:
    """The parts of the plan that `render` shows."""
    every = tuple(changes)
    lines = [str(change) for change in every if change.kind is not ChangeKind.KEEP or change.reason is not None]
    totals = {kind: sum(change.kind is kind for change in every) for kind in ChangeKind}
    lines.append(", ".join(f"{count} to {kind}" for kind, count in totals.items() if count) or "nothing is declared")
    return lines
