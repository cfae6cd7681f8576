"""The policy around a trigger as users write it: one key for each rule, beside the trigger's keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from naq.exceptions import InvalidInput, Problem, shown
from naq.parsing import MISSING, Reader, epoch, seconds
from naq.schedules.forms.examples import EXAMPLES
from naq.schedules.forms.exclusions import read_exclusions
from naq.schedules.policy import Coalesce, First, Overlap, Policy
from naq.timing.calendars import Calendar
from naq.timing.duration import LONGEST
from naq.timing.exclusions import Exclusion

__all__ = ["POLICY_KEYS", "UNLIMITED", "check_policy", "policy_form", "read_policy"]

POLICY_KEYS = tuple(name for name in Policy.__struct_fields__ if name != "tz")

UNLIMITED = "unlimited"
"""How text forms, in which there is no ``None``, say "without a limit"."""


def read_policy(
    reader: Reader, zone: str | None, base: Policy, calendars: Mapping[str, Calendar] | None = None
) -> Policy:
    """The policy with the keys that are there; others as in ``base``. ``zone`` is that of naive times and of days."""
    start_at = reader.instant("start_at", zone) if reader.has("start_at") else base.start_at
    end_at = reader.instant("end_at", zone) if reader.has("end_at") else base.end_at
    if start_at is not None and end_at is not None and end_at < start_at:
        reader.complain("end_at", end_at.isoformat(), f"must not lie before start_at, {start_at.isoformat()}")
    return Policy(
        start_at=start_at,
        end_at=end_at,
        max_runs=_max_runs(reader) if reader.has("max_runs") else base.max_runs,
        catch_up=_catch_up(reader, base) if reader.has("catch_up") else base.catch_up,
        coalesce=reader.choice("coalesce", Coalesce) or base.coalesce,
        start_deadline=reader.duration("start_deadline") if reader.has("start_deadline") else base.start_deadline,
        jitter=_jitter(reader) if reader.has("jitter") else base.jitter,
        overlap=reader.choice("overlap", Overlap) or base.overlap,
        exclude=_exclude(reader, zone, calendars) if reader.has("exclude") else base.exclude,
        keep_finished=_keep_finished(reader, base) if reader.has("keep_finished") else base.keep_finished,
        first=reader.choice("first", First) or base.first,
        tz=base.tz,
    )


def policy_form(policy: Policy) -> dict[str, Any]:
    """The policy keys that differ from the defaults, but for ``exclude``, which needs a zone: see `schedule_form`."""
    default = Policy()
    form: dict[str, Any] = {}
    for name in policy.__struct_fields__:
        value = getattr(policy, name)
        if value == getattr(default, name) or name in ("exclude", "tz"):
            continue
        if isinstance(value, datetime):
            value = epoch(value)
        elif isinstance(value, timedelta):
            value = seconds(value)
        elif isinstance(value, str):
            value = str(value)
        form[name] = value
    return form


def check_policy(policy: Policy, path: str) -> list[Problem]:
    """What is wrong with a policy that was made as a value, not read: durations that time cannot be reckoned with."""
    given = {"catch_up": policy.catch_up, "start_deadline": policy.start_deadline, "jitter": policy.jitter}
    return [
        Problem(f"{path}.{name}", shown(str(value)), "must be at most 100 years", EXAMPLES[name])
        for name, value in given.items()
        if value is not None and value > LONGEST
    ]


def _max_runs(reader: Reader) -> int | None:
    value = reader.take("max_runs")
    if value is None or value == UNLIMITED or (value == -1 and not isinstance(value, bool)):
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        reader.complain("max_runs", value, "must be a whole number, 1 or more; -1 or None for no limit")
        return None
    return value


def _catch_up(reader: Reader, base: Policy) -> timedelta | None:
    value = reader.take("catch_up")
    if value is None or value == UNLIMITED:
        return None
    if value is False:
        return timedelta(0)
    window = Reader({"catch_up": value}, reader.path, reader.problems, EXAMPLES).duration("catch_up", positive=False)
    return base.catch_up if window is None else window


def _keep_finished(reader: Reader, base: Policy) -> timedelta | None:
    value = reader.take("keep_finished")
    if value is None or value == UNLIMITED:
        return None
    kept = Reader({"keep_finished": value}, reader.path, reader.problems, EXAMPLES).duration(
        "keep_finished", positive=False
    )
    return base.keep_finished if kept is None else kept


def _jitter(reader: Reader) -> timedelta | None:
    jitter = reader.duration("jitter", positive=False)
    return jitter or None


def _exclude(reader: Reader, zone: str | None, calendars: Mapping[str, Calendar] | None) -> tuple[Exclusion, ...]:
    value = reader.take("exclude")
    if value is MISSING or value is None:
        return ()
    items = list(value) if isinstance(value, list | tuple | set | frozenset) else [value]
    try:
        return read_exclusions(
            [_from_record(item) for item in items], reader.field("exclude"), zone or "UTC", calendars
        )
    except InvalidInput as error:
        reader.problems.extend(error.problems)
        return ()


def _from_record(item: Any) -> Any:
    """An exclusion that is written as the mapping of its record; anything else is left as it is."""
    if not isinstance(item, Mapping):
        return item
    try:
        return msgspec.convert(item, Exclusion)
    except msgspec.ValidationError:
        return item
