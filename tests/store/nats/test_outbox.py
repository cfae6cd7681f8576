"""The outbox: what was handed over is stored, once, though the stream is away or an answer is lost meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.exceptions import StoreUnavailable
from naq.lifecycle import ServiceManager
from naq.store.nats.batches import FEW
from naq.store.nats.connection import ConnectionService
from naq.store.nats.outbox import Outbox
from naq.store.nats.protocol import Message

LIMIT = 1000


class Notes:
    """An outbox for lines of text, each a message of its own, and the stream that takes them."""

    def __init__(self, connection: ConnectionService, name: str) -> None:
        self.outbox: Outbox[str] = Outbox("notes", connection, SystemClock(), self._messages, LIMIT)
        self._connection = connection
        self._name = name

    async def make_stream(self) -> None:
        config = {"name": self._name, "subjects": [f"{self._name}.notes"], "allow_direct": True, "allow_atomic": True}
        await self._connection.api(f"STREAM.CREATE.{self._name}", config)

    async def delete_stream(self) -> None:
        await self._connection.api(f"STREAM.DELETE.{self._name}")

    async def stored(self) -> int:
        info = await self._connection.api(f"STREAM.INFO.{self._name}")
        return int(info["state"]["messages"])

    def _messages(self, notes: Sequence[str]) -> list[Message]:
        return [Message(f"{self._name}.notes", "", note.encode()) for note in notes]


@pytest.fixture
async def connection(config: dict[str, Any]) -> AsyncIterator[ConnectionService]:
    async with ServiceManager(config | {"request_timeout": 1}) as services:
        yield await services.get_service(ConnectionService)


@pytest.fixture
async def notes(connection: ConnectionService, config: dict[str, Any]) -> Notes:
    made = Notes(connection, config["namespace"])
    await made.make_stream()
    return made


async def test_what_nobody_takes_waits_until_somebody_does(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    await notes.delete_stream()
    notes.outbox.put(["a", "b"])
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=r"notes cannot be stored at .*: their stream has no leader"):
            await notes.outbox.flush()
    assert len([record for record in caplog.records if record.name == "naq.store.nats.outbox"]) == 1, (
        "said again and again"
    )
    await notes.make_stream()
    await notes.outbox.flush()
    assert await notes.stored() == 2


async def test_what_waits_is_written_by_itself_when_the_stream_is_back(notes: Notes) -> None:
    await notes.delete_stream()
    notes.outbox.start()
    notes.outbox.put(["a"])
    with pytest.raises(StoreUnavailable):
        await notes.outbox.flush()
    await notes.make_stream()
    async with asyncio.timeout(30):
        while await notes.stored() < 1:  # noqa: ASYNC110 - a stream sends no signal
            await asyncio.sleep(0.02)
    await notes.outbox.stop()


@pytest.mark.parametrize("count", [2, FEW + 1])
async def test_a_lost_answer_stores_nothing_twice(
    notes: Notes, connection: ConnectionService, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    notes.outbox.put(["a"] * count)
    with monkeypatch.context() as patched:
        _, never = connection.expect_answer()
        patched.setattr(connection, "expect_answer", lambda subjects: ("_INBOX.nobody", never))
        with pytest.raises(StoreUnavailable, match="did not say"):
            await notes.outbox.flush()
    assert await notes.stored() == count
    notes.outbox.put(["c"])
    await notes.outbox.flush()
    assert await notes.stored() == count + 1


async def test_what_is_refused_by_the_server_waits(notes: Notes, connection: ConnectionService) -> None:
    info = await connection.api(f"STREAM.INFO.{notes._name}")
    full = {**info["config"], "max_msgs": 1, "discard": "new"}
    await connection.api(f"STREAM.UPDATE.{notes._name}", full)
    notes.outbox.put(["a", "b"])
    with pytest.raises(StoreUnavailable, match="maximum messages exceeded"):
        await notes.outbox.flush()
    await connection.api(f"STREAM.UPDATE.{notes._name}", {**full, "max_msgs": -1})
    await notes.outbox.flush()
    assert await notes.stored() == 2


async def test_a_group_that_is_too_large_goes_in_parts_and_one_thing_is_given_up(
    notes: Notes, connection: ConnectionService
) -> None:
    notes.outbox.put(["a", "b", "x" * (connection.client.max_payload + 1), "c"])
    await notes.outbox.flush()
    assert await notes.stored() == 3
    assert notes.outbox.dropped == 1
