"""Restoring a backup into an empty namespace, of the same or another cluster.

Until everything is written a marker in the bucket names the file. A restore that was interrupted is asked for again, finds its
own marker, empties the streams, and begins anew; nothing else may go into them meanwhile. The bucket is written last, and
of it the schedules: what fires them finds everything else there.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import InvalidInput, StoreRejected, StoreUnavailable
from naq.jobs.history_stream import HistoryService
from naq.lifecycle import BaseService, ServiceManager
from naq.observe.backup.file import Family, Foot, Item, Survey, items_of, survey
from naq.observe.backup.making import side_streams
from naq.observe.verify.window import COMPLETE_SINCE
from naq.queue.results import ResultService
from naq.scheduler.leader import read_lease
from naq.store.codec import encode
from naq.store.keys import ALL_SCHEDULES, ALL_WORKERS, RESTORING, Namespace
from naq.store.nats.batches import Batches
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from naq.store.nats.protocol import Message, status_code
from naq.store.port import Committed, Put, Unknown

__all__ = ["RestoreService"]

AT_ONCE = 400
"""Records in one transaction."""
BYTES_AT_ONCE = 4 << 20
TRIES = 5
"""Times that a group is written whose fate is not known; writing it again is harmless."""
NOT_STORED = "the server did not store a message: {}"


class _Marker(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the bucket until a restore is complete."""

    v: int = 1
    sha256: str
    started_at: datetime


class RestoreService(BaseService):
    """Writes a backup into an empty namespace."""

    def __init__(
        self, config: Mapping[str, Any] | Settings, connection_service: ConnectionService, *, clock: Clock | None = None
    ) -> None:
        super().__init__(config)
        self.connection = connection_service
        self.names = Namespace(self.settings.namespace)
        self._clock: Clock = clock or SystemClock()
        self._bucket = KVStoreService(self.settings, connection_service, clock=self._clock)
        inside = dataclasses.replace(self.settings, namespace=self.names.results_bucket)
        self._results = KVStoreService(inside, connection_service, clock=self._clock)
        self._batches = Batches(connection_service, self._clock)

    async def _do_initialize(self) -> None:
        await self.connection.initialize()

    async def _do_cleanup(self) -> None:
        """Nothing is held."""

    async def restore(self, path: Path, *, progress: Callable[[int], None] = lambda count: None) -> Foot:
        """Write all of a file; its last line. The streams are made with the settings of this process (``replicas``).

        Raises `InvalidInput` for a file that is not whole, and for a namespace that is not empty or at work; `StoreError`. When
        it raises, or is killed, the restore is not complete: ask for it again.
        """
        found = survey(path)
        again = await self._require_free(found)
        await self._make_streams()
        if again:
            for stream in self.names.streams:
                await self.connection.stream_service.purge(stream)
        await self._bucket.put(RESTORING, encode(_Marker(sha256=found.foot.sha256, started_at=self._clock.now())))
        count, lasting = 0, Counter({Family.BUCKET: 1})  # the marker
        for group in _groups(path, found):
            await self._write(group, found.foot.at)
            count += len(group)
            lasting[group[0].family] += sum(item.expires_at is None for item in group)
            progress(count)
        await self._confirm(found, lasting)
        return found.foot

    async def _require_free(self, found: Survey) -> bool:
        """Raise `InvalidInput` unless the namespace is empty; whether it holds a part of this same restore."""
        info = await self.connection.stream_service.info(self.names.stream)
        if info is not None:
            await self._require_idle()
            marker = await self._bucket.get(RESTORING)
            if marker is not None and marker.value is not None:
                if msgspec.json.decode(marker.value, type=_Marker).sha256 == found.foot.sha256:
                    return True
                raise self._refusal("the restore of another file into it was interrupted")
        for stream in self.names.streams:
            info = await self.connection.stream_service.info(stream)
            if info is not None and int(info["state"]["messages"]):
                raise self._refusal(f"it is not empty ({stream} holds {info['state']['messages']} messages)")
        return False

    async def _require_idle(self) -> None:
        lease = await read_lease(self._bucket)
        if lease is not None and lease.held:
            raise self._refusal(f"the scheduler {lease.instance_id} is at work in it")
        async for page in self._bucket.keys(ALL_WORKERS):
            raise self._refusal(f"{len(page)} workers are at work in it")

    def _refusal(self, why: str) -> InvalidInput:
        reason = f"{why}: stop what runs there and delete its streams, or restore into another namespace"
        return InvalidInput.of("namespace", self.names.name, reason, f"{self.names.name}-restored")

    async def _make_streams(self) -> None:
        async with ServiceManager(self.settings) as services:
            for kind in (KVStoreService, ResultService, HistoryService, EventService):
                await services.get_service(kind)

    async def _write(self, group: Sequence[Item], at: datetime) -> None:
        family = group[0].family
        if family in (Family.BUCKET, Family.RESULTS):
            bucket = self._bucket if family is Family.BUCKET else self._results
            await _put(bucket, [Put(item.key, item.value or b"", None, _ttl(item, at)) for item in group])
            return
        names = side_streams(self.names)[family]
        messages = [Message(names.subject(item.key), "", item.value or b"") for item in group]
        for answer in await self._batches.store_each(messages):
            if isinstance(answer, Unknown):
                raise StoreUnavailable(NOT_STORED.format(answer.reason))
            headers, data = answer
            if status_code(headers) == 503:
                raise StoreUnavailable(NOT_STORED.format("its stream has no leader"))
            error = msgspec.json.decode(data).get("error")
            if error is not None:
                raise StoreRejected(NOT_STORED.format(error.get("description")), int(error.get("err_code", 0)))

    async def _confirm(self, found: Survey, lasting: Mapping[Family, int]) -> None:
        """Count what is there, say since when the side streams are complete, and remove the marker."""
        await self._require_idle()
        for family, stream in ((Family.BUCKET, self.names.stream), (Family.EVENTS, self.names.events_stream)):
            info = await self.connection.stream_service.info(stream)
            held = 0 if info is None else int(info["state"]["messages"])
            if held < lasting.get(family, 0):
                reason = f"{stream} holds {held} of {lasting[family]} records: somebody removed some; restore it again"
                raise StoreUnavailable(reason)
        for family, stream in ((Family.EVENTS, self.names.events_stream), (Family.HISTORY, self.names.history_stream)):
            info = await self.connection.stream_service.info(stream)
            assert info is not None
            metadata = {**(info["config"].get("metadata") or {})}
            metadata[COMPLETE_SINCE] = found.foot.complete_since[family].isoformat()
            await self.connection.stream_service.update({**info["config"], "metadata": metadata})
        await self._bucket.delete(RESTORING)


