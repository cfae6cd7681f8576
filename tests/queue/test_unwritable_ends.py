"""Ends that could not be written: each ends its own job, in a record or in a dead letter, and no other."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Literal

import msgspec
import pytest

from naq.config import load_settings
from naq.exceptions import InvalidJob
from naq.jobs.job import Job, JobSpec, JobStatus, QueuedJob
from naq.jobs.records import DeadJob, DeadReason
from naq.lifecycle import ServiceManager
from naq.observe.doctor import Level, check_up
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.codec import encode
from naq.store.keys import dead_key, job_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Put
from tests.queue import functions as queue_functions
from tests.worker import functions
from tests.worker.conftest import StartWorker, until

HANG = 30.0
Executor = Literal["auto", "process"]


@pytest.mark.parametrize("executor", ["auto", "process"])
async def test_an_error_text_that_is_not_utf8_ends_its_own_job_and_runs_no_other_twice(
    jobs: JobService, start_worker: StartWorker, executor: Executor
) -> None:
    await start_worker(concurrency=30)
    bad = await jobs.enqueue(Job(func=queue_functions.fail_with_a_file_name, executor=executor))
    others = [await jobs.enqueue(functions.note, number) for number in range(20)]
    for job_id in others:
        await jobs.result(job_id, timeout=HANG)
    result = await jobs.wait(bad, timeout=HANG)
    assert (result.status, result.error_type, result.attempt) == (JobStatus.FAILED, "FileNotFoundError", 1)
    assert "report-\\udcff.csv" in (result.error or "")
    assert "report-\\udcff.csv" in (result.traceback or "")
    assert Counter(functions.seen) == Counter(range(20))


async def test_a_progress_note_that_is_not_utf8_is_shown(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(queue_functions.report_file_name, "a")
    await functions.event(functions.started, "a").wait()

    async def shown() -> bool:
        info = await jobs.get(job_id)
        return info is not None and info.progress is not None and info.progress.note == "report-\\udcff.csv"

    await until(shown)
    functions.event(functions.released, "a").set()
    await jobs.result(job_id, timeout=HANG)


async def test_events_with_text_that_is_not_utf8_are_stored_with_all_others(
    jobs: JobService, services: ServiceManager
) -> None:
    events = await services.get_service(EventService)
    job_id = await jobs.enqueue(functions.note, 1)
    await events.log_event({"type": "mine", "job_id": job_id, "reason": "x\udcff", "details": {"what": object()}})
    assert await jobs.cancel(job_id, reason="y\udcff")

    async def stored() -> bool:
        found = {event.type: event.reason for event in await events.get_event_history(job_id=job_id)}
        return found.get("mine") == "x\\udcff" and found.get("job_cancelled") == "y\\udcff"

    await until(stored)


@pytest.mark.parametrize("field", ["result_ttl", "timeout", "backoff"])
async def test_a_time_that_the_server_cannot_count_is_refused_when_it_is_given(jobs: JobService, field: str) -> None:
    with pytest.raises(InvalidJob, match=f"job.{field} = .*100 years"):
        await jobs.enqueue(Job(func=functions.add, args=[1], **{field: 300 * 365 * 86400}))  # type: ignore[arg-type]


async def test_a_stored_job_whose_result_is_to_be_kept_for_ever_does_not_stop_the_ends_of_others(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    spec = msgspec.json.decode(
        b'{"func": "tests.worker.functions:add", "args": [1], "result_ttl": "P150000D"}', type=JobSpec
    )
    for name in ("long-1", "long-2"):
        queued = QueuedJob(job_id=name, spec=spec, enqueued_at=jobs.clock.now())
        await kv.transact([Put(job_key("default", name), encode(queued), 0)])
    await start_worker()
    others = [await jobs.enqueue(functions.add, number) for number in range(5)]
    assert [await jobs.result(job_id, timeout=HANG) for job_id in others] == list(range(5))
    assert await jobs.result("long-1", timeout=HANG) == 1


async def test_arguments_as_large_as_the_server_takes_leave_room_for_the_dead_letter(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    largest = await _largest_accepted(jobs)
    ids = [await jobs.enqueue(Job(func=functions.fail, args=["x" * largest], retries=1, backoff=0)) for _ in range(2)]
    others = [await jobs.enqueue(functions.add, number) for number in range(5)]
    for job_id in others:
        await jobs.result(job_id, timeout=HANG)
    for job_id in ids:
        result = await jobs.wait(job_id, timeout=HANG)
        assert (result.status, result.error_type, result.attempt) == (JobStatus.FAILED, "ValueError", 2)
        dead = await jobs.dead_letters.get(job_id)
        assert dead is not None
        assert dead.job is not None
        assert await jobs.requeue(job_id)


async def _largest_accepted(jobs: JobService) -> int:
    """The largest text that is accepted as the argument of a job."""
    low, high = 0, 2 * 1024 * 1024
    while high - low > 1:
        size = (low + high) // 2
        try:
            await jobs.enqueue(Job(func=functions.fail, args=["x" * size], retries=1, backoff=0), delay="1h")
        except InvalidJob:
            high = size
        else:
            low = size
    return low


async def test_an_end_that_no_longer_fits_becomes_a_dead_letter_that_says_so(
    jobs: JobService, kv: KVStoreService, services: ServiceManager, start_worker: StartWorker, caplog: Any
) -> None:
    """A job that another program stored, so large that nothing can be added to it."""
    limit = int((await services.get_service(KVStoreService)).connection.client.max_payload)
    spec = JobSpec(func="tests.worker.functions:fail", args=msgspec.Raw(b"[]"))
    size = limit - len(encode(QueuedJob(job_id="large", spec=spec, enqueued_at=jobs.clock.now()))) - 400
    spec = msgspec.structs.replace(spec, args=msgspec.Raw(msgspec.json.encode(["x" * size])))
    queued = QueuedJob(job_id="large", spec=spec, enqueued_at=jobs.clock.now())
    await kv.transact([Put(job_key("default", "large"), encode(queued), 0)])
    await start_worker()
    others = [await jobs.enqueue(functions.add, number) for number in range(5)]
    async with asyncio.timeout(HANG):
        assert [await jobs.result(job_id) for job_id in others] == list(range(5))
        result = await jobs.wait("large")
    assert (result.status, result.error_type) == (JobStatus.FAILED, "ValueError")
    dead = await jobs.dead_letters.get("large")
    assert dead is not None
    assert (dead.error_type, dead.job) == ("ValueError", None)
    assert dead.raw is not None
    assert dead.raw.startswith('{"job_id":"large"')
    assert not await jobs.requeue("large"), "what is left of it cannot be run"
    assert "large" in caplog.text


async def test_doctor_names_a_job_whose_end_could_not_be_written(
    config: dict[str, Any], jobs: JobService, kv: KVStoreService
) -> None:
    dead = DeadJob(job_id="j", reason=DeadReason.UNWRITABLE, died_at=jobs.clock.now(), error="the store refused it")
    await kv.transact([Put(dead_key("j"), encode(dead))])
    found = [finding.found for finding in await check_up(load_settings(config)) if finding.level is Level.ERROR]
    assert any("job j" in text and "the store refused it" in text for text in found), found


async def test_a_schedule_whose_jobs_would_have_no_room_is_refused(scheduler: SchedulerService) -> None:
    job = Job(func=functions.fail, args=["x" * (1024 * 1024 - 2000)])
    with pytest.raises(InvalidJob, match=r"job\.args = .*bytes"):
        await scheduler.schedule_job(job, {"type": "interval", "interval": 60})
    with pytest.raises(InvalidJob, match=r"job\.args = .*bytes"):
        await scheduler.schedule_many([(job, {"type": "interval", "interval": 60})])
