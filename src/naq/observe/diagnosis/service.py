"""Everything that is known about a schedule or a job: did it run, when will it run, and if not, why not.

The sentences are made in `naq.observe.diagnosis.jobs` and `.schedules`; this module reads their inputs from the store.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobStatus
from naq.jobs.records import JobInfo, WorkerInfo
from naq.lifecycle import BaseService, ServiceManager
from naq.observe.diagnosis.jobs import Account, Around, account_of_job
from naq.observe.diagnosis.listing import ListService
from naq.observe.diagnosis.schedules import MOST_OPEN, OpenJob, accounts_of_quarantined, accounts_of_schedule
from naq.parsing import nearest
from naq.queue.limits import slots_taken
from naq.queue.service import JobService
from naq.schedules.occurrences import Occurrence, occurrences
from naq.schedules.preview import Upcoming, preview
from naq.schedules.record import Schedule
from naq.schedules.service import ScheduleService
from naq.store.keys import ALL_SCHEDULES, check_schedule_id, is_queue, name_in, schedule_id_of, schedule_key
from naq.store.nats.bucket import KVStoreService

__all__ = ["AccountService", "JobReport", "ScheduleReport"]

MANY = 2_000
TRIES = 5
"""How many similar names are looked up for a suggestion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleReport:
    """A schedule with its findings."""

    entry: dict[str, Any]
    """As `list_schedules` returns it."""
    schedule: Schedule | None
    """``None`` when its record cannot be read."""
    coming: tuple[Upcoming, ...] = ()
    past: tuple[Occurrence, ...] = ()
    """Its last times, newest first."""
    open_jobs: tuple[OpenJob, ...] = ()
    """Its open jobs, newest first, up to `MOST_OPEN`."""
    accounts: tuple[Account, ...] = ()
    """Why not, and what to do; the most urgent first."""


@dataclass(frozen=True, slots=True)
class JobReport:
    """A job with its finding."""

    info: JobInfo | None
    """``None`` when only its schedule's history is left."""
    account: Account
    attempts: tuple[HistoryRecord, ...] = ()
    """Its records in the schedule's history, oldest first."""


