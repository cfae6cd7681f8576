"""The service API under its fixed path: `naq.scheduler.service` does the work."""

from __future__ import annotations

from naq.scheduler.service import SchedulerService

__all__ = ["SchedulerService"]
