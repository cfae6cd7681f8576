"""Jobs whose record cannot be read: each becomes a dead letter that holds the record as it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreError, StoreUnavailable
from naq.jobs.job import JobStatus
from naq.jobs.records import DeadJob, DeadReason, StoredResult
from naq.queue.results import ResultService
from naq.store.codec import encode
from naq.store.keys import dead_key, parse_job_key
from naq.store.nats.connection import ConnectionService
from naq.store.port import Committed, Put, Store
from naq.worker.claimed import ACK, encode_acks

__all__ = ["Burial"]

RETRY_AFTER = 0.5

log = logging.getLogger(__name__)


class Burial:
    """Ends deliveries that are not jobs, in the background."""

    def __init__(
        self, connection: ConnectionService, store: Store, results: ResultService, clock: Clock, settings: Settings
    ) -> None:
        self._connection = connection
        self._store = store
        self._results = results
        self._clock = clock
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def bury(self, key: str, value: bytes, reply: bytes, error: RecordUnreadable) -> None:
        """Write the dead letter and its result, then acknowledge. Does not wait."""
        self._start(self._bury(key, value, reply, error), f"bury {key}")

    def acknowledge(self, reply: bytes) -> None:
        """Acknowledge a delivery without a job in it. Does not wait."""
        self._start(self._acknowledge(reply), "acknowledge")

    async def stop(self) -> None:
        """Cancel what is not done; it is handed out again."""
        for task in tuple(self._tasks):
            task.cancel()
            await asyncio.wait((task,))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, reply: bytes) -> None:
        try:
            await self._connection.client.send(encode_acks([reply], ACK))
        except StoreError as problem:
            log.debug("a removed job will be acknowledged when it is handed out again: %s", problem)

    async def _bury(self, key: str, value: bytes, reply: bytes, error: RecordUnreadable) -> None:
        log.error("%s", error)
        dead, result = _end_of(key, value, error, self._settings.instance_id, self._clock.now())
        while True:
            try:
                outcome = await self._store.transact([Put(dead_key(dead.job_id), encode(dead))])
                if not isinstance(outcome, Committed):
                    raise StoreUnavailable(outcome.reason)
                await self._results.write([result], [self._settings.job_ttl])
                await self._connection.client.send(encode_acks([reply], ACK))
                return
            except StoreError as problem:
                log.info("the unreadable record %s is set aside later: %s", key, problem)
                await self._clock.sleep(RETRY_AFTER)


def _end_of(
    key: str, value: bytes, error: RecordUnreadable, worker_id: str, now: datetime
) -> tuple[DeadJob, StoredResult]:
    queue, job_id, attempt = _place(key)
    dead = DeadJob(
        job_id=job_id,
        reason=DeadReason.UNREADABLE,
        died_at=now,
        raw=value.decode(errors="replace"),
        key=key,
        error_type="RecordUnreadable",
        error=error.reason,
        worker_id=worker_id,
    )
    result = StoredResult(
        job_id=job_id,
        status=JobStatus.FAILED,
        queue=queue,
        attempt=attempt,
        error_type="RecordUnreadable",
        error=error.reason,
        worker_id=worker_id,
        ended_at=now,
    )
    return dead, result


def _place(key: str) -> tuple[str, str, int]:
    """Queue, job id and attempt in a key below ``job``; for a key that is not a job's, what can be shown of it."""
    try:
        return parse_job_key(key)
    except ValueError:
        _, queue, rest = key.split(".", 2)
        return queue, rest, 1
