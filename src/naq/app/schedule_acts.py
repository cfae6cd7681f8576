"""What a client does with schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Unpack

from naq.app.calls import Schedule
from naq.app.connection import Connection
from naq.app.declared import Declarations
from naq.jobs.job import Job
from naq.observe.diagnosis.service import AccountService
from naq.schedules.forms.options import Moment, ScheduleChanges
from naq.schedules.occurrences import Occurrence
from naq.schedules.policy import IfExists, Overlap
from naq.schedules.preview import Upcoming
from naq.schedules.service import ScheduleService

__all__ = ["ScheduleActs"]

IfExistsName = Literal["raise", "keep", "replace"]
StatusName = Literal["active", "paused", "completed", "cancelled"]


Wanted = tuple[Job, Schedule] | tuple[Job, Schedule, str]
"""A schedule to create, with its id or without."""


class ScheduleActs:
    """Create, look at and change schedules. ``False`` and ``None`` mean: there is no such schedule.

    ``actor`` is who asks, as the event of the change tells it. Each method raises `SchedulerError` or `StoreError` when
    the store cannot be asked, and `InvalidSchedule` for what cannot be used.
    """

    _connection: Connection
    _declarations: Declarations

    async def _schedules(self) -> ScheduleService:
        return await self._connection.get(ScheduleService)

    async def schedule_job(
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
        """Store a schedule that calls ``func``, and return its id (a new one when none is given).

        When the id is taken, ``if_exists`` decides: ``raise`` `ScheduleExists`, ``keep`` what is there, or ``replace`` it
        (history and counters stay). Raises `InvalidJob` or `InvalidSchedule` before anything is written.
        """
        job = func if isinstance(func, Job) else Job(func=func, args=args, kwargs=kwargs or {})
        service = await self._schedules()
        return await service.schedule_job(
            self._declarations.complete(job),
            schedule,
            schedule_id=id,
            if_exists=if_exists,
            labels=labels,
            note=note,
            actor=actor,
        )

    async def schedule_many(self, jobs: Iterable[Wanted], *, actor: str | None = None) -> list[str]:
        """Store many schedules, given as (job, schedule) or (job, schedule, id), and return their ids in order.

        All are checked before the first is written. `ScheduleExists` says that an id was taken; others may have been
        created.
        """
        complete = [_with_job(each, self._declarations.complete(each[0])) for each in jobs]
        return await (await self._schedules()).schedule_many(complete, actor=actor)

    async def list_schedules(self, status: StatusName | None = None) -> list[dict[str, Any]]:
        """All schedules (of one status), newest first."""
        return await (await self._schedules()).list_schedules(status)

    async def get_schedule(self, schedule_id: str) -> dict[str, Any] | None:
        """One schedule, times in epoch seconds."""
        return await (await self._schedules()).get_schedule(schedule_id)

    async def update_schedule(
        self, schedule_id: str, *, actor: str | None = None, **changes: Unpack[ScheduleChanges]
    ) -> bool:
        """Change fields of a schedule in place; history and counters stay."""
        return await (await self._schedules()).update_schedule(schedule_id, actor=actor, **changes)

    async def pause_schedule(self, schedule_id: str, *, reason: str | None = None, actor: str | None = None) -> bool:
        """Stop a schedule from firing; ``False`` also when it is not active. Once this returns, no fire of it follows."""
        return await (await self._schedules()).pause_scheduled_job(schedule_id, reason=reason, actor=actor)

    async def resume_schedule(self, schedule_id: str, *, catch_up: bool = False, actor: str | None = None) -> bool:
        """Let a paused schedule fire again from now on; ``False`` also when it is not paused.

        ``catch_up``: also fire what was due while it was paused, as its policy says.
        """
        return await (await self._schedules()).resume_scheduled_job(schedule_id, catch_up=catch_up, actor=actor)

    async def cancel_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """End a schedule for good; its record stays."""
        return await (await self._schedules()).cancel_scheduled_job(schedule_id, actor=actor)

    async def delete_schedule(self, schedule_id: str, *, actor: str | None = None) -> bool:
        """Remove a schedule and its record."""
        return await (await self._schedules()).delete_schedule(schedule_id, actor=actor)

    async def skip_schedule(self, schedule_id: str, count: int = 1, *, actor: str | None = None) -> bool:
        """Do not fire the next ``count`` nominal times; 0 takes an earlier skip back."""
        return await (await self._schedules()).skip_next(schedule_id, count, actor=actor)

    async def trigger_schedule(
        self,
        schedule_id: str,
        *,
        overlap: Overlap | Literal["allow_all", "skip", "terminate_other"] = Overlap.ALLOW_ALL,
        actor: str | None = None,
    ) -> str | None:
        """Enqueue one job of a schedule now, in addition to its plan; the job's id.

        ``None`` also when it is cancelled, or ``overlap`` is ``skip`` and a run is open.
        """
        return await (await self._schedules()).trigger_schedule(schedule_id, overlap=overlap, actor=actor)

    async def backfill_schedule(
        self,
        schedule_id: str,
        first: Moment,
        last: Moment,
        *,
        overlap: Overlap | Literal["allow_all", "buffer_all"] = Overlap.ALLOW_ALL,
        backfill_id: str | None = None,
        actor: str | None = None,
    ) -> str | None:
        """Enqueue the nominal times of a past range, both ends included; the backfill's id.

        ``overlap``: ``buffer_all`` runs one after the other. Needs a scheduler.
        """
        return await (await self._schedules()).backfill_schedule(
            schedule_id, first, last, overlap=overlap, backfill_id=backfill_id, actor=actor
        )

    async def stop_backfill(self, schedule_id: str, backfill_id: str, *, actor: str | None = None) -> bool:
        """Stop a backfill: what is not enqueued yet is dropped; ``False`` also when it is finished."""
        return await (await self._schedules()).stop_backfill(schedule_id, backfill_id, actor=actor)

    async def preview_schedule(self, schedule_id: str, count: int = 10) -> tuple[Upcoming, ...] | None:
        """The next nominal times, with the reason for those that will not fire."""
        return await (await self._schedules()).next_times(schedule_id, count)

    async def rename_set(self, old: str, new: str, *, actor: str | None = None) -> int:
        """Make the schedules of one declared set those of another, e.g. when a module was renamed; how many there were.

        Rename it before the release with the new name starts. Processes that still declare the old set change nothing.
        """
        return await (await self._schedules()).rename_set(old, new, actor=actor)

    async def schedule_history(self, schedule_id: str, count: int = 10) -> tuple[Occurrence, ...]:
        """What came of the last nominal times, newest first; also of a removed schedule, while its history is kept."""
        return await (await self._connection.get(AccountService)).past(schedule_id, count)


def _with_job(wanted: Wanted, job: Job) -> Wanted:
    return (job, wanted[1]) if len(wanted) == 2 else (job, wanted[1], wanted[2])
