"""The same acts from synchronous code: each method calls the one of `Client` with its name and waits for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, Literal, NoReturn, Self, Unpack, overload

from naq.app.calls import Async, P, Plain, R, Schedule
from naq.app.client import Client
from naq.app.job_acts import JobStatusName
from naq.app.portal import Portal
from naq.app.schedule_acts import IfExistsName, StatusName, Wanted
from naq.events import Event, EventType
from naq.exceptions import InvalidName
from naq.jobs.context import JobContext
from naq.jobs.job import Job, JobStatus
from naq.jobs.job_id import JobId
from naq.jobs.records import DeadJob, DeadReason, JobInfo, WorkerInfo
from naq.observe.alerts.alert import AlertRecord
from naq.observe.verify.verdict import Verdict
from naq.parsing import nearest
from naq.queue.queues import QueueInfo
from naq.schedules.forms.options import Duration, Moment, ScheduleChanges
from naq.schedules.occurrences import Occurrence
from naq.schedules.policy import IfExists, Overlap
from naq.schedules.preview import Upcoming

__all__ = ["SyncClient"]


class SyncClient:
    """A `Client` for synchronous code: ``app.sync.enqueue(send, "eu")``. Safe to use from several threads.

    Connects at the first call; `close` when done, or use ``with``. After a fork the child connects by itself.
    """

    def __init__(self, make: Callable[[], Client]) -> None:
        """``make()`` returns the client that does the work."""
        self._portal = Portal(make)

    def close(self) -> None:
        """Disconnect. Idempotent; the next call connects again."""
        self._portal.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            acts = [each for each in dir(type(self)) if not each.startswith("_")]
            near = nearest(name, acts)
            hint = f", did you mean {near!r}?" if near else ""
            raise InvalidName.of("sync", name, f"there is no such method{hint}", near or "enqueue")

    def schedule_job(
        self,
        func: Callable[..., Any] | str | Job,
        schedule: Schedule,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  the word users expect
        if_exists: IfExists | IfExistsName = IfExists.RAISE,
        labels: Mapping[str, str] | None = None,
        note: str | None = None,
        actor: str | None = None,
    ) -> str:
        """Store a schedule that calls ``func``, and return its id (a new one when none is given)."""
        return self._portal.call(
            lambda naq: naq.schedule_job(
                func,
                schedule,
                args=args,
                kwargs=kwargs,
                id=id,
                if_exists=if_exists,
                labels=labels,
                note=note,
                actor=actor,
            )
        )

    def schedule_many(self, jobs: Iterable[Wanted], *, actor: str | None = None) -> list[str]:
        """Store many schedules, given as (job, schedule) or (job, schedule, id), and return their ids in order."""
        return self._portal.call(lambda naq: naq.schedule_many(jobs, actor=actor))

    def list_schedules(self, status: StatusName | None = None) -> list[dict[str, Any]]:
        """All schedules (of one status), newest first."""
        return self._portal.call(lambda naq: naq.list_schedules(status))

    def get_schedule(self, schedule_id: str) -> dict[str, Any] | None:
        """One schedule, times in epoch seconds."""
        return self._portal.call(lambda naq: naq.get_schedule(schedule_id))

    def update_schedule(
        self, schedule_id: str, *, actor: str | None = None, **changes: Unpack[ScheduleChanges]
    ) -> bool:
        """Change fields of a schedule in place; history and counters stay."""
        return self._portal.call(lambda naq: naq.update_schedule(schedule_id, actor=actor, **changes))

    def pause_schedule(self, schedule_id: str, *, reason: str | None = None, actor: str | None = None) -> bool:
        """Stop a schedule from firing; ``False`` also when it is not active. Once this returns, no fire of it follows."""
        return self._portal.call(lambda naq: naq.pause_schedule(schedule_id, reason=reason, actor=actor))

    def resume_schedule(self, schedule_id: str, *, catch_up: bool = False, actor: str | None = None) -> bool:
        """Let a paused schedule fire again from now on; ``False`` also when it is not paused."""
        return self._portal.call(lambda naq: naq.resume_schedule(schedule_id, catch_up=catch_up, actor=actor))

    def cancel_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """End a schedule for good; its record stays."""
        return self._portal.call(lambda naq: naq.cancel_schedule(schedule_id, actor=actor))

    def delete_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Remove a schedule and its record."""
        return self._portal.call(lambda naq: naq.delete_schedule(schedule_id, actor=actor))

    def skip_schedule(self, schedule_id: str, count: int = 1, *, actor: str | None = None) -> bool:
        """Do not fire the next ``count`` nominal times; 0 takes an earlier skip back."""
        return self._portal.call(lambda naq: naq.skip_schedule(schedule_id, count, actor=actor))

    def trigger_schedule(
        self,
        schedule_id: str,
        *,
        overlap: Overlap | Literal["allow_all", "skip", "terminate_other"] = Overlap.ALLOW_ALL,
        actor: str | None = None,
    ) -> str | None:
        """Enqueue one job of a schedule now, in addition to its plan; the job's id."""
        return self._portal.call(lambda naq: naq.trigger_schedule(schedule_id, overlap=overlap, actor=actor))

    def backfill_schedule(
        self,
        schedule_id: str,
        first: Moment,
        last: Moment,
        *,
        overlap: Overlap | Literal["allow_all", "buffer_all"] = Overlap.ALLOW_ALL,
        backfill_id: str | None = None,
        actor: str | None = None,
    ) -> str | None:
        """Enqueue the nominal times of a past range, both ends included; the backfill's id."""
        return self._portal.call(
            lambda naq: naq.backfill_schedule(
                schedule_id, first, last, overlap=overlap, backfill_id=backfill_id, actor=actor
            )
        )

    def stop_backfill(self, schedule_id: str, backfill_id: str, *, actor: str | None = None) -> bool:
        """Stop a backfill: what is not enqueued yet is dropped; ``False`` also when it is finished."""
        return self._portal.call(lambda naq: naq.stop_backfill(schedule_id, backfill_id, actor=actor))

    def preview_schedule(self, schedule_id: str, count: int = 10) -> tuple[Upcoming, ...] | None:
        """The next nominal times, with the reason for those that will not fire."""
        return self._portal.call(lambda naq: naq.preview_schedule(schedule_id, count))

    def rename_set(self, old: str, new: str, *, actor: str | None = None) -> int:
        """Make the schedules of one declared set those of another; how many there were."""
        return self._portal.call(lambda naq: naq.rename_set(old, new, actor=actor))

    def schedule_history(self, schedule_id: str, count: int = 10) -> tuple[Occurrence, ...]:
        """What came of the last nominal times, newest first; also of a removed schedule, while its history is kept."""
        return self._portal.call(lambda naq: naq.schedule_history(schedule_id, count))

    @overload
    def enqueue(self, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue(self, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue(self, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue(self, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue(self, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    def enqueue(self, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobId[Any]:
        """Put one call of ``func`` into its queue now, and return the job's id. On return it is durable."""
        return self._portal.call(lambda naq: naq.enqueue(func, *args, **kwargs))

    @overload
    def enqueue_at(
        self, at: Moment, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    def enqueue_at(self, at: Moment, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue_at(
        self, at: Moment, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    def enqueue_at(self, at: Moment, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue_at(self, at: Moment, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    def enqueue_at(self, at: Moment, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobId[Any]:
        """Put one call of ``func`` into its queue at a time (aware datetime, ISO text, epoch seconds; a naive one is UTC)."""
        return self._portal.call(lambda naq: naq.enqueue_at(at, func, *args, **kwargs))

    @overload
    def enqueue_in(
        self, delay: Duration, func: Async[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    def enqueue_in(self, delay: Duration, func: Async[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue_in(
        self, delay: Duration, func: Plain[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobId[R]: ...
    @overload
    def enqueue_in(self, delay: Duration, func: Plain[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobId[R]: ...
    @overload
    def enqueue_in(self, delay: Duration, func: str, /, *args: Any, **kwargs: Any) -> JobId[Any]: ...
    def enqueue_in(self, delay: Duration, func: Callable[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobId[Any]:
        """Put one call of ``func`` into its queue after a delay (seconds, a timedelta, "5m"). Needs a scheduler."""
        return self._portal.call(lambda naq: naq.enqueue_in(delay, func, *args, **kwargs))

    def enqueue_job(self, job: Job, *, at: Moment | None = None, delay: Duration | None = None) -> JobId[Any]:
        """Enqueue a `Job` with all its options. Raises `JobExists` when a job with its id is queued or waiting."""
        return self._portal.call(lambda naq: naq.enqueue_job(job, at=at, delay=delay))

    def enqueue_many(
        self, jobs: Iterable[Job], *, at: Moment | None = None, delay: Duration | None = None
    ) -> list[JobId[Any]]:
        """Enqueue many jobs, or a flow (`naq.chain`, `naq.group`), and return their ids in order."""
        return self._portal.call(lambda naq: naq.enqueue_many(jobs, at=at, delay=delay))

    @overload
    def result(self, job_id: JobId[R], timeout: float | None = None) -> R: ...
    @overload
    def result(self, job_id: str, timeout: float | None = None) -> Any: ...
    def result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for a job's end and return what its function returned, as the function's annotation says."""
        return self._portal.call(lambda naq: naq.result(job_id, timeout))

    def get_job(self, job_id: str) -> JobInfo | None:
        """What is known of a job."""
        return self._portal.call(lambda naq: naq.get_job(job_id))

    def list_jobs(
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
        return self._portal.call(
            lambda naq: naq.list_jobs(
                status=status, queue=queue, job_id=job_id, schedule_id=schedule_id, func=func, limit=limit
            )
        )

    def cancel_job(self, job_id: str, *, reason: str | None = None) -> bool:
        """Remove a waiting job, or ask a running one to stop; ``False`` also when it has ended."""
        return self._portal.call(lambda naq: naq.cancel_job(job_id, reason=reason))

    def list_dead(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
        limit: int = 100,
    ) -> list[DeadJob]:
        """Dead letters, newest first: jobs that failed for good."""
        return self._portal.call(
            lambda naq: naq.list_dead(reason=reason, queue=queue, func=func, schedule_id=schedule_id, limit=limit)
        )

    def requeue_job(self, job_id: str) -> bool:
        """Queue a dead job again with all its retries; ``False`` when it is not a dead letter."""
        return self._portal.call(lambda naq: naq.requeue_job(job_id))

    def requeue_jobs(
        self,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Queue again all dead jobs that match; returns how many."""
        return self._portal.call(
            lambda naq: naq.requeue_jobs(reason=reason, queue=queue, func=func, schedule_id=schedule_id)
        )

    def purge_dead(
        self,
        older_than: Duration | None = None,
        *,
        reason: DeadReason | str | None = None,
        queue: str | None = None,
        func: str | None = None,
        schedule_id: str | None = None,
    ) -> int:
        """Remove dead letters that are older than an age and match; returns how many."""
        return self._portal.call(
            lambda naq: naq.purge_dead(older_than, reason=reason, queue=queue, func=func, schedule_id=schedule_id)
        )

    def list_workers(self) -> list[WorkerInfo]:
        """The workers that are alive."""
        return self._portal.call(lambda naq: naq.list_workers())

    def queue_info(self, queue: str) -> QueueInfo:
        """How many jobs wait and run in a queue, and its limits."""
        return self._portal.call(lambda naq: naq.queue_info(queue))

    def set_queue_limits(
        self, queue: str, *, max_concurrent: int | None = None, rate: float | None = None, paused: bool = False
    ) -> None:
        """Set a queue's limits for all workers: jobs at once, starts per second, or paused. ``None``: no limit."""
        return self._portal.call(
            lambda naq: naq.set_queue_limits(queue, max_concurrent=max_concurrent, rate=rate, paused=paused)
        )

    def purge_queue(self, queue: str, *, reason: str | None = None) -> int:
        """Cancel all waiting jobs of a queue; returns how many."""
        return self._portal.call(lambda naq: naq.purge_queue(queue, reason=reason))

    def list_events(
        self,
        *,
        types: Collection[EventType | str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | timedelta | str | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Stored events that match, oldest first; of more than ``limit`` the newest. ``since``: a time, or an age."""
        return self._portal.call(
            lambda naq: naq.list_events(types=types, schedule_id=schedule_id, job_id=job_id, since=since, limit=limit)
        )

    def stream_events(
        self,
        *,
        types: Collection[EventType | str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | timedelta | str | None = None,
    ) -> Iterator[Event]:
        """Events as they are stored, without end; first those ``since`` a time or for an age."""
        events = self._portal.call(
            lambda naq: _begun(naq.stream_events(types=types, schedule_id=schedule_id, job_id=job_id, since=since))
        )
        while (event := self._portal.call(lambda naq: _next(events))) is not None:
            yield event

    def list_alerts(self, *, everything: bool = False) -> list[AlertRecord]:
        """Alerts that fire now, of all applications, newest first; ``everything``: also those of the last week."""
        return self._portal.call(lambda naq: naq.list_alerts(everything=everything))

    def verify(
        self,
        *schedule_ids: str,
        since: datetime | timedelta | str = "24h",
        patience: Duration = "10s",
    ) -> Verdict:
        """Whether all that should have fired since then did, and what came of the rest. See `VerifyService.verify`."""
        return self._portal.call(lambda naq: naq.verify(*schedule_ids, since=since, patience=patience))


async def _begun(events: AsyncIterator[Event]) -> AsyncIterator[Event]:
    """The iterator itself: it is made in the loop that runs it."""
    return events


async def _next(events: AsyncIterator[Event]) -> Event | None:
    return await anext(events, None)
