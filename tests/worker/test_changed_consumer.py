"""An administrator changes or pauses the consumer of a queue under its workers."""

from __future__ import annotations

import asyncio

import pytest

from naq.queue.consumers import find_consumer
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from naq.testing.server import until
from naq.worker import intake
from tests.worker import functions
from tests.worker.conftest import StartWorker

HANG = 60


async def test_changed_settings_are_put_right_and_a_pause_is_told(
    jobs: JobService,
    kv: KVStoreService,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(intake, "CONSUMERS_EVERY", 0.2)
    await start_worker()
    connection, name = kv.connection, f"{kv.names.stream}.{kv.names.consumer('default')}"
    found = await find_consumer(connection, kv.names, "default")
    assert found is not None
    changed = {**found["config"], "max_deliver": 1, "max_ack_pending": 7}
    request = {"stream_name": kv.names.stream, "config": changed, "action": "update"}
    await connection.api(f"CONSUMER.CREATE.{name}.{changed['filter_subject']}", request)

    async def is_right() -> bool:
        now = await find_consumer(connection, kv.names, "default")
        return now is not None and (now["config"]["max_deliver"], now["config"]["max_ack_pending"]) == (-1, 100_000)

    await until(is_right, lambda: "the consumer stays as the administrator left it")
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    await connection.api(f"CONSUMER.PAUSE.{name}", {"pause_until": "2199-01-01T00:00:00Z"})

    async def is_told() -> bool:
        return "is paused, and not by naq" in caplog.text

    await until(is_told, lambda: "nobody says that it is paused")
    await asyncio.sleep(0.7)
    assert caplog.text.count("is paused, and not by naq") == 1, "it is said once"
    assert caplog.text.count("was changed (max_ack_pending, max_deliver)") == 1, "it is right from then on"
    await connection.api(f"CONSUMER.PAUSE.{name}", {})
    assert await jobs.result(await jobs.enqueue(functions.add, 2), timeout=HANG) == 2
