"""Jobs of one worker share its slots, its connection and its end: no kind of job takes them from the others."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from naq.clock import SystemClock
from naq.exceptions import JobFailed
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, JobSpec, JobStatus, QueuedJob
from naq.jobs.records import QueueLimits
from naq.lifecycle import ServiceManager
from naq.queue.limits import Rates, slots_taken
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.event_stream import EventService
from naq.testing.clock import ManualClock, manual_time
from naq.testing.server import nats_server
from naq.worker.buffer import Buffer
from naq.worker.claimed import Claimed, Claims, Delivery
from naq.worker.demand import Demand
from naq.worker.service import WorkerOptions, WorkerService
from tests.worker import functions
from tests.worker.conftest import FUNCTIONS, HANG, StartWorker, until


async def test_a_queue_with_a_rate_does_not_throttle_the_workers_other_queue(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await jobs.set_queue_limits("slow", rate=0.5)
    slow = await jobs.enqueue_many([Job(func=functions.add, args=[number], queue="slow") for number in range(20)])
    await start_worker(queues=["slow", "fast"], concurrency=4)
    fast = await jobs.enqueue_many([Job(func=functions.add, args=[number], queue="fast") for number in range(40)])
    for job_id in fast:
        assert (await jobs.wait(job_id, timeout=HANG)).status is JobStatus.COMPLETED
    ended = await jobs.list_jobs(status="completed", queue="slow", limit=100)
    assert len(ended) < len(slow) / 2


@manual_time
async def test_what_waits_for_a_rate_takes_no_place_in_the_worker() -> None:
    clock, claims = ManualClock(), Claims()
    rates = Rates(clock, "me", ["slow", "fast"])
    rates.limits["slow"] = QueueLimits(rate=2.0)
    buffer = Buffer({"slow": 1, "fast": 1}, rates)
    demand = Demand(10, {"slow": 1, "fast": 1}, clock, claims, buffer)
    assert demand.share("slow") == 0, "a new worker starts none before the others know of it"
    await clock.advance(5)
    alone = demand.share("fast")
    assert 1 <= demand.share("slow") <= 3, "no more than may start within a second"
    for number in range(5):
        buffer.put(claimed("slow", number, clock.monotonic()))
    assert demand.share("slow") == 0
    assert demand.share("fast") == alone
    for number in range(4):
        buffer.put(claimed("fast", number, clock.monotonic()))
    assert demand.share("fast") < alone


def claimed(queue: str, number: int, now: float) -> Claimed:
    queued = QueuedJob(job_id=f"{queue}{number}", spec=JobSpec(func="a:b"), enqueued_at=SystemClock().now())
    return Claimed(Delivery(queue, f"job.{queue}.{number}", number, 1, queued, now), b"")


async def test_short_jobs_that_wait_behind_a_long_one_go_to_a_worker_that_is_free(
    jobs: JobService, start_worker: StartWorker
) -> None:
    first = await start_worker(concurrency=1)
    for job_id in await jobs.enqueue_many([Job(func=functions.add, args=[1]) for _ in range(200)]):
        await jobs.wait(job_id, timeout=HANG)  # the worker learns that jobs are short, and takes some ahead
    short = [Job(func=functions.add, args=[number]) for number in range(5)]
    long_id, *ids = await jobs.enqueue_many([Job(func=functions.hold, args=["long"]), *short])

    async def waits_here() -> bool:
        return len(first.held) > 1

    await until(waits_here)
    await start_worker(concurrency=1)
    for job_id in ids:
        assert (await jobs.wait(job_id, timeout=HANG)).status is JobStatus.COMPLETED
    functions.event(functions.released, "long").set()
    assert await jobs.result(long_id, timeout=HANG) == "long"


async def test_a_function_that_runs_on_past_its_timeout_keeps_its_slot(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    job = Job(func=functions.hold_thread, timeout=0.3, max_concurrent=1)
    with pytest.raises(JobFailed, match="given up"):
        await jobs.result(await jobs.enqueue(job), timeout=HANG)
    await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG)
    reference = "tests.worker.functions:hold_thread"
    assert await slots_taken(kv, reference, 1) == 1
    second = await jobs.enqueue(Job(func=functions.hold_thread, max_concurrent=1))
    assert functions.seen == ["begun"]
    functions.thread_gate.set()
    assert await jobs.result(second, timeout=HANG) is True

    async def free() -> bool:
        return await slots_taken(kv, reference, 1) == 0

    await until(free)


async def test_a_worker_with_a_job_that_ignores_it_stops_within_its_drain_timeout(
    jobs: JobService, start_worker: StartWorker
) -> None:
    worker = await start_worker(drain_timeout=2, grace=5.0)
    await jobs.enqueue(functions.hold_thread)
    await jobs.enqueue(functions.ignore_cancellation, "deaf")

    async def both_run() -> bool:
        return worker.info().running_count == 2

    await until(both_run)
    began = time.monotonic()
    await worker.stop()
    assert time.monotonic() - began < 6, "drain_timeout and a second, and time for a busy machine; it was 9 s"


async def test_a_worker_is_not_cut_off_when_many_large_jobs_wait(tmp_path: Path) -> None:
    text = "x" * 900_000
    async with (
        nats_server(config="max_pending: 12MB") as server,
        ServiceManager({"nats_url": server.url, "concurrency": 60, "instance_id": "w"}) as services,
    ):
        jobs = await services.get_service(JobService)
        connection = await services.get_service(ConnectionService)
        lost: list[ConnectionState] = []
        connection.on_state(lost.append)
        ids = [await jobs.enqueue(functions.length, text) for _ in range(60)]
        worker = WorkerService(
            services.settings,
            await services.get_service(KVStoreService),
            await services.get_service(EventService),
            await services.get_service(ResultService),
            await services.get_service(HistoryService),
            WorkerOptions(registry=Registry([FUNCTIONS])),
        )
        await worker.start()
        try:
            for job_id in ids:
                assert await jobs.result(job_id, timeout=2 * HANG) == 900_000
        finally:
            await worker.stop()
        assert lost == []
