"""Schedules as users write them - mappings, lists, short text, or the small constructors - made into typed records.

Inside naq there are only records (`Trigger`, `Policy`, `JobSpec`); these forms are accepted at the facade, here, and
nowhere else. All complaints about a form are collected: one `InvalidSchedule` lists them, each with the field, the
value and a value that would do. The forms are documented in ``docs/reference/schedule-forms.md``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final, Unpack
from zoneinfo import ZoneInfo

import msgspec

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.jobs.form import job_from_mapping, parse_job
from naq.parsing import MISSING, Reader
from naq.schedules.binding import written
from naq.schedules.forms.examples import EXAMPLES
from naq.schedules.forms.exclusions import exclude_form
from naq.schedules.forms.options import CronOptions, PolicyOptions, WallClockOptions
from naq.schedules.forms.policy import POLICY_KEYS, check_policy, policy_form, read_policy
from naq.schedules.forms.triggers import (
    KIND_OF_KEY,
    TRIGGER_KEYS,
    TRIGGER_TYPES,
    read_several,
    read_text,
    read_trigger,
    trigger_form,
)
from naq.schedules.nominal import Nominals
from naq.schedules.policy import First, Policy
from naq.schedules.record import Schedule
from naq.timing.calendars import Calendar
from naq.timing.triggers import Once, Trigger

__all__ = [
    "POLICY_KEYS",
    "Form",
    "Spec",
    "after_end",
    "any_of",
    "calendar",
    "cron",
    "every",
    "job_from_mapping",
    "never_fires",
    "once",
    "parse_changed",
    "parse_job",
    "parse_policy",
    "parse_schedule",
    "rrule",
    "schedule_form",
    "zone_of",
]

Calendars = Mapping[str, Calendar]

LONG_EXCLUDED: Final = timedelta(days=4 * 366)
"""A schedule that is excluded for so long, as far as was looked, is taken for one that never fires."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A trigger and the policy around it: what the constructors below return."""

    trigger: Trigger
    policy: Policy = Policy()


Form = Mapping[str, Any] | Sequence[Any] | Trigger | Spec | str


def parse_schedule(
    form: Form, now: datetime | None, path: str = "schedule", calendars: Calendars | None = None
) -> tuple[Trigger, Policy]:
    """The trigger and policy that a form describes. ``calendars`` are those that ``exclude`` may name.

    Raises `InvalidSchedule` with every complaint: what cannot be read, and what could never fire from ``now`` on
    (see `never_fires`; it is not asked about when ``now`` is ``None``).
    """
    problems: list[Problem] = []
    trigger, policy = _read(form, path, problems, calendars)
    if trigger is not None and not problems and now is not None:
        problems += never_fires(trigger, policy, now, path)
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return trigger, policy


def parse_policy(
    form: Mapping[str, Any], path: str = "schedule", base: Policy | None = None, zone: str | None = None
) -> Policy:
    """The policy with those keys; what the mapping does not name is as in ``base``. Days, and times without an offset,
    are those of ``zone`` (UTC when there is none). Raises `InvalidSchedule`."""
    problems: list[Problem] = []
    reader = Reader(form, path, problems, EXAMPLES)
    policy = read_policy(reader, zone, base or Policy())
    reader.finish(POLICY_KEYS)
    if problems:
        raise InvalidSchedule(*problems)
    return policy


def parse_changed(schedule: Schedule, changes: Mapping[str, Any]) -> tuple[Trigger, Policy]:
    """The trigger and policy of a schedule with some keys of its form changed: ``{"interval": 60}``, ``{"cron": ...}``.

    A key of another kind of trigger changes the kind; the zone and the policy stay. ``timezone`` alone moves the schedule
    to another zone: wall times and excluded days are then those of that zone. Raises `InvalidSchedule`.
    """
    present = schedule_form(written(schedule.trigger, schedule.filled), schedule.policy)
    kinds = {KIND_OF_KEY[key] for key in changes if key in KIND_OF_KEY}
    if "type" in changes or (kinds and present["type"] not in kinds):
        present = {key: value for key, value in present.items() if key in POLICY_KEYS or key == "timezone"}
    return parse_schedule({**present, **changes}, None, "changes")


