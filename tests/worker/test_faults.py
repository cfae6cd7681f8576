"""Workers that are killed, jobs that kill them, servers that go away, consumers that are deleted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from naq.exceptions import JobFailed
from naq.jobs.form import parse_job
from naq.jobs.history import RunOutcome
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.jobs.records import DeadReason, StoredResult
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from naq.testing.server import NatsServer
from naq.worker.service import WorkerService
from tests.worker import functions
from tests.worker.conftest import FUNCTIONS, StartProcess, StartWorker, WorkerProcess, stream_is_empty, until

HANG = 60.0


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def written(path: Path, count: int) -> None:
    async def enough() -> bool:
        return len(lines(path)) >= count

    await until(enough, HANG)


async def test_a_job_of_a_killed_worker_comes_back_within_the_heartbeat_window(
    jobs: JobService, start_process: StartProcess, start_worker: StartWorker, tmp_path: Path
) -> None:
    victim = await start_process(ack_wait=1.0)
    path = tmp_path / "runs"
    job_id = await jobs.enqueue(functions.append_and_wait, str(path), "run")
    await written(path, 1)
    await start_worker(ack_wait=1.0)
    await victim.kill()
    await written(path, 2)
    assert await jobs.cancel(job_id)
    result = await jobs.wait(job_id, timeout=HANG)
    assert (result.status, result.attempt, result.worker_id) == (JobStatus.CANCELLED, 1, "worker-0")


async def test_sigterm_hands_a_long_job_back_at_once(
    jobs: JobService, start_process: StartProcess, start_worker: StartWorker, tmp_path: Path
) -> None:
    """With an ``ack_wait`` of a minute nobody waits for it: the job was given back."""
    first = await start_process(drain_timeout=0.1)
    path = tmp_path / "runs"
    job_id = await jobs.enqueue(functions.append_and_wait, str(path), "run")
    await written(path, 1)
    await start_worker(ack_wait=60)
    assert await first.terminate() == 0
    await written(path, 2)
    assert await jobs.cancel(job_id)


async def test_a_run_that_kills_its_workers_fails_and_frees_the_slot(
    jobs: JobService, scheduler: SchedulerService, start_process: StartProcess, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    options = {"ack_wait": 0.7, "max_deliveries": 2}
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.append_and_die, args=[str(path), "run"]),
        {"type": "interval", "interval": 0.1, "max_runs": 1, "overlap": "skip"},
    )
    for number in range(1, 3):
        worker = await start_process(**options)
        await written(path, number)
        await worker.process.wait()
    await start_process(**options)

    async def told() -> bool:
        return [record.error_type for record in await jobs.history.history(schedule_id, 1)] == ["WorkerKilled"]

    await until(told, HANG)
    (record,) = await jobs.history.history(schedule_id, 1)
    assert record.outcome is RunOutcome.FAILED
    entry = await scheduler.get_schedule(schedule_id)
    assert entry is not None
    assert (entry["open_runs"], entry["error_count"]) == ([], 1)


async def test_each_worker_that_vanished_is_told_with_the_run_it_abandoned(
    jobs: JobService,
    services: ServiceManager,
    scheduler: SchedulerService,
    start_process: StartProcess,
    kv: KVStoreService,
    tmp_path: Path,
) -> None:
    """The run comes again until its deliveries are used up; then it is a dead letter, and its schedule goes on."""
    path = tmp_path / "runs"
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.append_and_wait, args=[str(path), "run"]),
        {"type": "interval", "interval": 0.1, "max_runs": 1, "overlap": "skip"},
    )
    for number in range(1, 3):
        victim = await start_process(ack_wait=0.7, max_deliveries=2, instance_id=f"victim-{number}")
        await written(path, number)
        await runs_at(jobs, schedule_id, f"victim-{number}")
        entry = await scheduler.get_schedule(schedule_id)
        assert entry is not None
        assert len(entry["open_runs"]) == 1
        await victim.kill()
    await start_process(ack_wait=0.7, max_deliveries=2, instance_id="survivor")

    async def closed() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["status"] == "completed" and not entry["open_runs"]

    await until(closed, HANG)
    (info,) = await jobs.list_jobs(schedule_id=schedule_id)
    events = await services.get_service(EventService)

    async def all_told() -> bool:
        found = await events.get_event_history(types=["job_failed"], job_id=info.job_id)
        return len(found) == 1 and len(await jobs.history.history(schedule_id)) == 3

    await until(all_told, HANG)
    found = await events.get_event_history(types=["job_abandoned"], job_id=info.job_id)
    assert [(event.details["worker_id"], event.details["starts"]) for event in found] == [
        ("victim-1", 1),
        ("victim-2", 2),
    ]
    assert {(event.attempt, event.schedule_id) for event in found} == {(1, schedule_id)}
    assert [event.instance_id for event in found] == ["victim-2", "survivor"], "whoever had it next"
    history = [
        (str(record.outcome), record.worker_id, record.error_type) for record in await jobs.history.history(schedule_id)
    ]
    assert history == [
        ("failed", "survivor", "WorkerKilled"),
        ("abandoned", "victim-2", "WorkerVanished"),
        ("abandoned", "victim-1", "WorkerVanished"),
    ]
    dead = await jobs.dead_letters.get(info.job_id)
    assert dead is not None
    assert dead.reason is DeadReason.KILLER
    assert len(lines(path)) == 2


async def runs_at(jobs: JobService, schedule_id: str, worker_id: str) -> None:
    """Wait until a worker has said that it runs the schedule's job."""

    async def said() -> bool:
        infos = await jobs.list_jobs(schedule_id=schedule_id)
        return [(info.status, info.worker_id) for info in infos] == [(JobStatus.RUNNING, worker_id)]

    await until(said, HANG)


