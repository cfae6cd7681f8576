"""Jobs that do what no job should, in a real ``naq worker``: it reports them, and everything else goes on.

Each test has a rogue and, beside it, jobs that are none: those must come back while the rogue is at it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from naq.events import Event
from naq.exceptions import JobFailed
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import WorkerInfo
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.store.nats.event_stream import EventService
from tests.faults.world import Process
from tests.worker import rogues
from tests.worker.conftest import until

HANG = 60.0
APP = "tests.worker.rogues:app"

StartNaqWorker = Callable[..., Awaitable[Process]]


@pytest.fixture
async def naq_worker(config: dict[str, Any]) -> AsyncIterator[StartNaqWorker]:
    """Start ``naq worker`` with these settings; all are killed after the test."""
    processes: list[Process] = []

    async def start(**settings: Any) -> Process:
        given = {**config, "instance_id": f"worker-{len(processes)}", **settings}
        process = Process(["worker", APP], {f"NAQ_{name.upper()}": str(value) for name, value in given.items()})
        processes.append(process)
        await process.start()
        return process

    yield start
    for process in processes:
        await process.kill()


def words(path: Path) -> list[str]:
    """What the jobs noted, without their process ids."""
    return [line.split()[0] for line in path.read_text().splitlines()] if path.exists() else []


def noted_by(path: Path, word: str) -> int:
    return int(next(line for line in path.read_text().splitlines() if line.startswith(word)).split()[1])


async def noted(path: Path, word: str) -> int:
    """Wait until a job noted it; its process id."""

    async def there() -> bool:
        return word in words(path)

    await until(there, HANG)
    return noted_by(path, word)


async def others_go_on(jobs: JobService, count: int = 20) -> None:
    job_ids = await jobs.enqueue_many([Job(func=rogues.quick, args=[number]) for number in range(count)])
    assert [await jobs.result(job_id, timeout=HANG) for job_id in job_ids] == list(range(count))


async def the_worker(jobs: JobService) -> WorkerInfo:
    (info,) = await jobs.list_workers()
    return info


async def told(services: ServiceManager, kind: str, job_id: str | None = None) -> Event:
    """The first event of a kind; waits for it."""
    events = await services.get_service(EventService)

    async def there() -> bool:
        return bool(await events.get_event_history(types=[kind], job_id=job_id))

    await until(there, HANG)
    return (await events.get_event_history(types=[kind], job_id=job_id))[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "executor"),
    [
        (rogues.rage_on_the_loop, "auto"),
        (rogues.rage_in_a_task, "auto"),
        (rogues.rage_beside, "auto"),
        (rogues.rage_beside, "process"),
        (rogues.rage_in_a_task, "process"),
    ],
)
async def test_what_would_end_a_program_ends_only_the_job(
    jobs: JobService,
    services: ServiceManager,
    naq_worker: StartNaqWorker,
    tmp_path: Path,
    function: Callable[..., Any],
    executor: Literal["auto", "process"],
) -> None:
    worker = await naq_worker()
    bystander = await jobs.enqueue(rogues.wait_for, str(tmp_path / "b"))
    await noted(tmp_path / "b", "begun")
    for kind, error_type in zip(
        rogues.KINDS, ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "MemoryError"), strict=True
    ):
        job_id = await jobs.enqueue(Job(func=function, args=[kind], executor=executor))
        with pytest.raises(JobFailed) as caught:
            await jobs.result(job_id, timeout=HANG)
        assert caught.value.error_type == error_type
        assert (await told(services, "job_failed", job_id)).details["error_type"] == error_type
        await others_go_on(jobs, 3)
    (tmp_path / "b.enough").touch()
    assert await jobs.result(bystander, timeout=HANG) == worker.pid, "the same worker, and never interrupted"
    assert (await the_worker(jobs)).pid == worker.pid
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0


async def test_a_process_that_ends_in_mid_job_is_told_with_how(
    jobs: JobService, services: ServiceManager, naq_worker: StartNaqWorker
) -> None:
    await naq_worker()
    job_id = await jobs.enqueue(Job(func=rogues.end_the_process, args=[9], executor="process", retries=1, backoff=0))
    with pytest.raises(JobFailed, match="exit code 9") as caught:
        await jobs.result(job_id, timeout=HANG)
    assert caught.value.error_type == "ProcessDied"
    assert (await told(services, "job_retry_scheduled", job_id)).details["error_type"] == "ProcessDied"
    dead = await jobs.dead_letters.get(job_id)
    assert dead is not None
    assert dead.job is not None
    assert (dead.job.attempt, dead.error_type) == (2, "ProcessDied")
    await others_go_on(jobs)


async def test_a_process_that_is_killed_for_its_memory_costs_one_attempt(
    jobs: JobService, services: ServiceManager, naq_worker: StartNaqWorker, tmp_path: Path
) -> None:
    """As the system does it when memory runs out: SIGKILL to the process of the job."""
    path = tmp_path / "runs"
    worker = await naq_worker()
    job_id = await jobs.enqueue(Job(func=rogues.wait_for, args=[str(path)], executor="process", retries=1, backoff=0))
    first = await noted(path, "begun")
    assert first != worker.pid
    os.kill(first, signal.SIGKILL)
    event = await told(services, "job_retry_scheduled", job_id)
    assert event.reason is not None
    assert "SIGKILL" in event.reason
    assert "memory" in event.reason
    await others_go_on(jobs)
    (tmp_path / "runs.enough").touch()
    second = await jobs.result(job_id, timeout=HANG)
    assert second not in (first, worker.pid)
    assert words(path) == ["begun", "begun"]


async def test_a_process_goes_on_when_all_of_a_service_is_told_to_stop(
    jobs: JobService, naq_worker: StartNaqWorker, tmp_path: Path
) -> None:
    """A supervisor sends SIGTERM to the worker and to its children: the worker drains, and its jobs may end."""
    path = tmp_path / "runs"
    worker = await naq_worker()
    job_id = await jobs.enqueue(Job(func=rogues.wait_for, args=[str(path)], executor="process"))
    child = await noted(path, "begun")
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGINT)
    worker.signal(signal.SIGTERM)
    (tmp_path / "runs.enough").touch()
    assert await jobs.result(job_id, timeout=HANG) == child
    assert await worker.ended() == 0


async def test_a_process_that_grew_too_large_is_replaced_after_its_job(
    jobs: JobService, services: ServiceManager, naq_worker: StartNaqWorker
) -> None:
    worker = await naq_worker(process_memory_limit=150 << 20)
    small = [await run_process(jobs, 1) for _ in range(2)]
    assert len(set(small)) == 1, "a process is used again"
    swollen = await run_process(jobs, 200)
    assert swollen == small[0]
    assert await run_process(jobs, 1) != swollen
    event = await told(services, "worker_memory")
    assert event.func == "tests.worker.rogues:leak"
    assert event.details["bytes"] > event.details["limit"] == 150 << 20
    assert "tests.worker.rogues:leak" in await worker.line("is replaced")


async def run_process(jobs: JobService, megabytes: int) -> int:
    job = Job(func=rogues.leak, args=[megabytes], executor="process")
    pid = await jobs.result(await jobs.enqueue(job), timeout=HANG)
    assert isinstance(pid, int)
    return pid


@pytest.mark.slow
async def test_a_worker_that_grew_too_large_drains_and_ends(
    jobs: JobService, services: ServiceManager, naq_worker: StartNaqWorker
) -> None:
    worker = await naq_worker(memory_limit=200 << 20)
    job_id = await jobs.enqueue(Job(func=rogues.leak, args=[250]))
    assert await jobs.result(job_id, timeout=HANG) == worker.pid
    assert await worker.ended() == 0
    assert "drains and ends" in "\n".join(worker.lines)
    assert (await told(services, "worker_memory")).details["bytes"] > 200 << 20


@pytest.mark.slow
@pytest.mark.parametrize("how", ["timeout", "cancelled"])
@pytest.mark.parametrize(
    ("function", "executor", "remark"),
    [
        (rogues.deaf_on_the_loop, "auto", "given up"),
        (rogues.deaf_beside, "auto", "given up"),
        (rogues.deaf_beside, "process", "was killed"),
    ],
)
async def test_a_deaf_job_is_given_up_and_told(
    jobs: JobService,
    services: ServiceManager,
    naq_worker: StartNaqWorker,
    tmp_path: Path,
    function: Callable[..., Any],
    executor: Literal["auto", "process"],
    remark: str,
    how: str,
) -> None:
    path = tmp_path / "runs"
    worker = await naq_worker(concurrency=2)
    if executor == "process":
        # The process runs before the job that has a timeout: on a busy machine its start may take longer than that.
        await jobs.result(await jobs.enqueue(Job(func=rogues.leak, args=[0], executor="process")), timeout=HANG)
    timeout = 3.0 if how == "timeout" else None
    job_id = await jobs.enqueue(Job(func=function, args=[str(path)], executor=executor, timeout=timeout))
    pid = await noted(path, "begun")
    if how == "cancelled":
        assert await jobs.cancel(job_id, reason="enough")
    await noted(path, "deaf")
    assert (await the_worker(jobs)).stuck == 0
    await others_go_on(jobs)
    result = await jobs.wait(job_id, timeout=HANG)
    assert result.status is (JobStatus.FAILED if how == "timeout" else JobStatus.CANCELLED)
    assert result.error is not None
    assert remark in result.error
    event = await told(services, "job_failed" if how == "timeout" else "job_cancelled", job_id)
    assert event.reason == result.error
    await others_go_on(jobs)
    if executor == "process":
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    else:
        assert job_id in await worker.line("ignores it")
        await told_stuck(jobs, 1)
        (tmp_path / "runs.enough").touch()
        await told_stuck(jobs, 0)
    assert words(path).count("begun") == 1
    again = await jobs.get(job_id)
    assert again is not None
    assert again.status is result.status, "its end does not change when it ends at last"
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 0


async def told_stuck(jobs: JobService, count: int) -> None:
    async def so_many() -> bool:
        return (await the_worker(jobs)).stuck == count

    await until(so_many, HANG)


@pytest.mark.slow
async def test_a_loop_that_is_blocked_for_ten_seconds(
    jobs: JobService, services: ServiceManager, naq_worker: StartNaqWorker, tmp_path: Path
) -> None:
    """With an ``ack_wait`` of 1.5 s and another worker that waits for work, only the heartbeat keeps the job where it is.

    What the server had sent to the blocked worker meanwhile is handed out again, and run once all the same.
    """
    path = tmp_path / "runs"
    workers = {"worker-0": await naq_worker(ack_wait=1.5), "worker-1": await naq_worker(ack_wait=1.5)}
    job_id = await jobs.enqueue(rogues.block, str(path), 10.0)
    pid = await noted(path, "begun")
    name = next(name for name, worker in workers.items() if worker.pid == pid)
    event = await told(services, "worker_blocked")
    assert (event.instance_id, event.job_id, event.func) == (name, job_id, "tests.worker.rogues:block")
    assert "rogues.py" in event.details["where"]
    assert "ended" not in words(path), "it is told while it lasts"

    async def listed_as_blocked() -> bool:
        return any(info.worker_id == name and info.blocked_for > 0 for info in await jobs.list_workers())

    await until(listed_as_blocked)
    numbers = range(20)
    job_ids = await jobs.enqueue_many([Job(func=rogues.note_once, args=[str(path), number]) for number in numbers])
    assert [await jobs.result(job_id, timeout=HANG) for job_id in job_ids] == list(numbers)
    assert "ended" not in words(path)
    assert {info.worker_id for info in await jobs.list_workers()} == set(workers)
    result = await jobs.wait(job_id, timeout=HANG)
    assert (result.status, result.attempt, result.worker_id) == (JobStatus.COMPLETED, 1, name)
    assert sorted(words(path)) == sorted(["begun", "ended", *(f"number-{number}" for number in numbers)])
    over = await told(services, "worker_unblocked")
    assert (over.instance_id, over.job_id) == (name, job_id)
    assert over.details["seconds"] > 8
    assert job_id in await workers[name].line("blocks the event loop")
    await others_go_on(jobs)
