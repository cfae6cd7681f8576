"""Jobs that wait for other jobs.

A job with ``depends_on`` lies deferred without a time, and beside it, in the same transaction, lies a note
``waiting.<the other>.<itself>`` for each job it waits for. Whoever writes the end of a job then reads the notes under its id, and
releases who waits for nothing else any more, in one transaction that is conditional on the deferred record: two who try
cannot both do it.

No race leaves a job waiting. The notes are written before the enqueuer looks at the results, and the result is written
before the worker looks at the notes: whichever comes second sees the other. On a cluster a read may come from a copy
that lags, so every worker also goes over all notes now and then (`sweep`).

A job that waits for another that ended otherwise than was asked for can never run: it becomes a dead letter.
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
from naq.queue.results import ResultService
from naq.store.codec import decode, encode
from naq.store.keys import deferred_key, job_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Committed, Delete, Entry, Put, Refused, Write

__all__ = ["Dependencies", "Verdict", "judge", "waiting_key"]

FITTING = {
    "succeeded": frozenset({JobStatus.COMPLETED}),
    "failed": frozenset({JobStatus.FAILED}),
    "ended": frozenset(status for status in JobStatus if status.ended),
}

log = logging.getLogger("naq.dependencies")


class Verdict(Enum):
    """Whether a job may run, as far as others are concerned."""

    READY = "ready"
    WAITING = "waiting"
    NEVER = "never"
    """A job that it depends on ended otherwise."""


def waiting_key(depends_on: str, job_id: str) -> str:
    """The note that ``job_id`` waits for ``depends_on``."""
    return f"waiting.{depends_on}.{job_id}"


def judge(queued: QueuedJob, results: dict[str, StoredResult]) -> tuple[Verdict, str]:
    """Whether a job may run, given what is known of others; and which of them is the reason if not."""
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
    """Who waits for whom."""

    def __init__(self, kv: KVStoreService, results: ResultService, clock: Clock, instance_id: str) -> None:
        self._kv = kv
        self._results = results
        self._clock = clock
        self._instance_id = instance_id

    def writes(self, queued: QueuedJob, due_at: datetime | None) -> list[Write]:
        """The writes that make a job wait; ``due_at``: it is not to run earlier than that either."""
        note = encode(WaitingFor(job_id=queued.job_id, attempt=queued.attempt, due_at=due_at))
        deferred = msgspec.structs.replace(queued, due_at=None)
        writes: list[Write] = [Put(deferred_key(queued.job_id, queued.attempt), encode(deferred), 0)]
        writes += [Put(waiting_key(other, queued.job_id), note) for other in dict.fromkeys(queued.spec.depends_on)]
        return writes

    async def verdict(self, queued: QueuedJob) -> tuple[Verdict, str]:
        """Whether a job may run now, and why not."""
        return judge(queued, await self._results.get_many(list(queued.spec.depends_on)))

    async def ended(self, job_ids: Sequence[str]) -> list[tuple[QueuedJob, str]]:
        """Those jobs ended: release who waited for them. Returns who can never run now, with the reason; the caller ends
        them."""
        if await self._kv.last_revision("waiting.>") == 0:
            return []
        notes = await self._kv.get_many([waiting_key(job_id, "*") for job_id in job_ids])
        return await self._look_after(notes.values())

    async def sweep(self) -> list[tuple[QueuedJob, str]]:
        """Look after everybody who waits; returns as `ended`."""
        never: list[tuple[QueuedJob, str]] = []
        async for entries in self._kv.scan("waiting.>"):
            never += await self._look_after(entry for entry in entries if entry.value is not None)
        return never

    async def check(self, queued: QueuedJob) -> list[tuple[QueuedJob, str]]:
        """Look after one job that was just made to wait; returns as `ended`."""
        keys = [waiting_key(other, queued.job_id) for other in queued.spec.depends_on]
        notes = await self._kv.get_many(keys)
        return await self._look_after(list(notes.values())[:1])

    async def drop(self, queued: QueuedJob) -> bool:
        """Remove a job that waits, with its notes; whether it was there."""
        entry = await self._kv.get(deferred_key(queued.job_id, queued.attempt))
        if entry is None:
            return False
        return isinstance(await self._kv.transact([Delete(entry.key, entry.revision), *_no_notes(queued)]), Committed)

    async def forget(self, queued: QueuedJob) -> None:
        """Remove the notes of a job that does not wait any more."""
        await self._kv.transact(_no_notes(queued))

    async def _look_after(self, notes: Iterable[Entry]) -> list[tuple[QueuedJob, str]]:
        never = []
        seen: set[str] = set()
        for entry in notes:
            try:
                note = decode(WaitingFor, entry.key, entry.value or b"")
                if note.job_id in seen:
                    continue
                seen.add(note.job_id)
                found = await self._release(note, entry)
            except RecordUnreadable as error:
                log.warning("a job that waits for another cannot be released: %s", error)
                continue
            if found is not None:
                never.append(found)
        return never

    async def _release(self, note: WaitingFor, entry: Entry) -> tuple[QueuedJob, str] | None:
        held = await self._kv.get(deferred_key(note.job_id, note.attempt))
        if held is None or held.value is None:
            await self._kv.transact([Delete(entry.key, entry.revision)])
            return None
        queued = decode(QueuedJob, held.key, held.value)
        verdict, reason = await self.verdict(queued)
        if verdict is Verdict.NEVER:
            return queued, reason
        if verdict is Verdict.WAITING:
            return None
        outcome = await self._kv.transact(self._released(queued, held.revision, note.due_at))
        if isinstance(outcome, Refused):
            log.debug("job %s was released by somebody else", note.job_id)
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
        # What may still lie at the job's key is an attempt that was acknowledged when it was found to have to wait.
        target = job_key(queued.spec.queue, queued.job_id, queued.attempt)
        return [Delete(key, revision), Put(target, encode(free)), *_no_notes(queued)]


def _no_notes(queued: QueuedJob) -> list[Write]:
    return [Delete(waiting_key(other, queued.job_id)) for other in dict.fromkeys(queued.spec.depends_on)]
