"""Naq's processes on a cluster of three nodes, and what is asked of its streams: who leads one, and that another one does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from naq.exceptions import StoreError
from naq.testing.cluster import NatsCluster
from naq.testing.server import NatsServer
from tests.faults.fleet import Processes
from tests.faults.world import recording

__all__ = ["STREAM", "ClusterFleet", "cluster_fleet"]

STREAM = "KV_naq"


@dataclass(kw_only=True)
class ClusterFleet(Processes):
    """A cluster, and the processes that use it."""

    cluster: NatsCluster
    settings: dict[str, Any]
    """For services beside the processes."""

    async def stream_leader(self) -> NatsServer:
        """The node that leads the stream; waits until one does."""
        async with asyncio.timeout(60):
            while True:
                try:
                    info = await self.schedules._connection.api(f"STREAM.INFO.{STREAM}")
                    if name := (info.get("cluster") or {}).get("leader"):
                        return self.cluster.named(name)
                except StoreError:
                    pass  # it is being elected
                await asyncio.sleep(0.1)

    async def meta_leader(self) -> NatsServer:
        """The node that leads the cluster, which must be whole."""
        leader = await self.cluster.meta_leader()
        assert leader is not None
        return leader

    async def lead_apart(self) -> tuple[NatsServer, NatsServer, NatsServer]:
        """See to it that one node leads the stream and another one the cluster: these two, and the third."""
        meta = await self.meta_leader()
        while (leader := await self.stream_leader()) is meta:
            await self.schedules._connection.api(f"STREAM.LEADER.STEPDOWN.{STREAM}")
        (third,) = (node for node in self.cluster.nodes if node not in (meta, leader))
        return leader, meta, third


@asynccontextmanager
async def cluster_fleet(directory: Path, names: Sequence[str] = ("one", "two")) -> AsyncIterator[ClusterFleet]:
    """A fleet with a cluster of three of its own; the first of its schedulers leads when it is there."""
    async with NatsCluster(directory / "nats", 3) as cluster:
        urls = list(cluster.urls)
        settings = {"nats_url": urls, "replicas": 3, "request_timeout": 10, "connect_timeout": 20}
        async with recording(settings) as (recorder, schedules):
            made = ClusterFleet(
                url=",".join(urls),
                recorder=recorder,
                schedules=schedules,
                environment={"NAQ_REPLICAS": "3"},
                cluster=cluster,
                settings=settings,
            )
            async with made.running(names):
                yield made
