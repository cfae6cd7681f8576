"""The observing part of one process: its local sinks and, if it runs a scheduler, a candidate for the watcher."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from naq.clock import Clock, SystemClock
from naq.events import Event
from naq.jobs.history_stream import HistoryService
from naq.lifecycle import ServiceManager
from naq.observe.alerts.confirm import Confirmation
from naq.observe.alerts.declarations import Observed
from naq.observe.alerts.delivery import Delivery
from naq.observe.alerts.memory import Memory
from naq.observe.alerts.watcher import Watcher, watch_elector
from naq.queue.service import JobService
from naq.scheduler.leader import read_lease
from naq.scheduler.service import SchedulerService
from naq.store.keys import watch_partition
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService

__all__ = ["Observing"]

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that a stop waits for local sinks."""


class Observing:
    """Runs local sinks while entered, so that they also receive events of services that stop inside."""

    def __init__(self, observed: Observed, application: str | None, clock: Clock | None = None) -> None:
        """``application``: the name under which its alerts are stored, if it has one."""
        self._observed = observed
        self._application = application if observed.needs_watcher else None
        self._clock: Clock = clock or SystemClock()
        self._local = [(declared, Delivery(declared.sink, self._clock)) for declared in observed.local]
        self._services: ServiceManager | None = None
        self._beginning = 0
        self.watcher: Watcher | None = None

    async def __aenter__(self) -> Self:
        for _, delivery in self._local:
            delivery.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(delivery.stop(PATIENCE) for _, delivery in self._local))

    @asynccontextmanager
    async def during(self, services: ServiceManager, *, watches: bool) -> AsyncIterator[None]:
        """Listen to the events of these services; enter before they start work. ``watches``: `watch` will be called."""
        if self._observed.alerts or self._observed.sinks:
            events = await services.get_service(EventService)
            events.listen(self._hear)
            if self._application is not None:
                self._beginning = await events.next_sequence()
                if not watches:
                    await self._look_for_watcher(await services.get_service(KVStoreService), self._application)
        self._services = services
        try:
            yield
        finally:
            watcher, self.watcher = self.watcher, None
            if watcher is not None:
                await watcher.stop()

    async def watch(self, scheduler: SchedulerService) -> None:
        """Become a candidate for the watcher of the application's alerts, if it declared any. Raises `StoreError`."""
        if self._application is None or self._services is None:
            return
        services = self._services
        confirmation = Confirmation(
            scheduler.partition.mirror,
            await services.get_service(JobService),
            await services.get_service(HistoryService),
        )
        events = await services.get_service(EventService)
        store = await services.get_service(KVStoreService)
        memory = Memory(store, self._application, self._beginning)
        elector = watch_elector(store, self._application, self._clock)
        self.watcher = Watcher(self._observed, memory, elector, events, confirmation, self._clock)
        await self.watcher.start()

    async def _look_for_watcher(self, store: KVStoreService, application: str) -> None:
        """Warn if there is no watcher: workers do not watch, so with workers only no alert would ever fire."""
        lease = await read_lease(store, watch_partition(application))
        if lease is None or not lease.held:
            log.warning(
                "the alerts of %s are not watched: start a process that runs its scheduler (naq run MODULE:APP, or "
                "naq scheduler MODULE:APP)",
                application,
            )

    def _hear(self, event: Event) -> None:
        for declared, delivery in self._local:
            if declared.wants(event):
                delivery.put(event)
