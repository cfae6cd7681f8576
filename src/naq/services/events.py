"""The service API under its fixed path: `naq.store.nats.event_stream` does the work."""

from __future__ import annotations

from naq.store.nats.event_stream import EventService

__all__ = ["EventService"]