def schedule_form(trigger: Trigger, policy: Policy) -> dict[str, Any]:
    """The mapping that `parse_schedule` reads as this trigger and policy: plain values only."""
    form = trigger_form(trigger) | policy_form(policy)
    zone = zone_of(trigger, policy)
    if zone is not None:
        form["timezone"] = zone
    if policy.exclude:
        form["exclude"] = exclude_form(policy.exclude, zone or "UTC")
    return form


def zone_of(trigger: Trigger, policy: Policy) -> str | None:
    """The zone in which a schedule's wall times are read; ``None``: it has none, and UTC is used."""
    return trigger.zone_name or policy.tz


def _read(
    form: object, path: str, problems: list[Problem], calendars: Calendars | None
) -> tuple[Trigger | None, Policy]:
    if isinstance(form, Spec):
        problems += check_policy(form.policy, path)
        return form.trigger, form.policy
    if isinstance(form, TRIGGER_TYPES):
        problems += form.check(path)
        return form, Policy()
    if isinstance(form, str):
        return read_text(form, path, problems), Policy()
    if isinstance(form, list | tuple):
        return read_several(form, path, problems), Policy()
    if isinstance(form, Mapping):
        return _read_mapping(form, path, problems, calendars)
    reason = "must be a schedule (a mapping, a list of them, a trigger, or text such as 'every 5m')"
    problems.append(Problem(path, shown(form), reason, EXAMPLES["schedule"]))
    return None, Policy()


def _read_mapping(
    form: Mapping[str, Any], path: str, problems: list[Problem], calendars: Calendars | None
) -> tuple[Trigger | None, Policy]:
    reader = Reader(form, path, problems, EXAMPLES)
    trigger = read_trigger(reader)
    zone = Reader({"timezone": form.get("timezone")}, path, [], EXAMPLES).zone()
    policy = read_policy(reader, zone, Policy(), calendars)
    if zone not in (None, "UTC") and (trigger is None or zone_of(trigger, policy) is None):
        policy = msgspec.structs.replace(policy, tz=zone)
    if policy.first is First.NOW and trigger is not None and not trigger.can_begin_now:
        reason = "goes with interval and delay only"
        problems.append(Problem(reader.field("first"), shown("now"), reason, "(leave it out)"))
    reader.finish((*TRIGGER_KEYS, *POLICY_KEYS))
    return trigger, policy


def never_fires(trigger: Trigger, policy: Policy, now: datetime, path: str = "schedule") -> list[Problem]:
    """Why a schedule that were created ``now`` would never fire; empty when it would: no instant, an empty window, all
    of them excluded, or a time in the past that no catch-up window covers."""
    nominals = Nominals("", trigger.bound(now), policy)
    if trigger.follows_runs and (policy.end_at is None or now <= policy.end_at):
        return []  # each run follows the end of the one before
    first = nominals.next_after(now)
    if first is not None:
        allowed = nominals.allowed_from(first) if policy.exclude else first
        if allowed is None or (allowed - now > LONG_EXCLUDED and nominals.is_excluded(allowed)):
            reason = "they leave no instant of the schedule"
            return [Problem(f"{path}.exclude", shown([str(each) for each in policy.exclude]), reason, "fewer of them")]
        return []
    if isinstance(trigger, Once):
        return _once_in_the_past(trigger, policy, now, path)
    if policy.end_at is not None:
        reason = "no instant of the schedule is left before it"
        return [Problem(f"{path}.end_at", shown(policy.end_at.isoformat()), reason, EXAMPLES["end_at"])]
    return [Problem(path, shown(str(trigger)), "it never fires", "{'type': 'cron', 'cron': '0 9 * * MON-FRI'}")]


def _once_in_the_past(trigger: Once, policy: Policy, now: datetime, path: str) -> list[Problem]:
    if policy.end_at is not None and trigger.at > policy.end_at:
        reason = f"it lies behind end_at, {policy.end_at.isoformat()}, so it would never fire"
    elif policy.start_at is not None and trigger.at < policy.start_at:
        reason = f"it lies before start_at, {policy.start_at.isoformat()}, so it would never fire"
    elif policy.catch_up is None or now - trigger.at <= policy.catch_up:
        return []
    else:
        reason = f"it lies in the past (now is {now.isoformat(timespec='seconds')}), beyond the catch-up window"
    return [Problem(f"{path}.run_at", shown(trigger.at.isoformat()), reason, EXAMPLES["run_at"])]


