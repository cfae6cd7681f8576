"""The worker service: starts and stops the pipeline of one worker."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from naq.clock import SystemClock
from naq.config import Settings
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.records import WorkerInfo
from naq.lifecycle import BaseService, ServiceManager
from naq.queue.results import ResultService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.worker.claimed import Claimed, Claims
from naq.worker.execution.resources import Resources
from naq.worker.pipeline import Backend, Pipeline, WorkerOptions
from naq.worker.report import Report

__all__ = ["WorkerOptions", "WorkerService"]

log = logging.getLogger(__name__)


class WorkerService(BaseService):
    """Runs the jobs of some queues. `initialize` prepares it; it takes jobs from `start` on, so that functions can be
    registered before; `stop` (or `cleanup`) drains it."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        kv_service: KVStoreService,
        event_service: EventService,
        result_service: ResultService,
        history_service: HistoryService,
        options: WorkerOptions | None = None,
    ) -> None:
        """A worker that holds more than ``memory_limit`` of the settings sends its process a SIGTERM, so that it drains and a
        supervisor can start it again."""
        super().__init__(config)
        self._options = options or WorkerOptions()
        self._backend = Backend(kv_service, result_service, history_service, event_service)
        self._resources = Resources()
        self._pipeline: Pipeline | None = None
        self.registry.allow(self.settings.allow_functions)

    def use(self, options: WorkerOptions) -> None:
        """Take over other options, before `start`. The functions that are registered here stay so when they are in no other
        registry."""
        for reference in self.registry.references:
            if reference not in options.registry.references:
                options.registry.add(self.registry.resolve(reference), reference)
        options.registry.allow(self.settings.allow_functions)
        self._options = options

    @property
    def worker_id(self) -> str:
        """The name under which the worker is listed."""
        return self.settings.instance_id

    @property
    def registry(self) -> Registry:
        """The functions that this worker runs; add to it before `start`."""
        return self._options.registry

    @property
    def held(self) -> list[Claimed]:
        """The jobs that it holds now."""
        return [] if self._pipeline is None else self._pipeline.claims.all()

    def info(self) -> WorkerInfo:
        """What the worker says of itself. May be called from any thread."""
        if self._pipeline is not None:
            return self._pipeline.report.info()
        return Report(
            self.settings, self._options.clock or SystemClock(), Claims(), self._backend.events, self.registry
        ).info()

    async def _do_initialize(self) -> None:
        backend = self._backend
        for service in (backend.store, backend.events, backend.results, backend.history):
            await service.initialize()
        if self.settings.allow_pickle:
            log.warning("this worker accepts pickled arguments: whoever can write jobs can run any code in it")

    async def _do_cleanup(self) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take jobs from now on. Initializes first if necessary; idempotent."""
        await self.initialize()
        if self._pipeline is not None:
            return
        self._resources = Resources(self._options.on_start, self._options.on_stop)
        await self._resources.start()
        self._pipeline = pipeline = Pipeline(self.settings, self._backend, self._options, self._resources)
        try:
            await pipeline.start()
        except BaseException:
            await self.stop()
            raise
        pipeline.report.started()

    async def stop(self) -> None:
        """Drain: take no more jobs, let those that run end within ``drain_timeout``, give the others back. Idempotent."""
        pipeline = self._pipeline
        if pipeline is None:
            return
        try:
            await pipeline.drain()
        finally:
            await pipeline.close()
            self._pipeline = None
            await self._resources.stop()
        pipeline.report.stopped()


ServiceManager.register_service("worker", WorkerService)
