"""The service API under its fixed path: `naq.queue.service` does the work."""

from __future__ import annotations

from naq.queue.service import JobService

__all__ = ["JobService"]
