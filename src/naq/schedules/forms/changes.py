"""Changes to a schedule as users write them, read into arguments of `naq.schedules.transitions.updated`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.jobs.form import CHANGEABLE, changed_spec, parse_job
from naq.jobs.job import Job, JobSpec
from naq.parsing import instant_of, nearest
from naq.schedules.forms.specification import (
    POLICY_KEYS,
    never_fires,
    parse_changed,
    parse_policy,
    parse_schedule,
    zone_of,
)
from naq.schedules.forms.triggers import TRIGGER_KEYS
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import updated
from naq.timing.triggers import Trigger

__all__ = ["CHANGE_KEYS", "Changes", "read_changes", "read_instant"]

AT_ENQUEUE = ("depends_on", "depends_when", "unique_for", "unique_key", "expires")
"""Fields of a job that count when it is enqueued by hand: a fire waits for no other job, and its id makes it unique."""
JOB_CHANGES = tuple(key for key in CHANGEABLE if key not in AT_ENQUEUE)
"""Fields of the job that can be given beside the others."""
OTHER_KEYS = ("job", "schedule", "next_run_at", "labels", "note")
CHANGE_KEYS = (*OTHER_KEYS, *JOB_CHANGES, *POLICY_KEYS, *TRIGGER_KEYS)
"""All that a change may name; `naq.schedules.forms.options.ScheduleChanges` has them for type checkers."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a user wants changed. Wall times in it are read when the schedule, and so its zone, is known."""

    fields: Mapping[str, Any]
    definition: tuple[Trigger, Policy] | None
    """A whole new trigger and policy."""
    timing: Mapping[str, Any]
    """Keys of a trigger's form, laid over the trigger that is there."""
    policy: Mapping[str, Any]
    """Policy keys, laid over the policy that is there."""
    job: Mapping[str, Any]
    """Fields of a `Job`, laid over the job that is there."""
    next_run_at: object = None

    def applied(self, schedule: Schedule, now: datetime) -> Schedule | None:
        """The schedule with the changes; ``None`` when it is cancelled. Raises `InvalidSchedule`."""
        fields = dict(self.fields)
        trigger, policy = self.definition or (schedule.trigger, schedule.policy)
        if self.timing:
            trigger, policy = parse_changed(schedule, {**self.timing, **self.policy})
        elif self.policy:
            policy = parse_policy(self.policy, "changes", policy, zone_of(trigger, policy))
        if self.definition is not None or self.timing or self.policy:
            fields |= {"trigger": trigger, "policy": policy}
        if self.job:
            fields["job"] = changed_spec(fields.get("job", schedule.job), self.job)
        if self.next_run_at is not None:
            fields["next_run_at"] = read_instant(self.next_run_at, "next_run_at", zone_of(trigger, policy))
        after = updated(schedule, now, **fields)
        if after is not None and after.trigger != schedule.trigger:
            _check_that_it_fires(after, now)
        return after


def _check_that_it_fires(after: Schedule, now: datetime) -> None:
    if problems := never_fires(after.trigger, after.policy, now):
        raise InvalidSchedule(*problems)


def read_changes(changes: Mapping[str, Any], now: datetime) -> Changes:
    """Read what `update_schedule` was given. Raises `InvalidSchedule` with every complaint that can be made without the
    schedule itself."""
    problems = [_unknown(key, CHANGE_KEYS) for key in changes if key not in CHANGE_KEYS]
    fields: dict[str, Any] = {}
    definition: tuple[Trigger, Policy] | None = None
    policy = {key: changes[key] for key in POLICY_KEYS if key in changes}
    timing = {key: changes[key] for key in TRIGGER_KEYS if key in changes}
    job = _changes_of_job(changes)
    try:
        parse_policy(policy, "changes")
        if "schedule" in changes:
            definition = parse_schedule(changes["schedule"], None)
        if isinstance(changes.get("job"), Job):
            fields["job"] = parse_job(changes["job"])
        changed_spec(JobSpec(func="naq:any"), job, call=False)
        if "next_run_at" in changes:
            read_instant(changes["next_run_at"], "next_run_at")
    except InvalidInput as error:
        problems += error.problems
    if "schedule" in changes and timing:
        reason = "does not go with schedule, which replaces all of it"
        problems += [Problem(key, shown(value), reason, "one or the other") for key, value in timing.items()]
    if "labels" in changes:
        fields["labels"] = _labels(changes["labels"], problems)
    if "note" in changes:
        fields["note"] = None if changes["note"] is None else str(changes["note"])
    if not changes:
        problems.append(Problem("changes", "(none)", "say what to change", "max_runs=10"))
    if problems:
        raise InvalidSchedule(*problems)
    return Changes(fields, definition, timing, policy, job, changes.get("next_run_at"))


def _changes_of_job(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the job that change: given as such, or in ``job``, which may also be only a function."""
    given = changes.get("job")
    if given is None or isinstance(given, Job):
        inner: dict[str, Any] = {}
    else:
        inner = dict(given) if isinstance(given, Mapping) else {"func": given}
    return {**inner, **{key: changes[key] for key in JOB_CHANGES if key in changes}}


def read_instant(value: object, field: str, zone: str | None = None) -> datetime:
    """An instant: an aware datetime, ISO text or epoch seconds. Without an offset it is read in ``zone``, in UTC when
    there is none. Raises `InvalidSchedule`."""
    instant = instant_of(value, zone)
    if instant is None:
        reason = "must be an instant (a datetime, ISO text, epoch seconds)"
        raise InvalidSchedule.of(field, value, reason, "2030-01-31T09:00:00Z")
    return instant


def _labels(value: object, problems: list[Problem]) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(part, str) for item in value.items() for part in item):
        return dict(value)
    problems.append(Problem("labels", shown(value), "must be a mapping of text to text", "{'team': 'billing'}"))
    return {}


def _unknown(key: str, known: tuple[str, ...]) -> Problem:
    near = nearest(key, known)
    hint = f", did you mean {near!r}?" if near else ""
    return Problem(key, "(given)", f"a schedule has no such field to change{hint}", "max_runs=10")