async def test_a_run_that_was_handed_back_is_not_abandoned_however_often(
    jobs: JobService, services: ServiceManager, start_worker: StartWorker
) -> None:
    """Three workers are stopped while it runs, with two deliveries allowed: nobody vanished, and it is no killer."""
    job_id = await jobs.enqueue(functions.hold, "h")
    for number in range(4):
        worker = await start_worker(max_deliveries=2, drain_timeout=0.0, instance_id=f"drained-{number}")
        async with asyncio.timeout(HANG):
            await functions.event(functions.started, "h").wait()

        async def runs(name: str = worker.worker_id) -> bool:
            info = await jobs.get(job_id)
            return info is not None and (info.status, info.worker_id) == (JobStatus.RUNNING, name)

        await until(runs)
        if number < 3:
            functions.started["h"].clear()
            await worker.stop()
            info = await jobs.get(job_id)
            assert info is not None
            assert (info.status, info.worker_id) == (JobStatus.QUEUED, None)
    functions.event(functions.released, "h").set()
    result = await jobs.wait(job_id, timeout=HANG)
    assert (result.status, result.worker_id) == (JobStatus.COMPLETED, "drained-3")
    events = await services.get_service(EventService)
    assert await events.get_event_history(types=["job_abandoned"]) == []


async def test_a_job_that_kills_its_workers_becomes_a_dead_letter(
    jobs: JobService, start_process: StartProcess, tmp_path: Path
) -> None:
    path = tmp_path / "runs"
    options = {"ack_wait": 0.7, "max_deliveries": 3}
    job_id = await jobs.enqueue(functions.append_and_die, str(path), "run")
    for number in range(1, 4):
        worker = await start_process(**options)
        await written(path, number)
        await worker.process.wait()
    await start_process(**options)
    with pytest.raises(JobFailed, match="started 3 times"):
        await jobs.result(job_id, timeout=HANG)
    dead = await jobs.dead_letters.get(job_id)
    assert dead is not None
    assert dead.reason is DeadReason.KILLER
    assert len(lines(path)) == 3


async def test_an_end_that_was_written_but_not_acknowledged_is_not_run_again(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker, services: ServiceManager
) -> None:
    """As if the worker had died between the two: the result is there, and the job comes again."""
    worker = await start_worker(ack_wait=0.7)
    connection = await services.get_service(ConnectionService)
    dropped: list[bytes] = []
    send = connection.client.send

    async def lose_acks(buffer: bytes) -> None:
        if b"+ACK" in buffer and not dropped:
            dropped.append(buffer)
        else:
            await send(buffer)

    connection.client.send = lose_acks  # type: ignore[method-assign]
    job_id = await jobs.enqueue(functions.note, 1)
    await jobs.result(job_id, timeout=HANG)
    await until(lambda: stream_is_empty(services, kv))
    assert dropped
    assert functions.seen == [1]
    assert worker.info().finished == 1


