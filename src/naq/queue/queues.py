"""Queues as wholes: their limits, what lies in them, emptying them; and the workers that serve them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import InvalidInput, RecordUnreadable
from naq.jobs.control import Control, Question
from naq.jobs.ending import Facts, decide
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Dropped
from naq.jobs.records import QueueLimits, WorkerInfo, is_over
from naq.queue.consumers import ensure_consumer, find_consumer
from naq.queue.limits import queue_key
from naq.queue.results import ResultService
from naq.queue.settle import Settlement, Settling
from naq.store.codec import decode, encode
from naq.store.keys import Namespace, check_queue
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.port import Committed, Delete, Entry

__all__ = ["QueueInfo", "Queues"]

AT_ONCE = 400


class QueueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """How one queue stands."""

    queue: str
    waiting: int = 0
    """Jobs that no worker has."""
    in_hand: int = 0
    """Jobs that workers have."""
    workers: int = 0
    limits: QueueLimits = QueueLimits()


class Queues:
    """What is done to queues."""

    def __init__(
        self,
        settings: Settings,
        connection: ConnectionService,
        kv: KVStoreService,
        results: ResultService,
        settling: Settling,
        control: Control,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._names = Namespace(settings.namespace)
        self._connection = connection
        self._kv = kv
        self._results = results
        self._settling = settling
        self._control = control
        self._clock = clock

    async def workers(self) -> list[WorkerInfo]:
        """The workers that are alive, the oldest first."""
        found = []
        async for entries in self._kv.scan("worker.>"):
            for entry in entries:
                if entry.value is not None:
                    found.append(decode(WorkerInfo, entry.key, entry.value))
        return sorted(found, key=lambda info: info.started_at)

    async def limits(self, queue: str) -> QueueLimits:
        """The limits of a queue."""
        entry = await self._kv.get(queue_key(check_queue(queue)))
        if entry is None or entry.value is None:
            return QueueLimits()
        return decode(QueueLimits, entry.key, entry.value)

    async def set_limits(self, queue: str, limits: QueueLimits) -> None:
        """Change the limits of a queue; they hold for all workers within a second. Raises `InvalidInput`."""
        check_queue(queue)
        if limits.max_concurrent is not None and limits.max_concurrent < 1:
            raise InvalidInput.of(
                "max_concurrent", limits.max_concurrent, "must be 1 or more, or None for no limit", 10
            )
        if limits.rate is not None and not limits.rate > 0:
            raise InvalidInput.of("rate", limits.rate, "must be more than 0, or None for no limit", 5.0)
        await self._kv.put(queue_key(queue), encode(limits))
        await ensure_consumer(self._connection, self._names, self._settings, queue, limits)

    async def info(self, queue: str) -> QueueInfo:
        """How a queue stands."""
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
        """Queues of which something is known: a worker serves them, they have limits, or a job lies in them."""
        found = {queue for worker in await self.workers() for queue in worker.queues}
        async for entries in self._kv.scan("queue.>"):
            found |= {entry.key.partition(".")[2] for entry in entries if entry.value is not None}
        async for entries in self._kv.scan("job.>"):
            found |= {entry.key.split(".")[1] for entry in entries if entry.value is not None}
        return sorted(found)

    async def purge(self, queue: str, reason: str | None) -> int:
        """Cancel all jobs of a queue that no worker has; returns how many."""
        check_queue(queue)
        count = 0
        held = {job_id for reply in await self._control.ask(Question(held=True)) for job_id in reply.held}
        async for page in self._queued(queue):
            ours = [(entry, queued) for entry, queued in page if queued is None or queued.job_id not in held]
            for start in range(0, len(ours), AT_ONCE):
                count += await self._cancel(ours[start : start + AT_ONCE], reason)
        return count

    async def _queued(self, queue: str) -> AsyncIterator[list[tuple[Entry, QueuedJob | None]]]:
        """What lies in a queue and has not ended; ``None`` for a record that cannot be read."""
        async for entries in self._kv.scan(f"job.{queue}.>"):
            there = [(entry, _queued(entry)) for entry in entries if entry.value is not None]
            results = await self._results.get_many([queued.job_id for _, queued in there if queued is not None])
            yield [
                (entry, queued)
                for entry, queued in there
                if queued is None or not is_over(queued, results.get(queued.job_id))
            ]

    async def _cancel(self, part: list[tuple[Entry, QueuedJob | None]], reason: str | None) -> int:
        outcome = await self._kv.transact([Delete(entry.key, entry.revision) for entry, _ in part])
        removed = part
        if not isinstance(outcome, Committed):
            removed = [pair for pair in part if await self._settling.remove(pair[0])]
        facts = Facts(self._settings.instance_id, self._clock.now(), reason=reason)
        endings = [decide(queued, Dropped("cancelled"), facts) for _, queued in removed if queued is not None]
        await self._settling.settle([Settlement(ending) for ending in endings])
        return len(removed)


def _queued(entry: Entry) -> QueuedJob | None:
    try:
        return decode(QueuedJob, entry.key, entry.value or b"")
    except RecordUnreadable:
        return None
