"""Records as the facade shows them: plain mappings with epoch seconds, readable by `naq.schedules.forms.specification` again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from naq.jobs.job import JobSpec
from naq.schedules.forms.exclusions import exclusion_text
from naq.schedules.policy import Policy
from naq.timing.exclusions import ExcludedCalendar, ExcludedTime, Exclusion
from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    Cron,
    DstGap,
    DstOverlap,
    FixedDelay,
    Interval,
    Once,
    RRule,
    Trigger,
)

if TYPE_CHECKING:
    from naq.schedules.record import Schedule

__all__ = ["epoch", "job_form", "policy_form", "schedule_form", "seconds", "to_dict", "trigger_form"]


def epoch(instant: datetime | None) -> float | None:
    """Epoch seconds."""
    return None if instant is None else instant.timestamp()


def seconds(duration: timedelta | None) -> float | int | None:
    """Seconds, as a whole number where it is one."""
    if duration is None:
        return None
    total = duration.total_seconds()
    return int(total) if total.is_integer() else total


def to_dict(schedule: Schedule) -> dict[str, Any]:
    """The schedule as the facade shows it: times in epoch seconds, ``max_runs`` -1 for no limit.

    ``schedule`` in it can be handed to `naq.schedules.forms.specification.parse_schedule` again. Times of actions
    (``paused_at``, ``resumed_at``, ``cancelled_at``, ``completed_at``) are there after the action only.
    """
    limit = schedule.policy.max_runs
    entry: dict[str, Any] = {
        "schedule_id": schedule.schedule_id,
        "job": job_form(schedule.job),
        "schedule": schedule_form(schedule.trigger, schedule.policy),
        "description": str(schedule.trigger),
        "created_at": epoch(schedule.created_at),
        "updated_at": epoch(schedule.updated_at or schedule.created_at),
        "next_run_at": epoch(schedule.next_run_at),
        "next_nominal_at": epoch(schedule.next_nominal_at) if schedule.status == "active" else None,
        "status": str(schedule.status),
        "runs": schedule.runs,
        "max_runs": -1 if limit is None else limit,
        "manual_runs": schedule.manual_runs,
        "missed": schedule.missed,
        "skipped": schedule.skipped,
        "error_count": schedule.error_count,
        "last_run_at": epoch(schedule.last_run_at),
        "last_nominal_at": epoch(schedule.last_nominal_at),
        "skip_next": schedule.skip_next,
        "open_runs": [run.job_id for run in schedule.open_runs],
        "buffered": [epoch(nominal) for nominal in schedule.buffered],
        "excluded_from": epoch(schedule.excluded_from),
        "declared_in": schedule.declared_in,
        "labels": dict(schedule.labels),
        "note": schedule.note,
        "pause_reason": schedule.pause_reason,
        "paused_by": schedule.paused_by,
    }
    for name in ("paused_at", "resumed_at", "cancelled_at", "completed_at"):
        instant = getattr(schedule, name)
        if instant is not None:
            entry[name] = epoch(instant)
    return entry


def schedule_form(trigger: Trigger, policy: Policy) -> dict[str, Any]:
    """The mapping that `naq.schedules.forms.specification.parse_schedule` reads as this trigger and policy: plain values only."""
    form = trigger_form(trigger) | policy_form(policy)
    if policy.exclude:
        zones = {exclusion.tz for exclusion in policy.exclude if not isinstance(exclusion, ExcludedTime)}
        zone = form.get("timezone") or (min(zones) if len(zones) == 1 else "UTC")
        form |= {"timezone": zone, "exclude": _exclude_form(policy.exclude, zone)}
    return form


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
            form = {"type": "rrule", "rrule": trigger.rrule, "dtstart": _iso(trigger.dtstart)}
            form |= {"timezone": trigger.tz, **_dst_form(trigger)}
        case AnyOf():
            form = {"type": "several", "of": [trigger_form(part) for part in trigger.triggers]}
    return {key: value for key, value in form.items() if value is not None}


def policy_form(policy: Policy) -> dict[str, Any]:
    """The policy keys that differ from the defaults, but for ``exclude``, which needs a zone: see `schedule_form`."""
    default = Policy()
    form: dict[str, Any] = {}
    for name in policy.__struct_fields__:
        value = getattr(policy, name)
        if value == getattr(default, name) or name == "exclude":
            continue
        if isinstance(value, datetime):
            value = epoch(value)
        elif isinstance(value, timedelta):
            value = seconds(value)
        elif isinstance(value, str):
            value = str(value)
        form[name] = value
    return form


def job_form(spec: JobSpec) -> dict[str, Any]:
    """What a job runs and how, as plain values; `naq.jobs.form.job_from_mapping` reads it again."""
    form: dict[str, Any] = {"args": [], "kwargs": {}, "queue": spec.queue}
    form |= msgspec.json.decode(msgspec.json.encode(spec))
    for name in ("timeout", "result_ttl"):
        if name in form:
            form[name] = seconds(getattr(spec, name))
    if "backoff" in form:
        backoff = spec.backoff
        form["backoff"] = {"kind": str(backoff.kind), "delay": seconds(backoff.delay)}
        form["backoff"] |= {"longest": seconds(backoff.longest), "jitter": backoff.jitter}
    return form


def _dst_form(trigger: Cron | CalendarInterval | RRule) -> dict[str, Any]:
    form: dict[str, Any] = {}
    if trigger.dst_gap is not DstGap.SHIFT:
        form["dst_gap"] = str(trigger.dst_gap)
    if trigger.dst_overlap is not DstOverlap.FIRST:
        form["dst_overlap"] = str(trigger.dst_overlap)
    return form


def _exclude_form(exclusions: Sequence[Exclusion], zone: str) -> list[Any]:
    """Exclusions as text where that says it all in ``zone``, else as the mapping of the record."""
    items: list[Any] = []
    for exclusion in exclusions:
        elsewhere = not isinstance(exclusion, ExcludedTime) and exclusion.tz != zone
        if elsewhere or isinstance(exclusion, ExcludedCalendar):
            items.append(msgspec.to_builtins(exclusion, str_keys=True))
            continue
        text = exclusion_text(exclusion)
        items += [text] if isinstance(text, str) else text
    return items


def _iso(moment: date | None) -> str | None:
    return None if moment is None else moment.isoformat()
