"""The stores that the contract holds for: in memory, in memory behind a link, and on a real server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from naq.exceptions import StoreUnavailable
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.bucket_config import bucket_config
from naq.store.port import Committed, Outcome, Put, Store, Unknown
from naq.testing.link import Link, MemoryClient
from naq.testing.server import NatsServer
from naq.testing.store import MemoryStore

HANG = 30.0
"""Seconds after which a test that waits for news fails."""
KINDS = ("memory", "link", "nats")


@pytest.fixture(params=KINDS)
def server_config(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Where the real server is, for the stores that have one; the others get along without it."""
    if request.param != "nats":
        return {"link": request.param == "link"}
    config: dict[str, Any] = request.getfixturevalue("config")
    return config


@pytest.fixture
async def store(server_config: dict[str, Any]) -> AsyncIterator[Store]:
    """A store of each kind with nothing in it."""
    if "link" not in server_config:
        async with ServiceManager(server_config) as services:
            yield await services.get_service(KVStoreService)
    elif server_config["link"]:
        yield MemoryClient(MemoryStore(), "c1", Link(delay=(0.0, 0.001), lag=(0.0, 0.001)))
    else:
        yield MemoryStore()


@pytest.fixture(params=("link", "nats"))
async def cut_off(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Any]:
    """A store whose server is gone, and how to bring it back: ``(store, heal)``."""
    if request.param == "link":
        client = MemoryClient(MemoryStore(), "c1")
        await client.transact([Put("a", b"1")])
        client.disconnect()

        async def heal() -> None:
            client.restore()

        yield client, heal
        return
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    await server.start()
    config = {"nats_url": server.url, "namespace": f"t{secrets.token_hex(6)}", "request_timeout": 1}
    try:
        async with ServiceManager(config) as services:
            store = await services.get_service(KVStoreService)
            await store.transact([Put("a", b"1")])
            await server.kill()
            await _until(store, available=False)
            yield store, server.start
            await server.start()
            await _until(store, available=True)
    finally:
        await server.stop()


async def _until(store: Store, *, available: bool) -> None:
    """The client learns of its server's end and return by itself; what it sends between is unknown."""
    async with asyncio.timeout(HANG):
        while True:
            try:
                outcome = await store.transact([Put("probe", b"")])
            except StoreUnavailable:
                if not available:
                    return
                await asyncio.sleep(0.02)
            else:
                assert isinstance(outcome, Unknown) or available
                if isinstance(outcome, Committed):
                    return


async def make_anew(store: Store) -> None:
    """Delete a store with all that it holds, and have an empty one there under the same name."""
    if isinstance(store, KVStoreService):
        streams = store.connection.stream_service
        assert await streams.delete(store.names.stream)
        await streams.ensure(bucket_config(store.names, 1, datetime.now(UTC)))
    else:
        assert isinstance(store, MemoryStore | MemoryClient)
        (store if isinstance(store, MemoryStore) else store.store).replace()


def revisions(outcome: Outcome) -> tuple[int, ...]:
    """The revisions of a transaction that must have been committed."""
    assert isinstance(outcome, Committed), outcome
    return outcome.revisions


async def put(store: Store, key: str, value: bytes = b"x", **more: Any) -> int:
    """Write one key that must be accepted; its revision."""
    return revisions(await store.transact([Put(key, value, **more)]))[0]
