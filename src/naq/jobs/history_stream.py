"""The history of schedules: written without waiting, in groups; read newest first.

One subject for each schedule, so that the server itself keeps the last so many of each. What cannot be written while
the server is away waits, up to `LIMIT` records.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import RecordUnreadable
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.lifecycle import BaseService, ServiceManager
from naq.store.codec import decode, encode
from naq.store.keys import Namespace, check_schedule_id
from naq.store.nats.connection import ConnectionService, StreamService
from naq.store.nats.direct_get import DirectReader
from naq.store.nats.outbox import DUPLICATE_WINDOW, Outbox
from naq.store.nats.protocol import Message
from naq.store.port import Entry

__all__ = ["HistoryService"]

LIMIT = 100_000
"""Records that wait for the server at most."""

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
        self._names = Namespace(self.settings.namespace)
        self._reader = DirectReader(connection_service, _HistoryNames(self._names))
        self.outbox: Outbox[HistoryRecord] = Outbox("history", connection_service, self.clock, self._messages, LIMIT)
        """What waits to be written."""

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
        """Take over records. Never waits, never fails."""
        self.outbox.put(records)

    async def history(self, schedule_id: str, limit: int = 100) -> list[HistoryRecord]:
        """What became of a schedule's nominal times, newest first; also of one that was deleted since.

        Raises `StoreUnavailable` when the store cannot be asked.
        """
        check_schedule_id(schedule_id)
        if self.connection.is_connected:
            await self.flush()
        found: deque[HistoryRecord] = deque(maxlen=limit)
        async for entries in self._reader.scan(schedule_id, 0):
            found.extend(_readable(entries))
        return list(reversed(found))

    async def pages(self, schedule_id: str | None = None) -> AsyncIterator[list[HistoryRecord]]:
        """The history of one schedule, or of all, oldest first, in pages. Raises `StoreUnavailable`."""
        async for entries in self._reader.scan("*" if schedule_id is None else check_schedule_id(schedule_id), 0):
            yield list(_readable(entries))

    async def newest(self, schedule_ids: Sequence[str]) -> dict[str, HistoryRecord]:
        """The newest record of each of these schedules that has one. Raises `StoreUnavailable`."""
        if self.connection.is_connected:
            await self.flush()
        found = await self._reader.get_many(schedule_ids)
        return {record.schedule_id: record for record in _readable(found.values())}

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        """The schedule's last run that succeeded; ``None``: there is none in the history.

        One question when the newest record is a success, as it is most of the time. Raises `StoreUnavailable` when the
        store cannot be asked.
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
        """Remove a schedule's history."""
        subject = self._names.history_subject(check_schedule_id(schedule_id))
        await self.streams.purge(self._names.history_stream, subject)

    async def flush(self) -> None:
        """Write what waits; on return it is stored. Raises `StoreUnavailable` when not connected; nothing is lost then."""
        await self.outbox.flush()

    def _messages(self, group: Sequence[HistoryRecord]) -> list[Message]:
        return [Message(self._names.history_subject(record.schedule_id), "", encode(record)) for record in group]


def _last_success(entries: Iterable[Entry]) -> HistoryRecord | None:
    """The last of these, as they were written, that is of a run that succeeded."""
    successes = [record for record in _readable(entries) if record.outcome is RunOutcome.COMPLETED]
    return successes[-1] if successes else None


def _readable(entries: Iterable[Entry]) -> Iterator[HistoryRecord]:
    """Their records, but for those that cannot be read: they are told in the log."""
    for entry in entries:
        try:
            yield decode(HistoryRecord, entry.key, entry.value or b"")
        except RecordUnreadable as error:
            log.warning("%s", error)


ServiceManager.register_service("history", HistoryService)