async def test_an_acknowledgement_that_is_lost_does_not_run_a_job_again_whose_result_has_expired(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker, services: ServiceManager
) -> None:
    """As after a kill of the server: it forgot the acknowledgement, and hands the job out when its result is gone."""
    worker = await start_worker(ack_wait=4.0)
    connection = await services.get_service(ConnectionService)
    dropped: list[bytes] = []
    send = connection.client.send

    async def lose_acks(buffer: bytes) -> None:
        if b"+ACK" in buffer and not dropped:
            dropped.append(buffer)
        else:
            await send(buffer)

    connection.client.send = lose_acks  # type: ignore[method-assign]
    job_id = await jobs.enqueue(Job(func=functions.note, args=[1], result_ttl=1))
    await jobs.wait(job_id, timeout=HANG)

    async def expired() -> bool:
        return await jobs.results.get(job_id) is None

    await until(expired)
    await until(lambda: stream_is_empty(services, kv))
    assert dropped
    assert functions.seen == [1]
    assert worker.info().finished == 1


async def test_jobs_go_on_when_the_consumer_was_deleted(
    jobs: JobService, services: ServiceManager, start_worker: StartWorker, config: dict[str, Any]
) -> None:
    await start_worker()
    assert await jobs.result(await jobs.enqueue(functions.add, 1), timeout=HANG) == 1
    connection = await services.get_service(ConnectionService)
    await connection.api(f"CONSUMER.DELETE.KV_{config['namespace']}.worker_default")
    assert await jobs.result(await jobs.enqueue(functions.add, 2), timeout=HANG) == 2


async def test_a_run_whose_worker_died_before_the_schedule_knew_of_its_end_is_closed(
    jobs: JobService, kv: KVStoreService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    """As if the worker had died between the two: the result is there, the run is still open, and the job comes again."""
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.note, args=[1]), {"type": "interval", "interval": 0.1, "max_runs": 2, "overlap": "skip"}
    )

    async def fired() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and bool(entry["open_runs"])

    await until(fired)
    (info,) = await jobs.list_jobs(schedule_id=schedule_id)
    await jobs.results.write([StoredResult(job_id=info.job_id, status=JobStatus.COMPLETED)], [60.0])
    await start_worker()

    async def closed() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["status"] == "completed" and not entry["open_runs"]

    await until(closed)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest.mark.parametrize("kill", [False, True])
async def test_jobs_survive_a_server_that_goes_away_in_the_middle(own_server: NatsServer, kill: bool) -> None:
    config = {"nats_url": own_server.url, "request_timeout": 2, "ack_wait": 2, "allow_functions": [FUNCTIONS]}
    async with ServiceManager(config) as services:
        jobs = await services.get_service(JobService)
        worker = await services.get_service(WorkerService)
        await worker.start()
        job_ids = await jobs.enqueue_many(
            [Job(func=functions.note, args=[number]) for number in range(300)] + [Job(func=functions.hold, args=["h"])]
        )
        async with asyncio.timeout(HANG):
            await functions.event(functions.started, "h").wait()
        waiting = [asyncio.create_task(jobs.wait(job_id, timeout=HANG)) for job_id in job_ids]
        await (own_server.kill() if kill else own_server.stop())
        functions.event(functions.released, "h").set()
        await own_server.start()
        results = await asyncio.gather(*waiting)
        assert {result.status for result in results} == {JobStatus.COMPLETED}
        kv = await services.get_service(KVStoreService)
        await until(lambda: stream_is_empty(services, kv))
        assert set(functions.seen) == set(range(300))


async def test_a_restarted_server_gives_back_all_slots(own_server: NatsServer) -> None:
    config = {"nats_url": own_server.url, "request_timeout": 2, "concurrency": 4, "allow_functions": [FUNCTIONS]}
    async with ServiceManager(config) as services:
        jobs = await services.get_service(JobService)
        worker = await services.get_service(WorkerService)
        await worker.start()
        for _ in range(2):
            await own_server.restart()
        names = [f"h{number}" for number in range(4)]
        job_ids = [await enqueue_patiently(jobs, functions.hold, name) for name in names]
        for name in names:
            async with asyncio.timeout(HANG):
                await functions.event(functions.started, name).wait()
        for name in names:
            functions.event(functions.released, name).set()
        for job_id in job_ids:
            await jobs.result(job_id, timeout=HANG)


