"""Dead letters: jobs that will not be tried again, until somebody looks at them, queues them again or throws them away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import RecordUnreadable
from naq.jobs.job import QueuedJob
from naq.jobs.records import DeadJob, DeadReason
from naq.queue.results import ResultService
from naq.store.codec import decode, encode
from naq.store.keys import check_job_id, dead_key, job_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Write

__all__ = ["DeadLetters"]

AT_ONCE = 400


class DeadLetters:
    """The records under ``dead.>``."""

    def __init__(
        self, settings: Settings, kv: KVStoreService, results: ResultService, events: EventSink, clock: Clock
    ) -> None:
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
        """As `get`, with where it lies."""
        entry = await self._kv.get(dead_key(check_job_id(job_id)))
        return None if entry is None else (entry, _dead(entry))

    async def find(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
        before: datetime | None = None,
    ) -> AsyncIterator[list[tuple[Entry, DeadJob]]]:
        """Pages of the dead letters that match, the oldest first; ``before``: those that died earlier."""
        async for entries in self._kv.scan("dead.>"):
            page = []
            for entry in entries:
                if entry.value is None:
                    continue
                dead = _dead(entry)
                spec = None if dead.job is None else dead.job.spec
                if (
                    (reason is None or dead.reason == reason)
                    and (queue is None or (spec is not None and spec.queue == queue))
                    and (func is None or (spec is not None and spec.func == func))
                    and (schedule_id is None or (dead.job is not None and dead.job.schedule_id == schedule_id))
                    and (before is None or dead.died_at < before)
                ):
                    page.append((entry, dead))
            yield page

    async def requeue(self, entry: Entry, dead: DeadJob) -> bool:
        """Queue a dead job again, as its next attempt and with all its retries; ``False`` when somebody was faster."""
        key, value = self._again(dead)
        result = await self._results.store.get(dead.job_id)
        writes: list[Write] = [Delete(entry.key, entry.revision), Put(key, value, None)]
        if not isinstance(await self._kv.transact(writes), Committed):
            return False
        if result is not None:
            await self._results.store.transact([Delete(dead.job_id, result.revision)])
        self._events.emit(
            [
                Event(
                    type=EventType.JOB_ENQUEUED,
                    timestamp=self._clock.now(),
                    instance_id=self._instance_id,
                    job_id=dead.job_id,
                    reason="a dead letter was queued again",
                )
            ]
        )
        return True

    def _again(self, dead: DeadJob) -> tuple[str, bytes]:
        if dead.job is None:
            return dead.key, (dead.raw or "").encode()
        job = dead.job
        spec = msgspec.structs.replace(job.spec, retries=job.spec.retries + job.attempt, depends_on=())
        again: QueuedJob = msgspec.structs.replace(
            job,
            spec=spec,
            attempt=job.attempt + 1,
            enqueued_at=self._clock.now(),
            enqueued_by=self._instance_id,
            start_by=None,
            tracked=False,
            error=f"{dead.error_type}: {dead.error}",
        )
        return job_key(spec.queue, job.job_id, again.attempt), encode(again)

    async def purge(
        self,
        older_than: timedelta | None = None,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Throw away dead letters that match, and died longer ago than that; returns how many."""
        before = None if older_than is None else self._clock.now() - older_than
        count = 0
        async for page in self.find(reason=reason, queue=queue, func=func, schedule_id=schedule_id, before=before):
            for start in range(0, len(page), AT_ONCE):
                part = page[start : start + AT_ONCE]
                outcome = await self._kv.transact([Delete(entry.key, entry.revision) for entry, _ in part])
                if isinstance(outcome, Committed):
                    count += len(part)
                    continue
                for entry, _ in part:
                    count += isinstance(await self._kv.transact([Delete(entry.key, entry.revision)]), Committed)
        return count


def _dead(entry: Entry) -> DeadJob:
    """The record; one that cannot be read is shown as such, and not lost."""
    value = entry.value or b""
    try:
        return decode(DeadJob, entry.key, value)
    except RecordUnreadable as error:
        return DeadJob(
            job_id=entry.key.partition(".")[2],
            reason=DeadReason.UNREADABLE,
            died_at=datetime.fromtimestamp(0).astimezone(),
            raw=value.decode(errors="replace"),
            error=error.reason,
        )
