"""Dead letters: jobs that are not tried again until a person requeues or purges them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.jobs.events import job_event
from naq.jobs.job import QueuedJob
from naq.jobs.records import DeadJob, DeadReason, StoredResult
from naq.queue.removal import delete_all
from naq.queue.results import StoredResults
from naq.queue.settle import Settling
from naq.store.codec import encode
from naq.store.keys import ALL_DEAD, attempt_patterns, check_job_id, dead_key, job_key, name_in
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Store, Write
from naq.store.records import read_all, readable

__all__ = ["DeadLetters", "DeadQuery", "read_dead"]

AT_ONCE = 400
"""Deletions in one transaction."""

log = logging.getLogger(__name__)


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
        self._events = events
        self._clock = clock

    async def get(self, job_id: str) -> DeadJob | None:
        """The dead letter; ``None`` when there is none."""
        found = await self.entry(job_id)
        return None if found is None else found[1]

    async def entry(self, job_id: str) -> tuple[Entry, DeadJob] | None:
        """As `get`, with the entry that holds it."""
        entry = await self._kv.get(dead_key(check_job_id(job_id)))
        return None if entry is None else read_dead([entry])[0]

    async def find(self, query: DeadQuery = ALL) -> AsyncIterator[list[tuple[Entry, DeadJob]]]:
        """Pages of the dead letters that match, the oldest first."""
        async for entries in self._kv.scan(ALL_DEAD):
            yield [(entry, dead) for entry, dead in read_dead(entries) if query.fits(dead)]

    async def requeue(self, entry: Entry, dead: DeadJob, together: Collection[str] = ()) -> bool:
        """Queue a dead job as its next attempt, with all its retries.

        It waits again for those of its dependencies that were requeued before it: that have not ended, or are in
        ``together``. Others no longer matter, except that one whose result it takes must have completed.

        ``False`` when the dead letter was changed or removed in the meantime, holds only a part of the job or is unreadable
        itself, or is older than another job with the same id, whose result must not be replaced.
        """
        if dead.shortened or (dead.job is None and not (dead.raw and dead.key)):
            return False
        result = await self._results.readable(dead.job_id)
        if dead.job is not None and await self._is_outlived(dead.job, result):
            return False
        again = await self._again(dead, together)
        claims = [] if again is None else await self._settling.uniqueness.reclaims(again)
        writes: list[Write] = [Delete(entry.key, entry.revision), *claims, *self._writes(dead, again)]
        if not isinstance(await self._kv.transact(writes), Committed):
            return False
        await self._results.forget(dead.job_id)
        self._events.emit([self._requeued(dead, again)])
        if again is not None and again.spec.depends_on:
            await self._settling.end_unmet(await self._unmet(again, together))
        return True

    async def _unmet(self, again: QueuedJob, together: Collection[str]) -> list[tuple[QueuedJob, str]]:
        """As `Dependencies.check`; also a job that takes a result which is gone, and that nothing will write again."""
        dependencies = self._settling.dependencies
        awaited = {*together, *await dependencies.live([take.job_id for take in again.spec.takes])}
        lost = await dependencies.lost(again, awaited)
        return await dependencies.check(again) if lost is None else [(again, lost)]

    def _writes(self, dead: DeadJob, again: QueuedJob | None) -> list[Write]:
        if again is None:
            return [Put(dead.key, (dead.raw or "").encode())]
        if again.spec.depends_on:
            return self._settling.dependencies.writes(again, None)
        return [Put(job_key(again.spec.queue, again.job_id, again.attempt), encode(again))]

    async def _is_outlived(self, job: QueuedJob, result: StoredResult | None) -> bool:
        """Whether a newer job with the same id waits, runs or has ended."""
        if result is not None and result.enqueued_at is not None and result.enqueued_at > job.enqueued_at:
            return True
        found = await self._kv.get_many(attempt_patterns(job.job_id))
        return any(other.enqueued_at > job.enqueued_at for _, other in readable(QueuedJob, found.values(), log))

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

    async def _again(self, dead: DeadJob, together: Collection[str]) -> QueuedJob | None:
        """The next attempt; ``None`` when the last one could not be read."""
        if dead.job is None:
            return None
        job = dead.job
        needed = {*together, *(take.job_id for take in job.spec.takes)}
        needed |= await self._settling.dependencies.live([each for each in job.spec.depends_on if each not in needed])
        waits_for = tuple(job_id for job_id in job.spec.depends_on if job_id in needed)
        spec = msgspec.structs.replace(job.spec, retries=job.spec.retries + job.attempt, depends_on=waits_for)
        return job.evolve(
            spec=spec,
            attempt=job.attempt + 1,
            enqueued_at=self._clock.now(),
            enqueued_by=self._instance_id,
            start_by=None,
            tracked=False,
            error=f"{dead.error_type}: {dead.error}",
            unknown_since=None,
            passed_on=0,
        )

    async def purge(self, query: DeadQuery) -> int:
        """Delete the dead letters that match; returns how many."""
        count = 0
        async for page in self.find(query):
            for start in range(0, len(page), AT_ONCE):
                part = page[start : start + AT_ONCE]
                if await delete_all(self._kv, [entry for entry, _ in part]):
                    count += len(part)
                    continue
                for entry, _ in part:
                    count += isinstance(await self._kv.transact([Delete(entry.key, entry.revision)]), Committed)
        return count


def read_dead(entries: Iterable[Entry]) -> list[tuple[Entry, DeadJob]]:
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
