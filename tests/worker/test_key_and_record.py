"""A record is never believed over its key: who may write one key cannot have it act as another.

Permissions are given by key (subject). Each test writes what somebody could who may enqueue in the queue ``guest`` alone, or
write one kind of record.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from naq.exceptions import RecordUnreadable
from naq.jobs.form import parse_job
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.jobs.records import DeadJob, DeadReason, StoredResult, WorkerInfo
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.record import Schedule
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, deferred_key, ended_key, job_key, schedule_key, worker_key
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions
from tests.worker.conftest import StartWorker, until

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOLD = "tests.worker.functions:hold"
ADD = "tests.worker.functions:add"


def queued(job_id: str = "j", queue: str = "guest", attempt: int = 1, **fields: Any) -> QueuedJob:
    spec = parse_job(Job(func=ADD, args=[1, 2], queue=queue))
    return QueuedJob(job_id=job_id, spec=spec, attempt=attempt, enqueued_at=NOW, **fields)


def dead(**fields: Any) -> DeadJob:
    return DeadJob(job_id="j", reason=DeadReason.FAILED, died_at=NOW, **fields)


JOB = queued()
RESULT = StoredResult(job_id="j", status=JobStatus.COMPLETED)
WORKER = WorkerInfo(worker_id="w", started_at=NOW, seen_at=NOW)


@pytest.mark.parametrize(
    ("record", "key", "agrees"),
    [
        (JOB, job_key("guest", "j"), True),
        (JOB, deferred_key("j", 1), True),
        (JOB, job_key("vip", "j"), False),
        (JOB, job_key("guest", "other"), False),
        (JOB, job_key("guest", "j", 2), False),
        (JOB, deferred_key("j", 2), False),
        (JOB, deferred_key("other", 1), False),
        (queued(attempt=2), job_key("guest", "j", 2), True),
        (queued("s/1", schedule_id="s"), job_key("guest", "s/1"), True),
        (queued("j", schedule_id="s"), job_key("guest", "j"), False),
        (queued("other/1", schedule_id="s"), job_key("guest", "other/1"), False),
        (dead(), dead_key("j"), True),
        (dead(), dead_key("other"), False),
        (dead(job=JOB, key=job_key("guest", "j")), dead_key("j"), True),
        (dead(job=queued("other")), dead_key("j"), False),
        (dead(key=schedule_key("s"), raw="{}"), dead_key("j"), False),
        (dead(key=job_key("vip", "other"), raw="{}"), dead_key("j"), False),
        (RESULT, "j", True),
        (RESULT, ended_key("j"), True),
        (RESULT, "other", False),
        (WORKER, worker_key("w"), True),
        (WORKER, worker_key("other"), False),
    ],
)
def test_key_and_record_must_agree(record: msgspec.Struct, key: str, agrees: bool) -> None:
    if agrees:
        assert decode(type(record), key, encode(record)) == record
    else:
        with pytest.raises(RecordUnreadable, match="belongs to another key"):
            decode(type(record), key, encode(record))


async def test_a_job_in_one_queue_that_says_another_does_not_run_there(
    jobs: JobService, kv: KVStoreService, start_worker: StartWorker
) -> None:
    await start_worker(queues=["guest", "vip"])
    await kv.put(job_key("guest", "j"), encode(queued(queue="vip")))

    async def is_buried() -> bool:
        return bool(await jobs.list_dead())

    await until(is_buried)
    (letter,) = await jobs.list_dead()
    assert (letter.job_id, letter.reason) == ("j", DeadReason.UNREADABLE)
    assert not [key async for page in kv.keys("job.vip.>") for key in page]


async def test_a_job_of_another_queue_does_not_close_the_run_of_a_schedule(
    jobs: JobService, kv: KVStoreService, scheduler: SchedulerService, start_worker: StartWorker
) -> None:
    """The run of ``overlap=skip`` is open; a guest enqueues a job that says it is this run, and it ends."""
    await start_worker(queues=["guest", "default"])
    job = Job(func=HOLD, args=["run"])
    await scheduler.schedule_job(job, {"cron": "0 0 1 1 *", "overlap": "skip"}, schedule_id="s")
    run = await scheduler.trigger_schedule("s")
    assert run is not None
    await functions.event(functions.started, "run").wait()
    entry = await kv.get(job_key("default", run))
    assert entry is not None
    assert entry.value is not None
    real = decode(QueuedJob, entry.key, entry.value)
    forged = real.evolve(spec=parse_job(Job(func=ADD, args=[1, 2], queue="guest")))
    await kv.put(job_key("guest", run), encode(forged))

    async def has_run() -> bool:
        return await kv.get(job_key("guest", run)) is None or (await jobs.queue_info("guest")).in_hand == 0

    await until(has_run)
    await until(lambda: _is_ended(jobs, run))
    assert [each.job_id for each in (await _schedule(kv)).open_runs] == [run]
    functions.event(functions.released, "run").set()
    await until(lambda: _has_no_open_run(kv))


async def _schedule(kv: KVStoreService) -> Schedule:
    entry = await kv.get(schedule_key("s"))
    assert entry is not None
    assert entry.value is not None
    return decode(Schedule, entry.key, entry.value)


async def _has_no_open_run(kv: KVStoreService) -> bool:
    return not (await _schedule(kv)).open_runs


async def _is_ended(jobs: JobService, job_id: str) -> bool:
    result = await jobs.results.get(job_id)
    return result is not None and result.status.ended


async def test_a_dead_letter_does_not_write_a_schedule_when_it_is_queued_again(
    jobs: JobService, kv: KVStoreService
) -> None:
    letter = dead(key=schedule_key("victim"), raw='{"made": "up"}')
    await kv.put(dead_key("j"), encode(letter))
    assert not await jobs.requeue("j")
    assert await jobs.requeue_all() == 0
    assert await kv.get(schedule_key("victim")) is None
