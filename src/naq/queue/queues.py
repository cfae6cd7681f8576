"""Queues as a whole: their limits, what is in them, emptying them; and the workers that serve them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence

import msgspec

from naq.config import Settings
from naq.exceptions import InvalidInput
from naq.jobs.control import Control, Question
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import QueueLimits, WorkerInfo, is_over
from naq.queue.consumers import ensure_consumer, find_consumer
from naq.queue.removal import delete_all
from naq.queue.results import StoredResults
from naq.queue.settle import Settling
from naq.store.codec import encode
from naq.store.keys import (
    ALL_JOBS,
    ALL_QUEUES,
    ALL_WORKERS,
    Namespace,
    check_queue,
    is_queue,
    jobs_of,
    name_in,
    queue_in,
    queue_key,
)
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.port import Entry
from naq.store.records import read_all, readable, readable_one

__all__ = ["QueueInfo", "Queues"]

AT_ONCE = 400
"""Deletions in one transaction."""

log = logging.getLogger(__name__)


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one queue."""

    queue: str
    waiting: int = 0
    """Jobs that no worker has."""
    in_hand: int = 0
    """Jobs that workers have."""
    workers: int = 0
    limits: QueueLimits = QueueLimits()


class Queues:
    """Looking at queues and changing them."""

    def __init__(
        self,
        settings: Settings,
        connection: ConnectionService,
        kv: KVStoreService,
        results: StoredResults,
        settling: Settling,
        control: Control,
    ) -> None:
        self._settings = settings
        self._names = Namespace(settings.namespace)
        self._connection = connection
        self._kv = kv
        self._results = results
        self._settling = settling
        self._control = control

    async def workers(self) -> list[WorkerInfo]:
        """The workers that are alive, the oldest first."""
        found: list[WorkerInfo] = []
        async for entries in self._kv.scan(ALL_WORKERS):
            found += [info for _, info in readable(WorkerInfo, entries, log)]
        return sorted(found, key=lambda info: info.started_at)

    async def limits(self, queue: str) -> QueueLimits:
        """The limits of a queue; none when their record cannot be read, which is logged."""
        entry = await self._kv.get(queue_key(check_queue(queue)))
        return readable_one(QueueLimits, entry, log) or QueueLimits()

    async def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Change the limits of a queue; all workers follow within a second. Raises `InvalidInput`."""
        check_queue(queue)
        if limits.max_concurrent is not None and limits.max_concurrent < 1:
            raise InvalidInput.of(
                "max_concurrent", limits.max_concurrent, "must be 1 or more, or None for no limit", 10
            )
        if limits.rate is not None and not limits.rate > 0:
            raise InvalidInput.of("rate", limits.rate, "must be more than 0, or None for no limit", 5.0)
        await self._kv.put(queue_key(queue), encode(limits), spare=True)
        await ensure_consumer(self._connection, self._names, self._settings, queue, limits)

    async def info(self, queue: str) -> QueueInfo:
        """The state of a queue."""
        consumer = await find_consumer(self._connection, self._names, check_queue(queue))
        workers = sum(1 for worker in await self.workers() if queue in worker.queues)
        limits = await self.limits(queue)
        if consumer is None:
            waiting = 0
            async for page in self._queued(queue):
                waiting += len(page)
            return QueueInfo(queue=queue, waiting=waiting, workers=workers, limits=limits)
        return QueueInfo(
            queue=queue,
            waiting=int(consumer["num_pending"]),
            in_hand=int(consumer["num_ack_pending"]),
            workers=workers,
            limits=limits,
        )

    async def names(self) -> list[str]:
        """The queues that a worker serves, that have limits, or that have a job in them."""
        found = {queue for worker in await self.workers() for queue in worker.queues}
        async for entries in self._kv.scan(ALL_QUEUES):
            found |= {name_in(entry.key) for entry in entries if entry.value is not None}
        async for entries in self._kv.scan(ALL_JOBS):
            found |= {queue_in(entry.key) for entry in entries if entry.value is not None}
        return sorted(filter(is_queue, found))  # others may have written anything

    async def purge(self, queue: str, reason: str | None) -> int:
        """Cancel all jobs of a queue that no worker has; returns how many."""
        check_queue(queue)
        count = 0
        held = {job_id for reply in await self._control.ask(Question(held=True)) for job_id in reply.held}
        async for page in self._queued(queue):
            free = [(entry, queued) for entry, queued in page if queued is None or queued.job_id not in held]
            for start in range(0, len(free), AT_ONCE):
                count += await self._cancel(free[start : start + AT_ONCE], reason)
        return count

    async def _queued(self, queue: str) -> AsyncIterator[list[tuple[Entry, QueuedJob | None]]]:
        """The jobs in a queue that have not ended, or were cancelled by a process that did not come to remove them; ``None``
        for a record that cannot be read."""
        async for entries in self._kv.scan(jobs_of(queue)):
            found = read_all(QueuedJob, entries)
            results = await self._results.get_many([queued.job_id for _, queued in found.records])
            page: list[tuple[Entry, QueuedJob | None]] = [
                (entry, queued)
                for entry, queued in found.records
                if not is_over(queued, result := results.get(queued.job_id))
                or (result is not None and result.status is JobStatus.CANCELLED)
            ]
            yield page + [(entry, None) for entry, _ in found.unreadable]

    async def _cancel(self, part: Sequence[tuple[Entry, QueuedJob | None]], reason: str | None) -> int:
        jobs = [queued for _, queued in part if queued is not None]
        cancelled = await self._settling.cancel(jobs, reason)
        gone = cancelled.now | cancelled.before
        ended = [entry for entry, queued in part if queued is None or queued.job_id in gone]
        if not await delete_all(self._kv, ended):
            for entry in ended:
                await self._settling.remove(entry)
        return len(ended) - len(cancelled.before)
