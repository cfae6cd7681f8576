"""Asking the workers: who has this job, stop it. Plain NATS requests; each worker answers for itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from naq.store.keys import Namespace
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.client import RawSubscription
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import encode_publish, status_code

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
    who_has: tuple[str, ...] = ()
    """Say which of these jobs you are busy with."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one worker answers."""

    worker_id: str
    has: bool = False
    """It has the job, and has asked it to stop."""
    held: tuple[str, ...] = ()


_encoder = msgspec.json.Encoder()
_questions = msgspec.json.Decoder(Question)
_replies = msgspec.json.Decoder(Reply)


class _Answers:
    """What came in answer to one question, until it is enough."""

    def __init__(self, wanted: int | None, until: Callable[[Reply], bool]) -> None:
        """``wanted``: so many are asked, each for itself; ``None``: it is not known how many are."""
        self.replies: list[Reply] = []
        self.enough = asyncio.Event()
        self._wanted = wanted
        self._until = until
        self._gone = 0

    def on_frame(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        if status_code(headers) == 503:
            self._gone += 1
        else:
            with contextlib.suppress(msgspec.MsgspecError):
                self.replies.append(_replies.decode(data))
        nobody = self._wanted is None and self._gone > 0
        all_said = self._wanted is not None and self._gone + len(self.replies) >= self._wanted
        if nobody or all_said or (self.replies and self._until(self.replies[-1])):
            self.enough.set()


class Control:
    """Both ends of the line. Each worker is asked on a subject of its own: when it is gone, NATS says so at once."""

    def __init__(self, connection: ConnectionService, names: Namespace, kv: KVStoreService | None = None) -> None:
        """Without ``kv``, where the workers are listed, it is not known who must answer."""
        self._connection = connection
        self._kv = kv
        self._prefix = f"{names.name}.control."
        self._answers: set[asyncio.Task[None]] = set()

    async def serve(self, worker_id: str, answer: Callable[[Question], Reply]) -> list[RawSubscription]:
        """Answer questions to this worker, and hear what all are told, until the subscriptions end."""
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

        return [await client.subscribe_raw(self._prefix + name, on_frame) for name in (f"one.{worker_id}", "all")]

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # the connection is down: whoever asked does not wait

    async def ask(
        self,
        question: Question,
        *,
        but: str = "",
        workers: int | None = None,
        until: Callable[[Reply], bool] = lambda reply: False,
    ) -> list[Reply]:
        """The answers of all workers that are listed, ``but`` one: until one is what was looked for, or all have
        answered or are gone. Only one that is silent but not gone makes this wait, for `PATIENCE` at most.

        Where the workers are not known, all are asked together, and ``workers`` answers are enough. Raises `StoreError`
        when not connected.
        """
        subjects = [f"one.{worker}" for worker in await self._workers() if worker != but] if self._kv else ["all"]
        if not subjects:
            return []
        answers = _Answers(len(subjects) if self._kv else workers, until)
        client = self._connection.client
        inbox = client.new_inbox()
        subscription = await client.subscribe_raw(inbox, answers.on_frame)
        try:
            payload = _encoder.encode(question)
            tail = b" %b %d\r\n%b\r\n" % (inbox.encode(), len(payload), payload)
            await client.send(b"".join(f"PUB {self._prefix}{name}".encode() + tail for name in subjects))
            async with asyncio.timeout(PATIENCE):
                await answers.enough.wait()
        except TimeoutError:
            return answers.replies
        finally:
            await subscription.unsubscribe()
        return answers.replies

    async def _workers(self) -> list[str]:
        if self._kv is None:
            return []
        return [key.partition(".")[2] async for keys in self._kv.keys("worker.>") for key in keys]

    async def tell(self, question: Question) -> None:
        """Tell all workers, without waiting for anything. Raises `StoreUnavailable` when not connected."""
        await self._connection.client.send(encode_publish(f"{self._prefix}all", _encoder.encode(question)))
