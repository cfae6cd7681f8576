"""Jobs of which there is one at a time: which job holds a unique key.

``unique.<digest>`` names the job that holds a key. It is created in the transaction that creates the job, and must not exist:
of several processes that enqueue the same, one commits, and the others are told its job's id. When the job ends the record is
deleted, or kept with a TTL for ``unique_for``.

The record is a claim, and the job is the truth. A worker may die between the result and the record, and a power failure may
keep the record without the job (`naq.store.ordering`: the record is written first, so that the failure never leaves a job that
nobody knows of). So a key is held only by a job that is there and has not ended, or whose record says that it ended and has not
expired; any other record is removed by whoever finds it, by compare-and-set.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum

import msgspec

from naq.clock import Clock
from naq.exceptions import StoreUnavailable
from naq.jobs.job import JobSpec, QueuedJob
from naq.jobs.records import StoredResult, UniqueJob, is_over
from naq.queue.results import StoredResults
from naq.store.codec import decode, encode
from naq.store.keys import attempt_patterns, unique_key
from naq.store.port import Committed, Delete, Entry, Put, Store, Unknown, Write
from naq.store.records import readable

__all__ = ["Uniqueness"]

LOOK_AGAIN = 0.5
"""Seconds after which a key whose job is not there is looked at once more, before it is taken for free."""
NOT_LONGER = timedelta(0)

log = logging.getLogger(__name__)


class State(Enum):
    """Whether the job of a record holds its key."""

    HELD = "held"
    FREE = "free"
    MISSING = "missing"
    """There is no such job, as far as this look could tell."""
    CHANGED = "changed"
    """The record is another one by now."""


class Uniqueness:
    """The records under ``unique.>``."""

    def __init__(self, kv: Store, results: StoredResults, clock: Clock) -> None:
        self._kv = kv
        self._results = results
        self._clock = clock

    def claims(self, queued: QueuedJob) -> list[Write]:
        """The write that takes the key of a job, to go before the job in one transaction; none for a job without a key."""
        if queued.spec.unique_key is None:
            return []
        return [Put(_key(queued.spec), _claim(queued), 0)]

    async def reclaims(self, queued: QueuedJob) -> list[Write]:
        """As `claims`, for a job that runs again after its end: nothing when another job has the key by now."""
        if queued.spec.unique_key is None or queued.schedule_id is not None:
            return []
        entry = await self._kv.get(_key(queued.spec))
        if entry is None:
            return self.claims(queued)
        if decode(UniqueJob, entry.key, entry.value or b"").job_id != queued.job_id:
            return []
        return [Put(entry.key, _claim(queued), entry.revision)]

    async def holder(self, spec: JobSpec) -> str | None:
        """The id of the job that holds the key of this one; ``None``: it is free, or has just become free."""
        if spec.unique_key is None:
            return None
        missing = False
        while (entry := await self._kv.get(_key(spec))) is not None:
            claim = decode(UniqueJob, entry.key, entry.value or b"")
            state = State.HELD if claim.ended else await self._state(entry, claim)
            if state is State.HELD:
                return claim.job_id
            if state is State.MISSING and not missing:
                missing = True
                await self._clock.sleep(LOOK_AGAIN)  # a replica of a cluster may lag
            elif state is not State.CHANGED:
                log.debug("%s is free: its job %s has ended, or was never written", entry.key, claim.job_id)
                await self._kv.transact([Delete(entry.key, entry.revision)])
                return None
        return None

    async def ended(self, ends: Sequence[tuple[QueuedJob, StoredResult]]) -> None:
        """Let go of the keys of jobs that ended. Raises `StoreError` when that is not certain: call it again."""
        jobs = [job for job, _ in ends if job.spec.unique_key is not None and job.schedule_id is None]
        if not jobs:
            return
        entries = await self._kv.get_many(list(dict.fromkeys(_key(job.spec) for job in jobs)))
        writes = [
            _release(entry, claim)
            for entry, claim in readable(UniqueJob, entries.values(), log)
            if not claim.ended and any(_is_of(claim, job) for job in jobs)
        ]
        if not writes or isinstance(await self._kv.transact(writes), Committed):
            return
        for write in writes:  # one that is refused was changed by somebody else: it is not this job's any more
            outcome = await self._kv.transact([write])
            if isinstance(outcome, Unknown):
                raise StoreUnavailable(outcome.reason)

    async def _state(self, entry: Entry, claim: UniqueJob) -> State:
        """What became of the job of a record that does not say that it has ended."""
        found = await self._kv.get_many([entry.key, *attempt_patterns(claim.job_id)])
        now = found.pop(entry.key, None)
        if now is None or now.revision != entry.revision:
            return State.CHANGED
        result = (await self._results.ends([claim.job_id])).get(claim.job_id)
        if result is None or not result.status.ended or not _is_later(result, claim):
            return State.HELD if found else State.MISSING
        attempts = readable(QueuedJob, found.values(), log)
        if any(not is_over(each, result) for _, each in attempts):
            return State.HELD  # it was queued again
        if result.ended_at is not None and result.ended_at + claim.held_for > self._clock.now():
            return State.HELD
        return State.FREE


def _key(spec: JobSpec) -> str:
    return unique_key(spec.func, spec.unique_key or "")


def _claim(queued: QueuedJob) -> bytes:
    held_for = queued.spec.unique_for or NOT_LONGER
    return encode(UniqueJob(job_id=queued.job_id, enqueued_at=queued.enqueued_at, held_for=held_for))


def _is_of(claim: UniqueJob, job: QueuedJob) -> bool:
    """Whether the record is that of this job, and not of a later one with the same id."""
    return claim.job_id == job.job_id and claim.enqueued_at <= job.enqueued_at


def _is_later(result: StoredResult, claim: UniqueJob) -> bool:
    """Whether a result is that of the job of the record, and not of an earlier job with its id."""
    return result.enqueued_at is None or result.enqueued_at >= claim.enqueued_at


def _release(entry: Entry, claim: UniqueJob) -> Write:
    if claim.held_for == NOT_LONGER:
        return Delete(entry.key, entry.revision)
    ended = msgspec.structs.replace(claim, ended=True)
    return Put(entry.key, encode(ended), entry.revision, math.ceil(claim.held_for.total_seconds()))
