"""Results: what is known of jobs that run or ended, each kept for its time, and waited for without polling.

They live in a bucket of their own, limited by time. A value that is too large for one entry is stored in several parts
with the same lifetime, written before the result that names them; one beyond `LARGEST` is not kept, and the result says
so.

Whoever waits for a job subscribes to the news of this job and no other, and only then asks the store. The news is sent
when the result is durable, not before: it either finds the subscription, or the store knew the result already.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import JobTimeout, RecordUnreadable, StoreRejected, StoreUnavailable
from naq.jobs.records import StoredResult
from naq.lifecycle import BaseService, ServiceManager
from naq.store.codec import decode, encode
from naq.store.keys import Namespace, check_job_id
from naq.store.nats.batches import FEW
from naq.store.nats.bucket import KVStoreService, bucket_config
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.protocol import encode_publish
from naq.store.port import Committed, Delete, Put, Refused, Write

__all__ = ["LARGEST", "ResultService"]

LARGEST = 32 * 1024 * 1024
"""Bytes of JSON that are kept of one job's value at most."""
AT_ONCE = 500
"""Results in one transaction."""
NEWS_LIMIT = 4096
"""Bytes of a result up to which it is sent along with the news that it is there."""
NULL = msgspec.Raw(b"null")

log = logging.getLogger("naq.results")


class ResultService(BaseService):
    """The bucket of results."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.connection = connection_service
        self.clock: Clock = clock or SystemClock()
        self.names = Namespace(Namespace(self.settings.namespace).results_bucket)
        inside = dataclasses.replace(self.settings, namespace=self.names.name)
        self.store = KVStoreService(inside, connection_service, clock=self.clock)

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        config = bucket_config(self.names, self.settings.replicas, self.clock.now())
        config["description"] = "naq: results of jobs, each with its own lifetime"
        await self.connection.stream_service.ensure(config)
        await self.store.initialize()

    async def _do_cleanup(self) -> None:
        await self.store.cleanup()

    @property
    def part_size(self) -> int:
        """Bytes of a value from which on it is stored in parts: half of what the server accepts in one message."""
        return int(self.connection.client.max_payload) // 2

    async def write(self, results: Sequence[StoredResult], lifetimes: Sequence[float]) -> None:
        """Write results, each for so many seconds; the last one of a job counts. They are durable on return.

        Raises `StoreUnavailable` when that is not sure; writing them again is harmless.
        """
        puts: dict[str, Put] = {}
        for result, lifetime in zip(results, lifetimes, strict=True):
            ttl = max(1, math.ceil(lifetime))
            if len(result.value) > self.part_size:
                result = await self._write_parts(result, ttl)
            puts[result.job_id] = Put(result.job_id, encode(result), None, ttl)
        if len(puts) <= FEW:
            await asyncio.gather(*[self._transact([put]) for put in puts.values()])
        else:
            await self._commit(list(puts.values()))
        await self._spread([(put.key, put.value) for put in puts.values()])

    async def _spread(self, news: Sequence[tuple[str, bytes]]) -> None:
        """Tell whoever waits; a large result is to be fetched."""
        lines = [
            encode_publish(self._news_subject(job_id), value if len(value) <= NEWS_LIMIT else b"")
            for job_id, value in news
        ]
        await self.connection.client.send(b"".join(lines))

    async def remind(self, job_id: str) -> None:
        """Tell whoever waits for this job once more: the worker that wrote its result may have died before it did."""
        await self._spread([(job_id, b"")])

    def _news_subject(self, job_id: str) -> str:
        return f"{self.names.name}.ended.{job_id}"

    async def _write_parts(self, result: StoredResult, ttl: int) -> StoredResult:
        value = bytes(result.value)
        if len(value) > LARGEST:
            text = f"the returned value is {len(value)} bytes of JSON; {LARGEST} are kept at most"
            return msgspec.structs.replace(
                result, value=NULL, error_type=result.error_type or "ResultNotStored", error=result.error or text
            )
        size = self.part_size
        parts = [value[start : start + size] for start in range(0, len(value), size)]
        for number, part in enumerate(parts):
            await self._commit([Put(f"{result.job_id}.{number}", part, None, ttl)])
        return msgspec.structs.replace(result, value=NULL, chunks=len(parts))

    async def _commit(self, writes: Sequence[Write]) -> None:
        group: list[Write] = []
        size = 0
        for write in writes:
            size += len(write.value) if isinstance(write, Put) else 0
            if group and (len(group) == AT_ONCE or size > 8 * self.part_size):
                await self._transact(group)
                group, size = [], len(write.value) if isinstance(write, Put) else 0
            group.append(write)
        await self._transact(group)

    async def _transact(self, writes: Sequence[Write]) -> None:
        outcome = await self.store.transact(writes)
        if isinstance(outcome, Refused):
            raise StoreRejected(f"results were refused: {outcome.reason}")
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"whether results were written is not known: {outcome.reason}")

    async def get(self, job_id: str) -> StoredResult | None:
        """What is known of a job; ``None`` when nothing is, or no more."""
        entry = await self.store.get(check_job_id(job_id))
        if entry is None or entry.value is None:
            return None
        return await self._whole(decode(StoredResult, entry.key, entry.value))

    async def get_many(self, job_ids: Sequence[str]) -> dict[str, StoredResult]:
        """What is known of several jobs, by id; values stored in parts are left out."""
        entries = await self.store.get_many(job_ids)
        return {key: decode(StoredResult, key, entry.value) for key, entry in entries.items() if entry.value}

    async def pages(self) -> AsyncIterator[list[StoredResult]]:
        """All results, oldest write first; values stored in parts are left out."""
        async for entries in self.store.scan("*"):
            page = []
            for entry in entries:
                if entry.value is None:
                    continue
                try:
                    page.append(decode(StoredResult, entry.key, entry.value))
                except RecordUnreadable as error:
                    log.warning("%s", error)
            yield page

    async def forget(self, job_id: str) -> None:
        """Remove what is known of a job, as it is now: a result that is written meanwhile stays."""
        entry = await self.store.get(job_id)
        if entry is not None:
            await self.store.transact([Delete(job_id, entry.revision)])

    async def wait(self, job_id: str, timeout: float | None = None) -> StoredResult:
        """The result of a job, as soon as the job has ended; without polling.

        Raises `JobTimeout` when it has not ended after ``timeout`` seconds (``None``: wait for ever). A job that nobody
        ever enqueues is waited for like any other.
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
            if heard:
                return await self._whole(heard[-1])
            news.clear()
            try:
                result = await self.get(job_id)
            except StoreUnavailable as error:
                log.debug("a result is waited for while the store does not answer: %s", error)
                await self.clock.sleep(0.2)
                continue
            if result is not None and result.status.ended:
                return result
            await news.wait()

    async def _whole(self, result: StoredResult) -> StoredResult:
        """The result with its value, fetched if it is stored in parts."""
        if result.chunks == 0:
            return result
        keys = [f"{result.job_id}.{number}" for number in range(result.chunks)]
        parts = []
        for key in keys:
            entry = await self.store.get(key)
            if entry is None or entry.value is None:
                return msgspec.structs.replace(
                    result, error_type="ResultNotStored", error="a part of the value is gone already"
                )
            parts.append(entry.value)
        return msgspec.structs.replace(result, value=msgspec.Raw(b"".join(parts)), chunks=0)


ServiceManager.register_service("results", ResultService)