class AccountService(BaseService):
    """Explains schedules and jobs. Read-only."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        kv_service: KVStoreService,
        schedule_service: ScheduleService,
        job_service: JobService,
        list_service: ListService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.clock: Clock = clock or SystemClock()
        self._kv = kv_service
        self._schedules = schedule_service
        self._jobs = job_service
        self._list = list_service
        self._history = list_service.history

    async def _do_initialize(self) -> None:
        """Nothing to start."""

    async def _do_cleanup(self) -> None:
        """Nothing to release."""

    async def schedule(self, schedule_id: str, ahead: int = 5, back: int = 10) -> ScheduleReport | None:
        """A schedule with its next and last times and its findings; ``None`` if it does not exist.

        Raises `SchedulerError` or `StoreError` when the store cannot be read.
        """
        check_schedule_id(schedule_id)
        entry = await self._schedules.get_schedule(schedule_id)
        if entry is None:
            return None
        records = await self._history.history(schedule_id, self.settings.history_length)
        past = occurrences(records, back)
        last_outcome = _last_outcome(records[0] if records else None)
        if entry["status"] == "quarantined":
            accounts = accounts_of_quarantined(schedule_id, entry["reason"])
            return ScheduleReport(entry=entry | last_outcome, schedule=None, past=past, accounts=accounts)
        schedule = await self._schedules.schedules.get(schedule_id)
        if schedule is None:
            return None
        open_jobs = await self._open_jobs(schedule)
        now = self.clock.now()
        return ScheduleReport(
            entry=entry | last_outcome,
            schedule=schedule,
            coming=preview(schedule, now, ahead),
            past=past,
            open_jobs=open_jobs,
            accounts=accounts_of_schedule(schedule, past, open_jobs, await self._list.leader(), now),
        )

    async def past(self, schedule_id: str, count: int) -> tuple[Occurrence, ...]:
        """Its last times, newest first; also for a deleted schedule while its history is kept."""
        return occurrences(await self._history.history(schedule_id, self.settings.history_length), count)

    async def job(self, job_id: str) -> JobReport | None:
        """A job with its finding; ``None`` when nothing is known about it."""
        info = await self._jobs.get(job_id)
        schedule_id = schedule_id_of(job_id)
        attempts: tuple[HistoryRecord, ...] = ()
        if schedule_id is not None:
            records = await self._history.history(schedule_id, self.settings.history_length)
            attempts = tuple(record for record in reversed(records) if record.job_id == job_id)
        if info is not None:
            return JobReport(info, await self._account(info), attempts)
        if not attempts:
            return None
        known = f"it ended as {attempts[-1].outcome}, according to the schedule's history; its result expired"
        return JobReport(None, Account(known), attempts)

    async def near_schedule(self, name: str) -> str | None:
        """The existing schedule id most similar to ``name``."""
        names = {name_in(key) for key in await self._kv.names_of(ALL_SCHEDULES)}

        async def is_there(schedule_id: str) -> bool:
            return await self._kv.get(schedule_key(schedule_id)) is not None

        return await _nearest_of(name, names, is_there)

    async def near_job(self, name: str) -> str | None:
        """The most similar id of a job that is open or whose result is kept."""

        async def is_there(job_id: str) -> bool:
            return await self._jobs.get(job_id) is not None

        return await _nearest_of(name, set(await self._jobs.known_ids()), is_there)

    async def _open_jobs(self, schedule: Schedule) -> tuple[OpenJob, ...]:
        infos = await self._jobs.open_jobs_of(schedule.schedule_id, MOST_OPEN)
        if not infos:
            return ()
        workers = await self._jobs.list_workers()
        return tuple([OpenJob(info, await self._account(info, workers)) for info in infos])

    async def _account(self, info: JobInfo, workers: Sequence[WorkerInfo] | None = None) -> Account:
        return account_of_job(info, await self._around(info, workers), self.clock.now())

    async def _around(self, info: JobInfo, workers: Sequence[WorkerInfo] | None) -> Around:
        """The inputs for the finding about this job; reads only what is needed."""
        if info.status.ended or not is_queue(info.queue):  # a record of another program may say anything
            return Around()
        if workers is None:
            workers = await self._jobs.list_workers()
        if info.status is JobStatus.DEFERRED:
            found = {other: await self._jobs.get(other) for other in info.depends_on}
            others = {other: None if each is None else each.status for other, each in found.items()}
            return Around(leader=await self._list.leader(), workers=tuple(workers), others=others)
        queue = await self._jobs.queue_info(info.queue)
        line = info.func if info.key is None else f"{info.func} {info.key}"
        taken = 0 if info.max_concurrent is None else await slots_taken(self._kv, line, info.max_concurrent)
        return Around(
            workers=tuple(workers),
            limits=queue.limits,
            waiting=queue.waiting,
            in_hand=queue.in_hand,
            slots_taken=taken,
            held=info.status is not JobStatus.RUNNING or await self._jobs.is_held(info.job_id),
        )


def _last_outcome(record: HistoryRecord | None) -> dict[str, str | None]:
    return {"last_outcome": None if record is None else str(record.outcome)}


async def _nearest_of(name: str, names: set[str], is_there: Callable[[str], Awaitable[bool]]) -> str | None:
    """The most similar name that exists; deleted names leave a marker behind.

    Of more than `MANY` names, only those with the same start or end are compared.
    """
    left = names - {name}
    if len(left) > MANY:
        left = {each for each in left if each[:3] == name[:3] or each[-3:] == name[-3:]}
    for _ in range(TRIES):
        found = nearest(name, left)
        if found is None or await is_there(found):
            return found
        left.discard(found)
    return None


ServiceManager.register_service("accounts", AccountService)
