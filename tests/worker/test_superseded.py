"""Nobody tells the worker that a newer run has taken the place of one that it has: it sees that in the schedule's record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.jobs.history import RunOutcome
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import StoredResult
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.record import Schedule
from naq.schedules.run_end import Superseded, run_ended
from naq.schedules.stopping import WorkerStopper
from naq.store.codec import decode, encode
from naq.store.keys import schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Entry
from naq.worker import superseded
from naq.worker.claimed import Claimed
from naq.worker.service import WorkerService
from naq.worker.superseded import SupersededRuns
from tests.worker import functions
from tests.worker.conftest import HANG, StartWorker, until

FAR = {"type": "once", "run_at": "2100-01-01T00:00:00Z", "overlap": "skip"}
REASONS = {"cancel_other": Superseded.ASKED_TO_STOP, "terminate_other": Superseded.GIVEN_UP}


async def begun(name: str) -> None:
    async with asyncio.timeout(HANG):
        await functions.event(functions.started, name).wait()


@pytest.fixture
def untold(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a leader wanted to tell the workers to stop, and did not."""
    lost: list[str] = []

    def lose(stopper: WorkerStopper, job_ids: Sequence[str], reason: str) -> None:
        lost.extend(job_ids)

    monkeypatch.setattr(WorkerStopper, "stop", lose)
    return lost


@pytest.mark.parametrize("overlap", REASONS)
async def test_the_run_before_is_stopped_though_the_leaders_word_is_lost(
    jobs: JobService,
    scheduler: SchedulerService,
    start_worker: StartWorker,
    untold: list[str],
    monkeypatch: pytest.MonkeyPatch,
    overlap: str,
) -> None:
    monkeypatch.setattr(superseded, "EVERY", 0.1)
    await start_worker()
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.hold, args=["h"]), {"type": "interval", "interval": 0.5, "max_runs": 2, "overlap": overlap}
    )
    await begun("h")

    async def second_runs() -> bool:
        infos = sorted(await jobs.list_jobs(schedule_id=schedule_id), key=lambda info: info.job_id)
        return [info.status for info in infos] == [JobStatus.CANCELLED, JobStatus.RUNNING]

    await until(second_runs)
    first, second = sorted([info.job_id for info in await jobs.list_jobs(schedule_id=schedule_id)])
    assert set(untold) == {first}
    functions.event(functions.released, "h").set()
    assert (await jobs.wait(second, timeout=HANG)).status is JobStatus.COMPLETED

    async def told() -> bool:
        return len(await jobs.history.history(schedule_id)) == 2

    await until(told)
    why = {record.job_id: (record.outcome, record.reason) for record in await jobs.history.history(schedule_id)}
    assert why == {first: (RunOutcome.CANCELLED, REASONS[overlap]), second: (RunOutcome.COMPLETED, None)}
    entry = await scheduler.get_schedule(schedule_id)
    assert entry is not None
    assert (entry["open_runs"], entry["status"], entry["error_count"]) == ([], "completed", 0)


async def test_a_run_that_is_asked_to_stop_before_a_worker_has_it_is_not_run(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, untold: list[str]
) -> None:
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.add, args=[1]),
        {"type": "interval", "interval": 0.3, "max_runs": 2, "overlap": "cancel_other"},
    )

    async def second_waits() -> bool:
        return bool(untold)

    await until(second_waits)
    await start_worker()

    async def both_ended() -> bool:
        return len([info for info in await jobs.list_jobs(schedule_id=schedule_id) if info.status.ended]) == 2

    await until(both_ended)
    first, second = sorted(await jobs.list_jobs(schedule_id=schedule_id), key=lambda info: info.job_id)
    assert (first.status, first.started_at) == (JobStatus.CANCELLED, None)
    assert second.status is JobStatus.COMPLETED


@pytest.mark.parametrize("told", [True, False], ids=["told", "not told"])
async def test_a_fire_by_hand_that_gives_up_the_others_ends_them(
    jobs: JobService,
    scheduler: SchedulerService,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
    told: bool,
) -> None:
    monkeypatch.setattr(superseded, "EVERY", 3600.0 if told else 0.1)
    if not told:
        scheduler.schedules.on_given_up = lambda job_ids, reason: None
    await start_worker()
    schedule_id = await scheduler.schedule_job(Job(func=functions.hold, args=["h"]), FAR)
    first = await scheduler.trigger_schedule(schedule_id)
    await begun("h")
    second = await scheduler.trigger_schedule(schedule_id, overlap="terminate_other")
    assert first is not None and second is not None
    result = await jobs.wait(first, timeout=HANG)
    said = f"schedule {schedule_id!r} was triggered by hand (overlap policy)"
    assert (result.status, result.error) == (JobStatus.CANCELLED, said if told else Superseded.GIVEN_UP)
    functions.event(functions.released, "h").set()
    assert (await jobs.wait(second, timeout=HANG)).status is JobStatus.COMPLETED


