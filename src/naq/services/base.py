"""The service API under its fixed path: `naq.lifecycle` does the work."""

from __future__ import annotations

from naq.lifecycle import BaseService, ServiceError, ServiceManager

__all__ = ["BaseService", "ServiceError", "ServiceManager"]
