"""What a job logs carries its id, and is kept with the run."""

from __future__ import annotations

import logging

import pytest

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


async def test_a_job_that_logs_nothing_has_no_log(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    assert (await kept(jobs, Job(func=functions.add, args=[1])))[1] == []
