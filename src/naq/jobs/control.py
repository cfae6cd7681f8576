"""Questions to the workers, such as who has a job, and requests to stop one: plain NATS requests that each worker answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import msgspec

from naq.exceptions import StoreForbidden
from naq.store.codec import encode
from naq.store.keys import ALL_WORKERS, Namespace, name_in
from naq.store.nats.client import RawSubscription
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import encode_publish, status_code
from naq.store.port import Store

__all__ = ["Control", "Question", "Reply"]

PATIENCE = 0.5
"""Seconds that workers have to answer."""


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """A question to all workers."""

    cancel: str | None = None
    """Stop this job if you have it."""
    reason: str | None = None
    held: bool = False
    """Which jobs do you have?"""
    who_has: tuple[str, ...] = ()
    """Which of these jobs are you busy with?"""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer of one worker."""

    worker_id: str
    has: bool = False
    """It has the job and has asked it to stop."""
    held: tuple[str, ...] = ()


_questions = msgspec.json.Decoder(Question)
_replies = msgspec.json.Decoder(Reply)


class _Answers:
    """Collects the answers to one question until there are enough."""

    def __init__(self, wanted: int | None, until: Callable[[Reply], bool]) -> None:
        """``wanted``: how many workers are asked, each on its own subject; ``None``: unknown."""
        self.replies: list[Reply] = []
        self.enough = asyncio.Event()
        self.denied: StoreForbidden | None = None
        """Set when the server does not let this user ask."""
        self._wanted = wanted
        self._until = until
        self._gone = 0

    def on_frame(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        if status_code(headers) == 503:
            self._gone += 1
        else:
            with contextlib.suppress(msgspec.MsgspecError):
                self.replies.append(_replies.decode(data))
        none_listens = self._wanted is None and self._gone > 0
        all_answered = self._wanted is not None and self._gone + len(self.replies) >= self._wanted
        if none_listens or all_answered or (self.replies and self._until(self.replies[-1])):
            self.enough.set()

    def on_denial(self, denial: asyncio.Future[tuple[bytes, bytes]]) -> None:
        error = None if denial.cancelled() else denial.exception()
        if isinstance(error, StoreForbidden):
            self.denied = error
            self.enough.set()


class Control:
    """Both sides of the conversation. Each worker has a subject of its own: if it is gone, NATS reports that at once."""

    def __init__(self, connection: ConnectionService, names: Namespace, kv: Store | None = None) -> None:
        """``kv`` is where the workers are listed; without it, it is unknown which workers must answer."""
        self._connection = connection
        self._kv = kv
        self._prefix = f"{names.name}.control."
        self._answers: set[asyncio.Task[None]] = set()

    async def serve(self, worker_id: str, answer: Callable[[Question], Reply]) -> list[RawSubscription]:
        """Answer questions to this worker or to all, until the returned subscriptions end."""
        client = self._connection.client

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            try:
                question = _questions.decode(data)
            except msgspec.MsgspecError:
                return
            answered = encode(answer(question))
            if reply:
                task = asyncio.ensure_future(client.send(encode_publish(reply.decode(), answered)))
                self._answers.add(task)
                task.add_done_callback(self._answered)

        return [await client.subscribe_raw(self._prefix + name, on_frame) for name in (f"one.{worker_id}", "all")]

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answers.discard(task)
        if not task.cancelled():
            task.exception()  # the connection is down, and the question has timed out

    async def ask(
        self,
        question: Question,
        *,
        but: str = "",
        workers: int | None = None,
        until: Callable[[Reply], bool] = lambda reply: False,
        optional: bool = False,
    ) -> list[Reply]:
        """Ask all listed workers except ``but``, and return their answers.

        It returns when ``until`` accepts an answer, or when every worker has answered or is gone; a worker that is
        silent but not gone is waited for at most `PATIENCE` seconds. If the workers are not known, all are asked on one
        subject and ``workers`` answers are enough. Raises `StoreError` when not connected, and `StoreForbidden` when this user
        may not ask; ``optional``: that is nothing to complain about.
        """
        names = [f"one.{worker}" for worker in await self._workers() if worker != but] if self._kv else ["all"]
        if not names:
            return []
        subjects = [self._prefix + name for name in names]
        answers = _Answers(len(subjects) if self._kv else workers, until)
        client = self._connection.client
        inbox = client.new_inbox()
        unused, denial = self._connection.expect_answer(subjects, optional=optional)
        denial.add_done_callback(answers.on_denial)
        subscription = await client.subscribe_raw(inbox, answers.on_frame)
        try:
            payload = encode(question)
            tail = b" %b %d\r\n%b\r\n" % (inbox.encode(), len(payload), payload)
            await client.send(b"".join(f"PUB {subject}".encode() + tail for subject in subjects))
            async with asyncio.timeout(PATIENCE):
                await answers.enough.wait()
        except TimeoutError:
            return answers.replies
        finally:
            self._connection.forget_answer(unused)
            await subscription.unsubscribe()
        if answers.denied is not None:
            raise answers.denied
        return answers.replies

    async def is_held(self, job_id: str) -> bool:
        """Whether a worker says now that it is busy with this job; taken for granted if this user may not ask it."""
        question = Question(who_has=(job_id,))
        try:
            replies = await self.ask(question, until=lambda reply: job_id in reply.held, optional=True)
        except StoreForbidden:
            return True
        return any(job_id in reply.held for reply in replies)

    async def _workers(self) -> list[str]:
        if self._kv is None:
            return []
        found = []
        async for entries in self._kv.scan(ALL_WORKERS):
            found += [name_in(entry.key) for entry in entries if entry.value is not None]
        return found

    async def tell(self, question: Question) -> None:
        """Send a request to all workers, without waiting for answers. Raises `StoreUnavailable` when not connected."""
        await self._connection.client.send(encode_publish(f"{self._prefix}all", encode(question)))
