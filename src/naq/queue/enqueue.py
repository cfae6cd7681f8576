"""Putting jobs into the store: now, later, after others; one or many; each id once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import InvalidJob, JobExists, Problem, RecordUnreadable, StoreUnavailable, TransactionTooLarge
from naq.jobs.job import JobSpec, QueuedJob
from naq.queue.dependencies import Dependencies
from naq.queue.results import ResultService
from naq.queue.settle import Settling
from naq.store.codec import decode, encode
from naq.store.keys import deferred_key, job_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Committed, Entry, EventSink, Put, Refused

__all__ = ["Enqueuer", "NewJob", "attempt_patterns"]

BULK = 400
"""Jobs in one transaction."""
IN_FLIGHT = 4
ATTEMPTS = 5

NewJob = tuple[str, JobSpec, bool]
"""Id, what to run, and whether the id was made up just now: such a one cannot be taken."""


def attempt_patterns(job_id: str) -> list[str]:
    """Where attempts of a job may lie, queued or deferred."""
    return [f"job.*.{job_id}", f"job.*.{job_id}.*", f"deferred.{job_id}.*"]


class Enqueuer:
    """Writes new jobs."""

    def __init__(
        self,
        settings: Settings,
        kv: KVStoreService,
        results: ResultService,
        dependencies: Dependencies,
        settling: Settling,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._instance_id = settings.instance_id
        self._kv = kv
        self._results = results
        self._dependencies = dependencies
        self._settling = settling
        self._events = events
        self._clock = clock

    async def enqueue(self, jobs: Sequence[NewJob], due_at: datetime | None) -> None:
        """Write jobs; on return they are durable. With ``due_at`` in the future they wait until then.

        Raises `JobExists` for an id that is queued or waiting; of many, others may have been written then.
        """
        now = self._clock.now()
        if due_at is not None and due_at <= now:
            due_at = None
        plain = []
        for job_id, spec, fresh in jobs:
            queued = QueuedJob(
                job_id=job_id,
                spec=spec,
                enqueued_at=now,
                enqueued_by=self._instance_id,
                due_at=due_at,
            )
            if not fresh:
                await self._make_room(job_id)
            if spec.depends_on:
                await self._wait_for_others(queued, due_at)
            else:
                plain.append(queued)
        parts = [plain[start : start + BULK] for start in range(0, len(plain), BULK)]
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def write(part: Sequence[QueuedJob]) -> None:
            async with turn:
                await self._write(part)

        if len(parts) == 1:
            await self._write(parts[0])
        else:
            await asyncio.gather(*(write(part) for part in parts))

    async def _write(self, part: Sequence[QueuedJob]) -> None:
        puts = [Put(_key(queued), encode(queued), 0) for queued in part]
        for _ in range(ATTEMPTS):
            try:
                outcome = await self._kv.transact(puts)
            except TransactionTooLarge as error:
                reason = f"makes the record larger than the server accepts ({error})"
                example = "a key or path of the data instead"
                raise InvalidJob(Problem("job.args", "(too large)", reason, example)) from error
            if isinstance(outcome, Committed):
                break
            there = await self._kv.get_many([put.key for put in puts])
            ours = [put.key in there and there[put.key].value == put.value for put in puts]
            if all(ours):
                break
            for queued, put, mine in zip(part, puts, ours, strict=True):
                if put.key in there and not mine:
                    raise JobExists(queued.job_id)
            if isinstance(outcome, Refused):
                continue
        else:
            raise StoreUnavailable(
                f"whether {len(part)} jobs were enqueued is not known; look for them before trying again"
            )
        self._tell(part)

    async def _wait_for_others(self, queued: QueuedJob, due_at: datetime | None) -> None:
        outcome = await self._kv.transact(self._dependencies.writes(queued, due_at))
        if isinstance(outcome, Refused):
            raise JobExists(queued.job_id)
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"whether job {queued.job_id!r} was enqueued is not known: {outcome.reason}")
        self._tell([queued])
        await self._settling.look_after(await self._dependencies.check(queued))

    async def _make_room(self, job_id: str) -> None:
        """See to it that nothing is left of an earlier job with a chosen id that ended. Raises `JobExists`."""
        entries = await self._kv.get_many(attempt_patterns(job_id))
        result = await self._results.get(job_id)
        ended = result is not None and result.status.ended
        for entry in entries.values():
            if not ended or result is None or not _is_over(entry, result.attempt):
                raise JobExists(job_id)
        for entry in entries.values():
            await self._settling.remove(entry)
        if result is not None:
            await self._results.forget(job_id)

    def _tell(self, part: Sequence[QueuedJob]) -> None:
        self._events.emit(
            Event(
                type=EventType.JOB_ENQUEUED,
                timestamp=queued.enqueued_at,
                instance_id=self._instance_id,
                job_id=queued.job_id,
                func=queued.spec.func,
                queue=queued.spec.queue,
                attempt=queued.attempt,
                details={} if queued.due_at is None else {"due_at": queued.due_at.isoformat()},
            )
            for queued in part
        )


def _key(queued: QueuedJob) -> str:
    if queued.due_at is not None:
        return deferred_key(queued.job_id, queued.attempt)
    return job_key(queued.spec.queue, queued.job_id, queued.attempt)


def _is_over(entry: Entry, ended_attempt: int) -> bool:
    """Whether an attempt that still lies in the queue is one that ended, and was only not trimmed yet."""
    if entry.value is None:
        return True
    try:
        queued = decode(QueuedJob, entry.key, entry.value)
    except RecordUnreadable:
        return False
    return entry.key.startswith("job.") and queued.attempt <= ended_attempt
