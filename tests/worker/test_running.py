"""One job from its enqueueing to its result, in every way it can go."""

from __future__ import annotations

import asyncio
import base64
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from naq.exceptions import InvalidJob, JobFailed, JobTimeout, UnknownFunction
from naq.jobs.context import JobContext, current_job
from naq.jobs.functions import Registry
from naq.jobs.job import Job, JobSpec, JobStatus
from naq.jobs.records import DeadReason
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from naq.worker.execution.run import Middleware
from tests.worker import functions
from tests.worker.conftest import StartWorker, stream_is_empty, until

HANG = 30.0


async def test_async_function_returns_its_value(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(functions.add, 2, b=3)
    assert await jobs.result(job_id, timeout=HANG) == 5


async def test_sync_function_runs_in_a_thread(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    result = await jobs.result(await jobs.enqueue(functions.add_in_thread, 2, 3), timeout=HANG)
    assert result["sum"] == 5
    assert result["thread"].startswith("naq job")


async def test_process_executor_runs_elsewhere_and_is_used_again(jobs: JobService, start_worker: StartWorker) -> None:
    import os

    await start_worker()
    pids = [
        await jobs.result(await jobs.enqueue(Job(func=functions.process_id, executor="process")), timeout=HANG)
        for _ in range(2)
    ]
    assert os.getpid() not in pids
    assert pids[0] == pids[1]


async def test_arguments_arrive_as_annotated(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    at = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    order = functions.Order(7, at)
    job_id = await jobs.enqueue(Job(func=functions.typed, args=[at, order], kwargs={"wait": timedelta(seconds=5)}))
    assert await jobs.result(job_id, timeout=HANG) == {
        "at": at.isoformat(),
        "order": "Order",
        "number": 7,
        "wait": "PT5S",
        "job_id": job_id,
    }


async def test_context_is_found_on_the_loop_and_in_threads(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(functions.who_am_i)
    assert await jobs.result(job_id, timeout=HANG) == {
        "job_id": job_id,
        "attempt": 1,
        "queue": "default",
        "worker": "worker-0",
    }
    job_id = await jobs.enqueue(functions.who_am_i_in_thread)
    assert await jobs.result(job_id, timeout=HANG) == job_id
    with pytest.raises(LookupError):
        current_job()


async def test_failure_is_a_result_and_a_dead_letter(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(functions.fail, "no such table")
    with pytest.raises(JobFailed, match="ValueError: no such table") as caught:
        await jobs.result(job_id, timeout=HANG)
    assert caught.value.error_type == "ValueError"
    (dead,) = await jobs.list_dead()
    assert (dead.job_id, dead.reason, dead.error) == (job_id, DeadReason.FAILED, "no such table")
    assert "functions.py" in (dead.traceback or "")
    info = await jobs.get(job_id)
    assert info is not None
    assert (info.status, info.reason) == (JobStatus.FAILED, "failed")


@pytest.mark.parametrize(
    ("function", "error_type"),
    [
        (functions.exit_thread, "SystemExit"),
        (functions.exit_loop, "SystemExit"),
        (functions.interrupt, "KeyboardInterrupt"),
        (functions.cancel_itself, "CancelledError"),
        (functions.stop_iteration, "RuntimeError"),
    ],
)
async def test_whatever_a_job_raises_the_worker_goes_on(
    jobs: JobService, start_worker: StartWorker, function: Any, error_type: str
) -> None:
    await start_worker(concurrency=1)
    with pytest.raises(JobFailed) as caught:
        await jobs.result(await jobs.enqueue(function), timeout=HANG)
    assert caught.value.error_type == error_type
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1


async def test_a_process_that_dies_is_a_failure_of_its_job_alone(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker(concurrency=1)
    with pytest.raises(JobFailed, match="exit code 9"):
        await jobs.result(await jobs.enqueue(Job(func=functions.die, executor="process")), timeout=HANG)
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        await jobs.result(await jobs.enqueue(Job(func=functions.exit_thread, executor="process")), timeout=HANG)
    job_id = await jobs.enqueue(Job(func=functions.report_from_process, executor="process"))
    assert await jobs.result(job_id, timeout=HANG) == 1


async def test_only_registered_or_allowed_functions_run(jobs: JobService, start_worker: StartWorker) -> None:
    registry = Registry()
    registry.add(functions.add)
    await start_worker(functions_allowed=False, registry=registry, unknown_function_wait=0)
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    for refused in ("os:getcwd", "tests.worker.functions:sleep", "no.such.module:f"):
        with pytest.raises(JobFailed, match="knows the function"):
            await jobs.result(await jobs.enqueue(refused), timeout=HANG)
    assert {dead.reason for dead in await jobs.list_dead()} == {DeadReason.UNKNOWN_FUNCTION}


def test_a_pattern_does_not_reach_through_its_module() -> None:
    registry = Registry(["tests.worker.functions:*"])
    assert registry.resolve("tests.worker.functions:add") is functions.add
    for hidden in ("getcwd", "os.getcwd", "private", "asyncio.sleep", "nothing", "Path"):
        with pytest.raises(UnknownFunction):
            registry.resolve(f"tests.worker.functions:{hidden}")


async def test_arguments_that_do_not_fit_are_a_dead_letter_and_not_retried(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    for args in (["x", 1], [1, 2, 3]):
        job = Job(func="tests.worker.functions:add", args=args)  # by name: here its parameters are not known
        with pytest.raises(JobFailed):
            await jobs.result(await jobs.enqueue(job), timeout=HANG)
    job_id = await jobs.enqueue(Job(func=functions.add, args=["x"], retries=5))
    with pytest.raises(JobFailed, match="argument 1 does not match"):
        await jobs.result(job_id, timeout=HANG)
    dead = await jobs.dead_letters.get(job_id)
    assert dead is not None
    assert dead.reason is DeadReason.BAD_ARGUMENTS


async def test_records_that_cannot_be_read_are_dead_letters_that_keep_them(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    await kv.put("job.default.broken", b"{not json")
    await kv.put("job.default.newer", {"v": 99, "job_id": "newer"})
    await kv.put("job.default.no.job.at-all", b"{not json")
    for job_id, text in (("broken", "JSON"), ("newer", "version 99")):
        with pytest.raises(JobFailed, match=text):
            await jobs.result(job_id, timeout=HANG)
    async with asyncio.timeout(HANG):
        while len(dead := {dead.job_id: dead.raw for dead in await jobs.list_dead()}) < 3:  # noqa: ASYNC110 - no id to wait for
            await asyncio.sleep(0.02)
    assert dead["broken"] == dead["no.job.at-all"] == "{not json"
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1


async def test_pickle_needs_both_sides(
    jobs: JobService, config: dict[str, Any], kv: KVStoreService, start_worker: StartWorker, services: ServiceManager
) -> None:
    with pytest.raises(InvalidJob, match="allow_pickle"):
        await jobs.enqueue(functions.add, 1, 2, pickled=True)
    open_jobs = JobService(
        {**config, "allow_pickle": True}, jobs.results.connection, kv, jobs._events, result_service=jobs.results
    )
    async with open_jobs:
        await start_worker()
        with pytest.raises(JobFailed, match="allow_pickle is off"):
            await open_jobs.result(await open_jobs.enqueue(functions.add, 1, 2, pickled=True), timeout=HANG)


def test_pickled_arguments_are_read_when_allowed() -> None:
    target = Registry(["tests.worker.functions:*"]).target("tests.worker.functions:add")
    text = base64.b64encode(pickle.dumps(((1,), {"b": 2}))).decode()
    spec = JobSpec(func="tests.worker.functions:add", args=msgspec.Raw(msgspec.json.encode([text])), pickled=True)
    assert target.arguments(spec, allow_pickle=True) == ([1], {"b": 2})


async def test_value_that_is_no_json_is_said_so(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(functions.not_json)
    with pytest.raises(JobFailed, match="not JSON"):
        await jobs.result(job_id, timeout=HANG)
    info = await jobs.get(job_id)
    assert info is not None
    assert info.status is JobStatus.COMPLETED
    assert await jobs.list_dead() == []


async def test_large_value_is_kept_in_parts(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    size = 3_000_000
    job_id = await jobs.enqueue(functions.large, size)
    assert await jobs.result(job_id, timeout=HANG) == "x" * size
    info = await jobs.get(job_id)
    assert info is not None
    assert len(info.value) == size


async def test_result_of_a_job_that_does_not_end_times_out(jobs: JobService) -> None:
    with pytest.raises(JobTimeout):
        await jobs.result("nobody", timeout=0.05)


async def test_a_result_is_awaited_by_many_before_and_after(jobs: JobService, start_worker: StartWorker) -> None:
    job_ids = await jobs.enqueue_many([Job(func=functions.add, args=[number]) for number in range(50)])
    waiting = [asyncio.create_task(jobs.result(job_id, timeout=HANG)) for job_id in job_ids]
    await start_worker()
    assert await asyncio.gather(*waiting) == list(range(50))
    assert [await jobs.result(job_id, timeout=HANG) for job_id in job_ids] == list(range(50))


async def test_progress_and_running_are_seen_while_it_runs(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    job_id = await jobs.enqueue(functions.report, "r")
    await functions.event(functions.started, "r").wait()

    async def shown() -> bool:
        info = await jobs.get(job_id)
        return info is not None and info.status is JobStatus.RUNNING and info.progress is not None

    await until(shown)
    info = await jobs.get(job_id)
    assert info is not None
    assert info.progress is not None
    assert (info.progress.done, info.progress.total, info.progress.note) == (1, 4, "a quarter")
    assert info.worker_id == "worker-0"
    assert [each.job_id for each in await jobs.list_jobs(status="running")] == [job_id]
    functions.event(functions.released, "r").set()
    await jobs.result(job_id, timeout=HANG)


async def test_finished_jobs_leave_the_stream(
    jobs: JobService, kv: KVStoreService, services: ServiceManager, start_worker: StartWorker
) -> None:
    await start_worker()
    job_ids = await jobs.enqueue_many([Job(func=functions.add, args=[1]) for _ in range(200)])
    for job_id in job_ids:
        await jobs.result(job_id, timeout=HANG)
    await until(lambda: stream_is_empty(services, kv))


class Recorder(Middleware):
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def before(self, context: JobContext) -> None:
        self.heard.append(f"before {context.func.split(':')[1]}")

    async def after(self, context: JobContext, value: Any) -> None:
        self.heard.append(f"after {value}")
        raise RuntimeError("a middleware's own trouble")

    async def error(self, context: JobContext, error: BaseException) -> None:
        self.heard.append(f"error {type(error).__name__}")


async def test_middleware_hears_of_each_job(jobs: JobService, start_worker: StartWorker) -> None:
    recorder = Recorder()
    await start_worker(middleware=[recorder])
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    with pytest.raises(JobFailed):
        await jobs.result(await jobs.enqueue(functions.fail), timeout=HANG)
    assert recorder.heard == ["before add", "after 1", "before fail", "error ValueError"]
