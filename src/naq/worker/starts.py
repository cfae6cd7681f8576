"""How often each attempt was started without an end, and which worker had it when that worker vanished.

Nothing is written for a job that is handed out once. A job that is handed out again was probably started before; from then on
each start is counted. A worker that gives a started job back also takes back its start. A start that is neither ended nor taken
back means that the worker vanished: this is reported as an event, and in the schedule's history.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreUnavailable
from naq.jobs.ending import Facts, abandoned
from naq.jobs.history import HistorySink
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import StoredResult
from naq.store.codec import decode, encode
from naq.store.keys import starts_key
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Store, Write
from naq.worker.claimed import Ended

__all__ = ["Starts"]

T = TypeVar("T", bound=msgspec.Struct)


class _Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    v: int = 1
    count: int
    """Starts that had no end, as far as is known."""
    worker_id: str | None = None
    """Who made the last of them; ``None``: not known, or already reported."""
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an attempt that was handed out again."""

    record: _Record
    revision: int


class Starts:
    """The counts, kept in the store of results."""

    def __init__(
        self, settings: Settings, results: Store, history: HistorySink, events: EventSink, clock: Clock
    ) -> None:
        self._settings = settings
        self._results = results
        self._history = history
        self._events = events
        self._clock = clock

    @property
    def most(self) -> int:
        """Starts without an end after which a job is not started again."""
        return self._settings.max_deliveries

    async def count(self, queued: QueuedJob) -> int | None:
        """Count the start of a job that was handed out again, and return the count; ``None``: it was started too often, and
        must not be started again.

        If the worker that started it before is known and did not give it back, its disappearance is reported. Raises
        `StoreError`.
        """
        now = self._clock.now()
        known = await self._known(queued)
        starts = known.record.count
        kills = starts >= self.most
        here = _Record(count=starts) if kills else _Record(count=starts + 1, worker_id=self._worker_id, started_at=now)
        put = Put(_key(queued), encode(here), known.revision, self._lifetime)
        outcome = await self._results.transact([put])
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"the start could not be counted: {outcome.reason}")
        if starts > 0 and known.record.worker_id is not None:
            facts = Facts(self._worker_id, now, known.record.started_at)
            record, event = abandoned(queued, facts, known.record.worker_id, starts)
            self._history.record([record] if record is not None else [])
            self._events.emit([event])
        return None if kills else here.count

    async def take_back(self, given_back: deque[Ended]) -> None:
        """Withdraw the starts of jobs that this worker gives back; those that are done are removed from ``given_back``.
        Raises `StoreError`: call it again."""
        while given_back:
            ended = given_back[0]
            queued, writes = ended.claimed.queued, list[Write]()
            if ended.claimed.announced:
                writes.append(Delete(queued.job_id))
            if ended.admitted is not None and ended.admitted.starts > 0:
                record = _Record(count=ended.admitted.starts - 1)
                writes.append(Put(_key(queued), encode(record), None, self._lifetime))
            if writes and not isinstance(outcome := await self._results.transact(writes), Committed):
                raise StoreUnavailable(f"the start could not be taken back: {outcome.reason}")
            given_back.popleft()

    @property
    def _worker_id(self) -> str:
        return self._settings.instance_id

    @property
    def _lifetime(self) -> int:
        return int(self._settings.job_ttl) + 1

    async def _known(self, queued: QueuedJob) -> _Known:
        """The record. Without one, the first delivery counts as a start, by the worker that announced the job."""
        found = await self._results.get_many([_key(queued), queued.job_id])
        entry = found.get(_key(queued))
        record = _decoded(_Record, entry)
        if record is None:
            running = _decoded(StoredResult, found.get(queued.job_id))
            record = _Record(count=1)
            if running is not None and _is_of(queued, running):
                record = _Record(count=1, worker_id=running.worker_id, started_at=running.started_at)
        return _Known(record, entry.revision if entry is not None and entry.value is not None else 0)


def _key(queued: QueuedJob) -> str:
    return starts_key(queued.job_id, queued.attempt)


def _is_of(queued: QueuedJob, running: StoredResult) -> bool:
    return (
        running.status is JobStatus.RUNNING
        and running.attempt == queued.attempt
        and running.enqueued_at == queued.enqueued_at
    )


def _decoded(kind: type[T], entry: Entry | None) -> T | None:
    if entry is None or entry.value is None:
        return None
    try:
        return decode(kind, entry.key, entry.value)
    except RecordUnreadable:
        return None
