"""A worker without threads, processes or a server: it runs queued jobs one after the other.

Attempts are run and settled by the code of a real worker (`Runner`, `Settling`): results, retries with their backoff, dead
letters, ends of runs that a schedule waits for, runs that an overlap policy ends. Left out are timeouts of sync functions,
limits of queues, and dependencies.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event
from naq.jobs.ending import Ending, Facts, decide
from naq.jobs.functions import Registry
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.outcome import Dropped, Ended, HandedBack, Outcome, Raised, Unrunnable
from naq.jobs.target import Target
from naq.queue.results import StoredResults
from naq.queue.settle import Settlement, Settling
from naq.store.codec import decode
from naq.store.keys import jobs_of, schedule_key
from naq.testing.store import MemoryStore
from naq.worker.execution.run import Attempt, Runner, RunOptions
from naq.worker.superseded import why_superseded

__all__ = ["InlineWorker", "Ran"]

NAME = "inline"


@dataclass(frozen=True, slots=True)
class Ran:
    """One attempt of a job, and how it ended."""

    job: QueuedJob
    status: JobStatus
    """``deferred`` or ``queued`` when another attempt follows."""
    value: Any = None
    """What the function returned, as JSON values."""
    error_type: str | None = None
    error: str | None = None


class InlineWorker:
    """Runs what is in the queue of a `MemoryStore`."""

    def __init__(self, store: MemoryStore, clock: Clock, registry: Registry) -> None:
        self._store = store
        self._clock = clock
        successes, results = _Successes(), StoredResults(MemoryStore(clock))
        self._settling = Settling(Settings(instance_id=NAME), store, results, successes, _NoEvents(), clock)
        self._runner = Runner(RunOptions(NAME, allow_pickle=True), registry, successes, clock, _InlineCaller())

    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Cancel the job that runs, if it is one of these (`naq.store.port.JobStopper`)."""
        for attempt in tuple(self._runner.running):
            if attempt.queued.job_id in job_ids:
                self._runner.stop(attempt, "cancelled")

    async def held(self) -> set[str]:
        """The jobs that run (`naq.store.port.JobStopper`)."""
        return {attempt.queued.job_id for attempt in self._runner.running}

    async def run(self, queue: str) -> list[Ran]:
        """Run the jobs that are in a queue now, the oldest first; a retry that is due later is left for later."""
        done = []
        for entry in self._store.entries(jobs_of(queue)):
            if entry.value is not None:
                done.append(await self._attempt(decode(QueuedJob, entry.key, entry.value)))
                self._store.purge(entry.key)
        return done

    async def _attempt(self, queued: QueuedJob) -> Ran:
        started_at = self._clock.now()
        reason = why_superseded(self._store.peek(schedule_key(queued.schedule_id or "")), queued)
        if queued.start_by is not None and started_at > queued.start_by:
            outcome: Ended = Dropped("missed")
        elif reason is not None:
            outcome = Dropped("cancelled")
        else:
            outcome = await self._run(queued)
        now = self._clock.now()
        ending = decide(queued, outcome, Facts(NAME, now, started_at, now, reason))
        await self._settling.settle([Settlement(ending)])
        return _ran(ending, outcome)

    async def _run(self, queued: QueuedJob) -> Ended:
        ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._runner.start(queued, lambda attempt, outcome: ended.set_result(outcome))
        outcome = await ended
        assert not isinstance(outcome, HandedBack), "an inline worker is never drained"
        return outcome


class _InlineCaller:
    """Calls every function on the event loop, also those for threads and processes."""

    async def call(self, attempt: Attempt, target: Target, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if target.takes_context:
            args = [attempt.context, *args]
        value = target.func(*args, **kwargs)
        return await value if inspect.isawaitable(value) else value

    def stop(self, attempt: Attempt) -> None:
        if attempt.task is not None:
            attempt.task.cancel()

    async def close(self) -> None:
        """There is nothing to end."""


class _Successes:
    """The last success of each schedule, by the history that it is given."""

    def __init__(self) -> None:
        self._last: dict[str, HistoryRecord] = {}

    def record(self, records: Iterable[HistoryRecord]) -> None:
        for record in records:
            if record.succeeded_for is not None:
                self._last[record.schedule_id] = record

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        return self._last.get(schedule_id)


class _NoEvents:
    """The scheduler's events are those of schedules, not of jobs."""

    def emit(self, events: Iterable[Event]) -> None:
        """Drop them."""


def _ran(ending: Ending, outcome: Ended) -> Ran:
    result, following = ending.result, ending.next_attempt
    if result is not None:
        value = msgspec.json.decode(result.value)
        return Ran(ending.queued, result.status, value, result.error_type, result.error)
    error = following.error if following is not None else None
    waits = following is not None and following.due_at is not None
    kind = outcome.error_type if isinstance(outcome, Raised | Unrunnable) else "JobTimeout"
    return Ran(ending.queued, JobStatus.DEFERRED if waits else JobStatus.QUEUED, None, kind, error)
