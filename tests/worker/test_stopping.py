"""Timeouts, cancellation, draining, and jobs that want to hear of none of it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from naq.exceptions import JobCancelled, JobFailed
from naq.jobs.job import Job, JobStatus
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.event_stream import EventService
from naq.worker import heartbeat, watchdog
from tests.worker import functions
from tests.worker.conftest import StartWorker, until

HANG = 30.0


async def begun(name: str) -> None:
    async with asyncio.timeout(HANG):
        await functions.event(functions.started, name).wait()


async def test_timeout_stops_an_async_job(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    with pytest.raises(JobFailed, match="longer than its timeout") as caught:
        await jobs.result(await jobs.enqueue(Job(func=functions.sleep, args=[60], timeout=0.1)), timeout=HANG)
    assert caught.value.error_type == "JobTimeout"


async def test_timeout_stops_a_sync_job_in_python_code(jobs: JobService, start_worker: StartWorker) -> None:
    worker = await start_worker()
    with pytest.raises(JobFailed, match="longer than its timeout"):
        await jobs.result(await jobs.enqueue(Job(func=functions.spin, timeout=0.1)), timeout=HANG)
    assert worker.info().stuck == 0


async def test_a_sync_job_may_stop_politely(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(Job(func=functions.wait_politely, timeout=0.1))
    assert await jobs.result(job_id, timeout=HANG) == "timeout"


@pytest.mark.parametrize("function", [functions.spin, functions.block])
async def test_timeout_kills_a_process(jobs: JobService, start_worker: StartWorker, function: object) -> None:
    await start_worker()
    args = [60] if function is functions.block else []
    job_id = await jobs.enqueue(Job(func=function, args=args, timeout=0.5, executor="process"))  # type: ignore[arg-type]
    with pytest.raises(JobFailed, match="longer than its timeout"):
        await jobs.result(job_id, timeout=HANG)


async def test_a_job_that_ignores_its_timeout_is_given_up(
    jobs: JobService, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    worker = await start_worker(concurrency=1, grace=0.2)
    job_id = await jobs.enqueue(Job(func=functions.ignore_cancellation, args=["x"], timeout=0.1))
    with pytest.raises(JobFailed, match="ignored being stopped"):
        await jobs.result(job_id, timeout=HANG)
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    assert worker.info().stuck == 1
    assert "ignores it" in caplog.text
    functions.event(functions.released, "x").set()

    async def ended() -> bool:
        return worker.info().stuck == 0

    await until(ended)
    info = await jobs.get(job_id)
    assert info is not None
    assert info.status is JobStatus.FAILED


async def test_a_thread_that_cannot_be_stopped_costs_its_slot_only_for_the_grace(
    jobs: JobService, start_worker: StartWorker
) -> None:
    worker = await start_worker(concurrency=1, grace=0.2)
    job_id = await jobs.enqueue(Job(func=functions.hold_thread, timeout=0.1))
    with pytest.raises(JobFailed, match="given up"):
        await jobs.result(job_id, timeout=HANG)
    assert (await jobs.result(await jobs.enqueue(functions.add_in_thread, 1, 2), timeout=HANG))["sum"] == 3
    assert worker.info().stuck == 1


async def test_cancelling_a_queued_job_removes_it(jobs: JobService, start_worker: StartWorker) -> None:
    job_id = await jobs.enqueue(functions.note, "never")
    waiting = asyncio.create_task(jobs.result(job_id, timeout=HANG))
    assert await jobs.cancel(job_id, reason="not needed")
    with pytest.raises(JobCancelled):
        await waiting
    await start_worker()
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    assert functions.seen == []
    info = await jobs.get(job_id)
    assert info is not None
    assert (info.status, info.error) == (JobStatus.CANCELLED, "not needed")
    assert not await jobs.cancel(job_id)
    assert not await jobs.cancel("unheard-of")


async def test_cancelling_a_running_job_asks_it_to_stop(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker(instance_id="worker-a")
    await start_worker(instance_id="worker-b")
    job_id = await jobs.enqueue(functions.hold, "h")
    await begun("h")
    assert await jobs.cancel(job_id, reason="enough")
    with pytest.raises(JobCancelled):
        await jobs.result(job_id, timeout=HANG)
    assert await jobs.list_dead() == []


async def test_cancelling_a_job_that_waits_in_the_worker(jobs: JobService, start_worker: StartWorker) -> None:
    worker = await start_worker(concurrency=1, queues=["default", "other"])
    first = await jobs.enqueue(functions.hold, "h")
    await begun("h")
    second = await jobs.enqueue(Job(func=functions.note, args=["never"], queue="other"))
    assert await jobs.cancel(second)
    with pytest.raises(JobCancelled):
        await jobs.result(second, timeout=HANG)
    functions.event(functions.released, "h").set()
    assert await jobs.result(first, timeout=HANG) == "h"
    assert functions.seen == []
    assert worker.info().running_count == 0


async def test_drain_lets_running_jobs_end(jobs: JobService, start_worker: StartWorker) -> None:
    worker = await start_worker()
    job_id = await jobs.enqueue(functions.hold, "h")
    await begun("h")
    stopping = asyncio.create_task(worker.stop())
    later = await jobs.enqueue(functions.add, 1)
    functions.event(functions.released, "h").set()
    await stopping
    assert await jobs.result(job_id, timeout=HANG) == "h"
    info = await jobs.get(later)
    assert info is not None
    assert info.status is JobStatus.QUEUED
    await worker.start()
    assert await jobs.result(later, timeout=HANG) == 1


async def test_drain_hands_back_what_takes_too_long(jobs: JobService, start_worker: StartWorker) -> None:
    first = await start_worker(drain_timeout=0.1, instance_id="worker-a")
    job_id = await jobs.enqueue(functions.hold, "h")
    await begun("h")
    functions.started["h"].clear()
    second = await start_worker(instance_id="worker-b")
    await first.stop()
    await begun("h")
    functions.event(functions.released, "h").set()
    result = await jobs.wait(job_id, timeout=HANG)
    assert (result.status, result.worker_id, result.attempt) == (JobStatus.COMPLETED, second.worker_id, 1)


async def test_a_worker_that_drains_is_shown_as_such_at_once(
    jobs: JobService, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "PRESENCE_EVERY", 3600.0)
    worker = await start_worker(drain_timeout=30)
    await jobs.enqueue(functions.hold, "h")
    await begun("h")
    stopping = asyncio.create_task(worker.stop())

    async def drains() -> bool:
        return [info.draining for info in await jobs.list_workers()] == [True]

    await until(drains)
    functions.event(functions.released, "h").set()
    await stopping
    assert await jobs.list_workers() == []


async def test_a_blocked_loop_is_reported_and_its_jobs_stay_its_own(
    jobs: JobService, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    """The heartbeat goes on: with ``ack_wait`` 1 s the job would otherwise be handed out again and run twice."""
    caplog.set_level(logging.ERROR)
    worker = await start_worker(ack_wait=1.0)
    job_id = await jobs.enqueue(functions.block_the_loop, 3.5)
    result = await jobs.wait(job_id, timeout=HANG)
    assert result.status is JobStatus.COMPLETED
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    assert worker.info().finished == 2
    assert f"job {job_id} (tests.worker.functions:block_the_loop) blocks the event loop" in caplog.text
    assert "block_the_loop" in caplog.text


async def test_stop_and_start_are_idempotent(jobs: JobService, start_worker: StartWorker) -> None:
    worker = await start_worker()
    await worker.start()
    await worker.stop()
    await worker.stop()
    assert await jobs.list_workers() == []
    await worker.start()
    (info,) = await jobs.list_workers()
    assert (info.worker_id, info.queues, info.concurrency) == ("worker-0", ("default",), 10)


@pytest.mark.parametrize("overlap", ["cancel_other", "terminate_other"])
async def test_overlap_policies_stop_the_run_before(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, overlap: str
) -> None:
    await start_worker()
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.hold, args=["h"]), {"type": "interval", "interval": 0.5, "max_runs": 2, "overlap": overlap}
    )
    await begun("h")

    async def second_runs() -> bool:
        statuses = sorted(str(info.status) for info in await jobs.list_jobs(schedule_id=schedule_id))
        return statuses == ["cancelled", "running"]

    await until(second_runs)
    functions.event(functions.released, "h").set()

    async def closed() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["open_runs"] == [] and entry["status"] == "completed"

    await until(closed)


async def test_skip_waits_for_the_end_that_the_worker_tells(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.hold, args=["h"]), {"type": "interval", "interval": 0.2, "max_runs": 2, "overlap": "skip"}
    )
    await begun("h")

    async def skipped() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["skipped"] >= 2

    await until(skipped)
    functions.event(functions.released, "h").set()

    async def completed() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["status"] == "completed" and entry["open_runs"] == []

    await until(completed)

    async def told() -> bool:
        outcomes = [str(record.outcome) for record in await jobs.history.history(schedule_id)]
        return outcomes.count("completed") == 2 and "skipped" in outcomes

    await until(told)


async def test_a_job_that_leaks_is_reported_with_what_ran(
    jobs: JobService,
    services: ServiceManager,
    start_worker: StartWorker,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watchdog, "MEMORY_STEP", 30 * 1024 * 1024)
    await start_worker()
    job_id = await jobs.enqueue(functions.leak, 100, "h")
    await begun("h")
    events = await services.get_service(EventService)

    async def told() -> bool:
        return bool(await events.get_event_history(types=["worker_memory"]))

    await until(told)
    (event, *_) = await events.get_event_history(types=["worker_memory"])
    assert event.details["grown_by"] > 30 * 1024 * 1024
    assert event.details["running"] == {"tests.worker.functions:leak": 1}
    assert "functions:leak" in caplog.text
    functions.event(functions.released, "h").set()
    await jobs.result(job_id, timeout=HANG)
    functions.leaked.clear()
