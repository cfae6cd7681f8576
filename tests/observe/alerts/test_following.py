"""Whoever follows the events is told of them, asks for nothing while there are none, and outlives the stream."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq import FailedTimes
from naq.lifecycle import ServiceManager
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from tests.observe.alerts import functions
from tests.observe.alerts.conftest import HANG, Received, Run
from tests.observe.alerts.test_alerts import application

IDLE = 1.5
"""Seconds in which a watcher that polls would have asked some times."""


async def make_anew(services: ServiceManager, config: dict[str, Any]) -> None:
    """Delete the stream of events, and have another process make it again."""
    events = await services.get_service(EventService)
    assert await events.streams.delete(events.names.events_stream)
    async with ServiceManager(config) as others:
        await others.get_service(EventService)


async def test_an_idle_watcher_asks_for_no_events(
    config: dict[str, Any], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, told = application(config), Received()
    app.alert(FailedTimes(1, func=functions.export), to=told, name="exports")
    asked: list[str] = []
    async with run(app) as services:
        connection = await services.get_service(ConnectionService)
        ask = connection.ask

        async def counted(subject: str, payload: bytes, timeout: float | None = None) -> tuple[bytes, bytes]:
            asked.append(subject)
            return await ask(subject, payload, timeout)

        monkeypatch.setattr(connection, "ask", counted)
        await app.enqueue(functions.export)
        await told.until("fired", "tests.observe.alerts.functions:export")
        await asyncio.sleep(IDLE)
        asked.clear()
        await asyncio.sleep(IDLE)
        assert [subject for subject in asked if subject.endswith("_events")] == []


async def test_alerts_go_on_when_the_stream_was_made_anew(config: dict[str, Any], run: Run) -> None:
    app, told = application(config), Received()
    app.alert(FailedTimes(1, func=functions.export), to=told, name="exports")
    async with run(app) as services:
        await make_anew(services, config)
        await app.enqueue(functions.export)
        await told.until("fired", "tests.observe.alerts.functions:export")


async def test_streaming_goes_on_when_the_stream_was_made_anew(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        events = await services.get_service(EventService)

        heard: asyncio.Queue[str | None] = asyncio.Queue()

        async def stream() -> None:
            async for event in events.stream_events(types=["job_started"], since_sequence=1):
                heard.put_nowait(event.job_id)

        streaming = asyncio.create_task(stream())
        async with asyncio.timeout(HANG):
            await events.log_event({"type": "job_started", "job_id": "before"})
            assert await heard.get() == "before"
            await make_anew(services, config)
            await events.log_event({"type": "job_started", "job_id": "behind"})
            assert await heard.get() == "behind"
        streaming.cancel()
        await asyncio.wait((streaming,))
