"""The service API under its fixed path: `naq.store.nats.bucket` does the work."""

from __future__ import annotations

from naq.store.nats.bucket import KVStoreService

__all__ = ["KVStoreService"]
