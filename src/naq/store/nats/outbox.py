"""An outbox: things handed over without waiting, written in groups by one task, kept until the server says that it has them.

For what may be lost with its process without harm: events and history. What waits is bounded; beyond that the oldest is
dropped and counted. A group of many messages is one atomic batch: the server syncs it to disk once, not each message. What has
no answer is sent again under the same message ids, by which the server knows within its stream's duplicate window
(`DUPLICATE_WINDOW`) what it has already.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from naq.clock import Clock
from naq.exceptions import StoreError, StoreUnavailable, TransactionTooLarge
from naq.store.nats.batches import FEW, Batch, Batches
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import Message, status_code
from naq.store.port import Unknown

__all__ = ["DUPLICATE_WINDOW", "Outbox"]

DUPLICATE_WINDOW = 30.0
"""Seconds for which a stream that an outbox fills is to know message ids: longer than an answer is waited for."""

GROUP = 500
"""Things in one group at most."""
GATHER_FOR = 0.05
"""Seconds for which items are collected before a write, because each sync of the disk delays fires."""
RETRY_AFTER = 0.2
"""Seconds before another try while the server is away."""
STORED_BEFORE = 10201
"""The server's error for a batch with a message id that it knows: it stored the batch, all of it, before."""

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Group(Generic[T]):
    """Things that are written together, and are known to the server by one name."""

    things: list[T]
    name: str = field(default_factory=lambda: secrets.token_hex(8))


class Outbox(Generic[T]):
    """Things to write. ``messages`` makes the messages of a group, at least one; if it makes several, their stream must
    allow atomic batches."""

    def __init__(
        self,
        name: str,
        connection: ConnectionService,
        clock: Clock,
        messages: Callable[[Sequence[T]], Sequence[Message]],
        limit: int,
    ) -> None:
        self.dropped = 0
        """Items dropped because the server was away too long, or because one was too large."""
        self._name = name
        self._connection = connection
        self._clock = clock
        self._messages = messages
        self._batches = Batches(connection, clock)
        self._limit = limit
        self._waiting: deque[T] = deque()
        self._sent: _Group[T] | None = None
        """A group that was sent, and is not yet known to be stored."""
        self._refused = ""
        """Why the server does not take anything, as far as it said so."""
        self._signal = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def put(self, things: Iterable[T]) -> None:
        """Queue items. Never waits, never fails."""
        self._waiting.extend(things)
        while len(self._waiting) > self._limit:
            self._waiting.popleft()
            self.dropped += 1
        if self._waiting:
            self._signal.set()

    def start(self) -> None:
        """Write what comes, from now on."""
        self._task = asyncio.create_task(self._run(), name=f"naq {self._name}")

    async def stop(self) -> None:
        """Write what is queued, if possible, and stop. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if (self._waiting or self._sent) and self._connection.is_connected:
            with contextlib.suppress(StoreError):
                await self.flush()

    async def flush(self) -> None:
        """Write what waits; on return it is stored. Raises `StoreError` when it cannot be now; nothing is lost then."""
        async with self._writing:
            while group := self._next():
                try:
                    await self._write(group)
                except TransactionTooLarge as error:
                    self._sent = self._smaller(group, error)
                else:
                    self._sent = None

    def _next(self) -> _Group[T] | None:
        """The group whose turn it is: the one that was sent before, if it is not known to be stored."""
        if self._sent is None and self._waiting:
            self._sent = _Group([self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))])
        return self._sent

    def _smaller(self, group: _Group[T], error: TransactionTooLarge) -> _Group[T] | None:
        """Nothing of a group was sent, for it is too large: its first half; what is too large alone is given up."""
        things = group.things
        if len(things) == 1:
            self.dropped += 1
            log.error("one of the %s is given up: %s", self._name, error)
            return None
        half = len(things) // 2
        self._waiting.extendleft(reversed(things[half:]))
        return _Group(things[:half])

    async def _run(self) -> None:
        while True:
            await self._signal.wait()
            await self._clock.sleep(GATHER_FOR)
            self._signal.clear()
            try:
                await self.flush()
            except StoreError:
                await self._clock.sleep(RETRY_AFTER)
                self._signal.set()

    async def _write(self, group: _Group[T]) -> None:
        """Send a group's messages, as one batch if there are many."""
        messages = [
            Message(message.subject, f"{message.headers}Nats-Msg-Id: {group.name}.{number}\r\n", message.payload)
            for number, message in enumerate(self._messages(group.things))
        ]
        if len(messages) <= FEW:
            for answer in await self._batches.store_each(messages):
                self._require_stored(answer)
            return
        batch = Batch(group.name)
        try:
            self._require_stored(await self._batches.commit(messages, batch))
        except StoreUnavailable:
            await self._batches.end(messages, batch)
            raise

    def _require_stored(self, answer: tuple[bytes, bytes] | Unknown) -> None:
        """Raises `StoreUnavailable` with the reason when the server's answer is another one; it is said when it is news."""
        if isinstance(answer, Unknown):
            raise StoreUnavailable(
                f"NATS at {self._connection.where} did not say that it stored {self._name}: {answer.reason}"
            )
        headers, data = answer
        if status_code(headers) == 503:
            reason = "their stream has no leader, or was deleted"
        else:
            error = json.loads(data).get("error", {})
            reason = "" if error.get("err_code") == STORED_BEFORE else str(error.get("description", ""))
        if reason and reason != self._refused:
            log.warning("%s are not stored, and wait: %s", self._name, reason)
        self._refused = reason
        if reason:
            raise StoreUnavailable(f"{self._name} cannot be stored at {self._connection.where}: {reason}")
