"""Functions of which only so many jobs may run at once, and the jobs that wait for that."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from naq.exceptions import JobCancelled
from naq.jobs.form import parse_job
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.queue.limits import slots_taken
from naq.queue.service import JobService
from naq.store.codec import encode
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Put
from tests.worker import functions
from tests.worker.conftest import HANG, StartProcess, StartWorker, until

FUNC = "tests.worker.functions:alone"


def alone(seconds: float, limit: int = 1, **options: object) -> Job:
    return Job(func=functions.alone, args=[seconds], max_concurrent=limit, **options)  # type: ignore[arg-type]


async def ended(jobs: JobService, ids: list[str]) -> list[JobStatus]:
    return [(await jobs.wait(job_id, timeout=HANG)).status for job_id in ids]


async def test_twenty_short_jobs_one_at_a_time_take_little_more_than_their_own_time(
    jobs: JobService, start_worker: StartWorker, kv: KVStoreService
) -> None:
    """It took 29 s where one second is possible: 20 jobs of 50 ms, one at a time."""
    await start_worker()
    began = time.monotonic()
    assert await ended(jobs, await jobs.enqueue_many([alone(0.05) for _ in range(20)])) == [JobStatus.COMPLETED] * 20
    assert time.monotonic() - began < 10, "time for a busy machine"
    assert functions.most == 1

    async def free() -> bool:
        return await slots_taken(kv, FUNC, 1) == 0

    await until(free)


async def test_many_jobs_that_wait_for_a_slot_do_not_delay_one_that_does_not(
    jobs: JobService, start_worker: StartWorker
) -> None:
    worker = await start_worker(concurrency=4)
    first = await jobs.enqueue(Job(func=functions.hold, args=["h"], max_concurrent=1))
    waiting = await jobs.enqueue_many([Job(func=functions.hold, args=["h"], max_concurrent=1) for _ in range(300)])
    other = await jobs.enqueue(functions.add, 1)
    assert await jobs.result(other, timeout=HANG) == 1, "it lies behind all of them in the same queue"

    async def only_one_runs() -> bool:
        return worker.info().running_count == 1

    await until(only_one_runs)
    assert await jobs.cancel(waiting[7]), "one that waits can be cancelled"
    with pytest.raises(JobCancelled):
        await jobs.result(waiting[7], timeout=HANG)
    functions.event(functions.released, "h").set()
    assert await ended(jobs, [first, *waiting[:7], *waiting[8:]]) == [JobStatus.COMPLETED] * 300


async def test_a_slot_that_one_worker_frees_is_taken_by_a_job_that_waits_at_another(
    jobs: JobService, start_worker: StartWorker
) -> None:
    one = await start_worker(concurrency=1, queues=["one"])
    two = await start_worker(concurrency=1, queues=["two"])
    first = await jobs.enqueue(Job(func=functions.hold, args=["h"], max_concurrent=1, queue="one"))

    async def runs() -> bool:
        return one.info().running_count == 1

    await until(runs)
    second = await jobs.enqueue(Job(func=functions.hold, args=["h"], max_concurrent=1, queue="two"))

    async def waits() -> bool:
        return len(two.held) == 1 and two.info().running_count == 0

    await until(waits)
    functions.event(functions.released, "h").set()
    assert await ended(jobs, [first, second]) == [JobStatus.COMPLETED] * 2


@pytest.mark.parametrize("limit", [1, 3])
async def test_never_more_run_at_once_than_may_with_three_workers(
    jobs: JobService, start_worker: StartWorker, limit: int
) -> None:
    for _ in range(3):
        await start_worker(concurrency=5)
    ids = await jobs.enqueue_many([alone(0.01, limit) for _ in range(60)])
    assert await ended(jobs, ids) == [JobStatus.COMPLETED] * 60
    assert functions.most <= limit


async def test_jobs_that_wait_at_a_worker_that_is_killed_run_at_another(
    jobs: JobService, start_worker: StartWorker, start_process: StartProcess, kv: KVStoreService
) -> None:
    victim = await start_process(ack_wait=3.0)
    stuck = await jobs.enqueue(Job(func=functions.hold, args=["in the victim"], max_concurrent=1))

    async def taken() -> bool:
        return await slots_taken(kv, "tests.worker.functions:hold", 1) == 1

    await until(taken)
    ids = await jobs.enqueue_many([Job(func=functions.hold, args=["x"], max_concurrent=1) for _ in range(5)])
    await victim.kill()
    for name in ("in the victim", "x"):
        functions.event(functions.released, name).set()
    await start_worker(ack_wait=3.0)
    async with asyncio.timeout(120):  # the slot of the victim expires after 30 s
        assert [(await jobs.wait(job_id)).status for job_id in [stuck, *ids]] == [JobStatus.COMPLETED] * 6


async def test_a_job_whose_start_deadline_passes_while_it_waits_for_a_slot_is_missed(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(Job(func=functions.hold, args=["h"], max_concurrent=1))
    await until_begun("h")
    now = jobs.clock.now()
    spec = parse_job(Job(func=functions.hold, args=["h"], max_concurrent=1))
    late = QueuedJob(job_id="s/1", spec=spec, enqueued_at=now, schedule_id="s", start_by=now + timedelta(seconds=1))
    await kv.transact([Put("job.default.s/1", encode(late), 0)])
    assert (await jobs.wait("s/1", timeout=HANG)).status is JobStatus.MISSED
    functions.event(functions.released, "h").set()
    assert await jobs.result(first, timeout=HANG) == "h"


async def until_begun(name: str) -> None:
    async with asyncio.timeout(HANG):
        await functions.event(functions.started, name).wait()
