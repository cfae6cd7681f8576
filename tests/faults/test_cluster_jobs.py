"""Jobs on a cluster of three nodes: workers are killed, and the node that leads the stream; every job ends once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from tests.faults.cluster import ClusterFleet, cluster_fleet
from tests.faults.fleet import now, revive
from tests.faults.report import Reports
from tests.faults.test_workers import Mark, marks
from tests.worker.conftest import stream_is_empty, until

ACK_WAIT = 3.0
WORKERS = ("w1", "w2", "w3")
PATIENCE = 120.0
EVERY_TENTH = 10


def mixed_jobs(path: Path, count: int) -> Iterator[Job]:
    """Of ten: one fails for good, two succeed when tried again, three take a while, four are done at once."""
    for number in range(count):
        match number % EVERY_TENTH:
            case 0:
                yield Job(func="tests.faults.jobs:fail_until", args=[str(path), 9], retries=1, backoff=0)
            case 1 | 2:
                yield Job(func="tests.faults.jobs:fail_until", args=[str(path), 3], retries=3, backoff=0.2)
            case 3 | 4 | 5:
                yield Job(func="tests.faults.jobs:linger", args=[str(path), 0.5])
            case _:
                yield Job(func="tests.faults.jobs:leave_mark", args=[str(path)])


async def kill_worker(world: ClusterFleet, name: str) -> int:
    """kill -9 of a worker that is started again; the process id that it had."""
    pid = world.workers[name].pid
    await world.workers[name].kill()
    await revive(lambda: world.start_worker(name, NAQ_ACK_WAIT=str(ACK_WAIT)))
    return pid


async def blows(world: ClusterFleet) -> set[int]:
    """A worker is killed, the node that leads the stream, and another worker before that node is back; the dead workers."""
    killed = {await kill_worker(world, "w1")}
    node = await world.stream_leader()
    await node.kill()
    killed.add(await kill_worker(world, "w2"))
    await node.start()
    await world.cluster.whole()
    killed.add(await kill_worker(world, "w3"))
    return killed


@pytest.mark.parametrize(
    ("count", "times"),
    [pytest.param(2_000, 1, marks=pytest.mark.slow), pytest.param(20_000, 6, marks=pytest.mark.long)],
)
@pytest.mark.timeout(900)
async def test_every_job_ends_once(tmp_path: Path, reports: Reports, count: int, times: int) -> None:
    path = tmp_path / "marks"
    async with cluster_fleet(tmp_path) as world, ServiceManager(world.settings) as services:
        for name in WORKERS:
            await world.start_worker(name, NAQ_ACK_WAIT=str(ACK_WAIT))
        jobs, kv = await services.get_service(JobService), await services.get_service(KVStoreService)
        await world.load(20, Job(func="tests.faults.jobs:leave_mark", args=[str(path)]))
        job_ids = await jobs.enqueue_many(list(mixed_jobs(path, count)))
        waiting = asyncio.gather(*(jobs.wait(job_id, timeout=PATIENCE * times) for job_id in job_ids))
        struck_at = now()
        killed: set[int] = set()
        for _ in range(times):
            killed |= await blows(world)
        results = await waiting
        due_by = now()
        await world.recorder.until_nominal(due_by + timedelta(seconds=1))
        verdict = await world.complete(lambda: world.judged(due_by).unless_ran(runs(path)))
        for name in world.schedulers:
            await world.schedulers[name].kill()
        await until(lambda: stream_is_empty(services, kv), PATIENCE)
        dead = [letter.job_id async for page in jobs.dead_letters.find() for _, letter in page]
        ran = runs(path)
        again = {job_id: pids for job_id, pids in ran.items() if len(pids) > 1}
        reports.write(
            f"cluster: {count:,} jobs, {3 * times} workers killed and {times} times the node that leads the stream",
            verdict,
            world.recorder,
            repeated=len(again),
            done_in=f"{(now() - struck_at).total_seconds():.0f} s",
            jobs=dict(Counter(str(result.status) for result in results)),
        )
    assert verdict.clean, verdict
    tenth = count // EVERY_TENTH
    assert Counter(str(result.status) for result in results) == {"completed": count - tenth, "failed": tenth}
    assert len(dead) == len(set(dead)) == tenth
    unexplained = {job_id: pids for job_id, pids in again.items() if not killed.issuperset(pids[:-1])}
    assert not unexplained
    fired = {job.job_id for _, job in world.recorder.fires if job.schedule_id is not None}
    assert not fired - ran.keys(), "enqueued by a schedule, and never run"


def runs(path: Path) -> dict[str, list[int]]:
    """By job: the process ids of the workers that ran it to where it leaves a line."""
    found: dict[str, list[int]] = {}
    for mark in filter(is_start, marks(path)):
        found.setdefault(mark.job_id, []).append(mark.pid)
    return found


def is_start(mark: Mark) -> bool:
    return mark.what == "start"
