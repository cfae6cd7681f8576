"""Jobs that wait for other jobs.

A job with ``depends_on`` is stored as deferred without a time. In the same transaction a note
``waiting.<other job>.<this job>`` is written for each job that it waits for. Whoever writes the end of a job reads the notes
under its id. A job that waits for nothing else is released; one that waits for more remembers that this dependency is met (it is
taken out of the record), because the result may expire before the others end. Both are transactions that are conditional on the
deferred record, so concurrent ends do not undo each other.

No race leaves a job waiting. The notes are written before the results are read, and a result is written before the notes
are read, so whichever comes second sees the other. On a cluster a read may be answered by a replica that lags, so every
worker also checks all notes from time to time (`Dependencies.sweep`).

A job that takes the result of another one (`naq.after`) gets it in the same write that remembers that dependency. The result is
carried in the record of the job from then on, and does not have to be kept until the job runs.

A job whose dependency ended in another way than ``depends_when`` asks for can never run: it becomes a dead letter. So does one
that takes a result which is too large for its record, was not stored, or has expired.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import msgspec

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreUnavailable
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.parents import fill, without_value
from naq.jobs.records import StoredResult, WaitingFor, is_over
from naq.jobs.size import largest_record
from naq.queue.results import StoredResults
from naq.store.codec import decode, encode
from naq.store.keys import ALL_WAITING, attempt_patterns, deferred_key, job_key, waiting_key
from naq.store.port import Committed, Delete, Entry, Put, Store, Write
from naq.store.records import readable

__all__ = ["Dependencies", "Judgement", "Verdict", "judge"]

ATTEMPTS = 20
"""How often the write of a waiting job is tried again after another process changed it."""

FITTING = {
    "succeeded": frozenset({JobStatus.COMPLETED}),
    "failed": frozenset({JobStatus.FAILED}),
    "ended": frozenset(status for status in JobStatus if status.ended),
}

log = logging.getLogger(__name__)


class Verdict(Enum):
    """Whether the dependencies of a job allow it to run."""

    READY = "ready"
    WAITING = "waiting"
    NEVER = "never"
    """A dependency ended in another way than was asked for."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a job may run, as far as its dependencies are concerned."""

    verdict: Verdict
    reason: str = ""
    """If it may not: the dependency that it waits for, or how one ended otherwise."""
    met: tuple[str, ...] = ()
    """The dependencies that ended as was asked for."""


def judge(queued: QueuedJob, results: Mapping[str, StoredResult]) -> Judgement:
    """Whether a job may run, given the results of its dependencies."""
    fitting = FITTING[queued.spec.depends_when]
    met: list[str] = []
    waits_for = ""
    for other in queued.spec.depends_on:
        result = results.get(other)
        if result is None or not result.status.ended:
            waits_for = waits_for or other
        elif result.status not in fitting:
            return Judgement(Verdict.NEVER, f"{other} ended as {result.status}, not {queued.spec.depends_when}")
        else:
            met.append(other)
    return Judgement(Verdict.WAITING if waits_for else Verdict.READY, waits_for, tuple(met))


