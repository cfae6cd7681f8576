"""Cancelling and purging jobs of a schedule, by a process that dies in the middle of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from naq.exceptions import StoreUnavailable
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.record import Schedule
from naq.store.codec import decode
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Delete, Outcome, Write
from naq.testing.server import until


def report() -> None:
    """The function that is to be run."""


Act = Callable[[JobService, str], Awaitable[object]]


async def cancel(jobs: JobService, job_id: str) -> object:
    return await jobs.cancel(job_id)


async def purge(jobs: JobService, job_id: str) -> object:
    return await jobs.purge_queue("default")


@pytest.mark.parametrize("act", [cancel, purge])
async def test_a_process_that_dies_before_it_removed_the_job_leaves_no_open_run(
    services: ServiceManager, monkeypatch: pytest.MonkeyPatch, act: Act
) -> None:
    scheduler = await services.get_service(SchedulerService)
    store = await services.get_service(KVStoreService)
    jobs = await services.get_service(JobService)

    async def record() -> Schedule:
        entry = await store.get("schedule.s")
        assert entry is not None
        assert entry.value is not None
        return decode(Schedule, entry.key, entry.value)

    async def fired() -> bool:
        return bool((await record()).open_runs)

    transact = KVStoreService.transact

    async def dies(self: KVStoreService, writes: Sequence[Write]) -> Outcome:
        if all(isinstance(write, Delete) for write in writes):
            raise StoreUnavailable("the process died")
        return await transact(self, writes)

    form: dict[str, Any] = {"interval": 3600, "overlap": "skip", "first": "now"}
    await scheduler.schedule_job(Job(func=report), form, schedule_id="s")
    await until(fired, lambda: "it never fired")
    (run,) = (await record()).open_runs
    monkeypatch.setattr(KVStoreService, "transact", dies)
    with pytest.raises(StoreUnavailable):
        await act(jobs, run.job_id)
    monkeypatch.undo()
    assert (await record()).open_runs == ()
    info = await jobs.get(run.job_id)
    assert info is not None
    assert str(info.status) == "cancelled"
    await act(jobs, run.job_id)
    assert not await store.get_many([f"job.default.{run.job_id}"]), "tried again, it removes the job too"
