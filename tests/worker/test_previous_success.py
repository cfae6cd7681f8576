"""A scheduled function is told the last run that succeeded, whatever failed or did not fire since."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from naq.clock import SystemClock
from naq.exceptions import JobFailed, StoreUnavailable
from naq.jobs.context import JobContext
from naq.jobs.functions import Registry
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import Job, JobSpec, QueuedJob
from naq.jobs.outcome import Returned
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.testing.scheduler import ManualScheduler
from naq.worker.execution.calls import Calls
from naq.worker.execution.processes import Processes
from naq.worker.execution.run import Runner, RunOptions
from tests.worker import functions
from tests.worker.conftest import HANG, StartWorker

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
FAR = {"type": "once", "run_at": "2100-01-01T00:00:00Z"}


async def run_once(jobs: JobService, scheduler: SchedulerService, schedule_id: str) -> str | None:
    """Trigger the schedule; what its function was told, ``None`` if nothing, ``"failed"`` if it failed."""
    job_id = await scheduler.trigger_schedule(schedule_id)
    assert job_id is not None
    try:
        told: str | None = await jobs.result(job_id, timeout=HANG)
    except JobFailed:
        return "failed"
    return told


@pytest.mark.parametrize(
    "job",
    [
        Job(func=functions.told_previous_success),
        Job(func=functions.told_previous_success_in_thread),
        Job(func=functions.told_previous_success_in_thread, executor="process"),
    ],
    ids=["loop", "thread", "process"],
)
async def test_the_last_run_that_succeeded_is_told(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker, job: Job
) -> None:
    await start_worker()
    schedule_id = await scheduler.schedule_job(job, FAR)
    assert await run_once(jobs, scheduler, schedule_id) is None
    await scheduler.update_schedule(schedule_id, job=Job(func=functions.fail, args=["broken"]))
    before = datetime.now(UTC)
    for _ in range(3):
        assert await run_once(jobs, scheduler, schedule_id) == "failed"
    await scheduler.update_schedule(schedule_id, job=job)
    told = await run_once(jobs, scheduler, schedule_id)
    assert told is not None
    first = datetime.fromisoformat(told)
    assert first < before, "a failure since is no success"
    told = await run_once(jobs, scheduler, schedule_id)
    assert told is not None
    assert datetime.fromisoformat(told) > before, "the run before this one succeeded"


async def test_a_job_of_no_schedule_is_told_none(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    for _ in range(2):
        assert await jobs.result(await jobs.enqueue(functions.told_previous_success), timeout=HANG) is None


class AwayAtFirst:
    """A history that cannot be asked twice, and then can."""

    def __init__(self) -> None:
        self.asked = 0

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        self.asked += 1
        if self.asked < 3:
            raise StoreUnavailable("not connected")
        return HistoryRecord(schedule_id=schedule_id, outcome=RunOutcome.COMPLETED, at=NOON, nominal_at=NOON)


async def test_a_history_that_cannot_be_asked_is_asked_again_and_told_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    history, ended = AwayAtFirst(), asyncio.get_running_loop().create_future()
    calls = Calls(Processes(), 1.0, False)
    runner = Runner(RunOptions("w"), Registry(["tests.worker.functions:*"]), history, SystemClock(), calls)
    spec = JobSpec(func="tests.worker.functions:told_previous_success")
    queued = QueuedJob(job_id="s/1", spec=spec, enqueued_at=NOON, schedule_id="s")
    runner.start(queued, lambda attempt, outcome: ended.set_result(outcome))
    async with asyncio.timeout(HANG):
        outcome = await ended
    await runner.close()
    assert isinstance(outcome, Returned)
    assert bytes(outcome.value) == b'"2030-01-01T12:00:00Z"'
    assert history.asked == 3
    assert [record.message for record in caplog.records if "waits" in record.message] == [
        "job s/1 waits for its schedule's history: not connected"
    ]


def test_on_the_manual_scheduler() -> None:
    told: list[datetime | None] = []

    def report(context: JobContext) -> None:
        told.append(context.previous_success_at)
        if len(told) == 2:
            raise ValueError("no")

    with ManualScheduler("2030-01-01T00:00:00Z") as scheduler:
        scheduler.stub("reports:send", report)
        scheduler.schedule(Job(func="reports:send"), {"type": "interval", "interval": 60})
        for _ in range(4):
            scheduler.advance(60)
            scheduler.run_jobs()
    first, third = datetime(2030, 1, 1, 0, 1, tzinfo=UTC), datetime(2030, 1, 1, 0, 3, tzinfo=UTC)
    assert told == [None, first, first, third]
