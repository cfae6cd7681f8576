"""The job service: enqueue jobs, look at them, wait for results, cancel, requeue dead letters.

``None`` and ``False`` mean "there is none"; a store that cannot be asked is a `StoreError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import (
    InvalidInput,
    InvalidJob,
    JobUnknown,
    StoreError,
)
from naq.jobs.control import Control, Question
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.jobs.job_id import JobId
from naq.jobs.published import PublishedFunctions
from naq.jobs.records import DeadJob, DeadReason, JobInfo, QueueLimits, StoredResult, WorkerInfo
from naq.jobs.returns import value_of
from naq.lifecycle import BaseService, ServiceManager
from naq.parsing import EARLIEST, LATEST, instant_of
from naq.queue.dead_letters import DeadLetters, DeadQuery
from naq.queue.enqueue import Enqueuer
from naq.queue.find import Finder, Query
from naq.queue.queues import QueueInfo, Queues
from naq.queue.results import ResultService
from naq.queue.settle import Settling
from naq.queue.specs import Specs, job_of
from naq.queue.together import Together
from naq.store.keys import Namespace, check_job_id, check_queue, check_schedule_id, new_id
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from naq.store.port import Entry
from naq.timing.duration import LONGEST, parse_duration

__all__ = ["JobService"]

LOOK_AFTER = 2.0
"""Seconds after which it is looked whether a job that is waited for exists."""
LOOKS = 3
"""So many looks must find nothing: on a cluster one may be answered by a replica that lags."""

MOVES = 5
"""Times that a job may be moved while it is cancelled: from deferred to queued, once for each attempt."""

When = datetime | str | float
"""An aware datetime, ISO text or epoch seconds; a naive one is UTC."""


class JobService(BaseService):
    """Jobs of one namespace, from any process."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        kv_service: KVStoreService,
        event_service: EventService,
        *,
        result_service: ResultService | None = None,
        history_service: HistoryService | None = None,
    ) -> None:
        super().__init__(config)
        self.clock: Clock = event_service.clock
        self.results = result_service or ResultService(self.settings, connection_service, clock=self.clock)
        self.history = history_service or HistoryService(
            self.settings, connection_service, connection_service.stream_service, clock=self.clock
        )
        self._own = (*(() if result_service else (self.results,)), *(() if history_service else (self.history,)))
        self._kv = kv_service
        self._events = event_service
        settings = self.settings
        self._control = Control(connection_service, Namespace(settings.namespace), kv_service)
        self._settling = Settling(settings, kv_service, self.results, self.history, event_service, self.clock)
        self._enqueuer = Enqueuer(settings, kv_service, self.results, self._settling, event_service, self.clock)
        self._specs = Specs(settings, PublishedFunctions(kv_service, self.clock))
        self._finder = Finder(kv_service, self.results)
        self._known = Together(self._finder.known)
        self.dead_letters = DeadLetters(settings, kv_service, self.results, self._settling, event_service, self.clock)
        self.queues = Queues(settings, connection_service, kv_service, self.results, self._settling, self._control)

    async def _do_initialize(self) -> None:
        for service in (self._kv, self._events, self.results, self.history):
            await service.initialize()

    async def _do_cleanup(self) -> None:
        await self._known.stop()
        for service in self._own:
            await service.cleanup()

    # --- enqueueing

    async def enqueue(
        self,
        job: Job | Callable[..., Any] | str,
        /,
        *args: Any,
        at: When | None = None,
        delay: timedelta | float | str | None = None,
        pickled: bool = False,
        **kwargs: Any,
    ) -> JobId[Any]:
        """Queue a job and return its id. On return the job is durable.

        ``job`` is a `Job`, or a function (or its name) that is called with the other arguments; a function with parameters
        called ``at``, ``delay`` or ``pickled`` needs a `Job` with ``kwargs``. With ``at`` or ``delay``
        (seconds, "5m", timedelta) the job waits until then, and a scheduler puts it into the queue. ``pickled``: the
        arguments need not be JSON; both sides must have ``allow_pickle``. A function that is given by name has the options
        that the last process that ran its application declared.

        Raises `InvalidJob` or `InvalidInput` with every problem before anything is written, and `JobExists` when a job
        with the chosen id is queued or waiting. The id of a job that has ended may be used again; its old result is
        dropped. When an equal job with ``unique_for`` is there, nothing is written, and the id is that job's.
        """
        wanted = job_of(job, args, kwargs)
        due_at = self._due_at(at, delay)
        spec = await self._specs.make(wanted, pickled)
        fresh = wanted.job_id is None
        job_id = new_id() if wanted.job_id is None else check_job_id(wanted.job_id)
        return JobId((await self._enqueuer.enqueue([(job_id, spec, fresh)], due_at))[0])

    async def enqueue_many(
        self,
        jobs: Iterable[Job],
        *,
        at: When | None = None,
        delay: timedelta | float | str | None = None,
        pickled: bool = False,
    ) -> list[str]:
        """Queue many jobs, a few hundred in one transaction, and return their ids in order.

        All are checked before the first is written. Raises `JobExists` when an id is taken; other jobs of the list may
        have been queued then. Jobs that wait for others of the list, such as those of `naq.chain` and `naq.group`, are
        written with them in one transaction: all or none. Raises `InvalidJob` when it would be too large (some hundreds).
        """
        due_at = self._due_at(at, delay)
        given = list(jobs)
        made = [
            (new_id() if job.job_id is None else check_job_id(job.job_id), spec, job.job_id is None)
            for job, spec in zip(given, [await self._specs.make(job, pickled) for job in given], strict=True)
        ]
        ids = [job_id for job_id, _, _ in made]
        if len(set(ids)) < len(ids):
            twice = next(job_id for job_id in ids if ids.count(job_id) > 1)
            raise InvalidJob.of("job_id", twice, "is given to two jobs at once", "report-2026")
        return await self._enqueuer.enqueue(made, due_at)

    def _due_at(self, at: When | None, delay: timedelta | float | str | None) -> datetime | None:
        if at is not None and delay is not None:
            raise InvalidInput.of("delay", delay, "cannot be combined with at: give one of them", "5m")
        if delay is not None:
            return self.clock.now() + parse_duration(delay, "delay", positive=False, longest=LONGEST)
        if at is None:
            return None
        instant = instant_of(at, None)
        if instant is None or not EARLIEST <= instant <= LATEST:
            raise InvalidInput.of(
                "at",
                at,
                "must be a time from 1970 to 2200 (an aware datetime, ISO text or epoch seconds)",
                "2030-01-01T09:00Z",
            )
        return instant

    # --- looking

    async def get(self, job_id: str) -> JobInfo | None:
        """What is known of a job; ``None`` when nothing is known, or no longer."""
        return await self._finder.get(check_job_id(job_id))

    async def list_jobs(
        self,
        *,
        status: JobStatus | str | Sequence[JobStatus | str] | None = None,
        queue: str | None = None,
        job_id: str | None = None,
        schedule_id: str | None = None,
        func: str | None = None,
        limit: int = 100,
    ) -> list[JobInfo]:
        """Jobs, those enqueued last first. ``job_id`` selects those whose id begins with it."""
        query = Query(
            statuses=None if status is None else _statuses(status),
            queue=None if queue is None else check_queue(queue),
            job_id=job_id,
            schedule_id=schedule_id,
            func=func,
        )
        return await self._finder.find(query, limit)

    async def open_jobs_of(self, schedule_id: str, limit: int = 20) -> list[JobInfo]:
        """Jobs of a schedule that have not ended, those enqueued last first."""
        return await self._finder.open_of(check_schedule_id(schedule_id), limit)

    async def is_held(self, job_id: str) -> bool:
        """Whether a worker says now that it is busy with this job; taken for granted if this user may not ask it."""
        return await self._control.is_held(job_id)

    async def known_ids(self) -> list[str]:
        """The ids of all jobs that have not ended, are dead letters, or have a result."""
        return await self._finder.known_ids()

    async def result(self, job_id: str, *, timeout: float | None = None) -> Any:
        """What the job's function returned, as soon as it has returned; without polling.

        It is of the annotated type if this service enqueued the function, else it is JSON values. Raises `JobFailed`,
        `JobCancelled`, `ResultUnfit`, or as `wait`.
        """
        result = await self.wait(job_id, timeout=timeout)
        return value_of(result, self._specs.functions.get(result.func))

    async def wait(self, job_id: str, *, timeout: float | None = None) -> StoredResult:
        """As `result`, but returns how the job ended, even if it failed.

        Raises `JobTimeout` when it has not ended after ``timeout`` seconds (``None``: no limit), and `JobUnknown` when
        after some seconds nothing is known of it: it may be enqueued just now, but not much later.
        """
        ended = asyncio.ensure_future(self.results.wait(job_id, timeout))
        try:
            for _ in range(LOOKS):
                await asyncio.wait([ended], timeout=LOOK_AFTER)
                if ended.done() or await self._is_known(job_id):
                    return await ended
            raise JobUnknown(job_id)
        finally:
            ended.cancel()

    async def _is_known(self, job_id: str) -> bool:
        """Whether there is such a job, as far as the store can be asked."""
        try:
            return bool(await self._known.ask(job_id))
        except StoreError:
            return True

    async def list_workers(self) -> list[WorkerInfo]:
        """The workers that are alive."""
        return await self.queues.workers()

    # --- changing

    async def cancel(self, job_id: str, *, reason: str | None = None) -> bool:
        """Cancel a job: one that waits is removed, one that runs is asked to stop.

        ``False`` when there is no such job, or it has ended. A running job ends as cancelled when it stops (an async job
        at its next await); one that does not stop is abandoned after a grace period.
        """
        check_job_id(job_id)
        if await self._ask_to_stop(job_id, reason):
            return True
        removed = False
        for _ in range(MOVES):
            found = await self._finder.entries(job_id)
            done = [await self._cancel_waiting(entry, queued, reason or "cancelled") for entry, queued in found]
            removed = removed or any(done)
            if None not in done:
                break  # else it went from deferred to queued meanwhile
        # A worker may have got it just before it was removed.
        return await self._ask_to_stop(job_id, reason) or removed

    async def _cancel_waiting(self, entry: Entry, queued: QueuedJob, reason: str) -> bool | None:
        """End one attempt as cancelled, then remove it. ``False``: it ended before; ``None``: it was changed meanwhile."""
        cancelled = await self._settling.cancel([queued], reason)
        if not cancelled.now and not cancelled.before:
            return False
        if queued.spec.depends_on:
            await self._settling.dependencies.forget(queued)
        return bool(cancelled.now) if await self._settling.remove(entry) else None

    async def _ask_to_stop(self, job_id: str, reason: str | None) -> bool:
        question = Question(cancel=job_id, reason=reason)
        replies = await self._control.ask(question, until=lambda reply: reply.has)
        return any(reply.has for reply in replies)

    async def requeue(self, job_id: str) -> bool:
        """Queue a dead job again, with all its retries; ``False`` when there is no such dead letter."""
        found = await self.dead_letters.entry(job_id)
        return found is not None and await self.dead_letters.requeue(*found)

    async def requeue_all(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Queue all dead jobs again that match; returns how many."""
        requeued: set[str] = set()
        query = DeadQuery(reason=reason, queue=queue, func=func, schedule_id=schedule_id)
        async for page in self.dead_letters.find(query):
            for entry, dead in page:
                if await self.dead_letters.requeue(entry, dead, requeued):
                    requeued.add(dead.job_id)
        return len(requeued)

    async def list_dead(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
        limit: int = 100,
    ) -> list[DeadJob]:
        """Dead letters, the newest first; filters as in `requeue_all`."""
        found: list[DeadJob] = []
        query = DeadQuery(reason=reason, queue=queue, func=func, schedule_id=schedule_id)
        async for page in self.dead_letters.find(query):
            found = (found + [dead for _, dead in page])[-limit:]
        return found[::-1]

    async def purge_dead(
        self,
        older_than: timedelta | float | str | None = None,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Delete the dead letters that match and are older than ``older_than`` (seconds, "7d"); returns how many."""
        before = None
        if older_than is not None:
            before = self.clock.now() - parse_duration(older_than, "older_than", positive=False)
        query = DeadQuery(reason=reason, queue=queue, func=func, schedule_id=schedule_id, before=before)
        return await self.dead_letters.purge(query)

    async def purge_queue(self, queue: str, *, reason: str | None = None) -> int:
        """Cancel all jobs of a queue that no worker has; returns how many."""
        return await self.queues.purge(queue, reason or f"queue {queue} was purged")

    async def set_queue_limits(
        self, queue: str, *, max_concurrent: int | None = None, rate: float | None = None, paused: bool = False
    ) -> None:
        """Limit or pause a queue, for all workers: ``max_concurrent`` jobs in hand at once, ``rate`` starts per second."""
        await self.queues.set_limits(queue, QueueLimits(max_concurrent=max_concurrent, rate=rate, paused=paused))

    async def queue_info(self, queue: str) -> QueueInfo:
        """The state of a queue."""
        return await self.queues.info(queue)


def _statuses(status: JobStatus | str | Sequence[JobStatus | str]) -> list[JobStatus]:
    wanted = [status] if isinstance(status, str) else list(status)
    try:
        return [JobStatus(each) for each in wanted]
    except ValueError:
        raise InvalidInput.of("status", status, f"must be one of {', '.join(JobStatus)}", "queued") from None


ServiceManager.register_service("jobs", JobService)
