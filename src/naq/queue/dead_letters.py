"""Dead letters: jobs that are not tried again until a person requeues or purges them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.jobs.events import job_event
from naq.jobs.job import QueuedJob
from naq.jobs.records import DeadJob, DeadReason
from naq.queue.results import StoredResults
from naq.store.codec import encode
from naq.store.keys import ALL_DEAD, check_job_id, dead_key, job_key, name_in
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Store, Write
from naq.store.records import read_all

__all__ = ["DeadLetters", "DeadQuery"]

AT_ONCE = 400
"""Deletions in one transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadQuery:
    """Which dead letters are asked for; a field that is ``None`` does not matter."""

    reason: DeadReason | str | None = None
    queue: str | None = None
    func: str | None = None
    schedule_id: str | None = None
    before: datetime | None = None
    """Only those that died before."""

    def fits(self, dead: DeadJob) -> bool:
        """Whether this is one of them."""
        spec = None if dead.job is None else dead.job.spec
        return (
            (self.reason is None or dead.reason == self.reason)
            and (self.queue is None or (spec is not None and spec.queue == self.queue))
            and (self.func is None or (spec is not None and spec.func == self.func))
            and (self.schedule_id is None or (dead.job is not None and dead.job.schedule_id == self.schedule_id))
            and (self.before is None or dead.died_at < self.before)
        )


ALL = DeadQuery()


class DeadLetters:
    """The records under ``dead.>``."""

    def __init__(self, settings: Settings, kv: Store, results: StoredResults, events: EventSink, clock: Clock) -> None:
        self._instance_id = settings.instance_id
        self._kv = kv
        self._results = results
        self._events = events
        self._clock = clock

    async def get(self, job_id: str) -> DeadJob | None:
        """The dead letter; ``None`` when there is none."""
        found = await self.entry(job_id)
        return None if found is None else found[1]

    async def entry(self, job_id: str) -> tuple[Entry, DeadJob] | None:
        """As `get`, with the entry that holds it."""
        entry = await self._kv.get(dead_key(check_job_id(job_id)))
        return None if entry is None else _dead([entry])[0]

    async def find(self, query: DeadQuery = ALL) -> AsyncIterator[list[tuple[Entry, DeadJob]]]:
        """Pages of the dead letters that match, the oldest first."""
        async for entries in self._kv.scan(ALL_DEAD):
            yield [(entry, dead) for entry, dead in _dead(entries) if query.fits(dead)]

    async def requeue(self, entry: Entry, dead: DeadJob) -> bool:
        """Queue a dead job as its next attempt, with all its retries.

        ``False`` when the dead letter was changed or removed in the meantime, or holds only a part of the job.
        """
        if dead.shortened or (dead.job is None and not dead.raw):
            return False
        again = self._again(dead)
        if again is None:
            put = Put(dead.key, (dead.raw or "").encode())
        else:
            put = Put(job_key(again.spec.queue, again.job_id, again.attempt), encode(again))
        result = await self._results.store.get(dead.job_id)
        writes: list[Write] = [Delete(entry.key, entry.revision), put]
        if not isinstance(await self._kv.transact(writes), Committed):
            return False
        if result is not None:
            await self._results.store.transact([Delete(dead.job_id, result.revision)])
        self._events.emit([self._requeued(dead, again)])
        return True

    def _requeued(self, dead: DeadJob, again: QueuedJob | None) -> Event:
        reason, now = "a dead letter was requeued", self._clock.now()
        if again is not None:
            return job_event(again, EventType.JOB_ENQUEUED, now, self._instance_id, reason=reason)
        return Event(
            type=EventType.JOB_ENQUEUED,
            timestamp=now,
            instance_id=self._instance_id,
            job_id=dead.job_id,
            reason=reason,
        )

    def _again(self, dead: DeadJob) -> QueuedJob | None:
        """The next attempt; ``None`` when the last one could not be read."""
        if dead.job is None:
            return None
        job = dead.job
        spec = msgspec.structs.replace(job.spec, retries=job.spec.retries + job.attempt, depends_on=())
        return job.evolve(
            spec=spec,
            attempt=job.attempt + 1,
            enqueued_at=self._clock.now(),
            enqueued_by=self._instance_id,
            start_by=None,
            tracked=False,
            error=f"{dead.error_type}: {dead.error}",
        )

    async def purge(self, query: DeadQuery) -> int:
        """Delete the dead letters that match; returns how many."""
        count = 0
        async for page in self.find(query):
            for start in range(0, len(page), AT_ONCE):
                part = page[start : start + AT_ONCE]
                outcome = await self._kv.transact([Delete(entry.key, entry.revision) for entry, _ in part])
                if isinstance(outcome, Committed):
                    count += len(part)
                    continue
                for entry, _ in part:
                    count += isinstance(await self._kv.transact([Delete(entry.key, entry.revision)]), Committed)
        return count


def _dead(entries: list[Entry]) -> list[tuple[Entry, DeadJob]]:
    """The records, in order; one that cannot be read is shown as a dead letter of its own, so that it is not lost."""
    found = read_all(DeadJob, entries)
    shown = [
        (
            entry,
            DeadJob(
                job_id=name_in(entry.key),
                reason=DeadReason.UNREADABLE,
                died_at=datetime.fromtimestamp(0).astimezone(),
                raw=(entry.value or b"").decode(errors="replace"),
                error=error.reason,
            ),
        )
        for entry, error in found.unreadable
    ]
    return sorted(found.records + shown, key=lambda pair: pair[0].revision)
