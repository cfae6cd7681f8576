"""The watcher is killed: its successor loses no alert that fires, and fires none again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from naq.events import EventType
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from tests.faults.world import Process
from tests.observe.alerts.conftest import Hook

WATCH = "lease.alerts-shop"


@pytest.fixture
async def world(config: dict[str, Any], hook: Hook) -> AsyncIterator[dict[str, Process]]:
    """Two schedulers, either of which may watch, and a worker. The webhook answers nothing from the start."""
    hook.gate.clear()
    processes = {}
    for name in ("one", "two", "worker"):
        environment = {
            "NAQ_NATS_URL": config["nats_url"],
            "NAQ_NAMESPACE": config["namespace"],
            "NAQ_INSTANCE_ID": name,
            "HOOK": hook.url,
        }
        command = "worker" if name == "worker" else "scheduler"
        processes[name] = Process([command, "tests.observe.alerts.shop:app"], environment)
    try:
        for process in processes.values():
            await process.start()
        yield processes
    finally:
        hook.gate.set()
        for process in processes.values():
            await process.kill()


@pytest.mark.slow
async def test_kill_9_while_an_alert_is_told(config: dict[str, Any], world: dict[str, Process], hook: Hook) -> None:
    """The webhook took the post and never answered: nobody knows whether it was told, so it is told again, once."""
    await hook.until(2)
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        first = (await store.get_json(WATCH))["instance_id"]
        events = await services.get_service(EventService)
        fired = []
        async for event in events.stream_events(types=[EventType.ALERT_FIRED], since_sequence=1):
            fired.append(event.details["alert"])
            if len(fired) == 2:
                break
        assert Counter(fired) == {"exports": 1, "silence": 1}
        await world[first].kill()
        await hook.until(4)
        hook.gate.set()
        second = (await store.get_json(WATCH))["instance_id"]
        assert {first, second} == {"one", "two"}
        bodies = [json.loads(body)["alert"] for _, body in hook.posts]
        assert Counter((body["name"], body["kind"]) for body in bodies) == {
            ("exports", "fired"): 2,
            ("silence", "fired"): 2,
        }
        assert len({body["id"] for body in bodies}) == 2
        assert {headers["x-naq-delivery"] for headers, _ in hook.posts} == {body["id"] for body in bodies}
        again = [event.details["alert"] for event in await events.get_event_history(types=[EventType.ALERT_FIRED])]
        assert again == fired
        await told(store, "exports", "silence")
        await world[second].kill()
        newcomer = Process(world[second].arguments, {**world[second].environment, "NAQ_INSTANCE_ID": "three"})
        world["three"] = newcomer
        await newcomer.start()
        await world_watches(store, "three")
        await told(store, "exports", "silence")
        assert len(hook.posts) == 4


async def told(store: KVStoreService, *names: str) -> None:
    """Wait until these alerts fire and their sinks were told."""
    wanted = set(names)
    async for entries in store.watch("alert.shop.>"):
        for entry in entries:
            record = json.loads(entry.value or b"{}")
            if record["alert"]["kind"] == "fired" and not record.get("untold"):
                wanted.discard(record["alert"]["name"])
        if not wanted:
            return


async def world_watches(store: KVStoreService, name: str) -> None:
    """Wait until that instance watches and has stored something since."""
    lease = 0
    async for entries in store.watch([WATCH, "watch.shop"]):
        for entry in entries:
            if entry.key == WATCH and json.loads(entry.value or b"{}").get("instance_id") == name:
                lease = lease or entry.revision
            if lease and entry.key == "watch.shop" and entry.revision > lease:
                return
