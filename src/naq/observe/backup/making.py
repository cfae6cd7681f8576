"""Making a backup: the bucket at one moment, then of results, history and events what belongs to that time.

The side streams are read after the bucket, so that they know of everything that the bucket says has ended. What they say of
fires and events behind the moment is left out: after a restore those happen again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.events import Event
from naq.exceptions import InvalidInput, RecordUnreadable
from naq.jobs.history import HistoryRecord
from naq.jobs.records import StoredResult
from naq.lifecycle import BaseService, ServiceManager
from naq.observe.backup.file import BackupWriter, Family, Foot, Head, Item
from naq.observe.backup.walk import PAGE_BYTES, Walk, passing
from naq.observe.verify.window import events_complete_since, history_complete_since
from naq.store.codec import decode, encode
from naq.store.keys import Namespace
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.direct_get import DirectReader, Whole

__all__ = ["BackupService", "SideStream", "side_streams"]

LAGS_FOR = 2.0
"""Seconds for which a replica may be behind."""
LOOK_AGAIN_AFTER = 0.05
LONG_AGO = datetime.min.replace(tzinfo=UTC)

_groups = msgspec.json.Decoder(list[Event])


class SideStream(Namespace):
    """A side stream, read like a bucket with these keys."""

    __slots__ = ("_stream", "pattern")

    def __init__(self, names: Namespace, stream: str, prefix: str, pattern: str) -> None:
        super().__init__(names.name)
        self._stream = stream
        self.prefix = prefix
        self.pattern = pattern

    @property
    def stream(self) -> str:
        return self._stream


def side_streams(names: Namespace) -> dict[Family, SideStream]:
    """Where the families beside the bucket are kept."""
    results = f"KV_{names.results_bucket}"
    return {
        Family.RESULTS: SideStream(names, results, f"$KV.{names.results_bucket}.", ">"),
        Family.HISTORY: SideStream(names, names.history_stream, names.history_subject(""), "*"),
        Family.EVENTS: SideStream(names, names.events_stream, names.events_subject, ""),
    }


def _item(family: Family, each: Whole, at: datetime | None) -> Item | None:
    """A record as it is written; ``None``: it does not belong into a backup of the moment ``at``."""
    value = each.entry.value
    if family in (Family.BUCKET, Family.RESULTS) and passing(each.entry.key):
        return None
    if value is not None and at is not None:
        value = _cut(family, each.entry.key, value, at)
        if value is None:
            return None
    expires_at = None if each.ttl is None else each.stored_at + timedelta(seconds=each.ttl)
    return Item(family=family, key=each.entry.key, sequence=each.entry.revision, expires_at=expires_at, **_form(value))


def _cut(family: Family, key: str, value: bytes, at: datetime) -> bytes | None:
    """The value of a side stream without what is about a time behind the moment; ``None``: all of it is."""
    try:
        if family is Family.EVENTS:
            group = [event for event in _groups.decode(value) if event.timestamp <= at]
            return encode(group) if group else None
        return value if _began(family, key, value) <= at else None
    except (RecordUnreadable, msgspec.MsgspecError):
        return value


def _began(family: Family, key: str, value: bytes) -> datetime:
    """When the fire was that a record is about."""
    if family is Family.HISTORY:
        record = decode(HistoryRecord, key, value)
        return record.fired_at or record.at
    if "." in key and not key.startswith("ended."):  # a part of a value, a count of starts
        return LONG_AGO
    return decode(StoredResult, key, value).enqueued_at or LONG_AGO


def _form(value: bytes | None) -> Mapping[str, Any]:
    if value is None:
        return {}
    try:
        return {"text": value.decode()}
    except UnicodeDecodeError:
        return {"data": value}


class BackupService(BaseService):
    """Writes backups. It reads, and writes nothing but the marks of its moments."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.connection = connection_service
        self.names = Namespace(self.settings.namespace)
        self._bucket = KVStoreService(self.settings, connection_service, clock=clock)
        self._clock: Clock = clock or SystemClock()

    async def _do_initialize(self) -> None:
        await self.connection.initialize()

    async def _do_cleanup(self) -> None:
        """Nothing is held."""

    async def make(
        self, path: Path, *, replace: bool = False, progress: Callable[[int], None] = lambda count: None
    ) -> Foot:
        """Write everything into a file, and return its last line. ``progress`` is called with the number of records so far.

        Raises `InvalidInput` when there is no such namespace, or the file exists and may not be replaced; `StoreError`.
        A file is there only when it is complete.
        """
        last = await self._last_sequence(self.names.stream)
        if last is None:
            raise InvalidInput.of("namespace", self.names.name, "there is no such namespace on this server", "naq")
        head = Head(namespace=self.names.name, started_at=self._clock.now(), sequence=last)
        walk = Walk(self._bucket)
        with BackupWriter(path, head, replace=replace) as file:
            async for page in walk.pages():
                _write(file, Family.BUCKET, page, None)
                progress(sum(file.counts.values()))
            assert walk.at is not None
            for family, names in side_streams(self.names).items():
                async for page in self._side(names):
                    _write(file, family, page, walk.at)
                    progress(sum(file.counts.values()))
            return file.finish(walk.at, await self._complete_since(walk.at))

    async def _last_sequence(self, stream: str) -> int | None:
        info = await self.connection.stream_service.info(stream)
        return None if info is None else int(info["state"]["last_seq"])

    async def _side(self, names: SideStream) -> AsyncIterator[list[Whole]]:
        """All messages of a side stream that it has now."""
        last = await self._last_sequence(names.stream)
        if last is None:
            return
        reader, after, until = DirectReader(self.connection, names), 0, self._clock.monotonic() + LAGS_FOR
        while after < last and self._clock.monotonic() < until:  # the last one may have been removed meanwhile
            async for page in reader.scan_whole(names.pattern, after, PAGE_BYTES):
                after, until = page[-1].entry.revision, self._clock.monotonic() + LAGS_FOR
                yield page
            if after < last:
                await self._clock.sleep(LOOK_AGAIN_AFTER)

    async def _complete_since(self, at: datetime) -> dict[str, datetime]:
        events = await self.connection.stream_service.info(self.names.events_stream)
        history = await self.connection.stream_service.info(self.names.history_stream)
        return {
            str(Family.EVENTS): at if events is None else events_complete_since(events, at),
            str(Family.HISTORY): at if history is None else history_complete_since(history, at),
        }


def _write(file: BackupWriter, family: Family, page: Iterable[Whole], at: datetime | None) -> None:
    found = (_item(family, each, at) for each in page)
    file.write([item for item in found if item is not None])


ServiceManager.register_service("backup", BackupService)
