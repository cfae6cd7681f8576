"""Writing new jobs: now, later or after other jobs; one or many; each id once."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from graphlib import CycleError, TopologicalSorter

from naq.clock import Clock
from naq.config import Settings
from naq.events import EventType
from naq.exceptions import InvalidJob, JobExists, Problem, StoreUnavailable, TransactionTooLarge
from naq.jobs.events import job_event
from naq.jobs.job import JobSpec, QueuedJob
from naq.jobs.size import check_size
from naq.queue.follow_ups import queue_put
from naq.queue.results import StoredResults
from naq.queue.settle import Settling
from naq.store.keys import attempt_patterns, dead_key, deferred_key, is_deferred, job_id_in, job_key, unique_key
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Refused, Store, Write
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
            QueuedJob(
                job_id=job_id,
                spec=spec,
                enqueued_at=now,
                enqueued_by=self._instance_id,
                due_at=due_at,
                start_by=None if spec.expires is None else (due_at or now) + spec.expires,
            )
            for job_id, spec, _ in jobs
        ]
        puts = {queued.job_id: queue_put(queued) for queued in made}
        for put in puts.values():
            check_size(len(put.value), self._kv.max_value)
        bound = _families(made)
        equal = _equal(made, bound, {job_id for job_id, _, fresh in jobs if fresh})
        await self._make_room([job_id for job_id, spec, fresh in jobs if not fresh and spec.unique_key is None])
        for family in bound:
            if family[0].spec.unique_key is None:
                await self._write_family(family, puts, due_at)
        written = {queued.job_id for family in bound for queued in family}
        free = [queued for queued in made if queued.job_id not in written and queued.spec.unique_key is None]
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
                await self._make_room([queued.job_id])
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

    async def _write_family(
        self, family: Sequence[QueuedJob], puts: Mapping[str, Put], due_at: datetime | None
    ) -> None:
        """Write jobs of which some wait for others: all in one transaction, so that none waits for one that is missing."""
        writes: list[Write] = []
        for queued in _dependencies_first(family):
            waits = bool(queued.spec.depends_on)
            writes += self._dependencies.writes(queued, due_at) if waits else [puts[queued.job_id]]
        try:
            outcome = await self._kv.transact(writes)
        except TransactionTooLarge as error:
            reason = f"jobs that wait for one another are enqueued in one transaction, and these are too many: {error}"
            raise InvalidJob(
                Problem("jobs", f"({len(family)} jobs)", reason, advice="let one job enqueue a part of them")
            ) from None
        if isinstance(outcome, Refused):
            there = await self._kv.get_many([write.key for write in writes if isinstance(write, Put)])
            taken = [queued.job_id for queued in family if not there.keys().isdisjoint(_keys(queued))]
            raise JobExists((taken or [family[0].job_id])[0])
        if not isinstance(outcome, Committed):
            ids = ", ".join(repr(queued.job_id) for queued in family[:3])
            raise StoreUnavailable(f"whether {len(family)} jobs ({ids}) were enqueued is not known: {outcome.reason}")
        self._emit(family)
        own = {queued.job_id for queued in family}
        for queued in family:
            if not own.issuperset(queued.spec.depends_on):
                await self._settling.end_unmet(await self._dependencies.check(queued))

    async def _make_room(self, job_ids: Sequence[str]) -> None:
        """Remove what is left of earlier jobs with chosen ids that have ended. Raises `JobExists` if one has not."""
        if not job_ids:
            return
        patterns = [pattern for job_id in job_ids for pattern in attempt_patterns(job_id)]
        entries = list((await self._kv.get_many(patterns)).values())
        results = await self._results.ends(job_ids)
        for entry in entries:
            job_id = job_id_in(entry.key)
            result = results.get(job_id)
            if result is None or not result.status.ended or not _is_over(entry, result.attempt):
                raise JobExists(job_id)
        for entry in entries:
            await self._settling.remove(entry)
        for job_id in results:
            await self._results.forget(job_id, logs=True)
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


def _families(jobs: Sequence[QueuedJob]) -> list[list[QueuedJob]]:
    """The jobs that wait for others, each with all of these jobs that it is bound to, in either direction."""
    if not any(queued.spec.depends_on for queued in jobs):
        return []
    head = {queued.job_id: queued.job_id for queued in jobs}

    def head_of(job_id: str) -> str:
        while head[job_id] != job_id:
            head[job_id] = job_id = head[head[job_id]]
        return job_id

    for queued in jobs:
        for other in queued.spec.depends_on:
            if other in head:
                head[head_of(other)] = head_of(queued.job_id)
    families: dict[str, list[QueuedJob]] = {}
    for queued in jobs:
        families.setdefault(head_of(queued.job_id), []).append(queued)
    return [family for family in families.values() if len(family) > 1 or family[0].spec.depends_on]


def _dependencies_first(family: Sequence[QueuedJob]) -> list[QueuedJob]:
    """Each job behind those that it waits for: a power failure that keeps only the first writes of the transaction must not
    keep one that waits for a job which is not there. Raises `InvalidJob` when some wait for one another in a circle."""
    own = {queued.job_id: queued for queued in family}
    waits_for = {job_id: [other for other in queued.spec.depends_on if other in own] for job_id, queued in own.items()}
    try:
        return [own[job_id] for job_id in TopologicalSorter(waits_for).static_order()]
    except CycleError as error:
        circle: list[str] = error.args[1]
        raise InvalidJob.of(
            "depends_on", " -> ".join(circle), "is a circle: none of these jobs could ever run", [circle[-1]]
        ) from None


def _equal(
    jobs: Sequence[QueuedJob], families: Sequence[Sequence[QueuedJob]], fresh: Collection[str]
) -> dict[str, list[tuple[QueuedJob, bool]]]:
    """The jobs that have a unique key, by its key in the store, each with whether its id was just generated."""
    for family in families:
        if len(family) > 1 and any(queued.spec.unique_key is not None for queued in family):
            reason = "a unique job may be there already, so jobs that are enqueued with it cannot wait for it, or it for them"
            raise InvalidJob(
                Problem("jobs", f"({len(family)} jobs)", reason, advice="enqueue the unique job by itself")
            )
    equal: dict[str, list[tuple[QueuedJob, bool]]] = {}
    for queued in jobs:
        spec = queued.spec
        if spec.unique_key is not None:
            equal.setdefault(unique_key(spec.func, spec.unique_key), []).append((queued, queued.job_id in fresh))
    return equal


def _keys(queued: QueuedJob) -> tuple[str, str]:
    """Where an attempt may be."""
    return (
        deferred_key(queued.job_id, queued.attempt),
        job_key(queued.spec.queue, queued.job_id, queued.attempt),
    )


def _is_over(entry: Entry, ended_attempt: int) -> bool:
    """Whether an attempt that is still in the queue has ended, and only was not trimmed yet."""
    if entry.value is None:
        return True
    queued = readable_one(QueuedJob, entry)
    return queued is not None and not is_deferred(entry.key) and queued.attempt <= ended_attempt
