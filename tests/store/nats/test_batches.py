"""Batches that will not be committed: the server has room for fifty of a stream, and none may be lost to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from naq.exceptions import StoreForbidden, TransactionTooLarge
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Check, Committed, Put
from naq.testing.server import NatsServer

MORE_THAN_THERE_IS_ROOM_FOR = 60
RULES = 'authorization { users: [{ user: naq, password: pw, permissions: { publish: { deny: "$KV.naq.job.>" } } }] }'


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[KVStoreService]:
    """The store of a user who may not write jobs."""
    async with NatsServer(tmp_path, config=RULES) as server:
        config: dict[str, Any] = {"nats_url": server.url, "nats_user": "naq", "nats_password": "pw"}
        async with ServiceManager(config) as services:
            yield await services.get_service(KVStoreService)


@pytest.mark.parametrize("ahead", [False, True])
async def test_those_that_a_missing_permission_stopped(store: KVStoreService, ahead: bool) -> None:
    fence = Check("epoch.0", await store.put("epoch.0", b"1"))
    for number in range(MORE_THAN_THERE_IS_ROOM_FOR):
        if ahead:
            await store.expect(fence)
        with pytest.raises(StoreForbidden):
            await store.transact([fence, Put(f"schedule.s{number}", b"1", 0), Put(f"job.mail.j{number}", b"1", 0)])
    assert isinstance(await store.transact([fence, Put("schedule.s0", b"1", 0)]), Committed)
    assert await store.get("schedule.s1") is None


async def test_those_whose_last_message_is_larger_than_the_stream_takes(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    info = await store.connection.api(f"STREAM.INFO.{store.names.stream}")
    await store.connection.api(f"STREAM.UPDATE.{store.names.stream}", {**info["config"], "max_msg_size": 2000})
    for _ in range(MORE_THAN_THERE_IS_ROOM_FOR):
        with pytest.raises(TransactionTooLarge):
            await store.transact([Put("a", b"1"), Put("b", b"x" * 3000)])
    assert isinstance(await store.transact([Put("a", b"1"), Put("b", b"2")]), Committed)


async def test_those_that_were_opened_for_what_is_larger_than_the_server_takes(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    fence = Check("epoch.0", await store.put("epoch.0", b"1"))
    for _ in range(MORE_THAN_THERE_IS_ROOM_FOR):
        await store.expect(fence)
        with pytest.raises(TransactionTooLarge):
            await store.transact([fence, Put("b", b"x" * 2_000_000)])
    assert isinstance(await store.transact([fence, Put("b", b"2")]), Committed)
