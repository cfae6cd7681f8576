"""Queues: shares, limits across workers, pauses, purges; ids, lists and many jobs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from naq.exceptions import InvalidInput, InvalidJob, JobCancelled, JobExists
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import QueueLimits
from naq.lifecycle import ServiceManager
from naq.queue.limits import Rates
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.worker.service import WorkerService
from tests.worker import functions
from tests.worker.conftest import StartWorker, until

HANG = 30.0


def test_rate_is_shared_evenly_and_never_exceeded() -> None:
    class Still:
        at = 0.0

        def monotonic(self) -> float:
            return self.at

        def now(self) -> datetime:
            return datetime.fromtimestamp(1e9 + self.at, UTC)

    clock = Still()
    rates = Rates(clock, "me", ["q"])  # type: ignore[arg-type]
    rates.limits["q"] = QueueLimits(rate=10)
    assert rates.wait("q") > 0, "a new worker waits until all others have heard of it"
    clock.at = 10.0
    started = 0
    for _ in range(1000):
        clock.at += 0.01
        while rates.wait("q") == 0.0:
            rates.take("q")
            started += 1
    assert 99 <= started <= 102
    rates._seen["other"] = (clock.at, ("q",))
    assert rates._workers("q") == ["me", "other"]
    clock.at += 100
    assert rates._workers("q") == ["me"]


async def test_ids_are_taken_once_and_free_again_after_the_end(jobs: JobService, start_worker: StartWorker) -> None:
    job = Job(func=functions.add, args=[1], job_id="report/1")
    assert await jobs.enqueue(job) == "report/1"
    for again in (job, Job(func=functions.add, args=[1], job_id="report/1", queue="mail")):
        with pytest.raises(JobExists):
            await jobs.enqueue(again)
    with pytest.raises(JobExists):
        await jobs.enqueue(job, delay=5)
    await start_worker()
    assert await jobs.result("report/1", timeout=HANG) == 1
    await jobs.enqueue(Job(func=functions.add, args=[2], job_id="report/1"))
    assert await jobs.result("report/1", timeout=HANG) == 2


async def test_many_jobs_are_checked_before_the_first_is_written(jobs: JobService) -> None:
    with pytest.raises(InvalidJob):
        await jobs.enqueue_many([Job(func=functions.add, args=[1]), Job(func=lambda: None)])
    with pytest.raises(InvalidJob, match="two jobs at once"):
        await jobs.enqueue_many([Job(func=functions.add, args=[1], job_id="a")] * 2)
    assert await jobs.list_jobs() == []
    with pytest.raises(InvalidInput, match=r"delay"):
        await jobs.enqueue(functions.add, 1, at=5.0, delay=5)
    with pytest.raises(InvalidInput, match=r"at = 'soon'"):
        await jobs.enqueue(functions.add, 1, at="soon")


async def test_jobs_are_listed_by_status_queue_and_id(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    done = await jobs.enqueue(functions.add, 1)
    failed = await jobs.enqueue(functions.fail)
    for job_id in (done, failed):
        await jobs.wait(job_id, timeout=HANG)
    waiting = await jobs.enqueue(Job(func=functions.add, args=[1], queue="mail", job_id="mail-1"))
    later = await jobs.enqueue(Job(func=functions.add, args=[1], queue="mail"), delay=60)

    async def ids(**filters: Any) -> set[str]:
        return {info.job_id for info in await jobs.list_jobs(**filters)}

    assert await ids() == {done, failed, waiting, later}
    assert await ids(status="completed") == {done}
    assert await ids(status=[JobStatus.FAILED, "queued"]) == {failed, waiting}
    assert await ids(queue="mail") == {waiting, later}
    assert await ids(job_id="mail-") == {waiting}
    assert await ids(func="tests.worker.functions:fail") == {failed}
    assert [info.job_id for info in await jobs.list_jobs(limit=1)] == [later]
    with pytest.raises(InvalidInput, match="queued"):
        await jobs.list_jobs(status="waiting")
    info = await jobs.get(done)
    assert info is not None
    assert info.to_dict()["status"] == "completed"
    assert info.to_dict()["value"] == 1
    assert await jobs.get("unheard-of") is None


async def test_purging_a_queue_cancels_what_no_worker_has(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker(concurrency=1)
    running = await jobs.enqueue(functions.hold, "h")
    await functions.event(functions.started, "h").wait()
    waiting = await jobs.enqueue_many([Job(func=functions.note, args=[number]) for number in range(500)])
    other = await jobs.enqueue(Job(func=functions.note, args=["other"], queue="mail"))
    assert await jobs.purge_queue("default") == 500
    with pytest.raises(JobCancelled):
        await jobs.result(waiting[-1], timeout=HANG)
    functions.event(functions.released, "h").set()
    assert await jobs.result(running, timeout=HANG) == "h"
    assert [info.job_id for info in await jobs.list_jobs(status="queued")] == [other]
    assert functions.seen == []


class Peak:
    def __init__(self) -> None:
        self.now = 0
        self.most = 0


async def most_at_once(names: list[str], jobs_: Sequence[str], jobs: JobService) -> int:
    """Let jobs of `hold` through one after the other, and see how many ever ran together."""
    most = 0
    left = set(names)
    while left:
        begun = {name for name in left if name in functions.started}
        if not begun:
            await asyncio.sleep(0.01)
            continue
        most = max(most, len(begun))
        name = begun.pop()
        functions.event(functions.released, name).set()
        await jobs.result(jobs_[names.index(name)], timeout=HANG)
        left.discard(name)
    return most


async def test_a_function_may_run_only_so_often_at_once_on_all_workers(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    for name in ("a", "b"):
        await start_worker(instance_id=f"worker-{name}")
    names = [f"h{number}" for number in range(6)]
    job_ids = [await jobs.enqueue(Job(func=functions.hold, args=[name], max_concurrent=2)) for name in names]
    assert await most_at_once(names, job_ids, jobs) <= 2

    async def free() -> bool:
        async for keys in kv.keys("slot.>"):
            if keys:
                return False
        return True

    await until(free)


async def test_a_queue_may_have_only_so_many_jobs_in_hand_on_all_workers(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await jobs.set_queue_limits("default", max_concurrent=2)
    for name in ("a", "b"):
        await start_worker(instance_id=f"worker-{name}")
    names = [f"h{number}" for number in range(6)]
    job_ids = [await jobs.enqueue(functions.hold, name) for name in names]
    assert await most_at_once(names, job_ids, jobs) <= 2
    info = await jobs.queue_info("default")
    assert (info.workers, info.limits.max_concurrent) == (2, 2)


async def test_a_paused_queue_waits(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker(queues=["default", "mail"])
    await jobs.set_queue_limits("mail", paused=True)
    held = await jobs.enqueue(Job(func=functions.add, args=[1], queue="mail"))
    assert await jobs.result(await jobs.enqueue(functions.add, 2), timeout=HANG) == 2
    assert (await jobs.queue_info("mail")).waiting == 1
    await jobs.set_queue_limits("mail")
    assert await jobs.result(held, timeout=HANG) == 1
    with pytest.raises(InvalidInput):
        await jobs.set_queue_limits("mail", rate=0)
    assert await jobs.queues.names() == ["default", "mail"]


async def test_events_tell_a_jobs_life(jobs: JobService, services: ServiceManager, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(Job(func=functions.fail_until, args=[2], retries=1, backoff=0))
    await jobs.result(job_id, timeout=HANG)
    events = await services.get_service(EventService)

    async def told() -> bool:
        return len(await events.get_event_history(job_id=job_id)) >= 5

    await until(told)
    found = await events.get_event_history(job_id=job_id)
    found.sort(key=lambda event: event.timestamp)
    assert [(event.type, event.attempt) for event in found] == [
        ("job_enqueued", 1),
        ("job_started", 1),
        ("job_retry_scheduled", 1),
        ("job_started", 2),
        ("job_completed", 2),
    ]


async def test_manager_builds_both_services(services: ServiceManager) -> None:
    worker = await services.get_service(WorkerService)
    jobs = await services.get_service(JobService)
    assert worker.initialized
    assert jobs.initialized
    assert await jobs.list_workers() == []


async def test_a_rate_holds_for_the_starts_of_a_queue(jobs: JobService, start_worker: StartWorker) -> None:
    await jobs.set_queue_limits("default", rate=20)
    await start_worker(queues=["default", "other"])
    job_ids = await jobs.enqueue_many([Job(func=functions.add, args=[number]) for number in range(12)])
    other = await jobs.enqueue(Job(func=functions.add, args=[1], queue="other"))
    results = [await jobs.wait(job_id, timeout=HANG) for job_id in (*job_ids, other)]
    begun = sorted(result.started_at for result in results[:-1] if result.started_at is not None)
    # Ten of the twelve have to wait for their turn; two may begin together from what was saved up.
    assert (begun[-1] - begun[0]).total_seconds() >= 0.4
    assert results[-1].started_at is not None
    assert results[-1].started_at < begun[0], "a limited queue holds nobody else up"
