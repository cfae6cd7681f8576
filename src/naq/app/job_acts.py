"""What a client does with jobs, queues and workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Concatenate, Literal, overload

from naq.app.calls import Async, P, Plain, R
from naq.app.connection import Connection
from naq.app.declared import Declarations
from naq.jobs.context import JobContext
from naq.jobs.job import Job, JobStatus
from naq.jobs.job_id import JobId
from naq.jobs.records import DeadJob, DeadReason, JobInfo, WorkerInfo
from naq.jobs.returns import value_of
from naq.queue.queues import QueueInfo
from naq.queue.service import JobService
from naq.schedules.forms.options import Duration, Moment

__all__ = ["JobActs"]

JobStatusName = Literal["deferred", "queued", "running", "completed", "failed", "cancelled", "missed"]


class JobActs:
    """Enqueue jobs, wait for results, look at jobs and change them. ``False`` and ``None`` mean: there is no such job.

    A function whose first parameter is a `JobContext` is enqueued without it. Each method raises `StoreError` when the
    store cannot be asked, and `InvalidJob` or `InvalidInput` for what cannot be used, before anything is written.
    """

    _connection: Connection
    _declarations: Declarations

    async def _jobs(self) -> JobService:
        return await self._connection.get(JobService)

    @overload
    async def enqueue(
        self, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue(self, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    async def enqueue(
        self, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue(self, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    async def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    async def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobId[Any]:
        """Put one call of ``func`` into its queue now, and return the job's id. On return it is durable."""
        return await self.enqueue_job(self._declarations.call(func, args, kwargs))

    @overload
    async def enqueue_at(
        self, at: Moment, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_at(self, at: Moment, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    async def enqueue_at(
        self, at: Moment, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_at(self, at: Moment, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    async def enqueue_at(self, at: Moment, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    async def enqueue_at(self, at: Moment, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobId[Any]:
        """Put one call of ``func`` into its queue at a time (aware datetime, ISO text, epoch seconds; a naive one is UTC).

        Needs a scheduler.
        """
        return await self.enqueue_job(self._declarations.call(func, args, kwargs), at=at)

    @overload
    async def enqueue_in(
        self, delay: Duration, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_in(
        self, delay: Duration, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    async def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    async def enqueue_in(
        self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any
    ) -> JobId[Any]:
        """Put one call of ``func`` into its queue after a delay (seconds, a timedelta, "5m"). Needs a scheduler."""
        return await self.enqueue_job(self._declarations.call(func, args, kwargs), delay=delay)

    async def enqueue_job(self, job: Job, *, at: Moment | None = None, delay: Duration | None = None) -> JobId[Any]:
        """Enqueue a `Job` with all its options. Raises `JobExists` when a job with its id is queued or waiting."""
        return await (await self._jobs()).enqueue(self._declarations.complete(job), at=at, delay=delay)

    async def enqueue_many(
        self, jobs: Iterable[Job], *, at: Moment | None = None, delay: Duration | None = None
    ) -> list[JobId[Any]]:
        """Enqueue many jobs, or a flow (`naq.chain`, `naq.group`), and return their ids in order.

        Some hundreds are written in one transaction; those that wait for each other always are. All are checked before the
        first is written. `JobExists` says that an id was taken; others may have been queued.
        """
        complete = [self._declarations.complete(job) for job in jobs]
        return [JobId(each) for each in await (await self._jobs()).enqueue_many(complete, at=at, delay=delay)]

    @overload
    async def result(self, job_id: JobId[R], timeout: float | None = None) -> R: ...
    @overload
    async def result(self, job_id: str, timeout: float | None = None) -> Any: ...
    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for a job's end and return what its function returned, as the function's annotation says.

        Of a function that was neither declared nor enqueued here the JSON values are returned. Raises `JobFailed`,
        `JobCancelled`, `ResultUnfit` for a value that is no longer of that type, or `JobTimeout` after ``timeout`` seconds
        (``None``: no limit).
        """
        result = await (await self._jobs()).wait(job_id, timeout=timeout)
        return value_of(result, self._declarations.function_of(result.func))

    async def get_job(self, job_id: str) -> JobInfo | None:
        """What is known of a job."""
        return await (await self._jobs()).get(job_id)

    async def list_jobs(
        self,
        *,
        status: JobStatus | JobStatusName | Sequence[JobStatus | JobStatusName] | None = None,
        queue: str | None = None,
        job_id: str | None = None,
        schedule_id: str | None = None,
        func: str | None = None,
        limit: int = 100,
    ) -> list[JobInfo]:
        """Jobs, those enqueued last first. ``job_id``: only those whose id begins so."""
        return await (await self._jobs()).list_jobs(
            status=status, queue=queue, job_id=job_id, schedule_id=schedule_id, func=func, limit=limit
        )

    async def cancel_job(self, job_id: str, *, reason: str | None = None) -> bool:
        """Remove a waiting job, or ask a running one to stop; ``False`` also when it has ended."""
        return await (await self._jobs()).cancel(job_id, reason=reason)

    async def list_dead(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
        limit: int = 100,
    ) -> list[DeadJob]:
        """Dead letters, newest first: jobs that failed for good."""
        return await (await self._jobs()).list_dead(
            reason=reason, queue=queue, func=func, schedule_id=schedule_id, limit=limit
        )

    async def requeue_job(self, job_id: str) -> bool:
        """Queue a dead job again with all its retries; ``False`` when it is not a dead letter."""
        return await (await self._jobs()).requeue(job_id)

    async def requeue_jobs(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Queue again all dead jobs that match; returns how many."""
        return await (await self._jobs()).requeue_all(reason=reason, queue=queue, func=func, schedule_id=schedule_id)

    async def purge_dead(
        self,
        older_than: Duration | None = None,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Remove dead letters that are older than an age and match; returns how many."""
        return await (await self._jobs()).purge_dead(
            older_than, reason=reason, queue=queue, func=func, schedule_id=schedule_id
        )

    async def list_workers(self) -> list[WorkerInfo]:
        """The workers that are alive."""
        return await (await self._jobs()).list_workers()

    async def queue_info(self, queue: str) -> QueueInfo:
        """How many jobs wait and run in a queue, and its limits."""
        return await (await self._jobs()).queue_info(queue)

    async def set_queue_limits(
        self, queue: str, *, max_concurrent: int | None = None, rate: float | None = None, paused: bool = False
    ) -> None:
        """Set a queue's limits for all workers: jobs at once, starts per second, or paused. ``None``: no limit."""
        await (await self._jobs()).set_queue_limits(queue, max_concurrent=max_concurrent, rate=rate, paused=paused)

    async def purge_queue(self, queue: str, *, reason: str | None = None) -> int:
        """Cancel all waiting jobs of a queue; returns how many."""
        return await (await self._jobs()).purge_queue(queue, reason=reason)
