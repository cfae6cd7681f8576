"""A worker without threads, processes or a server: queued jobs are run one after the other, where they stand.

What becomes of an attempt is decided by the same rules as on a real worker (`naq.jobs.ending`): results, retries with
their backoff, dead letters, the ends of runs that a schedule waits for, runs that an overlap policy ends. What a real
worker has besides is left out: timeouts of functions that are not async, limits of queues, dependencies.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from naq.clock import Clock
from naq.exceptions import InvalidJob, UnknownFunction
from naq.jobs.context import JobContext, bind_context
from naq.jobs.ending import Ending, Facts, decide
from naq.jobs.functions import Registry
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.outcome import Dropped, Ended, Stopped, Unrunnable, raised
from naq.jobs.records import DeadReason
from naq.schedules.record import Schedule
from naq.schedules.run_end import run_ended
from naq.store.codec import decode, encode
from naq.store.keys import deferred_key, job_key, schedule_key
from naq.store.port import Put
from naq.testing.store import MemoryStore
from naq.worker.execution.run import returned
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
    """What the function returned, as JSON brings it back."""
    error_type: str | None = None
    error: str | None = None


class InlineWorker:
    """Runs what is in the queue of a `MemoryStore`."""

    def __init__(self, store: MemoryStore, clock: Clock, registry: Registry) -> None:
        self._store = store
        self._clock = clock
        self._registry = registry
        self._succeeded_for: dict[str, datetime] = {}
        """Schedule -> the nominal time of its last run here that succeeded."""
        self._running: tuple[str, asyncio.Task[Any]] | None = None
        self._stopped: str | None = None

    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Cancel the job that runs, if it is one of these (`naq.store.port.JobStopper`)."""
        if self._running is not None and self._running[0] in job_ids:
            self._stopped, task = self._running
            task.cancel(reason)

    async def run(self, queue: str) -> list[Ran]:
        """Run the jobs that are in a queue now, the oldest first; a retry that is due later is left for later."""
        done = []
        for entry in self._store.entries(f"job.{queue}.>"):
            if entry.value is not None:
                queued = decode(QueuedJob, entry.key, entry.value)
                done.append(await asyncio.create_task(self._attempt(queued), name=f"job {queued.job_id}"))
                self._running = None
                self._store.purge(entry.key)
        return done

    async def _attempt(self, queued: QueuedJob) -> Ran:
        if (task := asyncio.current_task()) is not None:
            self._running = queued.job_id, task  # not before it has begun: its cancellation would never be caught
        started_at = self._clock.now()
        reason = why_superseded(self._store.peek(schedule_key(queued.schedule_id or "")), queued)
        if queued.start_by is not None and started_at > queued.start_by:
            outcome: Ended = Dropped("missed")
        elif reason is not None:
            outcome = Dropped("cancelled")
        else:
            outcome = await self._outcome(queued)
        facts = Facts(NAME, self._clock.now(), started_at, self._clock.now(), reason)
        ending = decide(queued, outcome, facts)
        self._settle(ending)
        return _ran(ending, outcome)

    async def _outcome(self, queued: QueuedJob) -> Ended:
        try:
            target = self._registry.target(queued.spec.func, queued.job_id)
            args, kwargs = target.arguments(queued.spec, allow_pickle=True)
        except UnknownFunction as error:
            return Unrunnable(DeadReason.UNKNOWN_FUNCTION, "UnknownFunction", str(error))
        except InvalidJob as error:
            return Unrunnable(DeadReason.BAD_ARGUMENTS, "BadArguments", str(error))
        previous = self._succeeded_for.get(queued.schedule_id or "")
        context = JobContext(queued, worker_id=NAME, started_at=self._clock.now(), previous_success_at=previous)
        bind_context(context)
        if target.takes_context:
            args = [context, *args]
        return await self._call(queued, lambda: target.func(*args, **kwargs))

    async def _call(self, queued: QueuedJob, call: Callable[[], Any]) -> Ended:
        limit, began = queued.spec.timeout, self._clock.monotonic()
        try:
            async with asyncio.timeout(None if limit is None else limit.total_seconds()) as timeout:
                value = call()
                return returned(await value if inspect.isawaitable(value) else value)
        except asyncio.CancelledError:
            if self._stopped != queued.job_id:
                raise
            return Stopped("cancelled", self._clock.monotonic() - began)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a user's function: nothing it raises ends the worker
            if timeout.expired():
                return Stopped("timeout", self._clock.monotonic() - began)
            return raised(error)

    def _settle(self, ending: Ending) -> None:
        """Write what follows: another attempt, or the end of a run that its schedule waits for."""
        following, result = ending.next_attempt, ending.result
        if following is not None:
            if following.due_at is not None:
                key = deferred_key(following.job_id, following.attempt)
            else:
                key = job_key(following.spec.queue, following.job_id, following.attempt)
            self._store.commit([Put(key, encode(following), 0)])
        if result is None or result.schedule_id is None:
            return
        if ending.history is not None and (time := ending.history.succeeded_for) is not None:
            self._succeeded_for[result.schedule_id] = time
        key = schedule_key(result.schedule_id)
        entry = self._store.peek(key)
        if entry is None or entry.value is None:
            return
        after = run_ended(decode(Schedule, key, entry.value), result.job_id, result.status, self._clock.now())
        if after is not None:
            self._store.commit([Put(key, encode(after), entry.revision)])


def _ran(ending: Ending, outcome: Ended) -> Ran:
    result, following = ending.result, ending.next_attempt
    if result is not None:
        value = msgspec.json.decode(result.value)
        return Ran(ending.queued, result.status, value, result.error_type, result.error)
    error = following.error if following is not None else None
    waits = following is not None and following.due_at is not None
    kind = getattr(outcome, "error_type", "JobTimeout")
    return Ran(ending.queued, JobStatus.DEFERRED if waits else JobStatus.QUEUED, None, kind, error)
