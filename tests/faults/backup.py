"""A stream's backup and its return, as ``nats stream backup`` and ``nats stream restore`` do it.

Nothing may be written meanwhile. Of a stream that keeps one message of a subject, nats-server 2.15.1 makes a backup in
which a subject that was overwritten meanwhile may have no message at all.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import encode_publish

__all__ = ["Backup", "WrittenMeanwhile", "back_up", "restore"]

CHUNK = 64 * 1024


@dataclass(frozen=True)
class Backup:
    """What a stream was."""

    config: dict[str, Any]
    state: dict[str, Any]
    chunks: tuple[bytes, ...]


class WrittenMeanwhile(Exception):
    """The backup is none: somebody wrote."""

    def __init__(self, backup: Backup) -> None:
        super().__init__(backup.config["name"])
        self.backup = backup


async def back_up(connection: ConnectionService, stream: str) -> Backup:
    """Read a whole stream. Raises `WrittenMeanwhile`."""
    before = await _last_revision(connection, stream)
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
    backup = Backup(answer["config"], answer["state"], tuple(chunks))
    if await _last_revision(connection, stream) != before:
        raise WrittenMeanwhile(backup)
    return backup


async def _last_revision(connection: ConnectionService, stream: str) -> int:
    return int((await connection.api(f"STREAM.INFO.{stream}"))["state"]["last_seq"])


async def restore(connection: ConnectionService, stream: str, backup: Backup) -> None:
    """Have the stream there again as it was; there must be none of that name."""
    answer = await connection.api(f"STREAM.RESTORE.{stream}", {"config": backup.config, "state": backup.state})
    for chunk in (*backup.chunks, b""):
        await connection.ask(str(answer["deliver_subject"]), chunk)
