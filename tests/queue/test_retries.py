"""What follows a failure: next attempts, dead letters, and queueing those again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq.exceptions import JobFailed
from naq.jobs.ending import Facts
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import Job, JobStatus
from naq.jobs.records import DeadReason
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions
from tests.worker.conftest import StartWorker, stream_is_empty, until

HANG = 30.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts("w", NOW, NOW - timedelta(seconds=2), NOW)


async def test_attempts_without_a_wait_follow_at_once(
    jobs: JobService, kv: KVStoreService, services: ServiceManager, start_worker: StartWorker
) -> None:
    await start_worker()
    job_id = await jobs.enqueue(Job(func=functions.fail_until, args=[3], retries=5, backoff=0))
    assert await jobs.result(job_id, timeout=HANG) == 3
    await until(lambda: stream_is_empty(services, kv))


async def test_attempts_with_a_wait_are_deferred_until_they_are_due(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    job_id = await jobs.enqueue(Job(func=functions.ask_again, args=[0.2, 3], retries=5))
    assert await jobs.result(job_id, timeout=HANG) == 3


async def test_a_deferred_job_is_shown_with_its_time_and_runs_then(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    late = await jobs.enqueue(functions.add, 1, delay=3600)
    soon = await jobs.enqueue(functions.add, 2, delay=0.2)
    now = await jobs.enqueue(functions.add, 3, at=NOW - timedelta(days=900))
    info = await jobs.get(late)
    assert info is not None
    assert info.status is JobStatus.DEFERRED
    assert info.due_at is not None
    assert [each.job_id for each in await jobs.list_jobs(status="deferred", job_id=late)] == [late]
    assert await jobs.result(soon, timeout=HANG) == 2
    assert await jobs.result(now, timeout=HANG) == 3
    assert await jobs.cancel(late)
    assert not await jobs.cancel(late)


async def test_dead_letters_are_queued_again_with_all_their_retries(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    job_id = await jobs.enqueue(Job(func=functions.fail_until, args=[5], retries=1, backoff=0))
    with pytest.raises(JobFailed, match="attempt 2"):
        await jobs.result(job_id, timeout=HANG)
    assert await jobs.requeue(job_id)
    with pytest.raises(JobFailed, match="attempt 4"):
        await jobs.result(job_id, timeout=HANG)
    assert await jobs.requeue_all(reason=DeadReason.FAILED) == 1
    assert await jobs.result(job_id, timeout=HANG) == 5
    assert await jobs.list_dead() == []
    assert not await jobs.requeue(job_id)


async def test_dead_letters_are_found_and_purged_by_filter_and_age(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker(queues=["default", "mail"])
    ids = [
        await jobs.enqueue(Job(func=functions.fail, queue=queue)) for queue in ("default", "mail", "default", "default")
    ]
    for job_id in ids:
        with pytest.raises(JobFailed):
            await jobs.result(job_id, timeout=HANG)
    assert [dead.job_id for dead in await jobs.list_dead(queue="mail")] == [ids[1]]
    assert await jobs.list_dead(func="other:f") == []
    assert await jobs.purge_dead("1h") == 0
    assert await jobs.purge_dead(queue="mail") == 1
    assert await jobs.purge_dead(0) == 3
    assert await jobs.list_dead() == []


async def test_failed_runs_count_in_the_schedule_and_stand_in_its_history(
    jobs: JobService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    await start_worker()
    schedule_id = await scheduler.schedule_job(
        Job(func=functions.fail), {"type": "interval", "interval": 0.2, "max_runs": 2}
    )

    async def counted() -> bool:
        entry = await scheduler.get_schedule(schedule_id)
        return entry is not None and entry["error_count"] == 2

    async def recorded() -> bool:
        return len(await jobs.history.history(schedule_id)) == 2

    await until(counted)
    await until(recorded)
    records = await jobs.history.history(schedule_id)
    assert [record.outcome for record in records] == [RunOutcome.FAILED, RunOutcome.FAILED]
    first, second = records[1], records[0]
    assert first.nominal_at is not None
    assert second.nominal_at is not None
    assert first.nominal_at < second.nominal_at
    assert first.started_at is not None
    assert first.started_at >= first.nominal_at
    assert (first.error_type, first.worker_id, first.attempt) == ("ValueError", "worker-0", 1)


async def test_history_keeps_the_newest(jobs: JobService) -> None:
    jobs.history.record(
        HistoryRecord(schedule_id="s", outcome=RunOutcome.COMPLETED, at=NOW, attempt=number) for number in range(150)
    )
    records = await jobs.history.history("s", limit=10)
    assert [record.attempt for record in records] == list(range(149, 139, -1))
    assert len(await jobs.history.history("s", limit=1000)) == 100
    assert await jobs.history.history("other") == []
