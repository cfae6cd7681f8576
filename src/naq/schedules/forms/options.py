"""Schedules as mappings and keyword arguments, typed for checkers. What they mean: ``docs/reference/schedule-forms.md``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, Literal, TypedDict
from zoneinfo import ZoneInfo

from naq.jobs.job import Job
from naq.jobs.options import RunOptions
from naq.schedules.policy import Coalesce, First, Overlap
from naq.timing.exclusions import Exclusion

__all__ = [
    "CalendarForm",
    "CronForm",
    "CronOptions",
    "DelayForm",
    "Duration",
    "IntervalForm",
    "Moment",
    "OnceForm",
    "OverlapName",
    "PolicyOptions",
    "RuleForm",
    "ScheduleChanges",
    "SeveralForm",
    "WallClockOptions",
]

Moment = datetime | str | float
"""An aware datetime, ISO 8601 text or epoch seconds; a naive one is read in the schedule's zone, else in UTC."""
Duration = timedelta | float | str
"""A timedelta, seconds, or text such as ``"1h30m"``."""
Zone = str | ZoneInfo
Excluded = str | date | Exclusion
OverlapName = Literal["allow_all", "skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other"]


class PolicyOptions(TypedDict, total=False):
    """The policy keys of every schedule."""

    start_at: Moment | date | None
    end_at: Moment | date | None
    max_runs: int | Literal["unlimited"] | None
    catch_up: Duration | Literal[False] | None
    coalesce: Coalesce | Literal["latest", "earliest", "all"]
    start_deadline: Duration | None
    jitter: Duration | None
    overlap: Overlap | OverlapName
    exclude: Excluded | Sequence[Excluded] | None
    keep_finished: Duration | Literal["unlimited"] | None
    first: First | Literal["next", "now"]


class WallClockOptions(PolicyOptions, total=False):
    """With what applies to schedules that follow a zone's clock."""

    dst_gap: Literal["shift", "skip"]
    dst_overlap: Literal["first", "last", "both"]


class CronOptions(WallClockOptions, total=False):
    """With what applies to cron alone."""

    day_or: bool


class _TimeZone(TypedDict, total=False):
    timezone: Zone


class _OnceKeys(TypedDict):
    run_at: Moment


class OnceForm(_OnceKeys, _TimeZone, PolicyOptions, total=False):
    """``{"type": "once", "run_at": ...}``."""

    type: Literal["once"]


class _IntervalKeys(TypedDict):
    interval: Duration


class IntervalForm(_IntervalKeys, _TimeZone, PolicyOptions, total=False):
    """``{"type": "interval", "interval": 3600}``."""

    type: Literal["interval"]
    anchor: Moment | None


class _DelayKeys(TypedDict):
    delay: Duration


class DelayForm(_DelayKeys, _TimeZone, PolicyOptions, total=False):
    """``{"type": "fixed_delay", "delay": "5m"}``."""

    type: Literal["fixed_delay"]
    first_at: Moment | None


class _CronKeys(TypedDict):
    cron: str


class CronForm(_CronKeys, _TimeZone, CronOptions, total=False):
    """``{"type": "cron", "cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}``."""

    type: Literal["cron"]


class _CalendarKeys(TypedDict):
    every: int | str


class CalendarForm(_CalendarKeys, _TimeZone, WallClockOptions, total=False):
    """``{"type": "calendar", "every": "2 months", "day": 31, "at": "09:00"}``."""

    type: Literal["calendar"]
    unit: Literal["days", "weeks", "months", "years"]
    at: str | time
    start: str | date | None
    day: int


class _RuleKeys(TypedDict):
    rrule: str


class RuleForm(_RuleKeys, _TimeZone, WallClockOptions, total=False):
    """``{"type": "rrule", "rrule": "FREQ=WEEKLY;BYDAY=MO"}``."""

    type: Literal["rrule"]
    dtstart: Moment | date | None
    exdate: Moment | date | Sequence[Moment | date] | None
    rdate: Moment | date | Sequence[Moment | date] | None


class _SeveralKeys(TypedDict):
    of: Sequence[Any]


class SeveralForm(_SeveralKeys, _TimeZone, PolicyOptions, total=False):
    """``{"type": "several", "of": [...]}``."""

    type: Literal["several"]


class ScheduleChanges(CronOptions, RunOptions, total=False):
    """What `update_schedule` can change: the job and its fields, the record's own, and any key of a schedule's form."""

    func: Callable[..., Any] | str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    job: Job | Callable[..., Any] | Mapping[str, Any] | str
    schedule: Any
    next_run_at: Moment
    labels: Mapping[str, str]
    note: str | None
    type: Literal["once", "interval", "fixed_delay", "cron", "calendar", "rrule", "several"]
    timezone: Zone
    run_at: Moment
    interval: Duration
    anchor: Moment | None
    delay: Duration
    first_at: Moment | None
    cron: str
    every: int | str
    unit: Literal["days", "weeks", "months", "years"]
    at: str | time
    start: str | date | None
    day: int
    rrule: str
    dtstart: Moment | date | None
    exdate: Moment | date | Sequence[Moment | date] | None
    rdate: Moment | date | Sequence[Moment | date] | None
    of: Sequence[Any]
