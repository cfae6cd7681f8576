"""A worker that does not know a job's function passes the job on: a deploy loses nothing."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from naq.jobs.functions import Registry
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import DeadReason
from naq.lifecycle import ServiceManager
from naq.observe.diagnosis.service import AccountService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions
from tests.worker.conftest import HANG, StartWorker, until

ADD = "tests.worker.functions:add"


def knows(*known: Any) -> Registry:
    registry = Registry()
    for function in known:
        registry.add(function)
    return registry


async def start_old(start_worker: StartWorker, **options: Any) -> None:
    await start_worker(registry=knows(functions.sleep), functions_allowed=False, **options)


async def start_new(start_worker: StartWorker, **options: Any) -> None:
    await start_worker(registry=knows(functions.sleep, functions.add), functions_allowed=False, **options)


async def is_waiting(jobs: JobService, job_id: str) -> bool:
    info = await jobs.get(job_id)
    return info is not None and info.status is JobStatus.DEFERRED and info.passed_on > 0


@pytest.mark.slow
async def test_a_deploy_with_an_old_and_a_new_worker_loses_nothing(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_old(start_worker)
    await start_new(start_worker)
    ids = [await jobs.enqueue(functions.add, number) for number in range(20)]
    assert [await jobs.result(job_id, timeout=HANG) for job_id in ids] == list(range(20))
    assert await jobs.list_dead() == []


async def test_a_job_that_was_passed_on_has_all_of_its_attempts_and_starts(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, kv: KVStoreService
) -> None:
    await start_old(start_worker)
    job_id = await jobs.enqueue(Job(func=functions.add, args=[1], retries=0))
    enqueued_at = (await jobs.get(job_id)).enqueued_at  # type: ignore[union-attr]
    await until(lambda: is_waiting(jobs, job_id))
    await start_new(start_worker, max_deliveries=1)
    assert await jobs.result(job_id, timeout=HANG) == 1
    info = await jobs.get(job_id)
    assert info is not None
    assert (info.attempt, info.enqueued_at) == (1, enqueued_at)


async def test_the_log_names_a_function_that_a_worker_does_not_know_once(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "naq.worker")
    await start_old(start_worker)
    ids = [await jobs.enqueue(functions.add, 1) for _ in range(5)]
    for job_id in ids:
        await until(lambda job_id=job_id: is_waiting(jobs, job_id))  # type: ignore[misc]
    lines = [record.getMessage() for record in caplog.records if ADD in record.getMessage()]
    assert lines == [
        f"this worker does not know the function {ADD}: its jobs in queue default are passed on to other workers"
    ]


async def test_job_show_says_that_no_running_worker_knows_the_function(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, services: ServiceManager
) -> None:
    await start_old(start_worker)
    job_id = await jobs.enqueue(functions.add, 1)
    await until(lambda: is_waiting(jobs, job_id))
    report = await (await services.get_service(AccountService)).job(job_id)
    assert report is not None
    assert report.account.found.startswith(f"no running worker knows this function ({ADD}): it was passed on")
    assert "naq worker MODULE:APP" in (report.account.remedy or "")


async def test_workers_tell_which_functions_they_know(jobs: JobService, start_worker: StartWorker) -> None:
    await start_old(start_worker)
    await start_worker(instance_id="allows")
    old, allows = sorted(await jobs.list_workers(), key=lambda each: each.worker_id, reverse=True)
    assert (old.functions, old.knows("tests.worker.functions:sleep"), old.knows(ADD)) == (
        ("tests.worker.functions:sleep",),
        True,
        False,
    )
    assert (allows.knows(ADD), allows.knows("reports:send")) == (None, False)


async def test_a_job_that_nobody_knows_for_too_long_is_a_dead_letter_that_says_so(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_old(start_worker, unknown_function_wait=1.0)
    job_id = await jobs.enqueue(functions.add, 1)

    async def is_dead() -> bool:
        return await jobs.dead_letters.get(job_id) is not None

    await until(is_dead)
    dead = await jobs.dead_letters.get(job_id)
    assert dead is not None
    assert dead.reason is DeadReason.UNKNOWN_FUNCTION
    assert dead.error is not None
    assert dead.error.startswith(f"no worker that took it within 1s knows the function '{ADD}', and passed it on")


async def test_a_job_that_was_passed_on_can_be_cancelled(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_old(start_worker)
    job_id = await jobs.enqueue(functions.add, 1)
    await until(lambda: is_waiting(jobs, job_id))
    assert await jobs.cancel(job_id)
    info = await jobs.get(job_id)
    assert info is not None
    assert info.status is JobStatus.CANCELLED


async def test_a_job_that_was_passed_on_is_missed_by_its_start_deadline(
    scheduler: SchedulerService, jobs: JobService, start_worker: StartWorker
) -> None:
    await start_old(start_worker)
    schedule = {"type": "interval", "interval": 1, "max_runs": 1, "start_deadline": 1}
    await scheduler.schedule_job(Job(func=functions.add, args=[1]), schedule, schedule_id="late")

    async def is_missed() -> bool:
        return any(info.status is JobStatus.MISSED for info in await jobs.list_jobs(schedule_id="late"))

    await until(is_missed)
    assert await jobs.list_dead() == []
