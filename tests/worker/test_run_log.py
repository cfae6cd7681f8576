"""What a job logs carries its id, and is kept with the run."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from naq.cli import run
from naq.jobs.context import LOG_LIMIT
from naq.jobs.job import Job
from naq.queue.service import JobService
from tests.worker import functions
from tests.worker.conftest import HANG, StartWorker


async def kept(jobs: JobService, job: Job) -> tuple[str, list[str]]:
    job_id = await jobs.enqueue(job)
    await jobs.wait(job_id, timeout=HANG)
    info = await jobs.get(job_id)
    assert info is not None
    return job_id, (info.log or "").splitlines()


async def test_what_was_logged_while_a_job_ran_is_shown_with_it(
    jobs: JobService, start_worker: StartWorker, caplog: pytest.LogCaptureFixture
) -> None:
    await start_worker()
    one, lines = await kept(jobs, Job(func=functions.talks, args=[1]))
    assert [line.split(" ", 1)[1] for line in lines] == ["WARNING reports: line 0", "WARNING reports: the last one"]
    two, lines = await kept(jobs, Job(func=functions.talks_beside, args=["x"]))
    assert lines[0].endswith("WARNING naq.job: x by its own logger")
    assert lines[1].endswith("ERROR reports: it went wrong")
    assert lines[-1] == "KeyError: 'x'"
    marks = [record.__dict__["naq_job"] for record in caplog.records if record.name == "reports"]
    assert marks == [f"[{one}] ", f"[{one}] ", f"[{two}] "]
    logging.getLogger("reports").warning("of no job")
    assert caplog.records[-1].__dict__["naq_job"] == ""


async def test_what_a_process_job_logs_is_kept_with_it(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    _, lines = await kept(jobs, Job(func=functions.chatter, args=["x"], executor="process"))
    assert lines[0].endswith("ERROR reports: it went wrong")
    assert lines[-1] == "KeyError: 'x'"


async def test_of_a_job_that_logs_much_the_last_lines_are_kept(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    _, lines = await kept(jobs, Job(func=functions.talks, args=[5000]))
    assert lines[0].startswith("... (")
    assert lines[-1].endswith("the last one")
    assert len("\n".join(lines)) < LOG_LIMIT + 100


async def test_each_attempt_of_a_job_that_was_tried_again_keeps_its_log(
    jobs: JobService, start_worker: StartWorker, config: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    await start_worker()
    job = Job(func=functions.talks_until, args=[3], retries=3, backoff=0, job_id="retried")
    _, lines = await kept(jobs, job)
    info = await jobs.get("retried")
    assert info is not None
    assert [(each.attempt, each.log.split(": ")[-1], each.error) for each in info.logs] == [
        (1, "attempt 1", "ConnectionError: of attempt 1"),
        (2, "attempt 2", "ConnectionError: of attempt 2"),
    ]
    assert (info.attempt, lines[-1].split(": ")[-1]) == (3, "attempt 3")
    assert [each["attempt"] for each in info.to_dict()["logs"]] == [1, 2]
    options = ["--nats-url", config["nats_url"], "--namespace", config["namespace"]]
    capfd.readouterr()
    assert await asyncio.to_thread(run, [*options, "job", "show", "retried"]) == 0
    shown = capfd.readouterr().out
    places = [shown.index(f"WARNING reports: attempt {number}") for number in (1, 2, 3)]
    assert places == sorted(places)
    assert all(f"log, attempt {number}" in shown for number in (1, 2, 3))
    await jobs.enqueue(Job(func=functions.add, args=[1], job_id="retried"))
    assert await jobs.results.logs("retried", 9) == (), "they are not those of another job with its id"


async def test_of_many_attempts_the_logs_of_the_last_ten_before_the_end_are_kept(
    jobs: JobService, start_worker: StartWorker
) -> None:
    await start_worker()
    job_id, _ = await kept(jobs, Job(func=functions.talks_until, args=[14], retries=20, backoff=0))
    assert [each.attempt for each in await jobs.results.logs(job_id, 14)] == list(range(4, 14))


async def test_a_job_that_logs_nothing_has_no_log(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    assert (await kept(jobs, Job(func=functions.add, args=[1])))[1] == []
