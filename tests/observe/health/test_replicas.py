"""A replica that does not keep up, on a real cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from naq.config import load_settings
from naq.lifecycle import ServiceManager
from naq.observe import doctor
from naq.observe.health.conditions import Level
from naq.store.nats.bucket import KVStoreService
from naq.testing.cluster import NatsCluster
from naq.testing.server import until


@pytest.mark.slow
async def test_a_node_that_is_gone_is_named(tmp_path: Path) -> None:
    async with NatsCluster(tmp_path) as cluster:
        config = {"nats_url": cluster.urls, "replicas": 3, "connect_timeout": 20, "request_timeout": 20}
        async with ServiceManager(config) as services:
            store = await services.get_service(KVStoreService)
            info = await store.connection.stream_service.info(store.names.stream)
        assert info is not None
        leader = info["cluster"]["leader"]
        follower = next(node for node in cluster.nodes if node.name != leader)
        other = next(node for node in cluster.nodes if node is not follower)
        await follower.kill()
        settings = load_settings({**config, "nats_url": other.url})
        found: list[doctor.Finding] = []

        async def is_seen() -> bool:
            found[:] = [each for each in await doctor.check_up(settings) if each.code == "replica-behind"]
            return bool(found)

        await until(is_seen, lambda: "doctor does not see it")
        assert found[0].level is Level.WARNING
        assert found[0].found == f"behind: {follower.name}"