async def enqueue_patiently(jobs: JobService, *call: Any) -> str:
    from naq.exceptions import StoreUnavailable

    while True:
        try:
            return await jobs.enqueue(*call)
        except StoreUnavailable:
            await asyncio.sleep(0.05)


async def test_a_next_attempt_that_exists_is_not_written_twice(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    """An earlier run of the attempt wrote it, and died before it acknowledged."""
    from naq.store.codec import encode

    job = Job(func=functions.note, args=["first"], retries=1)
    job_id = await jobs.enqueue(Job(func=functions.fail_until, args=[9], job_id="twice", retries=1, backoff=0))
    entry = await kv.get("job.default.twice")
    assert entry is not None
    record = QueuedJob(job_id="twice", spec=parse_job(job), attempt=2, enqueued_at=jobs.clock.now())
    await kv.create("job.default.twice.2", encode(record))
    await start_worker()
    await jobs.result(job_id, timeout=HANG)
    assert functions.seen == ["first"]


@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_chaos_four_workers_one_killed_every_second(tmp_path: Path, start_process: StartProcess) -> None:
    """20,000 jobs of mixed kinds, a worker killed every second, the server restarted twice: every job ends once, what
    ran twice is explained, and nothing is left."""
    path = tmp_path / "runs"
    async with NatsServer(tmp_path / "nats") as server:
        options = {"nats_url": server.url, "ack_wait": 3.0, "concurrency": 5, "request_timeout": 3}
        async with ServiceManager({**options, "namespace": "chaos"}) as services:
            jobs = await services.get_service(JobService)
            kv = await services.get_service(KVStoreService)
            chaos = Chaos(server, start_process, {**options, "namespace": "chaos"})
            await chaos.start()
            job_ids = await jobs.enqueue_many(mixed_jobs(path, 20_000))
            waiting = asyncio.gather(*(jobs.wait(job_id, timeout=300) for job_id in job_ids))
            await chaos.rage_until(waiting)
            ended = Counter(str(result.status) for result in await waiting)
            assert ended == {"completed": 19_000, "failed": 1_000}
            await until(lambda: stream_is_empty(services, kv), 60)
            assert [keys async for keys in kv.keys("deferred.>")] == []
            dead = 0
            async for page in jobs.dead_letters.find():
                dead += len(page)
            assert dead == 1_000
    runs: dict[str, list[str]] = {}
    for line in lines(path):
        number, pid = line.split()
        runs.setdefault(number, []).append(pid)
    assert len(runs) == 10_000
    again = [pids for pids in runs.values() if len(pids) > 1]
    unexplained = [pids for pids in again if not chaos.killed.intersection(pids[:-1])]
    print(f"{chaos.kills} kills, {chaos.restarts} restarts, {len(again)} ran again, {len(unexplained)} not by a kill")
    assert not unexplained


def mixed_jobs(path: Path, count: int) -> list[Job]:
    """Half leave a line in a file, the others are short, fail, are retried, run in threads or take a while."""
    made = []
    for number in range(count):
        match number % 20:
            case 0:
                made.append(Job(func=functions.fail, args=[str(number)]))
            case 2:
                made.append(Job(func=functions.sleep, args=[0.1]))
            case 4:
                made.append(Job(func=functions.fail_until, args=[2], retries=2, backoff=0))
            case 6 | 8 | 10 | 12 | 14 | 16 | 18:
                made.append(Job(func=functions.add, args=[number]))
            case _:
                made.append(Job(func=functions.append, args=[str(path), str(number)]))
    return made


class Chaos:
    """Kills a worker every second, and restarts the server now and then."""

    def __init__(self, server: NatsServer, start_process: StartProcess, options: dict[str, Any]) -> None:
        self.killed: set[str] = set()
        self.kills = 0
        self.restarts = 0
        self._server = server
        self._start = start_process
        self._options = options
        self._workers: list[WorkerProcess] = []

    async def start(self) -> None:
        self._workers = [await self._start(**self._options) for _ in range(4)]

    async def rage_until(self, done: asyncio.Future[Any]) -> None:
        while not done.done():
            await asyncio.wait((done,), timeout=1.0)
            victim = self._workers.pop(0)
            self.killed.add(str(victim.pid))
            await victim.kill()
            self.kills += 1
            if self.kills in (2, 4):
                await (self._server.kill() if self.kills == 2 else self._server.stop())
                await self._server.start()
                self.restarts += 1
            self._workers.append(await self._start(**self._options))
