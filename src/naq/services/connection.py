"""The service API under its fixed path: `naq.store.nats.connection` does the work."""

from __future__ import annotations

from naq.store.nats.connection import ConnectionService

__all__ = ["ConnectionService"]
