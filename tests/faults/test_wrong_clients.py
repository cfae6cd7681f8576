"""Workers and clients whose clock is three hours off go by the server's time, and say so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, JobStatus
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from naq.testing.server import until
from naq.worker.service import WorkerOptions, WorkerService

FUNCTIONS = "tests.faults.test_wrong_clients:*"
HANG = 60
tried: list[str] = []


class Right(SystemClock):
    """A clock that is right."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def report() -> None:
    """The function that is to be run."""


def at_second_try() -> None:
    tried.append("again")
    if len(tried) == 1:
        raise ValueError("not yet")


@pytest.mark.parametrize("hours", [3, -3])
async def test_a_client_and_a_worker_three_hours_off(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    tried.clear()
    off = timedelta(hours=hours)
    monkeypatch.setattr(SystemClock, "now", lambda self: datetime.now(UTC) + off)
    async with ServiceManager(config) as right, ServiceManager(config) as wrong:
        leader = SchedulerService(
            config,
            await right.get_service(ConnectionService),
            await right.get_service(KVStoreService),
            await right.get_service(EventService),
            clock=Right(),
        )
        await leader.initialize()
        jobs, client = await wrong.get_service(JobService), await wrong.get_service(ScheduleService)
        worker = WorkerService(
            config,
            await wrong.get_service(KVStoreService),
            await wrong.get_service(EventService),
            await wrong.get_service(ResultService),
            await wrong.get_service(HistoryService),
            WorkerOptions(registry=Registry([FUNCTIONS])),
        )
        await worker.start()
        try:
            later = await jobs.enqueue(Job(func=report), delay=0.5)
            again = await jobs.enqueue(Job(func=at_second_try, retries=1, backoff=0.3))
            assert await jobs.result(later, timeout=HANG) is None
            assert await jobs.result(again, timeout=HANG) is None
            forms: dict[str, dict[str, Any]] = {
                "every": {"interval": 0.5, "start_deadline": 60},
                "delay": {"delay": 0.5, "first": "now", "start_deadline": 60},
                "once": {"run_at": datetime.now(UTC) + timedelta(seconds=1), "start_deadline": 60},
            }
            for name, form in forms.items():
                await client.schedule_job(Job(func=report), form, schedule_id=name)

            async def all_ran() -> bool:
                done = [await jobs.list_jobs(schedule_id=name, status=JobStatus.COMPLETED) for name in forms]
                return len(done[0]) > 1 and len(done[1]) > 1 and len(done[2]) == 1

            await until(all_ran, lambda: "not all of them ran")
            missed = await jobs.list_jobs(status=JobStatus.MISSED)
            assert missed == []
        finally:
            await worker.cleanup()
            await leader.cleanup()
    assert f"this machine's clock is {3600 * 3:.1f} s {'ahead of' if hours > 0 else 'behind'}" in caplog.text
