"""An outbox: things handed over without waiting, written in groups by one task, kept while the server is away.

For what may be lost with its process without harm: events and history. What waits is bounded; beyond that the oldest is
dropped and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from naq.clock import Clock
from naq.exceptions import StoreError, StoreUnavailable
from naq.services.connection import ConnectionService
from naq.services.protocol import Message, encode_publish, encode_single

__all__ = ["Outbox"]

GROUP = 500
"""Things in one group at most."""
GATHER_FOR = 0.02
"""Seconds for which things gather before they are written."""
RETRY_AFTER = 0.2
"""Seconds before another try while the server is away."""

T = TypeVar("T")


class Outbox(Generic[T]):
    """Things to write. ``messages`` makes the messages of a group, at least one."""

    def __init__(
        self,
        name: str,
        connection: ConnectionService,
        clock: Clock,
        messages: Callable[[Sequence[T]], Sequence[Message]],
        limit: int,
    ) -> None:
        self.dropped = 0
        """Things given up because the server was away for too long."""
        self._name = name
        self._connection = connection
        self._clock = clock
        self._messages = messages
        self._limit = limit
        self._waiting: deque[T] = deque()
        self._signal = asyncio.Event()
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def put(self, things: Iterable[T]) -> None:
        """Take over things. Never waits, never fails."""
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
        """Write what waits, if that can be done, and end. Idempotent."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        if self._waiting and self._connection.is_connected:
            with contextlib.suppress(StoreError):
                await self.flush()

    async def flush(self) -> None:
        """Write what waits; on return it is stored. Raises `StoreUnavailable` when not connected; nothing is lost then."""
        async with self._writing:
            while self._waiting:
                group = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
                try:
                    await self._write(self._messages(group))
                except StoreUnavailable:
                    self._waiting.extendleft(reversed(group))
                    raise

    async def _run(self) -> None:
        while True:
            await self._signal.wait()
            await self._clock.sleep(GATHER_FOR)
            self._signal.clear()
            try:
                await self.flush()
            except StoreUnavailable:
                await self._clock.sleep(RETRY_AFTER)
                self._signal.set()

    async def _write(self, messages: Sequence[Message]) -> None:
        """Send messages; only the last one asks for an answer, which tells of all before it."""
        reply, answer = self._connection.expect_answer()
        try:
            client = self._connection.client
            lines = [encode_publish(message.subject, message.payload) for message in messages[:-1]]
            lines.append(encode_single(messages[-1], reply, client.max_payload))
            await client.send(b"".join(lines))
            with contextlib.suppress(TimeoutError, StoreUnavailable):  # it may be stored: not to be sent twice
                async with asyncio.timeout(self._connection.settings.request_timeout):
                    await answer
        finally:
            self._connection.forget_answer(reply)
