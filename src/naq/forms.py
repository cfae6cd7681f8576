"""Records as the facade shows them: plain mappings with epoch seconds, readable by `naq.specification` again."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from naq.job import JobSpec
from naq.policy import Policy
from naq.timing.triggers import Cron, Interval, Once, Trigger

__all__ = ["epoch", "job_form", "policy_form", "seconds", "trigger_form"]


def epoch(instant: datetime | None) -> float | None:
    """Epoch seconds."""
    return None if instant is None else instant.timestamp()


def seconds(duration: timedelta | None) -> float | int | None:
    """Seconds, as a whole number where it is one."""
    if duration is None:
        return None
    total = duration.total_seconds()
    return int(total) if total.is_integer() else total


def trigger_form(trigger: Trigger) -> dict[str, Any]:
    """The mapping that `naq.specification.parse_schedule` reads as this trigger."""
    match trigger:
        case Once(at):
            return {"type": "once", "run_at": epoch(at)}
        case Interval(every, anchor):
            form = {"type": "interval", "interval": seconds(every)}
            return form if anchor is None else {**form, "anchor": epoch(anchor)}
        case Cron():
            return {"type": "cron", "cron": trigger.expression, "timezone": trigger.tz}


def policy_form(policy: Policy) -> dict[str, Any]:
    """The policy keys that differ from the defaults, as `naq.specification.parse_schedule` reads them."""
    default = Policy()
    form: dict[str, Any] = {}
    for name in policy.__struct_fields__:
        value = getattr(policy, name)
        if value == getattr(default, name):
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
    """What a job runs and how, as plain values."""
    form: dict[str, Any] = {"args": [], "kwargs": {}, "queue": spec.queue}
    form |= msgspec.json.decode(msgspec.json.encode(spec))
    for name in ("timeout", "result_ttl"):
        if name in form:
            form[name] = seconds(getattr(spec, name))
    return form
