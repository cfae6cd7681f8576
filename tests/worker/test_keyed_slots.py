"""Limits per key: only so many jobs of a function at once for each account, customer or file."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq.exceptions import InvalidJob
from naq.jobs.job import Job, JobStatus
from naq.jobs.published import publish
from naq.lifecycle import ServiceManager
from naq.observe.diagnosis.service import AccountService
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions
from tests.worker.conftest import HANG, StartWorker, until


def hold(name: str, **more: Any) -> Job:
    return Job(func=functions.hold, args=[name], **{"max_concurrent": 1, "key": "{name}", **more})


async def begun(*names: str) -> None:
    async with asyncio.timeout(HANG):
        for name in names:
            await functions.event(functions.started, name).wait()


async def test_one_account_waits_for_itself_and_delays_no_other(
    jobs: JobService, services: ServiceManager, start_worker: StartWorker
) -> None:
    workers = [await start_worker(concurrency=3) for _ in range(2)]
    many = await jobs.enqueue_many([hold("a") for _ in range(30)])
    others = await jobs.enqueue_many([hold("b"), hold("c")])
    await begun("a", "b", "c")
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1, "it needs no slot"

    async def three_run() -> bool:
        return sum(worker.info().running_count for worker in workers) == 3

    await until(three_run)
    accounts = await services.get_service(AccountService)
    waiting = [each for each in many if (info := await jobs.get(each)) is not None and info.status is JobStatus.QUEUED]
    report = await accounts.job(waiting[0])
    assert report is not None
    assert "hold with the key 'a' may run 1 at once" in report.account.found
    for name in "abc":
        functions.event(functions.released, name).set()
    assert [await jobs.result(each, timeout=HANG) for each in [*many, *others]] == ["a"] * 30 + ["b", "c"]


async def test_the_key_of_a_schedules_job_is_that_of_its_arguments(services: ServiceManager) -> None:
    schedules = await services.get_service(ScheduleService)
    await schedules.schedule_job(hold("a"), {"type": "interval", "interval": 3600}, schedule_id="s")
    entry = await schedules.get_schedule("s")
    assert entry is not None
    assert (entry["job"]["key"], entry["job"]["max_concurrent"]) == ("a", 1)


async def test_a_job_by_name_has_the_key_that_was_declared(jobs: JobService, kv: KVStoreService) -> None:
    name = "tests.worker.functions:hold"
    await publish(kv, {name: (functions.hold, {"max_concurrent": 2, "key": "{name}"})})
    info = await jobs.get(await jobs.enqueue(name, "a"))
    assert info is not None
    assert (info.key, info.max_concurrent) == ("a", 2)
    await publish(kv, {name: (functions.hold, {"max_concurrent": 2, "key": len})})
    other = await ServiceManager(jobs.settings).__aenter__()
    try:
        with pytest.raises(InvalidJob, match="was declared with a function as key"):
            await (await other.get_service(JobService)).enqueue(name, "a")
    finally:
        await other.__aexit__(None, None, None)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_concurrent": None}, "which must be given too"),
        ({"key": "{nome}"}, r"\{nome\} is not an argument that is known by name \(known: name\)"),
        ({"key": 3}, "must be text, or a function"),
        ({"key": lambda name: 1 / 0}, "raised ZeroDivisionError"),
    ],
)
async def test_what_cannot_be_a_key_is_refused(jobs: JobService, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        await jobs.enqueue(hold("a", **options))
    assert await jobs.list_jobs() == []
