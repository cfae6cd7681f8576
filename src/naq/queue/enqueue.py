"""Writing new jobs: now, later or after other jobs; one or many; each id once, and each unique key."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

from naq.clock import Clock
from naq.config import Settings
from naq.events import EventType
from naq.exceptions import JobExists, StoreUnavailable
from naq.jobs.events import job_event
from naq.jobs.job import JobSpec, QueuedJob
from naq.jobs.size import check_size
from naq.queue.follow_ups import queue_put
from naq.queue.results import StoredResults
from naq.queue.settle import Settling
from naq.store.keys import attempt_patterns, dead_key, is_deferred, unique_key
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Refused, Store
from naq.store.records import readable_one

__all__ = ["Enqueuer", "NewJob"]

BULK = 400
"""Jobs in one transaction."""
IN_FLIGHT = 4
"""Transactions under way at once."""
EQUAL_IN_FLIGHT = 16
"""Jobs with a unique key that are written at once; each has a transaction of its own."""
ATTEMPTS = 5

NewJob = tuple[str, JobSpec, bool]
"""Id, what to run, and whether the id was just generated: such an id cannot be taken."""


class Enqueuer:
    """Writes new jobs."""

    def __init__(
        self,
        settings: Settings,
        kv: Store,
        results: StoredResults,
        settling: Settling,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._instance_id = settings.instance_id
        self._kv = kv
        self._results = results
        self._settling = settling
        self._dependencies = settling.dependencies
        self._events = events
        self._clock = clock

    async def enqueue(self, jobs: Sequence[NewJob], due_at: datetime | None) -> list[str]:
        """Write jobs, and return their ids; on return they are durable. With ``due_at`` in the future they wait until then.

        The id of a job with a unique key is that of the job that holds the key already, if there is one. Raises `JobExists` for
        an id that is queued or waiting; of many jobs, others may have been written then.
        """
        now = self._clock.now()
        if due_at is not None and due_at <= now:
            due_at = None
        made = [
            QueuedJob(job_id=job_id, spec=spec, enqueued_at=now, enqueued_by=self._instance_id, due_at=due_at)
            for job_id, spec, _ in jobs
        ]
        puts = {queued.job_id: queue_put(queued) for queued in made}
        for put in puts.values():
            check_size(len(put.value), self._kv.max_value)
        free = []
        equal: dict[str, list[tuple[QueuedJob, bool]]] = {}
        for queued, (job_id, spec, fresh) in zip(made, jobs, strict=True):
            if spec.unique_key is not None:
                equal.setdefault(unique_key(spec.func, spec.unique_key), []).append((queued, fresh))
                continue
            if not fresh:
                await self._make_room(job_id)
            if spec.depends_on:
                await self._write_waiting(queued, due_at)
            else:
                free.append(queued)
        await self._write_many(free, puts)
        held = await self._write_unique(equal)
        return [held.get(job_id, job_id) for job_id, _, _ in jobs]

    async def _write_many(self, made: Sequence[QueuedJob], puts: Mapping[str, Put]) -> None:
        turn = asyncio.Semaphore(IN_FLIGHT)

        async def write(part: Sequence[QueuedJob]) -> None:
            async with turn:
                await self._write(part, [puts[queued.job_id] for queued in part])

        await asyncio.gather(*(write(made[start : start + BULK]) for start in range(0, len(made), BULK)))

    async def _write_unique(self, equal: Mapping[str, Sequence[tuple[QueuedJob, bool]]]) -> dict[str, str]:
        """Write jobs with unique keys, given by their key; for each job's id the id of the one that holds its key now."""
        turn = asyncio.Semaphore(EQUAL_IN_FLIGHT)
        done = await self._write_free(equal) if len(equal) > 1 else set()

        async def write(jobs: Sequence[tuple[QueuedJob, bool]]) -> list[tuple[str, str]]:
            async with turn:
                return [
                    (queued.job_id, await self._write_one_unique(queued, fresh))
                    for queued, fresh in jobs
                    if queued.job_id not in done
                ]

        written = await asyncio.gather(*map(write, equal.values()))
        return {job_id: holder for pairs in written for job_id, holder in pairs}

    async def _write_free(self, equal: Mapping[str, Sequence[tuple[QueuedJob, bool]]]) -> set[str]:
        """Write many jobs whose unique keys nobody holds, some hundreds in one transaction. Returns the ids of those that were
        written; the others are to be written one by one."""
        firsts = {key: jobs[0] for key, jobs in equal.items()}
        taken = await self._kv.get_many(list(firsts))
        free = [
            queued
            for key, (queued, fresh) in firsts.items()
            if key not in taken and fresh and not queued.spec.depends_on
        ]
        done: set[str] = set()
        for start in range(0, len(free), BULK // 2):
            part = free[start : start + BULK // 2]
            claims = [write for queued in part for write in self._settling.uniqueness.claims(queued)]
            if isinstance(await self._kv.transact([*claims, *map(queue_put, part)]), Committed):
                self._emit(part)
                done |= {queued.job_id for queued in part}
        return done

    async def _write_one_unique(self, queued: QueuedJob, fresh: bool) -> str:
        sent = False
        for _ in range(ATTEMPTS):
            holder = await self._settling.uniqueness.holder(queued.spec)
            if holder is not None and not (holder == queued.job_id and (sent or fresh)):
                self._emit([queued.evolve(job_id=holder)], EventType.JOB_DUPLICATE)
                return holder
            if holder is None and not fresh:
                await self._make_room(queued.job_id)
            if holder is not None or await self._claim(queued):
                await self._written(queued)
                return queued.job_id
            sent = True
        raise StoreUnavailable(
            f"whether job {queued.job_id!r} was enqueued is not known; look for it before trying again"
        )

    async def _claim(self, queued: QueuedJob) -> bool:
        """Write a job together with its unique key; ``False`` when that was refused, or is not known."""
        writes = self._dependencies.writes(queued, queued.due_at) if queued.spec.depends_on else [queue_put(queued)]
        outcome = await self._kv.transact([*self._settling.uniqueness.claims(queued), *writes])
        return isinstance(outcome, Committed)

    async def _written(self, queued: QueuedJob) -> None:
        """A job was written that may wait for others."""
        self._emit([queued])
        if queued.spec.depends_on:
            await self._settling.end_unmet(await self._dependencies.check(queued))

    async def _write(self, part: Sequence[QueuedJob], puts: Sequence[Put]) -> None:
        for _ in range(ATTEMPTS):
            outcome = await self._kv.transact(puts)
            if isinstance(outcome, Committed):
                break
            there = await self._kv.get_many([put.key for put in puts])
            ours = [put.key in there and there[put.key].value == put.value for put in puts]
            if all(ours):
                break
            for queued, put, mine in zip(part, puts, ours, strict=True):
                if put.key in there and not mine:
                    raise JobExists(queued.job_id)
        else:
            raise StoreUnavailable(
                f"whether {len(part)} jobs were enqueued is not known; look for them before trying again"
            )
        self._emit(part)

    async def _write_waiting(self, queued: QueuedJob, due_at: datetime | None) -> None:
        outcome = await self._kv.transact(self._dependencies.writes(queued, due_at))
        if isinstance(outcome, Refused):
            raise JobExists(queued.job_id)
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"whether job {queued.job_id!r} was enqueued is not known: {outcome.reason}")
        await self._written(queued)

    async def _make_room(self, job_id: str) -> None:
        """Remove what is left of an earlier job with a chosen id that has ended. Raises `JobExists` if it has not."""
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
            await self._forget_dead(job_id)

    async def _forget_dead(self, job_id: str) -> None:
        """Remove the dead letter of the earlier job: requeued later it would replace the new one."""
        dead = await self._kv.get(dead_key(job_id))
        if dead is not None:
            await self._kv.transact([Delete(dead.key, dead.revision)])

    def _emit(self, part: Sequence[QueuedJob], kind: EventType = EventType.JOB_ENQUEUED) -> None:
        self._events.emit(
            job_event(
                queued,
                kind,
                queued.enqueued_at,
                self._instance_id,
                details={} if queued.due_at is None else {"due_at": queued.due_at.isoformat()},
            )
            for queued in part
        )


def _is_over(entry: Entry, ended_attempt: int) -> bool:
    """Whether an attempt that is still in the queue has ended, and only was not trimmed yet."""
    if entry.value is None:
        return True
    queued = readable_one(QueuedJob, entry)
    return queued is not None and not is_deferred(entry.key) and queued.attempt <= ended_attempt
