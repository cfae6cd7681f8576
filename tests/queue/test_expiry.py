"""Jobs that expire (``expires``): one that did not start in time is never run, and that is recorded."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from naq.exceptions import InvalidJob, JobFailed
from naq.jobs.job import Job, JobStatus
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.event_stream import EventService
from tests.worker import functions
from tests.worker.conftest import StartWorker, until


async def test_a_job_that_no_worker_started_in_time_ends_as_missed_and_never_runs(
    jobs: JobService, services: ServiceManager, start_worker: StartWorker
) -> None:
    late = await jobs.enqueue(Job(func=functions.add, args=[1], expires=0.001))
    soon = await jobs.enqueue(Job(func=functions.add, args=[2], expires="1h"))
    info = await jobs.get(soon)
    assert info is not None and info.start_by is not None and info.enqueued_at is not None
    assert info.start_by - info.enqueued_at == timedelta(hours=1)
    await start_worker()
    with pytest.raises(JobFailed, match="no worker started it before its start deadline"):
        await jobs.result(late, timeout=30)
    assert await jobs.result(soon, timeout=30) == 2
    ended = await jobs.get(late)
    assert ended is not None and (ended.status, ended.started_at) == (JobStatus.MISSED, None)
    events = await services.get_service(EventService)

    async def told() -> bool:
        return [each.job_id for each in await events.get_event_history(types=["job_expired"])] == [late]

    await until(told)
    assert await jobs.list_dead() == []


async def test_the_time_counts_from_when_it_was_due_and_not_for_retries(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    deferred = await jobs.enqueue(Job(func=functions.add, args=[3], expires=30), delay=0.5)
    info = await jobs.get(deferred)
    assert info is not None and info.due_at is not None and info.start_by == info.due_at + timedelta(seconds=30)
    again = Job(func=functions.fail_until, args=[2], retries=2, backoff=2, expires=1)
    assert await jobs.result(await jobs.enqueue(again), timeout=30) == 2
    assert await jobs.result(deferred, timeout=30) == 3


@pytest.mark.parametrize("expires", [0, -1, "soon", float("nan")])
async def test_what_is_no_duration_is_refused(jobs: JobService, expires: Any) -> None:
    with pytest.raises(InvalidJob, match=r"job\.expires"):
        await jobs.enqueue(Job(func=functions.add, args=[3], expires=expires))
    assert await jobs.list_jobs() == []
