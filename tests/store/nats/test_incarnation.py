"""A server that is put back to an older state: its bucket is another one, and everybody notices by himself."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from naq.exceptions import StoreUnavailable
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.testing.server import NatsServer

PATIENCE = 60.0


async def test_a_lone_server_that_is_put_back_to_a_backup_is_seen_while_all_run(tmp_path: Path) -> None:
    """The time at which its streams were created is the same as before, only their ends tell."""
    directory, backup = tmp_path / "server", tmp_path / "backup"
    async with NatsServer(directory, sync_always=True) as server, ServiceManager({"nats_url": server.url}) as services:
        store = await services.get_service(KVStoreService)
        events = await services.get_service(EventService)
        await store.put("old", b"1")
        await server.stop()
        shutil.copytree(directory / "jetstream", backup)
        await server.start()
        await put_when_possible(store, "asked", b"0")
        seen: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue()

        async def watch() -> None:
            async for entries in store.watch(">"):
                for entry in entries:
                    seen.put_nowait((entry.key, entry.value))

        watching = asyncio.create_task(watch())
        heard = asyncio.Event()

        async def follow_events() -> None:
            async with events.news() as fresh:
                while True:
                    await fresh.wait()
                    fresh.clear()
                    heard.set()

        following = asyncio.create_task(follow_events())
        try:
            async with asyncio.timeout(PATIENCE):
                await store.put("new", b"2")
                while await seen.get() != ("new", b"2"):
                    pass
                await events.log_event({"type": "job_scheduled", "schedule_id": "a"})
                await heard.wait()
                life = store.life
                await server.stop()
                shutil.rmtree(directory / "jetstream")
                shutil.copytree(backup, directory / "jetstream")
                heard.clear()
                await server.start()
                await store.next_life(life)
                while await seen.get() != ("old", b"1"):
                    pass
                await heard.wait()
                assert await store.get("new") is None
        finally:
            for task in (watching, following):
                task.cancel()
            await asyncio.wait((watching, following))


async def put_when_possible(store: KVStoreService, key: str, value: bytes) -> None:
    """Write as soon as the connection is back."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await store.put(key, value)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
            else:
                return
