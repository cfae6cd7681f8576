"""How often each attempt was started without an end, and whose hands it was in when its worker vanished.

Most jobs are started once, and nothing is written for that. One that comes again was started before, if nobody says
otherwise; from then on each start is counted. A worker that gives a started job back takes its start back. So what is left of a
start that nobody took back is a worker that vanished, and that is told: as an event, and in the schedule's history.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from naq.queue.results import ResultService
from naq.store.codec import decode, encode
from naq.store.keys import starts_key
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Write
from naq.worker.claimed import Held

__all__ = ["Starts"]

T = TypeVar("T", bound=msgspec.Struct)


class _Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    v: int = 1
    count: int
    """Starts that did not come to an end, as far as is known."""
    worker_id: str | None = None
    """Who began the last one of them; ``None``: it is not known, or was told already."""
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an attempt that came again."""

    record: _Record
    revision: int


class Starts:
    """The counts, kept beside the results."""

    def __init__(
        self, settings: Settings, results: ResultService, history: HistorySink, events: EventSink, clock: Clock
    ) -> None:
        self._settings = settings
        self._results = results
        self._history = history
        self._events = events
        self._clock = clock

    async def count(self, held: Held) -> bool:
        """Count the start of a job that came again; whether there were too many, and it must not be started.

        The one who had it before, if that is known and it was not given back, is told to have vanished. Raises
        `StoreError`.
        """
        queued, now = held.queued, self._clock.now()
        known = await self._known(queued)
        starts = known.record.count
        kills = starts >= self._settings.max_deliveries
        here = _Record(count=starts) if kills else _Record(count=starts + 1, worker_id=self._worker_id, started_at=now)
        put = Put(_key(queued), encode(here), known.revision, self._lifetime)
        outcome = await self._results.store.transact([put])
        if not isinstance(outcome, Committed):
            raise StoreUnavailable(f"the start could not be counted: {outcome.reason}")
        held.starts = here.count
        if starts > 0 and known.record.worker_id is not None:
            facts = Facts(self._worker_id, now, known.record.started_at)
            record, event = abandoned(queued, facts, known.record.worker_id, starts)
            self._history.record([record] if record is not None else [])
            self._events.emit([event])
        return kills

    async def take_back(self, group: Sequence[Held]) -> None:
        """These are given back by a worker that has begun them: nobody vanished. Raises `StoreError`: call it again."""
        for held in group:
            writes: list[Write] = []
            if held.announced:
                writes.append(Delete(held.queued.job_id))
            if held.starts > 0:
                writes.append(Put(_key(held.queued), encode(_Record(count=held.starts - 1)), None, self._lifetime))
            if writes and not isinstance(outcome := await self._results.store.transact(writes), Committed):
                raise StoreUnavailable(f"the start could not be taken back: {outcome.reason}")
            held.starts, held.announced = 0, False

    @property
    def _worker_id(self) -> str:
        return self._settings.instance_id

    @property
    def _lifetime(self) -> int:
        return int(self._settings.job_ttl) + 1

    async def _known(self, queued: QueuedJob) -> _Known:
        """The record; without one the first hand-out is taken for a start, of whoever said that it runs the job."""
        found = await self._results.store.get_many([_key(queued), queued.job_id])
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