class Dependencies:
    """Which jobs wait for which."""

    def __init__(self, kv: Store, results: StoredResults, clock: Clock, instance_id: str) -> None:
        self._kv = kv
        self._results = results
        self._clock = clock
        self._instance_id = instance_id

    def writes(self, queued: QueuedJob, due_at: datetime | None) -> list[Write]:
        """The writes that make a job wait for its dependencies, and until ``due_at`` if that is later."""
        note = encode(WaitingFor(job_id=queued.job_id, attempt=queued.attempt, due_at=due_at))
        deferred = msgspec.structs.replace(queued, due_at=None)
        writes: list[Write] = [Put(deferred_key(queued.job_id, queued.attempt), encode(deferred), 0)]
        writes += [Put(waiting_key(other, queued.job_id), note) for other in dict.fromkeys(queued.spec.depends_on)]
        return writes

    async def judge(self, queued: QueuedJob, known: Mapping[str, StoredResult] | None = None) -> Judgement:
        """Whether a job may run now, and why not; ``known``: results that need not be read, and may have expired since."""
        results = {**await self._results.get_many(list(queued.spec.depends_on)), **(known or {})}
        expired = [other for other in queued.spec.depends_on if other not in results]
        return judge(queued, {**results, **await self._results.marks(expired)} if expired else results)

    async def live(self, job_ids: Sequence[str]) -> set[str]:
        """Those of these jobs that wait, are queued or run."""
        if not job_ids:
            return set()
        results = await self._results.ends(job_ids)
        patterns = [pattern for job_id in job_ids for pattern in attempt_patterns(job_id)]
        attempts = readable(QueuedJob, (await self._kv.get_many(patterns)).values(), log)
        return {job.job_id for _, job in attempts if not is_over(job, results.get(job.job_id))}

    async def lost(self, queued: QueuedJob, awaited: Collection[str]) -> str | None:
        """Why a job will never have a result that it takes: nothing is known of the other job, which is not ``awaited``."""
        others = list(dict.fromkeys(take.job_id for take in queued.spec.takes if take.job_id not in awaited))
        known = await self._results.ends(others) if others else {}
        return next((without_value(other, None) for other in others if other not in known), None)

    async def ended(self, results: Sequence[StoredResult]) -> list[tuple[QueuedJob, str]]:
        """Release the jobs that waited for the jobs with these results.

        Returns the jobs that can never run now, each with the reason; the caller ends them.
        """
        notes = await self._waiting_for([result.job_id for result in results])
        return await self._check_notes(notes, {result.job_id: result for result in results})

    async def ended_before(self, job_ids: Sequence[str]) -> list[tuple[QueuedJob, str]]:
        """As `ended`, for jobs whose results are in the store: the worker that wrote them may have died right after."""
        return await self._check_notes(await self._waiting_for(job_ids))

    async def sweep(self) -> list[tuple[QueuedJob, str]]:
        """Check every job that waits; returns as `ended`."""
        never: list[tuple[QueuedJob, str]] = []
        async for entries in self._kv.scan(ALL_WAITING):
            never += await self._check_notes(entries)
        return never

    async def check(self, queued: QueuedJob) -> list[tuple[QueuedJob, str]]:
        """Check one job that was just made to wait; returns as `ended`."""
        keys = [waiting_key(other, queued.job_id) for other in queued.spec.depends_on]
        notes = await self._kv.get_many(keys)
        return await self._check_notes(list(notes.values())[:1])

    async def drop(self, queued: QueuedJob) -> bool:
        """Remove a job that waits, with its notes; whether it was there."""
        entry = await self._kv.get(deferred_key(queued.job_id, queued.attempt))
        if entry is None:
            return False
        return isinstance(await self._kv.transact([Delete(entry.key, entry.revision), *_no_notes(queued)]), Committed)

    async def forget(self, queued: QueuedJob) -> None:
        """Remove the notes of a job that no longer waits."""
        await self._kv.transact(_no_notes(queued))

    async def _waiting_for(self, job_ids: Sequence[str]) -> list[Entry]:
        """The notes that jobs wait for these."""
        if not job_ids or await self._kv.last_revision(ALL_WAITING) == 0:
            return []
        return list((await self._kv.get_many([waiting_key(job_id, "*") for job_id in job_ids])).values())

    async def _check_notes(
        self, notes: Iterable[Entry], known: Mapping[str, StoredResult] | None = None
    ) -> list[tuple[QueuedJob, str]]:
        """Check the job of each note once; returns as `ended`."""
        never = []
        seen: set[str] = set()
        for entry, note in readable(WaitingFor, notes, log):
            if note.job_id in seen:
                continue
            seen.add(note.job_id)
            try:
                unmet = await self._check_note(entry, note, known)
            except RecordUnreadable as error:
                log.warning("%s", error)
                continue
            if unmet is not None:
                never.append(unmet)
        return never

    async def _check_note(
        self, entry: Entry, note: WaitingFor, known: Mapping[str, StoredResult] | None
    ) -> tuple[QueuedJob, str] | None:
        """Release the job of a note, or remember what is met. Tried again while other processes change the record."""
        for _ in range(ATTEMPTS):
            waiting = await self._kv.get(deferred_key(note.job_id, note.attempt))
            if waiting is None or waiting.value is None:
                await self._kv.transact([Delete(entry.key, entry.revision)])
                return None
            queued = decode(QueuedJob, waiting.key, waiting.value)
            judgement = await self.judge(queued, known)
            if judgement.verdict is Verdict.NEVER:
                return queued, judgement.reason
            taken = await self._take(queued, judgement.met, known)
            if isinstance(taken, str):
                return queued, taken
            queued = taken
            if judgement.verdict is Verdict.READY:
                writes = self._released(queued, waiting.revision, note.due_at)
            elif judgement.met:
                writes = _remembered(queued, waiting.revision, judgement.met)
            else:
                return None
            if isinstance(await self._kv.transact(writes), Committed):
                return None
            log.debug("job %s was changed by another process, and is checked again", note.job_id)
        raise StoreUnavailable(f"job {note.job_id!r} was changed by other processes {ATTEMPTS} times in a row")

    async def _take(
        self, queued: QueuedJob, met: Collection[str], known: Mapping[str, StoredResult] | None
    ) -> QueuedJob | str:
        """The job with the results that it takes from those that ended; or why it cannot have them."""
        results: dict[str, StoredResult] = {}
        for other in {take.job_id for take in queued.spec.takes if take.job_id in met}:
            result = (known or {}).get(other) or await self._results.get(other)
            reason = without_value(other, result)
            if result is None or reason is not None:
                return reason or ""
            results[other] = result
        if not results:
            return queued
        filled = queued.evolve(spec=fill(queued.spec, results))
        size, limit = len(encode(filled)), largest_record(self._kv.max_value)
        if size > limit:
            sizes = ", ".join(f"{other}: {len(result.value)} bytes" for other, result in results.items())
            return f"with the results that it takes ({sizes}) the job has {size} bytes, and at most {limit} are stored"
        return filled

    def _released(self, queued: QueuedJob, revision: int, due_at: datetime | None) -> list[Write]:
        now = self._clock.now()
        spec = msgspec.structs.replace(queued.spec, depends_on=())
        later = due_at is not None and due_at > now
        free = msgspec.structs.replace(
            queued, spec=spec, enqueued_at=now, enqueued_by=self._instance_id, due_at=due_at if later else None
        )
        key = deferred_key(queued.job_id, queued.attempt)
        if later:
            return [Put(key, encode(free), revision), *_no_notes(queued)]
        # Not "must not exist": an attempt that was acknowledged when it turned out to have to wait may still be there.
        target = job_key(queued.spec.queue, queued.job_id, queued.attempt)
        return [Delete(key, revision), Put(target, encode(free)), *_no_notes(queued)]


def _remembered(queued: QueuedJob, revision: int, met: Collection[str]) -> list[Write]:
    """The waiting job without the dependencies that are met: their results may expire before the last one ends."""
    left = tuple(other for other in queued.spec.depends_on if other not in met)
    spec = msgspec.structs.replace(queued.spec, depends_on=left)
    put = Put(deferred_key(queued.job_id, queued.attempt), encode(queued.evolve(spec=spec)), revision)
    return [put, *(Delete(waiting_key(other, queued.job_id)) for other in met)]


def _no_notes(queued: QueuedJob) -> list[Write]:
    return [Delete(waiting_key(other, queued.job_id)) for other in dict.fromkeys(queued.spec.depends_on)]