class Looker:
    """Looks after a worker's runs by hand, and keeps what it would stop and what it asked for."""

    def __init__(self, kv: KVStoreService, results: ResultService, worker: WorkerService) -> None:
        self.asked: list[Sequence[str]] = []
        self.stopped: dict[str, str] = {}
        self._kv = kv
        claims: Any = SimpleNamespace(all=lambda: worker.held)
        self._runs = SupersededRuns(self, results.store, SystemClock(), claims, self._stop)  # type: ignore[arg-type]

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        self.asked.append(keys)
        return await self._kv.get_many(keys)

    async def look(self) -> dict[str, str]:
        await self._runs.look()
        return self.stopped

    def _stop(self, held: Claimed, reason: str) -> None:
        self.stopped[held.queued.job_id] = reason


@pytest.fixture
async def results(services: ServiceManager) -> ResultService:
    return await services.get_service(ResultService)


async def give_up(kv: KVStoreService, schedule_id: str, job_id: str) -> None:
    """Take a run off the list of the open ones."""
    key = schedule_key(schedule_id)
    entry = await kv.get(key)
    assert entry is not None and entry.value is not None
    after = run_ended(decode(Schedule, key, entry.value), job_id, JobStatus.CANCELLED, datetime.now(UTC))
    assert after is not None
    assert await kv.update(key, encode(after), entry.revision) is not None


async def test_a_schedule_is_read_once_for_all_its_runs_and_nothing_for_ordinary_ones(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, kv: KVStoreService, results: ResultService
) -> None:
    looker = Looker(kv, results, await start_worker())
    await jobs.enqueue(functions.hold, "ordinary")
    await scheduler.schedule_job(
        Job(func=functions.hold, args=["h"]), FAR | {"overlap": "allow_all"}, schedule_id="all"
    )
    await scheduler.trigger_schedule("all")
    await begun("ordinary")
    await begun("h")
    assert (await looker.look(), looker.asked) == ({}, [])
    await scheduler.schedule_job(Job(func=functions.hold, args=["one"]), FAR, schedule_id="s")
    first = await scheduler.trigger_schedule("s")
    await scheduler.update_schedule("s", job=Job(func=functions.hold, args=["two"]))
    await scheduler.trigger_schedule("s")
    await begun("one")
    await begun("two")
    assert (await looker.look(), looker.asked) == ({}, [["schedule.s"]])
    assert first is not None
    await give_up(kv, "s", first)
    assert await looker.look() == {first: Superseded.GIVEN_UP}


async def test_a_run_whose_end_another_worker_told_is_not_said_to_be_given_up(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, kv: KVStoreService, results: ResultService
) -> None:
    """A worker that was thought dead still has it: what it writes must not hide that the run was completed."""
    worker = await start_worker()
    looker = Looker(kv, results, worker)
    schedule_id = await scheduler.schedule_job(Job(func=functions.hold, args=["h"]), FAR)
    job_id = await scheduler.trigger_schedule(schedule_id)
    assert job_id is not None
    await begun("h")
    (held,) = worker.held
    end = StoredResult(job_id=job_id, status=JobStatus.COMPLETED, enqueued_at=held.queued.enqueued_at)
    await results.write([end], [60])
    await give_up(kv, schedule_id, job_id)
    assert await looker.look() == {}
    await results.write([StoredResult(job_id=job_id, status=JobStatus.RUNNING)], [60])
    assert await looker.look() == {job_id: Superseded.GIVEN_UP}


async def test_a_schedule_that_is_deleted_or_created_again_leaves_its_old_runs_alone(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, kv: KVStoreService, results: ResultService
) -> None:
    looker = Looker(kv, results, await start_worker())
    await scheduler.schedule_job(Job(func=functions.hold, args=["h"]), FAR, schedule_id="s")
    old = await scheduler.trigger_schedule("s")
    await begun("h")
    await scheduler.delete_schedule("s")
    assert await looker.look() == {}
    await scheduler.schedule_job(Job(func=functions.hold, args=["new"]), FAR, schedule_id="s")
    new = await scheduler.trigger_schedule("s")
    await begun("new")
    assert await looker.look() == {}
    functions.event(functions.released, "h").set()
    functions.event(functions.released, "new").set()
    assert old is not None and new is not None
    for job_id in (old, new):
        assert (await jobs.wait(job_id, timeout=HANG)).status is JobStatus.COMPLETED


async def test_a_run_that_began_before_its_deadline_holds_its_place(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    """The schedule's record has that a worker took it: a run that nobody took would not hold it."""
    await start_worker()
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.hold, args=["taken"]),
        {"type": "interval", "interval": 0.2, "overlap": "skip", "start_deadline": 3},
    )
    await begun("taken")

    async def skipped(count: int) -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["skipped"] >= count

    await until(lambda: skipped(20))
    schedule = await scheduler.schedules.get(schedule_id)
    assert schedule is not None
    assert [run.taken for run in schedule.open_runs] == [True]
    assert len(await jobs.list_jobs(schedule_id=schedule_id)) == 1
    assert await scheduler.delete_schedule(schedule_id)
    functions.event(functions.released, "taken").set()
