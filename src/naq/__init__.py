"""naq: durable schedules that fire exactly once into a durable queue, on NATS JetStream."""

from __future__ import annotations

from naq.app.application import Naq
from naq.exceptions import NaqError, Retry
from naq.jobs.job import Job, JobStatus
from naq.observe.alerts.alert import Alert
from naq.observe.alerts.rules import FailedTimes, Missed, NotRunSince, RunningLongerThan
from naq.observe.alerts.sinks import LogSink
from naq.observe.alerts.webhook import Webhook
from naq.schedules.forms.specification import cron, every, once

__all__ = [
    "Alert",
    "FailedTimes",
    "Job",
    "JobStatus",
    "LogSink",
    "Missed",
    "Naq",
    "NaqError",
    "NotRunSince",
    "Retry",
    "RunningLongerThan",
    "Webhook",
    "cron",
    "every",
    "once",
]
