"""The service API: services, the manager that builds and starts them, and what they take and return.

A service is built with a configuration (a flat mapping, see `naq.Settings`) and the services that it needs::

    from naq.services import SchedulerService, ServiceManager

    async with ServiceManager({"nats_url": "nats://127.0.0.1:4222"}) as services:
        scheduler = await services.get_service(SchedulerService)

Each name is loaded when it is used for the first time. The modules of this package are fixed import paths for the same
classes (`naq.services.scheduler.SchedulerService`).

Order: `base`, `connection`, `events`, `jobs`, `kv_stores`, `scheduler`, `streams`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.lazy_names import lazy_names

if TYPE_CHECKING:
    from naq.jobs.history_stream import HistoryService
    from naq.lifecycle import BaseService, ServiceError, ServiceManager
    from naq.observe.diagnosis.service import AccountService
    from naq.observe.verify.service import VerifyService
    from naq.queue.results import ResultService
    from naq.queue.service import JobService
    from naq.scheduler.service import SchedulerService
    from naq.schedules.service import ScheduleService
    from naq.store.embedded.server import EmbeddedServer, describe, stop
    from naq.store.nats.bucket import KVStoreService
    from naq.store.nats.connection import ConnectionService, StreamService
    from naq.store.nats.event_stream import EventService
    from naq.store.port import Committed, Delete, Entry, Put, Refused, Unknown
    from naq.worker.service import WorkerService

__all__ = [
    "AccountService",
    "BaseService",
    "Committed",
    "ConnectionService",
    "Delete",
    "EmbeddedServer",
    "Entry",
    "EventService",
    "HistoryService",
    "JobService",
    "KVStoreService",
    "Put",
    "Refused",
    "ResultService",
    "ScheduleService",
    "SchedulerService",
    "ServiceError",
    "ServiceManager",
    "StreamService",
    "Unknown",
    "VerifyService",
    "WorkerService",
    "describe",
    "stop",
]

_NAMES_OF = {
    "naq.jobs.history_stream": ("HistoryService",),
    "naq.lifecycle": ("BaseService", "ServiceError", "ServiceManager"),
    "naq.observe.diagnosis.service": ("AccountService",),
    "naq.observe.verify.service": ("VerifyService",),
    "naq.queue.results": ("ResultService",),
    "naq.queue.service": ("JobService",),
    "naq.scheduler.service": ("SchedulerService",),
    "naq.schedules.service": ("ScheduleService",),
    "naq.store.embedded.server": ("EmbeddedServer", "describe", "stop"),
    "naq.store.nats.bucket": ("KVStoreService",),
    "naq.store.nats.connection": ("ConnectionService", "StreamService"),
    "naq.store.nats.event_stream": ("EventService",),
    "naq.store.port": ("Committed", "Delete", "Entry", "Put", "Refused", "Unknown"),
    "naq.worker.service": ("WorkerService",),
}
if not TYPE_CHECKING:  # so that checkers know every name, and no other
    __getattr__, __dir__ = lazy_names(__name__, _NAMES_OF)
