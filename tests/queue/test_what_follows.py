"""Fan-in, chains that are queued again, ids that are used again, and results that nobody will write."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from naq.exceptions import JobFailed, JobTimeout, JobUnknown
from naq.jobs.job import Job, JobStatus
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions
from tests.worker.conftest import StartWorker, until

HANG = 30.0


async def status_of(jobs: JobService, job_id: str) -> JobStatus | None:
    info = await jobs.get(job_id)
    return None if info is None else info.status


async def test_a_job_runs_though_the_result_of_one_parent_expired_before_the_other_ended(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    short = await jobs.enqueue(Job(func=functions.add, args=[1], result_ttl=1))
    long = await jobs.enqueue(functions.hold, "long")
    last = await jobs.enqueue(Job(func=functions.add, args=[2], depends_on=[short, long]))
    await functions.event(functions.started, "long").wait()

    async def expired() -> bool:
        return await jobs.results.get(short) is None

    await until(expired)
    functions.event(functions.released, "long").set()
    assert await jobs.result(last, timeout=HANG) == 2


async def test_many_parents_that_end_at_once_and_expire_release_every_job(
    jobs: JobService, start_worker: StartWorker
) -> None:
    for name in ("a", "b", "c"):
        await start_worker(instance_id=name)

    async def fan_in(number: int) -> int:
        parents = [f"parent-{number}-{each}" for each in range(number % 7 + 1)]
        last = await jobs.enqueue(Job(func=functions.add, args=[number], depends_on=parents, depends_when="ended"))
        await jobs.enqueue_many([Job(func=functions.add, args=[1], job_id=parent, result_ttl=1) for parent in parents])
        value: int = await jobs.result(last, timeout=HANG)
        return value

    assert await asyncio.gather(*map(fan_in, range(40))) == list(range(40))


@pytest.mark.parametrize("together", [True, False])
async def test_a_failed_chain_that_is_queued_again_runs_in_its_order(
    jobs: JobService, start_worker: StartWorker, together: bool
) -> None:
    worker = await start_worker()
    first = await jobs.enqueue(Job(func=functions.fail_until, args=[2], job_id="first"))
    second = await jobs.enqueue(Job(func=functions.note, args=["second"], depends_on=[first], job_id="second"))
    third = await jobs.enqueue(Job(func=functions.note, args=["third"], depends_on=[second], job_id="third"))
    for job_id in (first, second, third):
        with pytest.raises(JobFailed):
            await jobs.result(job_id, timeout=HANG)
    await worker.cleanup()
    if together:
        assert await jobs.requeue_all() == 3
    else:
        assert [await jobs.requeue(job_id) for job_id in (first, second, third)] == [True] * 3
    assert await status_of(jobs, second) is JobStatus.DEFERRED
    assert await status_of(jobs, third) is JobStatus.DEFERRED
    await start_worker(instance_id="again")
    await jobs.result(third, timeout=HANG)
    assert functions.seen == ["second", "third"]


async def test_a_requeued_chain_ends_again_when_its_first_job_fails_again(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(Job(func=functions.fail, job_id="first"))
    second = await jobs.enqueue(Job(func=functions.note, args=["second"], depends_on=[first], job_id="second"))
    await jobs.wait(second, timeout=HANG)
    assert await jobs.requeue_all() == 2
    results = [await jobs.wait(job_id, timeout=HANG) for job_id in (first, second)]
    assert [result.error_type for result in results] == ["ValueError", "DependencyNotMet"]
    assert functions.seen == []


async def test_an_old_dead_letter_does_not_replace_the_result_of_a_later_job_with_its_id(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    await jobs.enqueue(Job(func=functions.fail, job_id="x"))
    await jobs.wait("x", timeout=HANG)
    found = await jobs.dead_letters.entry("x")
    assert found is not None
    await jobs.enqueue(Job(func=functions.add, args=[1], job_id="x"))
    assert await jobs.result("x", timeout=HANG) == 1
    assert await jobs.dead_letters.get("x") is None, "the new job took its place"
    await kv.put(found[0].key, found[0].value)  # as an older naq left it there
    assert not await jobs.requeue("x")
    assert await jobs.result("x", timeout=HANG) == 1


async def test_the_result_of_a_job_that_nobody_knows_is_an_error_and_not_a_wait_without_end(jobs: JobService) -> None:
    async with asyncio.timeout(HANG):
        with pytest.raises(JobUnknown, match="no-such-job"):
            await jobs.result("no-such-job")
    with pytest.raises(JobTimeout):
        await jobs.result("no-such-job", timeout=0.1)
    job_id = await jobs.enqueue(functions.add, 1, delay=timedelta(hours=1))
    with pytest.raises(JobTimeout):
        await jobs.result(job_id, timeout=7)


async def test_a_result_may_be_waited_for_shortly_before_its_job_is_enqueued(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    waiting = asyncio.ensure_future(jobs.result("soon", timeout=HANG))
    await asyncio.sleep(0)
    await jobs.enqueue(Job(func=functions.add, args=[1], job_id="soon"))
    assert await waiting == 1
