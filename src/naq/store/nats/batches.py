"""Atomic batches: several messages that the server commits as one, opened before they are needed, ended when they fail.

The server stages what it gets of a batch until the commit comes, for ten seconds, and has room for fifty batches a stream.
A batch whose commit it did not let through (a permission that is missing, a limit that is met) would take up such a room
until then, and a leader that tries again would soon have them all. So whoever learns that a batch will not be committed
says so to the server, too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from naq.clock import Clock
from naq.exceptions import StoreError, StoreUnavailable
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import OPENED_FOR, Message, encode_batch, encode_ending, encode_opening, encode_single
from naq.store.port import Unknown

__all__ = ["FEW", "Batch", "Batches", "new_batch"]

FEW = 10
"""Messages up to which each is better sent by itself if they need not be committed together: a batch costs the server about
as much as ten of them, for it is staged in files of its own, which are made, synced and removed."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was begun, or is about to be."""

    batch_id: str
    opened: bool = False
    """Whether its first message was sent ahead."""


class Batches:
    """The batches of one connection. ``clock`` says how long one has been open."""

    def __init__(self, connection: ConnectionService, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._openings: dict[Message, tuple[str, float]] = {}
        """First message -> the batch that it opened, and when (monotonic)."""

    async def open(self, first: Message) -> None:
        """Open a batch that begins with this message, unless one waits already. Raises `StoreUnavailable`."""
        if self._waits(first):
            return
        batch = secrets.token_hex(12)
        await self._connection.client.send(encode_opening(first, batch))
        self._openings[first] = (batch, self._clock.monotonic())

    def batch(self, first: Message) -> Batch:
        """The batch for messages that begin with this one: that which was opened for it, else a new one."""
        waits = self._waits(first)
        opening = self._openings.pop(first, None)
        return Batch(opening[0], opened=True) if opening is not None and waits else new_batch()

    async def commit(self, messages: Sequence[Message], batch: Batch) -> tuple[bytes, bytes] | Unknown:
        """Send all messages of a batch, and return the server's answer as header block and payload.

        `Unknown`: no answer came within ``request_timeout``, or the connection broke. Raises `StoreForbidden` when the user
        may not publish one of them, `TransactionTooLarge`, `StoreUnavailable` when nothing was sent.
        """
        connection = self._connection
        reply, answer = connection.expect_answer([message.subject for message in messages])
        try:
            client = connection.client
            if len(messages) == 1:
                buffer = encode_single(messages[0], reply, client.max_payload)
            else:
                buffer = encode_batch(messages, reply, client.max_payload, batch.batch_id, opened=batch.opened)
            await client.send(buffer)
            return await self._answered(answer)
        finally:
            connection.forget_answer(reply)

    async def store_each(self, messages: Sequence[Message]) -> list[tuple[bytes, bytes] | Unknown]:
        """Send messages that need not be committed together, in order; the server's answer to each, as `commit` has it.

        Raises as `commit`. When one is too large, none is sent.
        """
        connection = self._connection
        asked = [connection.expect_answer([message.subject]) for message in messages]
        try:
            client = connection.client
            lines = [
                encode_single(message, reply, client.max_payload)
                for message, (reply, _) in zip(messages, asked, strict=True)
            ]
            await client.send(b"".join(lines))
            return list(await asyncio.gather(*[self._answered(answer) for _, answer in asked]))
        finally:
            for reply, _ in asked:
                connection.forget_answer(reply)

    async def _answered(self, answer: asyncio.Future[tuple[bytes, bytes]]) -> tuple[bytes, bytes] | Unknown:
        patience = self._connection.settings.request_timeout
        try:
            async with asyncio.timeout(patience):
                return await answer
        except TimeoutError:
            return Unknown(f"no answer within {patience} s")
        except StoreUnavailable as error:
            return Unknown(str(error))

    async def end(self, messages: Sequence[Message], batch: Batch) -> None:
        """Have the server drop what it holds of a batch that it will not commit. Where it holds nothing, nothing happens."""
        if len(messages) == 1:
            return  # no batch
        try:
            await self._connection.client.send(encode_ending(messages[0].subject, batch.batch_id))
        except StoreError:
            return  # it drops it by itself, after ten seconds

    def _waits(self, first: Message) -> bool:
        opening = self._openings.get(first)
        return opening is not None and self._clock.monotonic() - opening[1] < OPENED_FOR


def new_batch() -> Batch:
    """A batch that the server does not know yet."""
    return Batch(secrets.token_hex(12))
