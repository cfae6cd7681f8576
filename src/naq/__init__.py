"""naq: durable schedules that fire exactly once into a durable queue, on NATS JetStream.

The public API is `naq`, `naq.services` and `naq.testing`. Other modules may change in any release, except the import
paths of the service API (`naq.job` and the modules of `naq.services`).

``import naq`` loads nothing else: each name is loaded when it is used for the first time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.lazy_names import lazy_names

if TYPE_CHECKING:
    from naq.app.application import Naq
    from naq.app.client import Client
    from naq.config import Settings, load_settings
    from naq.events import Event, EventType
    from naq.exceptions import (
        ConfigError,
        EmbeddedServerError,
        InvalidInput,
        InvalidJob,
        InvalidName,
        InvalidSchedule,
        JobCancelled,
        JobError,
        JobExists,
        JobFailed,
        JobTimeout,
        JobUnknown,
        NaqError,
        NoSuchNamespace,
        Problem,
        RecordUnreadable,
        ResultUnfit,
        Retry,
        ScheduleExists,
        SchedulerError,
        ServiceError,
        SinkError,
        StoreError,
        StoreForbidden,
        StoreRejected,
        StoreUnavailable,
        StoreUnsuitable,
        TransactionTooLarge,
        UnknownFunction,
    )
    from naq.jobs.context import JobContext, current_job
    from naq.jobs.flow import Chain, Group, chain, group
    from naq.jobs.job import Job, JobSpec, JobStatus
    from naq.jobs.job_id import JobId, after
    from naq.jobs.resource import resource
    from naq.observe.alerts.alert import Alert, AlertRecord
    from naq.observe.alerts.rules import FailedTimes, Missed, NotRunSince, RunningLongerThan, ScheduleGone
    from naq.observe.alerts.sinks import LogSink
    from naq.observe.alerts.webhook import Webhook
    from naq.schedules.forms.exclusions import read_exclusions
    from naq.schedules.forms.specification import (
        Spec,
        after_end,
        any_of,
        calendar,
        cron,
        every,
        once,
        parse_changed,
        parse_schedule,
        rrule,
    )
    from naq.schedules.policy import Coalesce, IfExists, Overlap, Policy
    from naq.timing.backoff import Backoff
    from naq.timing.calendars import holiday_calendar
    from naq.timing.exclusions import count_excluded, excluded_by
    from naq.timing.ics import read_ics
    from naq.timing.rrule_text import read_recurrence
    from naq.timing.triggers import (
        AnyOf,
        CalendarInterval,
        Cron,
        FixedDelay,
        Interval,
        Once,
        RRule,
        Trigger,
        dst_gaps,
        dst_mark,
    )
    from naq.worker.execution.run import Middleware

__all__ = [
    "Alert",
    "AlertRecord",
    "AnyOf",
    "Backoff",
    "CalendarInterval",
    "Chain",
    "Client",
    "Coalesce",
    "ConfigError",
    "Cron",
    "EmbeddedServerError",
    "Event",
    "EventType",
    "FailedTimes",
    "FixedDelay",
    "Group",
    "IfExists",
    "Interval",
    "InvalidInput",
    "InvalidJob",
    "InvalidName",
    "InvalidSchedule",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobError",
    "JobExists",
    "JobFailed",
    "JobId",
    "JobSpec",
    "JobStatus",
    "JobTimeout",
    "JobUnknown",
    "LogSink",
    "Middleware",
    "Missed",
    "Naq",
    "NaqError",
    "NoSuchNamespace",
    "NotRunSince",
    "Once",
    "Overlap",
    "Policy",
    "Problem",
    "RRule",
    "RecordUnreadable",
    "ResultUnfit",
    "Retry",
    "RunningLongerThan",
    "ScheduleExists",
    "ScheduleGone",
    "SchedulerError",
    "ServiceError",
    "Settings",
    "SinkError",
    "Spec",
    "StoreError",
    "StoreForbidden",
    "StoreRejected",
    "StoreUnavailable",
    "StoreUnsuitable",
    "TransactionTooLarge",
    "Trigger",
    "UnknownFunction",
    "Webhook",
    "__version__",
    "after",
    "after_end",
    "any_of",
    "calendar",
    "chain",
    "count_excluded",
    "cron",
    "current_job",
    "dst_gaps",
    "dst_mark",
    "every",
    "excluded_by",
    "group",
    "holiday_calendar",
    "load_settings",
    "once",
    "parse_changed",
    "parse_schedule",
    "read_exclusions",
    "read_ics",
    "read_recurrence",
    "resource",
    "rrule",
]

__version__ = "0.1.0"

_NAMES_OF = {
    "naq.app.application": ("Naq",),
    "naq.app.client": ("Client",),
    "naq.config": ("Settings", "load_settings"),
    "naq.events": ("Event", "EventType"),
    "naq.exceptions": (
        *("ConfigError", "EmbeddedServerError", "InvalidInput", "InvalidJob", "InvalidName", "InvalidSchedule"),
        *(
            "JobCancelled",
            "JobError",
            "JobExists",
            "JobFailed",
            "JobTimeout",
            "JobUnknown",
            "NaqError",
            "NoSuchNamespace",
            "Problem",
            "RecordUnreadable",
            "ResultUnfit",
            "Retry",
        ),
        *("ScheduleExists", "SchedulerError", "ServiceError", "SinkError", "StoreError", "StoreForbidden"),
        *("StoreRejected", "StoreUnavailable", "StoreUnsuitable", "TransactionTooLarge", "UnknownFunction"),
    ),
    "naq.jobs.context": ("JobContext", "current_job"),
    "naq.jobs.flow": ("Chain", "Group", "chain", "group"),
    "naq.jobs.job": ("Job", "JobSpec", "JobStatus"),
    "naq.jobs.job_id": ("JobId", "after"),
    "naq.jobs.resource": ("resource",),
    "naq.observe.alerts.alert": ("Alert", "AlertRecord"),
    "naq.observe.alerts.rules": ("FailedTimes", "Missed", "NotRunSince", "RunningLongerThan", "ScheduleGone"),
    "naq.observe.alerts.sinks": ("LogSink",),
    "naq.observe.alerts.webhook": ("Webhook",),
    "naq.schedules.forms.exclusions": ("read_exclusions",),
    "naq.schedules.forms.specification": (
        *("Spec", "after_end", "any_of", "calendar", "cron", "every", "once", "parse_changed", "parse_schedule"),
        "rrule",
    ),
    "naq.schedules.policy": ("Coalesce", "IfExists", "Overlap", "Policy"),
    "naq.timing.backoff": ("Backoff",),
    "naq.timing.calendars": ("holiday_calendar",),
    "naq.timing.exclusions": ("count_excluded", "excluded_by"),
    "naq.timing.ics": ("read_ics",),
    "naq.timing.rrule_text": ("read_recurrence",),
    "naq.timing.triggers": (
        *("AnyOf", "CalendarInterval", "Cron", "FixedDelay", "Interval", "Once", "RRule", "Trigger"),
        *("dst_gaps", "dst_mark"),
    ),
    "naq.worker.execution.run": ("Middleware",),
}
if not TYPE_CHECKING:  # so that checkers know every name, and no other
    __getattr__, __dir__ = lazy_names(__name__, _NAMES_OF)
