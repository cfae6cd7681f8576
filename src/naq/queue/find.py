"""Finding jobs, whether queued, deferred, dead or ended, and the status of each."""

from __future__ import annotations

import heapq
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import JobInfo, StoredResult, dead_info, entry_info, is_over, result_info
from naq.queue.dead_letters import read_dead
from naq.queue.results import StoredResults
from naq.store.keys import (
    ALL_DEAD,
    ALL_DEFERRED,
    ALL_JOBS,
    attempt_patterns,
    dead_key,
    is_deferred,
    job_id_in,
    jobs_of,
    queue_in,
)
from naq.store.port import Entry, Store
from naq.store.records import read_all, readable

__all__ = ["Finder", "Query"]

log = logging.getLogger(__name__)

EARLIEST = datetime.fromtimestamp(0, UTC)
LIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


class Query:
    """Which jobs are asked for; a field that is ``None`` does not matter."""

    def __init__(
        self,
        *,
        statuses: Iterable[JobStatus] | None = None,
        queue: str | None = None,
        job_id: str | None = None,
        schedule_id: str | None = None,
        func: str | None = None,
    ) -> None:
        self.statuses = frozenset(statuses) if statuses is not None else None
        self.queue = queue
        self.job_id = job_id
        """The beginning of the id."""
        self.schedule_id = schedule_id
        self.func = func

    def wants(self, *statuses: JobStatus) -> bool:
        """Whether jobs of one of these statuses are asked for."""
        return self.statuses is None or not self.statuses.isdisjoint(statuses)

    def fits(self, info: JobInfo) -> bool:
        """Whether a job matches."""
        return (
            self.wants(info.status)
            and (self.queue is None or info.queue == self.queue)
            and (self.job_id is None or info.job_id.startswith(self.job_id))
            and (self.schedule_id is None or info.schedule_id == self.schedule_id)
            and (self.func is None or info.func == self.func)
        )


class Finder:
    """Finds jobs."""

    def __init__(self, kv: Store, results: StoredResults) -> None:
        self._kv = kv
        self._results = results

    async def entries(self, job_id: str) -> list[tuple[Entry, QueuedJob]]:
        """The attempts of a job that are queued or deferred, the latest first; those that ended or were passed on, and are
        not trimmed yet, are included."""
        found = await self._kv.get_many(attempt_patterns(job_id))
        return _latest_first(found.values())

    async def get(self, job_id: str) -> JobInfo | None:
        """What is known of a job; ``None`` when nothing is known."""
        info = await self._get(job_id)
        if info is None or info.attempt == 1:
            return info
        return msgspec.structs.replace(info, logs=await self._results.logs(job_id, info.attempt))

    async def _get(self, job_id: str) -> JobInfo | None:
        found = await self._kv.get_many([*attempt_patterns(job_id), dead_key(job_id)])
        dead = found.pop(dead_key(job_id), None)
        result = await self._results.readable(job_id)
        for entry, queued in _latest_first(found.values()):
            info = _live(entry, queued, result)
            if info is not None:
                return info
        if result is not None and (result.status.ended or dead is None):
            info = result_info(result)
            return info if dead is None or result.status is not JobStatus.FAILED else _both(info, dead)
        return dead_info(read_dead([dead])[0][1]) if dead is not None else _unreadable(job_id, found.values())

    async def known(self, job_ids: Sequence[str]) -> dict[str, bool]:
        """Those of some jobs of which anything is known: queued, deferred, dead, running or ended."""
        known = set(await self._results.store.get_many(job_ids))
        rest = [job_id for job_id in job_ids if job_id not in known]
        found = await self._kv.get_many([key for one in rest for key in (*attempt_patterns(one), dead_key(one))])
        return dict.fromkeys([*known, *map(job_id_in, found)], True)

    async def find(self, query: Query, limit: int) -> list[JobInfo]:
        """Jobs that match, those enqueued last first."""
        best: dict[str, JobInfo] = {}
        async for page in self._pages(query):
            for info in page:
                if query.fits(info) and info.job_id not in best:
                    best[info.job_id] = info
            if len(best) > 4 * limit:
                best = {info.job_id: info for info in heapq.nlargest(limit, best.values(), key=_age)}
        return sorted(best.values(), key=_age, reverse=True)[:limit]

    async def open_of(self, schedule_id: str, limit: int) -> list[JobInfo]:
        """Jobs of a schedule that have not ended, the newest first; at most the last ``limit``.

        They are found by the names of the keys, so that the other jobs in the queues need not be read.
        """
        names = [*await self._kv.names_of(ALL_JOBS), *await self._kv.names_of(ALL_DEFERRED)]
        ids = {identity for name in names if (identity := job_id_in(name)).startswith(f"{schedule_id}/")}
        found = [await self.get(identity) for identity in sorted(ids, key=_order, reverse=True)[: 2 * limit]]
        infos = [info for info in found if info is not None and not info.status.ended]
        return sorted(infos, key=_age, reverse=True)[:limit]

    async def known_ids(self) -> list[str]:
        """The ids of all jobs that are queued, deferred, dead, or have a result."""
        patterns = (ALL_JOBS, ALL_DEFERRED, ALL_DEAD)
        ids = {job_id_in(name) for pattern in patterns for name in await self._kv.names_of(pattern)}
        return sorted(ids.union(await self._results.store.names_of("*")))

    async def _pages(self, query: Query) -> AsyncIterator[list[JobInfo]]:
        """Pages of candidates; a job that is in several places comes first from the place where it is now."""
        if query.wants(*LIVE):
            async for entries in self._kv.scan(jobs_of(query.queue or "*")):
                yield await self._live_page(entries)
        if query.wants(JobStatus.DEFERRED):
            async for entries in self._kv.scan(ALL_DEFERRED):
                found = readable(QueuedJob, entries, log)
                yield [entry_info(queued, JobStatus.DEFERRED) for _, queued in found]
        if query.wants(JobStatus.FAILED):
            async for entries in self._kv.scan(ALL_DEAD):
                yield await self._dead_page(entries)
        if query.wants(*(status for status in JobStatus if status.ended)):
            async for results in self._results.pages():
                yield [result_info(result) for result in results if result.status.ended]

    async def _dead_page(self, entries: Sequence[Entry]) -> list[JobInfo]:
        """Dead letters, with what their results say besides."""
        found = [(entry, dead_info(dead)) for entry, dead in read_dead(entry for entry in entries if entry.value)]
        results = await self._results.get_many([info.job_id for _, info in found])
        return [
            _both(result_info(result), entry)
            if (result := results.get(info.job_id)) is not None and result.status is JobStatus.FAILED
            else info
            for entry, info in found
        ]

    async def _live_page(self, entries: Sequence[Entry]) -> list[JobInfo]:
        pairs = readable(QueuedJob, entries, log)
        results = await self._results.get_many([queued.job_id for _, queued in pairs])
        infos = [_live(entry, queued, results.get(queued.job_id)) for entry, queued in pairs]
        return [info for info in infos if info is not None]


