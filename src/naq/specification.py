"""Schedules as users write them - mappings, lists, short text, or the small constructors - made into typed records.

Inside naq there are only records (`Trigger`, `Policy`, `JobSpec`); these forms are accepted at the facade, here, and
nowhere else. All complaints about a form are collected: one `InvalidSchedule` lists them, each with the field, the
value and a value that would do. The forms are documented in ``docs/reference/schedule-forms.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args
from zoneinfo import ZoneInfo

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.job_form import job_from_mapping, parse_job
from naq.policy import Coalesce, Overlap, Policy
from naq.reading import MISSING, Reader, zone_of
from naq.schedule import next_nominal
from naq.timing.triggers import Interval, Once, Trigger
from naq.trigger_form import EXAMPLES, TRIGGER_KEYS, read_text, read_trigger

__all__ = [
    "Spec",
    "cron",
    "every",
    "job_from_mapping",
    "once",
    "parse_job",
    "parse_policy",
    "parse_schedule",
]

POLICY_KEYS = (
    "max_runs",
    "start_at",
    "end_at",
    "catch_up",
    "coalesce",
    "start_deadline",
    "jitter",
    "overlap",
)

TRIGGER_TYPES = get_args(Trigger)

UNLIMITED = "unlimited"
"""How text forms, in which there is no ``None``, say "without a limit"."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A trigger and the policy around it: what the constructors below return."""

    trigger: Trigger
    policy: Policy = Policy()


Form = Mapping[str, Any] | Trigger | Spec | str


def parse_schedule(form: Form, now: datetime, path: str = "schedule") -> tuple[Trigger, Policy]:
    """The trigger and policy that a form describes.

    Raises `InvalidSchedule` with every complaint: what cannot be read, and what could never fire from ``now`` on
    (a cron without instants, an empty window, a time in the past that no catch-up window covers).
    """
    problems: list[Problem] = []
    trigger, policy = _read(form, path, problems)
    if trigger is not None and not problems:
        problems += _never_fires(trigger, policy, now, form, path)
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return trigger, policy


def parse_policy(form: Mapping[str, Any], path: str = "schedule", base: Policy | None = None) -> Policy:
    """The policy with those keys; what the mapping does not name is as in ``base``. Raises `InvalidSchedule`."""
    problems: list[Problem] = []
    reader = Reader(form, path, problems, EXAMPLES)
    zone = zone_of(reader.zone() or "UTC")
    policy = _policy(reader, zone, base or Policy())
    reader.finish(POLICY_KEYS)
    if problems:
        raise InvalidSchedule(*problems)
    return policy


def _read(form: object, path: str, problems: list[Problem]) -> tuple[Trigger | None, Policy]:
    if isinstance(form, Spec):
        return form.trigger, form.policy
    if isinstance(form, TRIGGER_TYPES):
        return form, Policy()
    if isinstance(form, str):
        return read_text(form, path, problems), Policy()
    if isinstance(form, Mapping):
        return _read_mapping(form, path, problems)
    reason = "is no schedule (a mapping, a trigger, or text such as 'every 5m')"
    problems.append(Problem(path, shown(form), reason, "{'type': 'interval', 'interval': 3600}"))
    return None, Policy()


def _read_mapping(form: Mapping[str, Any], path: str, problems: list[Problem]) -> tuple[Trigger | None, Policy]:
    reader = Reader(form, path, problems, EXAMPLES)
    trigger = read_trigger(reader)
    name = form.get("timezone")
    zone = zone_of(name) if isinstance(name, str) and name else None
    policy = _policy(reader, zone, Policy())
    reader.finish((*TRIGGER_KEYS, *POLICY_KEYS))
    return trigger, policy


def _policy(reader: Reader, zone: ZoneInfo | None, base: Policy) -> Policy:
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
    )


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


def _jitter(reader: Reader) -> timedelta | None:
    jitter = reader.duration("jitter", positive=False)
    return jitter or None


def _never_fires(trigger: Trigger, policy: Policy, now: datetime, form: Form, path: str) -> list[Problem]:
    bound = trigger.bound(now) if isinstance(trigger, Interval) else trigger
    if next_nominal(bound, policy, now) is not None:
        return []
    if isinstance(trigger, Once):
        if policy.end_at is not None and trigger.at > policy.end_at:
            reason = f"it lies behind end_at, {policy.end_at.isoformat()}, so it would never fire"
        elif policy.catch_up is None or now - trigger.at <= policy.catch_up:
            return []
        else:
            reason = f"it lies in the past (now is {now.isoformat(timespec='seconds')}), beyond the catch-up window"
        return [Problem(f"{path}.run_at", shown(trigger.at.isoformat()), reason, EXAMPLES["run_at"])]
    if policy.end_at is not None:
        reason = "no instant of the schedule is left before it"
        return [Problem(f"{path}.end_at", shown(policy.end_at.isoformat()), reason, EXAMPLES["end_at"])]
    return [Problem(path, shown(form), "it never fires", "{'type': 'cron', 'cron': '0 9 * * MON-FRI'}")]


def _built(form: Mapping[str, Any]) -> Spec:
    """The trigger and policy of a constructor's arguments; those that are `MISSING` were not given."""
    problems: list[Problem] = []
    given = {key: value for key, value in form.items() if value is not MISSING}
    trigger, policy = _read(given, "", problems)
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return Spec(trigger, policy)


def once(at: datetime | str | float, *, tz: str | ZoneInfo = MISSING, **policy: Any) -> Spec:
    """Fire once, at that time: an aware datetime, ISO 8601 text or epoch seconds; a naive one is read in ``tz`` or UTC.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "once", "run_at": at, "timezone": tz, **policy})


def every(interval: timedelta | str | float, *, anchor: datetime | str | float = MISSING, **policy: Any) -> Spec:
    """Fire every so often on a fixed grid: ``every("10s")``. The grid begins at creation, or at ``anchor``
    (``"epoch"`` aligns it to full hours, days ... in UTC).

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "interval", "interval": interval, "anchor": anchor, **policy})


def cron(expression: str, *, tz: str | ZoneInfo = MISSING, **policy: Any) -> Spec:
    """Fire as a cron expression says: ``cron("0 9 * * MON-FRI", tz="Europe/Berlin", jitter="30s")``.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "cron", "cron": expression, "timezone": tz, **policy})
