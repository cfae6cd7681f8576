"""Results: what is known of jobs that run or have ended. Each is kept for a time, and can be waited for without polling.

They are in a bucket of their own, where every key has a TTL. A value that is too large for one entry is stored in several
parts with the same TTL, written before the result that names them. A value beyond `LARGEST` is not kept, and the result
says so.

To wait for a job is to subscribe to the news of that job alone, and only then to read the store. News are sent after the
result is durable: they either reach the subscription, or the store had the result already.

`StoredResults` keeps results in any store; `ResultService` is the one on NATS, with news.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import JobTimeout, RecordUnreadable, StoreRejected, StoreUnavailable
from naq.jobs.ends import read_ends
from naq.jobs.records import AttemptLog, StoredResult
from naq.jobs.result_bucket import ResultBucket
from naq.lifecycle import BaseService, ServiceManager
from naq.queue.together import Together
from naq.store.codec import decode, encode
from naq.store.keys import attempt_log_key, check_job_id, ended_key, result_part_key
from naq.store.nats.batches import FEW
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.protocol import encode_publish
from naq.store.port import Committed, Delete, Put, Refused, Store, Unknown, Write
from naq.store.records import readable, readable_one

__all__ = ["LARGEST", "ResultService", "StoredResults"]

LARGEST = 32 * 1024 * 1024
"""The largest value that is kept, in bytes of JSON."""
AT_ONCE = 500
"""Results in one transaction."""
PART_SIZE = 512 * 1024
NEWS_LIMIT = 4096
"""A result of at most so many bytes is sent with the news of it."""
NULL = msgspec.Raw(b"null")
LOGS_KEPT = 10
"""Attempts before the last one whose log is kept."""
REMEMBERED = 600
"""Seconds for which it is known that a job ended, however short its result is kept. A server that is killed forgets
acknowledgements of the last two minutes, and hands those jobs out again."""

log = logging.getLogger(__name__)


class StoredResults:
    """Results, by the id of their job, in a store that holds nothing else."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @property
    def part_size(self) -> int:
        """A value of more bytes of JSON than this is stored in parts."""
        return PART_SIZE

    async def write(self, results: Sequence[StoredResult], lifetimes: Sequence[float]) -> None:
        """Write results, each to be kept for so many seconds; of several for one job the last one counts.

        They are durable on return. Raises `StoreUnavailable` when that is not certain; writing them again is harmless.
        """
        puts: dict[str, Put] = {}
        marks: dict[str, Put] = {}
        for result, lifetime in zip(results, lifetimes, strict=True):
            ttl = max(1, math.ceil(lifetime))
            if len(result.value) > self.part_size:
                result = await self._write_parts(result, ttl)
            puts[result.job_id] = Put(result.job_id, encode(result), None, ttl)
            if ttl < REMEMBERED and result.status.ended:
                marks[result.job_id] = Put(ended_key(result.job_id), encode(_mark(result)), None, REMEMBERED)
        if marks:
            await self._commit(list(marks.values()))
        if len(puts) <= FEW:
            await asyncio.gather(*[self._transact([put]) for put in puts.values()])
        else:
            await self._commit(list(puts.values()))
        await self.spread([(put.key, put.value) for put in puts.values()])

    async def known(self, job_ids: Sequence[str]) -> dict[str, tuple[int, StoredResult | None]]:
        """The revision and record of what is known of several jobs, by id; ``(0, None)`` when nothing is."""
        entries = await self.store.get_many(job_ids)
        return {
            job_id: (entry.revision, readable_one(StoredResult, entry, log)) if entry is not None else (0, None)
            for job_id, entry in ((job_id, entries.get(job_id)) for job_id in job_ids)
        }

    async def write_unless_changed(
        self, results: Sequence[StoredResult], lifetimes: Sequence[float], revisions: Sequence[int]
    ) -> set[str]:
        """As `write`, but only where what is known still has the revision that `known` said; the ids of those written.

        The results have no values. Raises `StoreError` when it is not certain.
        """
        groups: list[list[Put]] = []
        for result, lifetime, revision in zip(results, lifetimes, revisions, strict=True):
            ttl = max(1, math.ceil(lifetime))
            group = [Put(result.job_id, encode(result), revision, ttl)]
            if ttl < REMEMBERED:
                group.append(Put(ended_key(result.job_id), encode(_mark(result)), None, REMEMBERED))
            groups.append(group)
        written = await self._write_conditional(groups)
        await self.spread([(put.key, put.value) for put, *_ in groups if put.key in written])
        return written

    async def _write_conditional(self, groups: Sequence[Sequence[Put]]) -> set[str]:
        """Write each group if its conditions hold, all at once when they all do; the keys of the first of each."""
        written: set[str] = set()
        for start in range(0, len(groups), AT_ONCE // 2):
            part = groups[start : start + AT_ONCE // 2]
            if len(part) > 1 and isinstance(
                await self.store.transact([put for group in part for put in group]), Committed
            ):
                written.update(group[0].key for group in part)
                continue
            for group in part:
                outcome = await self.store.transact(list(group))
                if isinstance(outcome, Unknown):
                    raise StoreUnavailable(f"whether a result was written is not known: {outcome.reason}")
                if isinstance(outcome, Committed):
                    written.add(group[0].key)
        return written

    async def ends(self, job_ids: Sequence[str]) -> dict[str, StoredResult]:
        """How several jobs ended, by id, also of those whose result was kept for a shorter time than `REMEMBERED`; without
        values."""
        return await read_ends(self.store, job_ids)

    async def marks(self, job_ids: Sequence[str]) -> dict[str, StoredResult]:
        """How jobs ended whose result is not kept any more, by id, as long as that is remembered; without values."""
        entries = await self.store.get_many(list(map(ended_key, job_ids)))
        return {mark.job_id: mark for _, mark in readable(StoredResult, entries.values(), log)}

    async def write_logs(self, logs: Sequence[AttemptLog], lifetimes: Sequence[float]) -> None:
        """Keep what attempts logged, each for so many seconds, of a job the last `LOGS_KEPT`. Raises as `write`."""
        puts: dict[str, Put] = {}
        for each, lifetime in zip(logs, lifetimes, strict=True):
            key = attempt_log_key(each.job_id, each.attempt % LOGS_KEPT)
            puts[key] = Put(key, encode(each), None, max(1, math.ceil(lifetime)))
        if puts:
            await self._commit(list(puts.values()))

    async def logs(self, job_id: str, before: int) -> tuple[AttemptLog, ...]:
        """What the attempts of a job logged before this one, the oldest first."""
        entries = await self.store.get_many([attempt_log_key(check_job_id(job_id), "*")])
        found = [each for _, each in readable(AttemptLog, entries.values(), log) if each.attempt < before]
        return tuple(sorted(found, key=lambda each: each.attempt))

    async def spread(self, news: Sequence[tuple[str, bytes]]) -> None:
        """Send news of jobs, each with its id and its result, or ``b""`` if the result is to be read. Here: to nobody."""

    async def remind(self, job_id: str) -> None:
        """Send the news of a job once more: the worker that wrote its result may have died before it did."""
        await self.spread([(job_id, b"")])

    async def get(self, job_id: str) -> StoredResult | None:
        """What is known of a job; ``None`` when nothing is known, or no longer."""
        entry = await self.store.get(check_job_id(job_id))
        if entry is None or entry.value is None:
            return None
        return await self._whole(decode(StoredResult, entry.key, entry.value))

    async def readable(self, job_id: str) -> StoredResult | None:
        """As `get`, but one that cannot be read is logged, and is as if nothing were known."""
        try:
            return await self.get(job_id)
        except RecordUnreadable as error:
            log.warning("%s", error)
            return None

    async def get_many(self, job_ids: Sequence[str]) -> dict[str, StoredResult]:
        """What is known of several jobs, by id, without values that are stored in parts."""
        entries = await self.store.get_many(job_ids)
        return {entry.key: result for entry, result in readable(StoredResult, entries.values(), log)}

    async def pages(self) -> AsyncIterator[list[StoredResult]]:
        """All results, the oldest write first, without values that are stored in parts."""
        async for entries in self.store.scan("*"):
            yield [result for _, result in readable(StoredResult, entries, log)]

    async def forget(self, job_id: str, *, logs: bool = False) -> None:
        """Remove what is known of how a job ended; with ``logs`` also what its attempts logged. A result that is written
        meanwhile stays."""
        own = [attempt_log_key(job_id, "*")] if logs else []
        entries = await self.store.get_many([job_id, ended_key(job_id), *own])
        if entries:
            await self.store.transact([Delete(key, entry.revision) for key, entry in entries.items()])

    async def _write_parts(self, result: StoredResult, ttl: int) -> StoredResult:
        value = bytes(result.value)
        if len(value) > LARGEST:
            text = f"the returned value is {len(value)} bytes of JSON; at most {LARGEST} are kept"
            return msgspec.structs.replace(
                result, value=NULL, error_type=result.error_type or "ResultNotStored", error=result.error or text
            )
        size = self.part_size
        parts = [value[start : start + size] for start in range(0, len(value), size)]
        for number, part in enumerate(parts):
            await self._commit([Put(result_part_key(result.job_id, number), part, None, ttl)])
        return msgspec.structs.replace(result, value=NULL, chunks=len(parts))

    async def _commit(self, writes: Sequence[Put]) -> None:
        group: list[Write] = []
        size = 0
        for write in writes:
            if group and (len(group) == AT_ONCE or size + len(write.value) > 8 * self.part_size):
                await self._transact(group)
                group, size = [], 0
            group.append(write)
            size += len(write.value)
        await self._transact(group)

    async def _transact(self, writes: Sequence[Write]) -> None:
        outcome = await self.store.transact(writes)
        if isinstance(outcome, Refused):
            raise StoreRejected(f"results were refused: {outcome.reason}")
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"whether results were written is not known: {outcome.reason}")

    async def _whole(self, result: StoredResult) -> StoredResult:
        """The result with its value, which is read if it is stored in parts."""
        if result.chunks == 0:
            return result
        parts = []
        for number in range(result.chunks):
            entry = await self.store.get(result_part_key(result.job_id, number))
            if entry is None or entry.value is None:
                return msgspec.structs.replace(
                    result, error_type="ResultNotStored", error="a part of the value has expired"
                )
            parts.append(entry.value)
        return msgspec.structs.replace(result, value=msgspec.Raw(b"".join(parts)), chunks=0)


class ResultService(BaseService, StoredResults):
    """The bucket of results."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        *,
        clock: Clock | None = None,
    ) -> None:
        BaseService.__init__(self, config)
        self.connection = connection_service
        self.clock: Clock = clock or SystemClock()
        self._bucket = ResultBucket(self.settings, connection_service, self.clock)
        self.names = self._bucket.names
        self._awaited = Together(self._bucket.get_many)
        StoredResults.__init__(self, self._bucket)

    async def _do_initialize(self) -> None:
        await self._bucket.initialize()

    async def _do_cleanup(self) -> None:
        await self._awaited.stop()
        await self._bucket.cleanup()

    @property
    def part_size(self) -> int:
        """Half of what the server accepts in one message."""
        return int(self.connection.client.max_payload) // 2

    async def spread(self, news: Sequence[tuple[str, bytes]]) -> None:
        """Send news of jobs to those who wait for them; a large result is left for them to read."""
        lines = [
            encode_publish(self._news_subject(job_id), value if len(value) <= NEWS_LIMIT else b"")
            for job_id, value in news
        ]
        await self.connection.client.send(b"".join(lines))

    def _news_subject(self, job_id: str) -> str:
        return f"{self.names.name}.ended.{job_id}"

    async def wait(self, job_id: str, timeout: float | None = None) -> StoredResult:
        """The result of a job as soon as the job has ended; without polling.

        Raises `JobTimeout` when it has not ended after ``timeout`` seconds (``None``: wait for ever). A job that is not
        enqueued yet is waited for like any other.
        """
        subject = self._news_subject(check_job_id(job_id))
        news = asyncio.Event()
        heard: list[StoredResult] = []

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            with contextlib.suppress(RecordUnreadable):
                result = decode(StoredResult, job_id, data) if data else None
                if result is not None and result.status.ended:
                    heard.append(result)
            news.set()

        def on_state(state: ConnectionState) -> None:
            if state is ConnectionState.RESTORED:
                news.set()

        subscription = await self.connection.client.subscribe_raw(subject, on_frame)
        stop = self.connection.on_state(on_state)
        try:
            async with asyncio.timeout(timeout):
                return await self._ended(job_id, heard, news)
        except TimeoutError:
            raise JobTimeout(job_id, f"has not ended within {timeout} s") from None
        finally:
            stop()
            await subscription.unsubscribe()

    async def _ended(self, job_id: str, heard: list[StoredResult], news: asyncio.Event) -> StoredResult:
        while True:
            news.clear()
            try:
                if heard:
                    return await self._whole(heard[-1])
                entry = await self._awaited.ask(job_id)
                if entry is not None and entry.value is not None:
                    result = decode(StoredResult, job_id, entry.value)
                    if result.status.ended:
                        return await self._whole(result)
            except StoreUnavailable as error:
                log.debug("the result of job %s is read again later: %s", job_id, error)
                await self.clock.sleep(0.2)
                continue
            await news.wait()


def _mark(result: StoredResult) -> StoredResult:
    """What is remembered of an end when the result itself has expired."""
    return msgspec.structs.replace(result, value=NULL, chunks=0, error=None, traceback=None, log=None, progress=None)


ServiceManager.register_service("results", ResultService)