def _live(entry: Entry, queued: QueuedJob, result: StoredResult | None) -> JobInfo | None:
    """What is known of a queued or deferred attempt; ``None`` for one that ended and is not trimmed yet."""
    if is_deferred(entry.key):
        return entry_info(queued, JobStatus.DEFERRED)
    if is_over(queued, result):
        return None
    if result is not None and result.status is JobStatus.RUNNING and result.attempt == queued.attempt:
        return msgspec.structs.replace(
            result_info(result), retries=queued.spec.retries, max_concurrent=queued.spec.max_concurrent
        )
    return entry_info(queued, JobStatus.QUEUED)


def _both(info: JobInfo, entry: Entry) -> JobInfo:
    """The result of a failed job, with the reason why it is a dead letter."""
    if entry.value is None:
        return info
    dead = dead_info(read_dead([entry])[0][1])
    return msgspec.structs.replace(info, reason=dead.reason, retries=dead.retries)


def _unreadable(job_id: str, attempts: Iterable[Entry]) -> JobInfo | None:
    """What is known of a job when no record of it can be read; ``None``: there is none."""
    for entry, error in read_all(QueuedJob, attempts).unreadable:
        status = JobStatus.DEFERRED if is_deferred(entry.key) else JobStatus.QUEUED
        queue = "" if is_deferred(entry.key) else queue_in(entry.key)
        return JobInfo(job_id=job_id, status=status, queue=queue, error_type="RecordUnreadable", error=error.reason)
    return None


def _latest_first(entries: Iterable[Entry]) -> list[tuple[Entry, QueuedJob]]:
    """The attempts of one job. An attempt that is queued and deferred was passed on by a worker: it is deferred."""
    attempts = readable(QueuedJob, entries, log)
    return sorted(attempts, key=lambda pair: (pair[1].attempt, is_deferred(pair[0].key)), reverse=True)


def _order(identity: str) -> str:
    """Sorts ids by nominal time; jobs that were triggered by hand have none and come last."""
    return identity.rpartition("/")[2]


def _age(info: JobInfo) -> datetime:
    return info.enqueued_at or info.ended_at or EARLIEST
