"""The history of schedules: written without waiting, in groups; read newest first.

One subject for each schedule, so that the server itself keeps the last so many of each. What cannot be written while
the server is away waits, up to `BUFFER_LIMIT` records.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreError, StoreUnavailable
from naq.history import HistoryRecord
from naq.names import Namespace, check_schedule_id
from naq.services.base import BaseService, ServiceManager
from naq.services.connection import ConnectionService
from naq.services.direct import DirectReader
from naq.services.protocol import Message, encode_publish, encode_single
from naq.services.streams import StreamService
from naq.wire import decode, encode

__all__ = ["HistoryService"]

BUFFER_LIMIT = 100_000
GROUP = 500
GATHER_FOR = 0.02
"""Seconds for which records gather before they are written."""

log = logging.getLogger("naq.history")


class _HistoryNames(Namespace):
    """The history stream, read as if it were a bucket whose keys are the schedules' ids."""

    __slots__ = ("_stream",)

    def __init__(self, names: Namespace) -> None:
        super().__init__(names.name)
        self._stream = names.history_stream
        self.prefix = names.history_subject("")

    @property
    def stream(self) -> str:
        return self._stream


class HistoryService(BaseService):
    """The `HistorySink` on JetStream, and the way to read what it stored."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        stream_service: StreamService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.connection = connection_service
        self.streams = stream_service
        self.clock: Clock = clock or SystemClock()
        self.dropped = 0
        """Records given up because the server was away for too long."""
        self._names = Namespace(self.settings.namespace)
        self._reader = DirectReader(connection_service, _HistoryNames(self._names))
        self._buffer: deque[HistoryRecord] = deque()
        self._signal = asyncio.Event()
        self._writing = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        await self.streams.ensure(
            {
                "name": self._names.history_stream,
                "description": "naq: what became of each schedule's nominal times, limited by count and age",
                "subjects": [self._names.history_subject("*")],
                "retention": "limits",
                "storage": "file",
                "num_replicas": self.settings.replicas,
                "max_msgs_per_subject": self.settings.history_length,
                "max_age": int(self.settings.history_age * 1e9),
                "discard": "old",
                "allow_direct": True,
            }
        )
        self._flusher = asyncio.create_task(self._flush_for_ever(), name="naq history")

    async def _do_cleanup(self) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
            self._flusher = None
        if self._buffer and self.connection.is_connected:
            with contextlib.suppress(StoreError):
                await self.flush()
                await self.connection.client.flush(5)

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Take over records. Never waits, never fails."""
        self._buffer.extend(records)
        while len(self._buffer) > BUFFER_LIMIT:
            self._buffer.popleft()
            self.dropped += 1
        if self._buffer:
            self._signal.set()

    async def history(self, schedule_id: str, limit: int = 100) -> list[HistoryRecord]:
        """What became of a schedule's nominal times, newest first; also of one that was deleted since.

        Raises `StoreUnavailable` when the store cannot be asked.
        """
        check_schedule_id(schedule_id)
        if self.connection.is_connected:
            await self.flush()
        found: deque[HistoryRecord] = deque(maxlen=limit)
        async for entries in self._reader.scan(schedule_id, 0):
            for entry in entries:
                try:
                    found.append(decode(HistoryRecord, entry.key, entry.value or b""))
                except RecordUnreadable as error:
                    log.warning("%s", error)
        return list(reversed(found))

    async def forget(self, schedule_id: str) -> None:
        """Remove a schedule's history."""
        subject = self._names.history_subject(check_schedule_id(schedule_id))
        await self.streams.purge(self._names.history_stream, subject)

    async def flush(self) -> None:
        """Write what waits; on return it is stored. Raises `StoreUnavailable` when not connected; nothing is lost then."""
        async with self._writing:
            while self._buffer:
                group = [self._buffer.popleft() for _ in range(min(GROUP, len(self._buffer)))]
                try:
                    await self._write(group)
                except StoreUnavailable:
                    self._buffer.extendleft(reversed(group))
                    raise

    async def _write(self, group: Sequence[HistoryRecord]) -> None:
        """Send a group; only its last message asks for an answer, which tells of all before it."""
        reply, answer = self.connection.expect_answer()
        try:
            messages = [
                Message(self._names.history_subject(record.schedule_id), "", encode(record)) for record in group
            ]
            limit = self.connection.client.max_payload
            lines = [encode_publish(message.subject, message.payload) for message in messages[:-1]]
            lines.append(encode_single(messages[-1], reply, limit))
            await self.connection.client.send(b"".join(lines))
            with contextlib.suppress(TimeoutError, StoreUnavailable):  # it may be stored: not to be sent twice
                async with asyncio.timeout(self.settings.request_timeout):
                    await answer
        finally:
            self.connection.forget_answer(reply)

    async def _flush_for_ever(self) -> None:
        while True:
            await self._signal.wait()
            await self.clock.sleep(GATHER_FOR)
            self._signal.clear()
            try:
                await self.flush()
            except StoreUnavailable:
                await self.clock.sleep(0.2)
                self._signal.set()


ServiceManager.register_service("history", HistoryService)
