"""A stream's backup and its return, as ``nats stream backup`` and ``nats stream restore`` do it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from naq.services.connection import ConnectionService
from naq.services.protocol import encode_publish

__all__ = ["Backup", "back_up", "restore"]

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Backup:
    """What a stream was."""

    config: dict[str, Any]
    state: dict[str, Any]
    chunks: tuple[bytes, ...]


async def back_up(connection: ConnectionService, stream: str) -> Backup:
    """Read a whole stream."""
    frames: asyncio.Queue[tuple[bytes, bytes]] = asyncio.Queue()
    client = connection.client
    inbox = client.new_inbox()
    subscription = await client.subscribe_raw(
        inbox, lambda subject, reply, headers, data: frames.put_nowait((reply, data))
    )
    request = {"deliver_subject": inbox, "no_consumers": True, "chunk_size": CHUNK}
    answer = await connection.api(f"STREAM.SNAPSHOT.{stream}", request)
    chunks: list[bytes] = []
    async with asyncio.timeout(30):
        while (frame := await frames.get())[1]:
            chunks.append(frame[1])
            if frame[0]:
                await client.send(encode_publish(frame[0].decode(), b""))
    await subscription.unsubscribe()
    return Backup(answer["config"], answer["state"], tuple(chunks))


async def restore(connection: ConnectionService, stream: str, backup: Backup) -> None:
    """Have the stream there again as it was; there must be none of that name."""
    answer = await connection.api(f"STREAM.RESTORE.{stream}", {"config": backup.config, "state": backup.state})
    for chunk in (*backup.chunks, b""):
        await connection.ask(str(answer["deliver_subject"]), chunk)
