"""Jobs that wait for other jobs: in every order, for every ending, and however the race goes."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from naq.exceptions import InvalidJob, JobExists, JobFailed
from naq.jobs.form import parse_job
from naq.jobs.job import Job, JobSpec, JobStatus, QueuedJob
from naq.jobs.records import DeadReason, StoredResult
from naq.lifecycle import ServiceManager
from naq.queue.dependencies import Verdict, judge
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.codec import encode
from naq.store.keys import deferred_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Put
from tests.worker import functions
from tests.worker.conftest import StartWorker, stream_is_empty, until

HANG = 30.0
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def result(job_id: str, status: JobStatus) -> StoredResult:
    return StoredResult(job_id=job_id, status=status)


@pytest.mark.parametrize(
    ("when", "first", "second", "verdict"),
    [
        ("succeeded", JobStatus.COMPLETED, JobStatus.COMPLETED, Verdict.READY),
        ("succeeded", JobStatus.COMPLETED, JobStatus.RUNNING, Verdict.WAITING),
        ("succeeded", JobStatus.COMPLETED, None, Verdict.WAITING),
        ("succeeded", None, JobStatus.FAILED, Verdict.NEVER),
        ("succeeded", JobStatus.CANCELLED, JobStatus.COMPLETED, Verdict.NEVER),
        ("failed", JobStatus.FAILED, JobStatus.FAILED, Verdict.READY),
        ("failed", JobStatus.FAILED, JobStatus.COMPLETED, Verdict.NEVER),
        ("ended", JobStatus.FAILED, JobStatus.CANCELLED, Verdict.READY),
        ("ended", JobStatus.FAILED, None, Verdict.WAITING),
    ],
)
def test_verdict(when: str, first: JobStatus | None, second: JobStatus | None, verdict: Verdict) -> None:
    spec = JobSpec(func="m:f", depends_on=("a", "b"), depends_when=when)
    queued = QueuedJob(job_id="c", spec=spec, enqueued_at=NOW)
    results = {name: result(name, status) for name, status in (("a", first), ("b", second)) if status is not None}
    assert judge(queued, results).verdict is verdict


async def test_a_job_runs_after_those_it_depends_on(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(functions.hold, "first")
    last = await jobs.enqueue(Job(func=functions.note, args=["last"], depends_on=[first, "second"]))
    second = await jobs.enqueue(Job(func=functions.note, args=["second"], job_id="second"))
    await jobs.result(second, timeout=HANG)
    info = await jobs.get(last)
    assert info is not None
    assert (info.status, info.depends_on) == (JobStatus.DEFERRED, (first, "second"))
    functions.event(functions.released, "first").set()
    await jobs.result(last, timeout=HANG)
    assert functions.seen == ["second", "last"]
    for pattern in ("job.>", "deferred.>", "waiting.>"):
        await until(lambda pattern=pattern: only_markers(kv, pattern))  # type: ignore[misc]


async def only_markers(kv: KVStoreService, pattern: str) -> bool:
    async for keys in kv.keys(pattern):
        if keys:
            return False
    return True


async def test_a_job_whose_dependencies_ended_before_runs_at_once(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    first = await jobs.enqueue(functions.add, 1)
    await jobs.result(first, timeout=HANG)
    last = await jobs.enqueue(Job(func=functions.add, args=[2], depends_on=[first]))
    assert await jobs.result(last, timeout=HANG) == 2


async def test_a_dependency_that_ends_otherwise_makes_a_dead_letter_of_all_that_follow(
    jobs: JobService, start_worker: StartWorker
) -> None:
    first = await jobs.enqueue(functions.fail)
    second = await jobs.enqueue(Job(func=functions.note, args=[2], depends_on=[first]))
    third = await jobs.enqueue(Job(func=functions.note, args=[3], depends_on=[second]))
    other = await jobs.enqueue(Job(func=functions.add, args=[4], depends_on=[third], depends_when="failed"))
    await start_worker()
    for job_id in (second, third):
        with pytest.raises(JobFailed, match="ended as failed, not succeeded"):
            await jobs.result(job_id, timeout=HANG)
        dead = await jobs.dead_letters.get(job_id)
        assert dead is not None
        assert dead.reason is DeadReason.DEPENDENCY
    assert await jobs.result(other, timeout=HANG) == 4
    assert functions.seen == []
    assert await jobs.requeue(second)
    await jobs.result(second, timeout=HANG)
    assert functions.seen == [2]


async def test_cancelling_a_dependency_or_a_waiting_job(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    first = await jobs.enqueue(functions.add, 1)
    waiting = await jobs.enqueue(Job(func=functions.note, args=[2], depends_on=[first]))
    other = await jobs.enqueue(Job(func=functions.add, args=[3], depends_on=[first], depends_when="ended"))
    assert await jobs.cancel(waiting)
    assert await jobs.cancel(first)
    await start_worker()
    assert await jobs.result(other, timeout=HANG) == 3
    assert functions.seen == []
    assert await only_markers(kv, "waiting.>")


async def test_a_job_that_depends_on_others_may_have_a_time_too(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    first = await jobs.enqueue(functions.add, 1)
    last = await jobs.enqueue(Job(func=functions.add, args=[2], depends_on=[first]), delay=0.5)
    result = await jobs.wait(last, timeout=HANG)
    assert result.started_at is not None
    before = await jobs.wait(first, timeout=HANG)
    assert before.ended_at is not None
    assert (result.started_at - before.ended_at).total_seconds() > 0.2


async def test_the_same_id_waits_once(jobs: JobService) -> None:
    job = Job(func=functions.add, args=[1], job_id="same", depends_on=["other"])
    await jobs.enqueue(job)
    with pytest.raises(JobExists):
        await jobs.enqueue(job)


async def test_every_race_between_an_end_and_a_new_dependent_is_won(
    jobs: JobService, start_worker: StartWorker
) -> None:
    """Dependents are enqueued while the jobs that they wait for end."""
    await start_worker()

    async def pair(number: int) -> Any:
        first = await jobs.enqueue(functions.add, number)
        last = await jobs.enqueue(Job(func=functions.add, args=[number], depends_on=[first]))
        return await jobs.result(last, timeout=HANG)

    assert await asyncio.gather(*(pair(number) for number in range(100))) == list(range(100))


async def test_a_sweep_releases_who_was_overlooked(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    """As after a read from a copy that lags: the dependency ended, and nobody saw who waits."""
    await start_worker()
    first = await jobs.enqueue(functions.add, 1)
    await jobs.result(first, timeout=HANG)
    spec = parse_job(Job(func=functions.add, args=[2], depends_on=[first]))
    queued = QueuedJob(job_id="overlooked", spec=spec, enqueued_at=jobs.clock.now())
    await kv.transact(jobs._settling.dependencies.writes(queued, None))
    assert await jobs._settling.dependencies.sweep() == []
    assert await jobs.result("overlooked", timeout=HANG) == 2


async def test_a_scheduled_job_with_a_dependency_is_set_aside_by_the_worker(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker, services: ServiceManager
) -> None:
    """It comes through the queue, for a fire does not know of dependencies."""
    await start_worker()
    spec = parse_job(Job(func=functions.add, args=[2], depends_on=["later"]))
    queued = QueuedJob(job_id="s/1", spec=spec, enqueued_at=jobs.clock.now(), schedule_id="s")
    await kv.transact([Put("job.default.s/1", encode(queued), 0)])

    async def set_aside() -> bool:
        return await kv.get(deferred_key("s/1", 1)) is not None

    await until(set_aside)
    await until(lambda: stream_is_empty(services, kv))
    await jobs.enqueue(Job(func=functions.add, args=[1], job_id="later"))
    assert await jobs.result("s/1", timeout=HANG) == 2
    assert msgspec.json.encode(queued)


async def test_jobs_that_wait_for_one_another_in_a_circle_are_refused(jobs: JobService) -> None:
    """None of them could ever run, and nothing would say so."""
    circle = [
        Job(func=functions.note, args=[name], job_id=name, depends_on=[other])
        for name, other in (("a", "b"), ("b", "c"), ("c", "a"))
    ]
    with pytest.raises(InvalidJob, match="is a circle: none of these jobs could ever run"):
        await jobs.enqueue_many([*circle, Job(func=functions.note, args=["free"])])
    assert await jobs.list_jobs() == []
