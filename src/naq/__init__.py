"""naq: durable schedules that fire exactly once into a durable queue, on NATS JetStream."""

from __future__ import annotations

from naq.app import Naq
from naq.exceptions import NaqError, Retry
from naq.job import Job, JobStatus
from naq.specification import cron, every, once

__all__ = ["Job", "JobStatus", "Naq", "NaqError", "Retry", "cron", "every", "once"]
