"""Asking the workers: who has this job, stop it. Plain NATS requests to all workers; each answers for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from naq.exceptions import StoreUnavailable
from naq.names import Namespace
from naq.services.client import RawSubscription
from naq.services.connection import ConnectionService
from naq.services.protocol import encode_publish, status_code

__all__ = ["Control", "Question", "Reply"]

PATIENCE = 0.5
"""Seconds that workers have to answer."""


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """What all workers are asked."""

    cancel: str | None = None
    """Stop this job if you have it."""
    reason: str | None = None
    held: bool = False
    """Say which jobs you have."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one worker answers."""

    worker_id: str
    has: bool = False
    """It has the job, and has asked it to stop."""
    held: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder()
_questions = msgspec.json.Decoder(Question)
_replies = msgspec.json.Decoder(Reply)


class Control:
    """Both ends of the line."""

    def __init__(self, connection: ConnectionService, names: Namespace) -> None:
        self._connection = connection
        self._subject = f"{names.name}.control.workers"
        self._answers: set[asyncio.Task[None]] = set()

    async def serve(self, answer: Callable[[Question], Reply]) -> RawSubscription:
        """Answer questions from now on, until the subscription ends."""
        client = self._connection.client

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            try:
                question = _questions.decode(data)
            except msgspec.MsgspecError:
                return
            said = _encoder.encode(answer(question))
            if reply:
                task = asyncio.ensure_future(client.send(encode_publish(reply.decode(), said)))
                self._answers.add(task)
                task.add_done_callback(self._answered)

        return await client.subscribe_raw(self._subject, on_frame)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # the connection is down: whoever asked does not wait

    async def ask(
        self, question: Question, *, workers: int, until: Callable[[Reply], bool] = lambda reply: False
    ) -> list[Reply]:
        """The workers' answers: of ``workers`` of them, or until one is what was looked for, or time is up.

        Raises `StoreUnavailable` when not connected.
        """
        replies: list[Reply] = []
        enough = asyncio.Event()

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            if status_code(headers) == 503:
                enough.set()
                return
            try:
                replies.append(_replies.decode(data))
            except msgspec.MsgspecError:
                return
            if len(replies) >= workers or until(replies[-1]):
                enough.set()

        client = self._connection.client
        inbox = client.new_inbox()
        subscription = await client.subscribe_raw(inbox, on_frame)
        try:
            payload = _encoder.encode(question)
            await client.send(
                b"PUB %b %b %d\r\n%b\r\n" % (self._subject.encode(), inbox.encode(), len(payload), payload)
            )
            async with asyncio.timeout(PATIENCE):
                await enough.wait()
        except TimeoutError:
            return replies
        finally:
            await subscription.unsubscribe()
        return replies

    async def tell(self, question: Question) -> None:
        """As `ask`, without waiting for anything. Raises `StoreUnavailable` when not connected."""
        if not self._connection.is_connected:
            raise StoreUnavailable("the connection to NATS is down")
        await self._connection.client.send(encode_publish(self._subject, _encoder.encode(question)))
