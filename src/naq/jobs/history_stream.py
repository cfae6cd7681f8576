"""The history of schedules on JetStream: written in the background in groups, read newest first.

Each schedule has a subject of its own, so that the server keeps the last records of each. While the server cannot be
reached, up to `LIMIT` records wait.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.lifecycle import BaseService, ServiceManager
from naq.store.codec import encode
from naq.store.keys import Namespace, check_schedule_id
from naq.store.nats.connection import ConnectionService, StreamService
from naq.store.nats.direct_get import DirectReader
from naq.store.nats.outbox import DUPLICATE_WINDOW, Outbox
from naq.store.nats.protocol import Message
from naq.store.port import Entry
from naq.store.records import readable

__all__ = ["HistoryService"]

LIMIT = 100_000
"""The most records that wait for the server."""

log = logging.getLogger(__name__)


class _HistoryNames(Namespace):
    """The history stream, read like a bucket whose keys are the ids of the schedules."""

    __slots__ = ("_stream",)

    def __init__(self, names: Namespace) -> None:
        super().__init__(names.name)
        self._stream = names.history_stream
        self.prefix = names.history_subject("")

    @property
    def stream(self) -> str:
        return self._stream


class HistoryService(BaseService):
    """The `HistorySink` on JetStream, and reading what it stored."""

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
        self._names = Namespace(self.settings.namespace)
        self._reader = DirectReader(connection_service, _HistoryNames(self._names))
        self.outbox: Outbox[HistoryRecord] = Outbox("history", connection_service, self.clock, self._messages, LIMIT)
        """Records that wait to be written."""

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        info = await self.streams.ensure(
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
                "duplicate_window": int(min(DUPLICATE_WINDOW, self.settings.history_age) * 1e9),
                "allow_direct": True,
                "allow_atomic": True,
            }
        )
        if not info["config"].get("allow_atomic"):  # made by an older naq
            await self.streams.update(info["config"] | {"allow_atomic": True})
        self.outbox.start()

    async def _do_cleanup(self) -> None:
        await self.outbox.stop()

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Take records over. Never waits and never fails."""
        self.outbox.put(records)

    async def history(self, schedule_id: str, limit: int = 100) -> list[HistoryRecord]:
        """The history of a schedule, newest first, also of one that was deleted. Raises `StoreUnavailable`."""
        check_schedule_id(schedule_id)
        if self.connection.is_connected:
            await self.flush()
        found: deque[HistoryRecord] = deque(maxlen=limit)
        async for entries in self._reader.scan(schedule_id, 0):
            found.extend(_records(entries))
        return list(reversed(found))

    async def pages(self, schedule_id: str | None = None) -> AsyncIterator[list[HistoryRecord]]:
        """Pages of the history of one schedule, or of all, oldest first. Raises `StoreUnavailable`."""
        async for entries in self._reader.scan("*" if schedule_id is None else check_schedule_id(schedule_id), 0):
            yield _records(entries)

    async def newest(self, schedule_ids: Sequence[str]) -> dict[str, HistoryRecord]:
        """The newest record of each schedule, by id; a schedule without history is left out. Raises `StoreUnavailable`."""
        if self.connection.is_connected:
            await self.flush()
        found = await self._reader.get_many(schedule_ids)
        return {record.schedule_id: record for record in _records(found.values())}

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        """The schedule's last successful run; ``None`` when the history has none. Raises `StoreUnavailable`.

        It takes one read if the newest record is a success, as it usually is.
        """
        await self.flush()
        newest = await self._reader.get(schedule_id)
        if newest is None:
            return None
        last = _last_success([newest])
        if last is None:
            async for entries in self._reader.scan(schedule_id, 0):
                last = _last_success(entries) or last
        return last

    async def forget(self, schedule_id: str) -> None:
        """Delete the history of a schedule."""
        subject = self._names.history_subject(check_schedule_id(schedule_id))
        await self.streams.purge(self._names.history_stream, subject)

    async def flush(self) -> None:
        """Write the records that wait; on return they are stored. Raises `StoreUnavailable`; nothing is lost then."""
        await self.outbox.flush()

    def _messages(self, group: Sequence[HistoryRecord]) -> list[Message]:
        return [Message(self._names.history_subject(record.schedule_id), "", encode(record)) for record in group]


def _last_success(entries: Iterable[Entry]) -> HistoryRecord | None:
    """The last written of these records that is a success."""
    successes = [record for record in _records(entries) if record.outcome is RunOutcome.COMPLETED]
    return successes[-1] if successes else None


def _records(entries: Iterable[Entry]) -> list[HistoryRecord]:
    """The records that can be read; the others are logged."""
    return [record for _, record in readable(HistoryRecord, entries, log)]


ServiceManager.register_service("history", HistoryService)
