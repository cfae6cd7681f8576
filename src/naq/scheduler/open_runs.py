"""Open runs: the leader closes those in the records of schedules that nobody else will close.

A schedule that tracks its runs, for an overlap policy or a fixed delay, is held up by each run that its record lists as open.
The worker that ends a run closes it. But its job may vanish before: an administrator purges the subjects of jobs, a power
failure takes it, a worker dies between writing the result and closing the run. So the leader compares each open run with
what exists, when it begins and every few seconds:

- its job is queued or deferred, or a worker has it: it goes on;
- its job ended: the run is closed as the result says;
- neither: it is lost. The run is closed as failed, with an event (`job_lost`) and a record in the schedule's history.

What is seen must be seen twice before anything is closed: a worker that has just written a result closes the run itself,
and a replica that answers may lag.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum
from itertools import islice
from typing import NamedTuple

from naq.clock import Clock, sleep_or
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.jobs.ends import belongs, read_ends
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import StoredResult, WorkerInfo, is_over
from naq.scheduler.listeners import Listeners
from naq.scheduler.mirror import Mirror
from naq.schedules.record import OpenRun, Schedule
from naq.schedules.run_end import run_ended
from naq.store.codec import encode
from naq.store.keys import ALL_WORKERS, attempt_patterns, job_id_in
from naq.store.port import Committed, Entry, Put, Store
from naq.store.records import readable, readable_one

__all__ = ["Fate", "OpenRuns", "fate"]

EVERY = 10.0
"""Seconds between two looks."""
AGAIN = 5.0
"""Seconds after which a run that seems to have no end is looked at again."""
AT_ONCE = 50
"""Runs in one question to the store: it answers with the records of their jobs."""

log = logging.getLogger(__name__)


class Fate(Enum):
    """What becomes of an open run."""

    GOES_ON = "goes on"
    ENDED = "ended"
    LOST = "lost"


class Suspect(NamedTuple):
    """An open run that nobody seems to close."""

    key: str
    """Of the schedule."""
    run: OpenRun
    result: StoredResult | None
    """How its job ended; ``None``: it is lost."""


def fate(schedule: Schedule, attempts: Sequence[QueuedJob | None], result: StoredResult | None, is_held: bool) -> Fate:
    """What becomes of an open run of ``schedule``. Pure.

    ``attempts`` are those of its job that are queued or deferred, ``None`` for one that cannot be read; ``is_held``: a worker
    has it. The result of an earlier schedule with the same id does not count.
    """
    if any(queued is None or not is_over(queued, result) for queued in attempts):
        return Fate.GOES_ON
    if result is not None and belongs(result, schedule.created_at):
        return Fate.ENDED
    return Fate.GOES_ON if is_held else Fate.LOST


class OpenRuns:
    """Looks after the open runs of all schedules in a mirror while its instance leads."""

    def __init__(self, store: Store, mirror: Mirror, clock: Clock, listeners: Listeners, instance_id: str) -> None:
        self.lost = 0
        """Runs that were closed as lost so far."""
        self._store = store
        self._mirror = mirror
        self._clock = clock
        self._listeners = listeners
        self._instance_id = instance_id
        self._suspects: dict[tuple[str, str], bool] = {}
        """Schedule's key and job id -> whether its job ended, as the last look saw it."""
        self._wake = asyncio.Event()

    @property
    def compares(self) -> bool:
        """Whether there are results to compare with."""
        return self._listeners.results is not None

    def wake(self) -> None:
        """Leadership changed: begin anew."""
        self._suspects.clear()
        self._wake.set()

    async def run(self, leads: Callable[[], bool]) -> None:
        """Look, for ever, while ``leads`` says that this instance leads and there are open runs."""
        while True:
            self._wake.clear()
            if leads():
                try:
                    await self.look()
                except StoreError as error:
                    log.info("open runs are compared with the jobs later: %s", error)
            if not self._mirror.tracked:
                self._suspects.clear()
                self._mirror.tracks.clear()
                await self._mirror.tracks.wait()
            await sleep_or(self._clock, AGAIN if self._suspects else EVERY, self._wake)

    async def look(self) -> None:
        """Look once, and close what the last look saw just so. Raises `StoreError` when the store cannot be asked."""
        if self._listeners.results is None:
            return
        suspects: list[Suspect] = []
        runs = self._runs()
        while part := list(islice(runs, AT_ONCE)):
            suspects += await self._look_at(self._listeners.results, part)
        before, self._suspects = self._suspects, {}
        for suspect in suspects:
            identity, ended = (suspect.key, suspect.run.job_id), suspect.result is not None
            if before.get(identity) is not ended or not await self._close(suspect):
                self._suspects[identity] = ended

    def _runs(self) -> Iterator[tuple[str, Schedule, OpenRun]]:
        """All open runs, as the mirror holds them."""
        for key in sorted(self._mirror.tracked):
            held = self._mirror.get(key)
            schedule = None if held is None else readable_one(Schedule, Entry(key, held[1], held[0]))
            if schedule is not None:
                for run in schedule.open_runs:
                    yield key, schedule, run

    async def _look_at(self, results: Store, part: Sequence[tuple[str, Schedule, OpenRun]]) -> list[Suspect]:
        ids = [run.job_id for _, _, run in part]
        attempts: dict[str, list[QueuedJob | None]] = {job_id: [] for job_id in ids}
        patterns = [pattern for job_id in ids for pattern in attempt_patterns(job_id)]
        for key, entry in (await self._store.get_many(patterns)).items():
            attempts.setdefault(job_id_in(key), []).append(readable_one(QueuedJob, entry))
        ends = await read_ends(results, ids)
        fates = [fate(schedule, attempts[run.job_id], ends.get(run.job_id), False) for _, schedule, run in part]
        held = await self._held() if Fate.LOST in fates else frozenset()
        return [
            Suspect(key, run, ends.get(run.job_id) if end is Fate.ENDED else None)
            for (key, _, run), end in zip(part, fates, strict=True)
            if end is Fate.ENDED or (end is Fate.LOST and run.job_id not in held)
        ]

    async def _held(self) -> set[str]:
        """The jobs that workers have: as they answer now, and as they reported last, for one may be too busy to answer."""
        held = await self._listeners.stopper.held()
        async for entries in self._store.scan(ALL_WORKERS):
            for _, worker in readable(WorkerInfo, entries, log):
                held.update(worker.running)
        return held

    async def _close(self, suspect: Suspect) -> bool:
        """Close the run in its schedule's record; ``False``: somebody else changed that, so it is looked at again."""
        entry = await self._store.get(suspect.key)
        schedule = readable_one(Schedule, entry)
        if entry is None or schedule is None or not schedule.has_open(suspect.run.job_id):
            return True
        now, result = self._clock.now(), suspect.result
        status = JobStatus.FAILED if result is None else result.status
        after = run_ended(schedule, suspect.run.job_id, status, now)
        if after is None:
            return True
        value = encode(after)
        outcome = await self._store.transact([Put(entry.key, value, entry.revision, after.ttl)])
        if not isinstance(outcome, Committed):
            return False
        self._mirror.apply(Entry(entry.key, value, outcome.revisions[0]))
        if result is None:
            self._tell_lost(schedule, suspect.run, now)
        else:
            log.warning("run %s of schedule %s was still open: it is closed as %s", *_names(schedule, suspect), status)
        return True

    def _tell_lost(self, schedule: Schedule, run: OpenRun, now: datetime) -> None:
        self.lost += 1
        text = "its job is neither queued nor held by a worker, and has no result: it was removed, or the store lost it"
        log.warning("run %s of schedule %s is lost: %s", run.job_id, schedule.schedule_id, text)
        self._listeners.events.emit(
            [
                Event(
                    type=EventType.JOB_LOST,
                    timestamp=now,
                    instance_id=self._instance_id,
                    schedule_id=schedule.schedule_id,
                    job_id=run.job_id,
                    func=schedule.job.func,
                    queue=schedule.job.queue,
                    nominal_at=run.nominal_at,
                    reason=text,
                )
            ]
        )
        self._listeners.history.record(
            [
                HistoryRecord(
                    schedule_id=schedule.schedule_id,
                    outcome=RunOutcome.FAILED,
                    at=now,
                    job_id=run.job_id,
                    nominal_at=run.nominal_at,
                    fired_at=run.fired_at,
                    error_type="JobLost",
                    error=text,
                )
            ]
        )


def _names(schedule: Schedule, suspect: Suspect) -> tuple[str, str]:
    return suspect.run.job_id, schedule.schedule_id
