"""What is said of a job, case by case."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.jobs.job import JobStatus
from naq.jobs.records import JobInfo, Progress, QueueLimits, WorkerInfo
from naq.observe.diagnosis.jobs import Account, Around, account_of_job

T = datetime(2030, 1, 1, 12, tzinfo=UTC)
START = "start a worker: naq worker MODULE:APP --queue mail"


def ago(**parts: float) -> datetime:
    return T - timedelta(**parts)


def job(status: JobStatus = JobStatus.QUEUED, **more: Any) -> JobInfo:
    return JobInfo(**{"job_id": "x", "status": status, "func": "shop:send", "queue": "mail", "retries": 2, **more})


def worker(name: str = "w", **more: Any) -> WorkerInfo:
    return WorkerInfo(
        **{"worker_id": name, "queues": ("mail",), "concurrency": 2, "started_at": T, "seen_at": T, **more}
    )


def around(*workers: WorkerInfo, **more: Any) -> Around:
    return Around(workers=workers, **more)


RUNNING = job(JobStatus.RUNNING, started_at=ago(seconds=192), worker_id="w", progress=Progress(340, 1000, "orders"))
RUNS = "it has been running for 3m12s on w, attempt 1 of 3, at 340 of 1000 (orders)"
DEAD = {"reason": "failed", "error_type": "ValueError", "error": "no stock", "attempt": 3}

CASES: dict[str, tuple[JobInfo, Around, str, str | None]] = {
    "no worker at all": (job(), around(), "no worker runs", START),
    "the default queue needs no option": (
        job(queue="default"),
        around(),
        "no worker runs",
        "start a worker: naq worker MODULE:APP",
    ),
    "none serves the queue": (
        job(),
        around(worker(queues=("default", "vip"))),
        "no worker serves queue 'mail' (those that run serve default, vip)",
        START,
    ),
    "all are stopping": (
        job(),
        around(worker(draining=True)),
        "all workers of queue 'mail' are stopping",
        START,
    ),
    "the queue is paused": (
        job(),
        around(limits=QueueLimits(paused=True)),
        "queue 'mail' is paused",
        "resume it: naq queue limit mail --resume",
    ),
    "the queue's limit": (
        job(),
        around(worker(), limits=QueueLimits(max_concurrent=1), in_hand=1),
        "queue 'mail' may run 1 job at once, and this limit is reached",
        "wait, or raise the limit: naq queue limit mail --max-concurrent N",
    ),
    "the function's limit": (
        job(max_concurrent=2),
        around(worker(), slots_taken=2),
        "shop:send may run 2 at once (max_concurrent), and this limit is reached",
        "wait, or see what runs: naq job ls --status running",
    ),
    "the rate": (
        job(),
        around(worker(), limits=QueueLimits(rate=0.5), waiting=3, in_hand=1),
        "queue 'mail' starts 0.5 jobs a second at most, and 4 jobs are in it",
        "wait, or raise the limit: naq queue limit mail --rate N",
    ),
    "no place is free": (
        job(),
        around(worker(running_count=2)),
        "all 2 slots of the 1 worker of queue 'mail' are in use",
        "wait, start another worker, or raise its --concurrency",
    ),
    "the worker is blocked": (
        job(),
        around(worker(blocked_for=12.0)),
        "a job blocks the event loop of its worker w, for 12s so far",
        "see where: naq events --type worker_blocked --since 1h",
    ),
    "in a moment": (job(), around(worker()), "a worker will get it soon", None),
    "begun and not said yet": (job(), around(worker(running=("x",))), "w has it and is starting it", None),
    "it runs": (RUNNING, around(worker()), RUNS, None),
    "it runs on a blocked worker": (
        RUNNING,
        around(worker(blocked_for=8.0), held=False),
        f"{RUNS}. Its worker's event loop has been blocked for 8s",
        "see where: naq events --type worker_blocked --since 1h",
    ),
    "its worker is gone, and it was the only one": (
        RUNNING,
        around(),
        "its worker w stopped responding; it started the job 3m12s ago, and no other worker serves queue 'mail'",
        START,
    ),
    "its worker is listed, and is gone": (
        RUNNING,
        around(worker(), worker("v"), held=False),
        "its worker w stopped responding; it started the job 3m12s ago. Another worker gets it after ack_wait",
        "wait, or check: naq workers",
    ),
    "for later": (
        job(JobStatus.DEFERRED, due_at=T + timedelta(hours=2)),
        around(leader="s"),
        "it starts in 2h",
        None,
    ),
    "the next attempt": (
        job(JobStatus.DEFERRED, due_at=T + timedelta(seconds=12), attempt=2, error="OSError: down"),
        around(leader="s"),
        "attempt 2 of 3 starts in 12s; the one before ended with OSError: down",
        None,
    ),
    "due, and no scheduler leads": (
        job(JobStatus.DEFERRED, due_at=ago(minutes=3)),
        around(),
        "it has been due for 3m, and no scheduler leads",
        "start a scheduler (naq scheduler)",
    ),
    "due, and the leader does nothing": (
        job(JobStatus.DEFERRED, due_at=ago(minutes=3)),
        around(leader="s"),
        "it has been due for 3m",
        "check the scheduler's log, and run naq doctor",
    ),
    "it waits for a job": (
        job(JobStatus.DEFERRED, depends_on=("a",)),
        around(others={"a": JobStatus.RUNNING}),
        "it waits for a to succeed, which is running",
        "see that job: naq job show a",
    ),
    "it waits for a job that nobody knows": (
        job(JobStatus.DEFERRED, depends_on=("a", "b"), depends_when="ended"),
        around(others={"a": JobStatus.COMPLETED, "b": None}),
        "it waits for b to end, which is unknown: it does not exist, or its result expired",
        "run b, or cancel this one: naq job cancel x",
    ),
    "failed": (
        job(JobStatus.FAILED, **DEAD),
        around(),
        "it failed for good on attempt 3 of 3: ValueError: no stock",
        "fix that, then queue it again: naq job requeue x",
    ),
    "failed, and no dead letter any more": (
        job(JobStatus.FAILED, **{**DEAD, "reason": None, "retries": None}),
        around(),
        "it failed for good on attempt 3: ValueError: no stock",
        None,
    ),
    "a job that it waited for failed": (
        job(JobStatus.FAILED, reason="dependency", error_type="DependencyNotMet", error="a ended as failed"),
        around(),
        "a job that it depends on did not end as required: DependencyNotMet: a ended as failed",
        "run that job again first, then queue it again: naq job requeue x",
    ),
    "missed": (
        job(JobStatus.MISSED),
        around(),
        "no worker started it before its start deadline, so it was not run",
        "add workers for queue 'mail', or increase start_deadline",
    ),
    "cancelled while it waited": (
        job(JobStatus.CANCELLED, error="wrong month"),
        around(),
        "it was cancelled before it began: wrong month",
        None,
    ),
    "cancelled while it ran, without a reason": (
        job(JobStatus.CANCELLED, error="cancelled", started_at=T),
        around(),
        "it was cancelled",
        None,
    ),
    "completed": (
        job(JobStatus.COMPLETED, started_at=ago(seconds=0.25), ended_at=T),
        around(),
        "it completed after 250ms",
        None,
    ),
    "completed at last": (
        job(JobStatus.COMPLETED, attempt=2, retries=None),
        around(),
        "it completed, on attempt 2",
        None,
    ),
    "completed, its value too large": (
        job(JobStatus.COMPLETED, error_type="ResultNotStored", error="it is no JSON"),
        around(),
        "it completed, but its result was not stored: it is no JSON",
        None,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case: str) -> None:
    info, surroundings, found, remedy = CASES[case]
    assert account_of_job(info, surroundings, T) == Account(found, remedy)


@pytest.mark.parametrize("status", JobStatus)
def test_there_is_something_to_say_of_every_status(status: JobStatus) -> None:
    assert account_of_job(job(status), around(), T).found
