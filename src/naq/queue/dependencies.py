"""Jobs that wait for other jobs.

A job with ``depends_on`` is stored as deferred without a time. In the same transaction a note
``waiting.<other job>.<this job>`` is written for each job that it waits for. Whoever writes the end of a job reads the notes
under its id, and releases the jobs that wait for nothing else, each in one transaction that is conditional on the deferred
record: only one of two concurrent releases succeeds.

No race leaves a job waiting. The notes are written before the results are read, and a result is written before the notes
are read, so whichever comes second sees the other. On a cluster a read may be answered by a replica that lags, so every
worker also checks all notes from time to time (`Dependencies.sweep`).

A job whose dependency ended in another way than ``depends_when`` asks for can never run: it becomes a dead letter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum

import msgspec

from naq.clock import Clock
from naq.exceptions import RecordUnreadable
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import StoredResult, WaitingFor
from naq.queue.results import StoredResults
from naq.store.codec import decode, encode
from naq.store.keys import ALL_WAITING, deferred_key, job_key, waiting_key
from naq.store.port import Committed, Delete, Entry, Put, Refused, Store, Write
from naq.store.records import readable

__all__ = ["Dependencies", "Verdict", "judge"]

FITTING = {
    "succeeded": frozenset({JobStatus.COMPLETED}),
    "failed": frozenset({JobStatus.FAILED}),
    "ended": frozenset(status for status in JobStatus if status.ended),
}

log = logging.getLogger("naq.dependencies")


class Verdict(Enum):
    """Whether the dependencies of a job allow it to run."""

    READY = "ready"
    WAITING = "waiting"
    NEVER = "never"
    """A dependency ended in another way than was asked for."""


def judge(queued: QueuedJob, results: dict[str, StoredResult]) -> tuple[Verdict, str]:
    """Whether a job may run, given the results of its dependencies; if not, which one is the reason."""
    fitting = FITTING[queued.spec.depends_when]
    waits_for = ""
    for other in queued.spec.depends_on:
        result = results.get(other)
        if result is None or not result.status.ended:
            waits_for = waits_for or other
        elif result.status not in fitting:
            return Verdict.NEVER, f"{other} ended as {result.status}, not {queued.spec.depends_when}"
    return (Verdict.WAITING, waits_for) if waits_for else (Verdict.READY, "")


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

    async def verdict(self, queued: QueuedJob) -> tuple[Verdict, str]:
        """Whether a job may run now, and why not."""
        return judge(queued, await self._results.get_many(list(queued.spec.depends_on)))

    async def ended(self, job_ids: Sequence[str]) -> list[tuple[QueuedJob, str]]:
        """Release the jobs that waited for these, which have ended.

        Returns the jobs that can never run now, each with the reason; the caller ends them.
        """
        if await self._kv.last_revision(ALL_WAITING) == 0:
            return []
        notes = await self._kv.get_many([waiting_key(job_id, "*") for job_id in job_ids])
        return await self._check_notes(notes.values())

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

    async def _check_notes(self, notes: Iterable[Entry]) -> list[tuple[QueuedJob, str]]:
        """Check the job of each note once; returns as `ended`."""
        never = []
        seen: set[str] = set()
        for entry, note in readable(WaitingFor, notes, log):
            if note.job_id in seen:
                continue
            seen.add(note.job_id)
            try:
                unmet = await self._check_note(entry, note)
            except RecordUnreadable as error:
                log.warning("%s", error)
                continue
            if unmet is not None:
                never.append(unmet)
        return never

    async def _check_note(self, entry: Entry, note: WaitingFor) -> tuple[QueuedJob, str] | None:
        waiting = await self._kv.get(deferred_key(note.job_id, note.attempt))
        if waiting is None or waiting.value is None:
            await self._kv.transact([Delete(entry.key, entry.revision)])
            return None
        queued = decode(QueuedJob, waiting.key, waiting.value)
        verdict, reason = await self.verdict(queued)
        if verdict is Verdict.NEVER:
            return queued, reason
        if verdict is Verdict.WAITING:
            return None
        outcome = await self._kv.transact(self._released(queued, waiting.revision, note.due_at))
        if isinstance(outcome, Refused):
            log.debug("job %s was released by another process", note.job_id)
        return None

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


def _no_notes(queued: QueuedJob) -> list[Write]:
    return [Delete(waiting_key(other, queued.job_id)) for other in dict.fromkeys(queued.spec.depends_on)]
