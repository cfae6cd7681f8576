"""Changes to a schedule as users write them, read into arguments of `naq.schedules.transitions.updated`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from naq.exceptions import InvalidInput, InvalidSchedule, Problem, shown
from naq.parsing import instant_of, nearest
from naq.schedules.forms.specification import POLICY_KEYS, parse_job, parse_policy, parse_schedule
from naq.schedules.record import Schedule
from naq.schedules.transitions import updated

__all__ = ["Changes", "read_changes", "read_instant"]

OTHER_KEYS = ("job", "schedule", "next_run_at", "labels", "note")


@dataclass(frozen=True, slots=True)
class Changes:
    """Fields to set, and policy keys to lay over the policy that is there."""

    fields: Mapping[str, Any]
    policy: Mapping[str, Any]

    def applied(self, schedule: Schedule, now: datetime) -> Schedule | None:
        """The schedule with the changes; ``None`` when it is cancelled. Raises `InvalidSchedule`."""
        fields = dict(self.fields)
        if self.policy:
            fields["policy"] = parse_policy(self.policy, "changes", fields.get("policy", schedule.policy))
        return updated(schedule, now, **fields)


def read_changes(changes: Mapping[str, Any], now: datetime) -> Changes:
    """Read what `update_schedule` was given. Raises `InvalidSchedule` with every complaint that can be made without the
    schedule itself."""
    problems = [_unknown(key) for key in changes if key not in (*OTHER_KEYS, *POLICY_KEYS)]
    fields: dict[str, Any] = {}
    policy = {key: changes[key] for key in POLICY_KEYS if key in changes}
    try:
        parse_policy(policy, "changes")
        if "schedule" in changes:
            fields["trigger"], fields["policy"] = parse_schedule(changes["schedule"], now)
        if "job" in changes:
            fields["job"] = parse_job(changes["job"])
        if "next_run_at" in changes:
            fields["next_run_at"] = read_instant(changes["next_run_at"], "next_run_at")
    except InvalidInput as error:
        problems += error.problems
    if "labels" in changes:
        fields["labels"] = _labels(changes["labels"], problems)
    if "note" in changes:
        fields["note"] = None if changes["note"] is None else str(changes["note"])
    if not changes:
        problems.append(Problem("changes", "(none)", "say what to change", "max_runs=10"))
    if problems:
        raise InvalidSchedule(*problems)
    return Changes(fields, policy)


def read_instant(value: object, field: str) -> datetime:
    """An instant: an aware datetime, ISO text or epoch seconds; a naive one is UTC. Raises `InvalidSchedule`."""
    instant = instant_of(value)
    if instant is None:
        raise InvalidSchedule.of(
            field, value, "is no instant (a datetime, ISO text, epoch seconds)", "2030-01-31T09:00:00Z"
        )
    return instant


def _labels(value: object, problems: list[Problem]) -> dict[str, str]:
    if isinstance(value, Mapping) and all(isinstance(part, str) for item in value.items() for part in item):
        return dict(value)
    problems.append(Problem("labels", shown(value), "must be a mapping of text to text", "{'team': 'billing'}"))
    return {}


def _unknown(key: str) -> Problem:
    near = nearest(key, (*OTHER_KEYS, *POLICY_KEYS))
    hint = f", did you mean {near!r}?" if near else ""
    return Problem(key, "(given)", f"a schedule has no such field to change{hint}", "max_runs=10")
