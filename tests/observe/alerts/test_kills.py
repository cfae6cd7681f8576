"""Watchers are killed and the server restarts, and what is told is what one undisturbed board says of the same events."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.lifecycle import ServiceManager
from naq.observe.alerts.board import Board, WatchedRule
from naq.observe.alerts.rules import FailedTimes, Missed
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.testing.server import NatsServer
from tests.faults.world import Process
from tests.observe.alerts.conftest import Hook

WATCH = "lease.alerts-flaky"
RULES = {"tails": WatchedRule(FailedTimes(2)), "missed": WatchedRule(Missed())}
ROUNDS = 3


@pytest.mark.slow
async def test_nothing_is_lost_and_nothing_is_made_up(
    hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = NatsServer(tmp_path)
    await server.start()
    environment = {"NAQ_NATS_URL": server.url, "NAQ_NAMESPACE": "kills", "HOOK": hook.url}

    def process(name: str) -> Process:
        command = "worker" if name == "worker" else "scheduler"
        return Process([command, "tests.observe.alerts.flaky:app"], {**environment, "NAQ_INSTANCE_ID": name})

    world = {name: process(name) for name in ("one", "two", "worker")}
    config = {"nats_url": server.url, "namespace": "kills", "connect_timeout": 30, "request_timeout": 30}
    clock = SystemClock()
    try:
        for each in world.values():
            await each.start()
        async with ServiceManager(config) as services:
            store = await services.get_service(KVStoreService)
            events = await services.get_service(EventService)
            posts = 0
            for number in range(ROUNDS):
                await hook.until(posts + 20)
                victim = (await store.get_json(WATCH))["instance_id"]
                await world[victim].kill()
                if number == 1:
                    await server.stop()
                    await server.start()
                world[victim] = process(victim)
                await world[victim].start()
                posts = len(hook.posts)
            await hook.until(posts + 20)
            schedules = await services.get_service(ScheduleService)
            for entry in await schedules.list_schedules():
                assert await schedules.pause_scheduled_job(entry["schedule_id"])
            world["worker"].signal(signal.SIGTERM)
            await world["worker"].ended()
            board, last = Board("flaky", RULES), 0
            await caught_up(store, events, clock)
            async for sequence, group in events.read_groups(1):
                last = sequence
                for event in group:
                    board.hear(event)
            wanted = [alert.id for alert in board.take().alerts]
            told = [json.loads(body)["alert"]["id"] for _, body in hook.posts]
            assert last > 0
    finally:
        for each in world.values():
            await each.kill()
        await server.stop()
    twice = sum(Counter(told).values()) - len(set(told))
    with capsys.disabled():
        print(f"\n{len(wanted)} tellings of alerts, {ROUNDS} kills, told more than once: {twice}")
    assert set(told) - set(wanted) == set()
    assert set(wanted) - set(told) == set()


async def caught_up(store: KVStoreService, events: EventService, clock: SystemClock) -> None:
    """Wait until all events are heard and all alerts are told."""
    async with asyncio.timeout(60):
        while True:
            position: dict[str, Any] = await store.get_json("watch.flaky")
            behind = position["sequence"] < await events.next_sequence()
            untold = [
                entry.key
                async for page in store.scan("alert.flaky.>")
                for entry in page
                if entry.value is not None and json.loads(entry.value).get("untold")
            ]
            if not behind and not untold:
                return
            await clock.sleep(0.2)
