"""The bucket of results on NATS: beside the one of the namespace, each entry with a lifetime of its own."""

from __future__ import annotations

import dataclasses

from naq.clock import Clock
from naq.config import Settings
from naq.store.keys import Namespace
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.bucket_config import bucket_config
from naq.store.nats.connection import ConnectionService

__all__ = ["ResultBucket"]


class ResultBucket(KVStoreService):
    """The `Store` that holds the results of a namespace; it is created when it is not there."""

    def __init__(self, settings: Settings, connection: ConnectionService, clock: Clock) -> None:
        inside = dataclasses.replace(settings, namespace=Namespace(settings.namespace).results_bucket)
        super().__init__(inside, connection, clock=clock)

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        config = bucket_config(self.names, self.settings.replicas, self._clock.now())
        config["description"] = "naq: results of jobs, each with its own lifetime"
        await self.connection.stream_service.ensure(config)
        await super()._do_initialize()
