"""A client: what an application asks of naq from any process, without running a scheduler or a worker itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from naq.config import Settings
from naq.jobs.functions import Registry
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.observe.alerts.alert import AlertRecord
from naq.observe.alerts.memory import stored_alerts
from naq.observe.verify.service import VerifyService
from naq.observe.verify.verdict import Verdict
from naq.queue.service import JobService
from naq.schedules.forms.specification import Form
from naq.schedules.policy import IfExists
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService

__all__ = ["Client", "JobOptions"]

JobOptions = Mapping[str, Any]
"""Keyword arguments of `Job` besides its function, id and arguments."""


class Client:
    """Enqueue jobs and handle schedules. Connects at the first call; `close` when done, or use ``async with``."""

    def __init__(self, settings: Settings, options: Mapping[str, JobOptions] | None = None) -> None:
        """``options`` are the options that functions were declared with, by reference (`Naq.job`)."""
        self._manager = ServiceManager(settings)
        self._options: Mapping[str, JobOptions] = {} if options is None else options
        self._registry = Registry()

    def _use(self, settings: Settings) -> None:
        self._manager = ServiceManager(settings)

    async def __aenter__(self) -> Self:
        await self._schedules()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect. Idempotent; the next call connects anew."""
        await self._manager.cleanup()

    # --- jobs

    async def enqueue(self, func: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> str:
        """Put one call of ``func`` into its queue now, and return the job's id."""
        return await self.enqueue_job(self._job(func, args, kwargs))

    async def enqueue_at(
        self, at: datetime | str | float, func: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> str:
        """Put one call of ``func`` into its queue at an instant (aware; a naive one is UTC). Needs a scheduler."""
        return await self.enqueue_job(self._job(func, args, kwargs), at=at)

    async def enqueue_in(
        self, delay: timedelta | float | str, func: Callable[..., Any] | str, *args: Any, **kwargs: Any
    ) -> str:
        """Put one call of ``func`` into its queue after a delay (seconds, or "5m"). Needs a scheduler."""
        return await self.enqueue_job(self._job(func, args, kwargs), delay=delay)

    async def enqueue_job(
        self,
        job: Job,
        *,
        at: datetime | str | float | None = None,
        delay: timedelta | float | str | None = None,
    ) -> str:
        """Enqueue a `Job` with all its options. Raises `InvalidJob`, `JobExists`, `StoreError`."""
        jobs = await self._manager.get_service(JobService)
        return await jobs.enqueue(job, at=at, delay=delay)

    async def result(self, job_id: str, timeout: float | None = None) -> Any:
        """Wait for a job's end and return what its function returned.

        Raises `JobFailed`, `JobCancelled`, or `JobTimeout` after ``timeout`` seconds (``None``: wait for ever).
        """
        return await (await self._manager.get_service(JobService)).result(job_id, timeout=timeout)

    async def jobs(self) -> JobService:
        """The job service, for everything else: list, cancel, dead letters, workers."""
        return await self._manager.get_service(JobService)

    # --- schedules

    async def schedule_job(
        self,
        func: Callable[..., Any] | str | Job,
        schedule: Form,
        *,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        id: str | None = None,  # noqa: A002  the word users expect
        if_exists: IfExists | str = IfExists.RAISE,
        **more: Any,
    ) -> str:
        """Store a schedule that calls ``func``, and return its id. See `ScheduleService.schedule_job`."""
        job = func if isinstance(func, Job) else self._job(func, args, kwargs or {})
        schedules = await self._schedules()
        return await schedules.schedule_job(job, schedule, schedule_id=id, if_exists=if_exists, **more)

    async def schedules(self, status: str | None = None) -> list[dict[str, Any]]:
        """All schedules (of one status), newest first."""
        return await (await self._schedules()).list_schedules(status)

    async def get_schedule(self, schedule_id: str) -> dict[str, Any] | None:
        """One schedule; ``None`` when there is none."""
        return await (await self._schedules()).get_schedule(schedule_id)

    async def update_schedule(self, schedule_id: str, **changes: Any) -> bool:
        """Change fields of a schedule in place; ``False`` when there is none."""
        return await (await self._schedules()).update_schedule(schedule_id, **changes)

    async def pause(self, schedule_id: str, *, reason: str | None = None, actor: str | None = None) -> bool:
        """No fire follows until `resume`; ``False`` when there is no such schedule, or it is not active."""
        return await (await self._schedules()).pause_scheduled_job(schedule_id, reason=reason, actor=actor)

    async def resume(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Fire again, from now on; ``False`` when there is no such schedule, or it is not paused."""
        return await (await self._schedules()).resume_scheduled_job(schedule_id, actor=actor)

    async def cancel(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """End a schedule for good; ``False`` when there is none."""
        return await (await self._schedules()).cancel_scheduled_job(schedule_id, actor=actor)

    async def trigger(self, schedule_id: str, *, actor: str | None = None) -> str | None:
        """Enqueue one job of a schedule now; the job's id, ``None`` when there is no such schedule."""
        return await (await self._schedules()).trigger_schedule(schedule_id, actor=actor)

    async def delete(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Remove a schedule; ``False`` when there is none."""
        return await (await self._schedules()).delete_schedule(schedule_id, actor=actor)

    async def verify(
        self,
        *schedule_ids: str,
        since: datetime | timedelta | str = "24h",
        patience: timedelta | float | str = "10s",
    ) -> Verdict:
        """Whether all that should have fired since then did, and what became of the rest. See `VerifyService.verify`."""
        verifier = await self._manager.get_service(VerifyService)
        return await verifier.verify(*schedule_ids, since=since, patience=patience)

    # --- alerts

    async def alerts(self, *, everything: bool = False) -> list[AlertRecord]:
        """The alerts that are firing, of all applications, the newest first; ``everything``: also those of the last week."""
        store = await self._manager.get_service(KVStoreService)
        return [record for record in await stored_alerts(store) if everything or record.firing]

    async def _schedules(self) -> ScheduleService:
        return await self._manager.get_service(ScheduleService)

    def _job(self, func: Callable[..., Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Job:
        reference = func if isinstance(func, str) else self._reference(func)
        return Job(func=func, args=args, kwargs=kwargs, **self._options.get(reference, {}))

    def _reference(self, func: Callable[..., Any]) -> str:
        return self._registry.add(func)