def _built(form: Mapping[str, Any]) -> Spec:
    """The trigger and policy of a constructor's arguments; those that are `MISSING` were not given."""
    problems: list[Problem] = []
    given = {key: value for key, value in form.items() if value is not MISSING}
    trigger, policy = _read(given, "", problems, None)
    if problems or trigger is None:
        raise InvalidSchedule(*problems)
    return Spec(trigger, policy)


def once(at: datetime | str | float, *, tz: str | ZoneInfo = MISSING, **policy: Unpack[PolicyOptions]) -> Spec:
    """Fire once, at that time: an aware datetime, ISO 8601 text or epoch seconds; a naive one is read in ``tz`` or UTC.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "once", "run_at": at, "timezone": tz, **policy})


def every(
    interval: timedelta | str | float, *, anchor: datetime | str | float = MISSING, **policy: Unpack[PolicyOptions]
) -> Spec:
    """Fire every so often on a fixed grid: ``every("10s")``. The grid begins at creation, or at ``anchor``
    (``"epoch"`` aligns it to full hours, days ... in UTC).

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "interval", "interval": interval, "anchor": anchor, **policy})


def after_end(
    delay: timedelta | str | float, *, first_at: datetime | str | float = MISSING, **policy: Unpack[PolicyOptions]
) -> Spec:
    """Fire so long after the end of the previous run: ``after_end("5m")``. The first time so long after creation, or
    at ``first_at``.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``. Raises `InvalidSchedule`.
    """
    return _built({"type": "fixed_delay", "delay": delay, "first_at": first_at, **policy})


def cron(expression: str, *, tz: str | ZoneInfo = MISSING, **policy: Unpack[CronOptions]) -> Spec:
    """Fire as a cron expression says: ``cron("0 9 * * MON-FRI", tz="Europe/Berlin", jitter="30s")``.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``, and ``day_or``, ``dst_gap``,
    ``dst_overlap``. Raises `InvalidSchedule`.
    """
    return _built({"type": "cron", "cron": expression, "timezone": tz, **policy})


def calendar(
    every: str,
    *,
    at: str | time = MISSING,
    tz: str | ZoneInfo = MISSING,
    start: str | date = MISSING,
    day: int = MISSING,
    **policy: Unpack[WallClockOptions],
) -> Spec:
    """Fire every so many days, weeks, months or years: ``calendar("2 months", day=31, at="09:00")``, on the last day
    where the month is shorter. It counts from ``start``, by default the day of creation.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``, and ``dst_gap``, ``dst_overlap``. Raises
    `InvalidSchedule`.
    """
    given = {"type": "calendar", "every": every, "at": at, "timezone": tz, "start": start, "day": day}
    return _built({**given, **policy})


def rrule(
    rule: str,
    *,
    dtstart: datetime | str | float = MISSING,
    tz: str | ZoneInfo = MISSING,
    **policy: Unpack[WallClockOptions],
) -> Spec:
    """Fire as a recurrence rule of RFC 5545 says: ``rrule("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=-1")``. A naive ``dtstart``
    is read in ``tz``; by default it is the time of creation.

    ``policy`` are the policy keys of ``docs/reference/schedule-forms.md``, and ``dst_gap``, ``dst_overlap``. Raises
    `InvalidSchedule`.
    """
    return _built({"type": "rrule", "rrule": rule, "dtstart": dtstart, "timezone": tz, **policy})


def any_of(*schedules: Form, tz: str | ZoneInfo = MISSING, **policy: Unpack[PolicyOptions]) -> Spec:
    """Fire when any of them does, equal instants once: ``any_of(cron("0 9 * * *"), "every 6h", overlap="skip")``.

    The parts carry no policy of their own. ``tz`` is the zone of naive times in ``policy``. Raises `InvalidSchedule`.
    """
    parts = [part.trigger if isinstance(part, Spec) and part.policy == Policy() else part for part in schedules]
    return _built({"type": "several", "of": parts, "timezone": tz, **policy})