async def _put(bucket: KVStoreService, puts: Sequence[Put]) -> None:
    reason = ""
    for _ in range(TRIES):
        outcome = await bucket.transact(puts)
        if isinstance(outcome, Committed):
            return
        reason = outcome.reason
    raise StoreUnavailable(f"a group of records could not be written: {reason}; restore it again")


def _ttl(item: Item, at: datetime) -> int | None:
    """Seconds for which a record is kept: what was left of them at the moment of the backup."""
    return None if item.expires_at is None else max(1, math.ceil((item.expires_at - at).total_seconds()))


def _groups(path: Path, found: Survey) -> Iterator[list[Item]]:
    """What is to be written, in groups of one family: the side streams, the bucket, and its schedules at the end."""
    first = (item for item in items_of(path) if item.family is not Family.BUCKET)
    jobs = (item for item in items_of(path) if item.family is Family.BUCKET and not _is_schedule(item))
    last = (item for item in items_of(path) if item.family is Family.BUCKET and _is_schedule(item))
    for items in (first, jobs, last):
        group: list[Item] = []
        size = 0
        for item in items:
            if not found.counts(item):
                continue
            length = len(item.value or b"")
            if group and (len(group) == AT_ONCE or size + length > BYTES_AT_ONCE or group[0].family is not item.family):
                yield group
                group, size = [], 0
            group.append(item)
            size += length
        if group:
            yield group


def _is_schedule(item: Item) -> bool:
    return item.key.startswith(ALL_SCHEDULES.removesuffix(">"))


ServiceManager.register_service("restore", RestoreService)
