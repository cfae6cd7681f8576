"""What a backup is worth that is made while naq writes: ``python -m tests.faults.torn_backups 60`` makes so many, each while
fifty records are overwritten in one transaction after the other, restores each, and prints of how many a record is gone.

It shows a property of nats-server, not of naq; `docs/howto/operate.md` goes by it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.port import Committed, Put
from naq.testing.server import NatsServer
from tests.faults.backup import WrittenMeanwhile, back_up, restore

KEYS = [f"schedule.s{number}" for number in range(50)]


async def torn(count: int) -> tuple[int, int]:
    """Of so many backups: how many the server made while it was written, and of how many of those a record is gone."""
    written = gone = 0
    with TemporaryDirectory(prefix="naq-torn-") as directory:
        async with NatsServer(Path(directory)) as server, ServiceManager({"nats_url": server.url}) as services:
            kv = await services.get_service(KVStoreService)
            connection = await services.get_service(ConnectionService)
            await _overwrite(kv)
            for _ in range(count):
                try:
                    async with _overwritten(kv):
                        backup = await back_up(connection, kv.names.stream)
                except WrittenMeanwhile as error:
                    written += 1
                    backup = error.backup
                await connection.stream_service.delete(kv.names.stream)
                await restore(connection, kv.names.stream, backup)
                gone += len(await kv.get_many(KEYS)) < len(KEYS)
                await _overwrite(kv)
    return written, gone


@asynccontextmanager
async def _overwritten(kv: KVStoreService) -> AsyncIterator[None]:
    """The records are overwritten meanwhile."""
    enough = asyncio.Event()

    async def write() -> None:
        while not enough.is_set():
            await _overwrite(kv)

    task = asyncio.create_task(write())
    try:
        await asyncio.sleep(0)
        yield
    finally:
        enough.set()
        await task


async def _overwrite(kv: KVStoreService) -> None:
    assert isinstance(await kv.transact([Put(key, b"x" * 250) for key in KEYS]), Committed)


if __name__ == "__main__":
    backups = int(sys.argv[1])
    made, lacking = asyncio.run(torn(backups))
    print(f"{backups} backups, {made} of them written to meanwhile, {lacking} without a record that was always there")
