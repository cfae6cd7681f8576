"""One attempt after the other, without a server: what they see of each other, and how they are stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from naq.clock import SystemClock
from naq.exceptions import Retry, StoreUnavailable
from naq.jobs.ending import Facts, decide
from naq.jobs.functions import Registry
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobSpec, JobStatus, QueuedJob
from naq.jobs.outcome import HandedBack, Outcome, Raised, Returned, Stopped, raised
from naq.testing.clock import ManualClock
from naq.worker.claimed import Claimed, Delivery
from naq.worker.ends import EndWriter
from naq.worker.execution.calls import Calls
from naq.worker.execution.processes import Processes
from naq.worker.execution.run import Runner, RunOptions
from tests.worker import functions

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HANG = 30.0
GRACE = 1.0


class Away:
    """A history that cannot be asked."""

    async def last_success(self, schedule_id: str) -> HistoryRecord | None:
        raise StoreUnavailable("not connected")


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    calls = Calls(Processes(), GRACE, False)
    options = RunOptions("w", grace=GRACE)
    made = Runner(options, Registry(["tests.worker.functions:*"]), Away(), SystemClock(), calls)
    yield made
    await made.close()


def job(func: Callable[..., Any], *args: object, schedule_id: str | None = None, **options: Any) -> QueuedJob:
    spec = JobSpec(
        func=f"tests.worker.functions:{func.__name__}", args=msgspec.Raw(msgspec.json.encode(args)), **options
    )
    return QueuedJob(job_id="j", spec=spec, enqueued_at=NOON, schedule_id=schedule_id)


async def run(runner: Runner, queued: QueuedJob) -> Outcome:
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    runner.start(queued, lambda attempt, outcome: ended.set_result(outcome))
    async with asyncio.timeout(HANG):
        return await ended


@pytest.mark.parametrize(
    ("func", "executor"),
    [(functions.greet, "auto"), (functions.greet_beside, "auto"), (functions.greet_beside, "process")],
)
async def test_a_context_variable_that_one_job_sets_is_not_seen_by_the_next(
    runner: Runner, func: Callable[..., Any], executor: str
) -> None:
    found: list[bytes] = []
    done = asyncio.Event()

    def next_one(number: int) -> None:
        """As in a worker: the end of a job is what starts the next one."""
        if number == 10:
            done.set()
            return

        def on_end(attempt: object, outcome: Outcome) -> None:
            assert isinstance(outcome, Returned)
            found.append(bytes(outcome.value))
            next_one(number + 1)

        runner.start(job(func, f"job {number}", executor=executor), on_end)

    functions.who.set("the worker's own")
    next_one(0)
    async with asyncio.timeout(HANG):
        await done.wait()
    assert found == [b'"nobody"'] * 10


async def left_behind(path: Path) -> None:
    """End the process that a job left behind."""
    async with asyncio.timeout(HANG):
        while not (path.exists() and path.read_text()):  # noqa: ASYNC110, ASYNC240 - another process writes it
            await asyncio.sleep(0.01)
    os.kill(int(path.read_text()), signal.SIGKILL)  # noqa: ASYNC240


async def test_a_process_that_ends_is_noticed_though_one_that_it_forked_lives_on(
    runner: Runner, tmp_path: Path
) -> None:
    path = tmp_path / "pid"
    outcome = await run(runner, job(functions.fork_and_vanish, str(path), executor="process"))
    await left_behind(path)
    assert outcome == Raised("ProcessDied", "its process ended with exit code 3")


async def test_a_process_job_that_forked_is_stopped_at_its_timeout(runner: Runner, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    queued = job(functions.fork_and_ignore, str(path), executor="process")
    ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    attempt = runner.start(queued, lambda attempt, outcome: ended.set_result(outcome))
    async with asyncio.timeout(HANG):
        while not path.exists():  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.01)
        runner.stop(attempt, "timeout")
        outcome = await ended
    await left_behind(path)
    assert isinstance(outcome, Stopped)
    assert outcome.ignored == "ignored being stopped, and its process was killed"


async def test_a_process_that_a_job_forked_obeys_sigterm(runner: Runner, tmp_path: Path) -> None:
    outcome = await run(runner, job(functions.fork_and_terminate, str(tmp_path / "pid"), executor="process"))
    assert outcome == Returned(msgspec.Raw(b"%d" % signal.SIGTERM))


async def test_an_error_with_a_file_name_that_is_not_utf8_arrives_from_a_process(runner: Runner) -> None:
    outcome = await run(runner, job(functions.fail_with_a_file_name, executor="process"))
    assert isinstance(outcome, Raised)
    assert outcome.error_type == "FileNotFoundError"
    assert "caf\\udce9.txt" in outcome.error


async def test_what_a_process_job_logs_is_in_the_workers_log(runner: Runner, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await run(runner, job(functions.chatter, "hello", executor="process"))
    lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "reports"]
    assert lines == [("INFO", "hello from the child"), ("ERROR", "it went wrong")]
    assert "KeyError: 'hello'" in caplog.text


async def test_a_job_whose_time_is_up_before_its_function_starts_is_tried_again(runner: Runner) -> None:
    queued = job(functions.told_previous_success, schedule_id="s", timeout=timedelta(seconds=0.1), retries=1)
    outcome = await run(runner, queued)
    assert not isinstance(outcome, HandedBack)
    ending = decide(queued, outcome, Facts("w", NOON))
    assert ending.next_attempt is not None
    last = decide(queued.evolve(attempt=2), outcome, Facts("w", NOON))
    assert last.dead is not None
    assert (last.dead.error_type, last.result and last.result.status) == ("JobTimeout", JobStatus.FAILED)


def test_a_retry_inside_of_an_exception_group_is_seen() -> None:
    group = ExceptionGroup("several", [ValueError("no"), ExceptionGroup("more", [Retry(7.0), OSError("disk")])])
    outcome = raised(group)
    assert (outcome.asked_retry, outcome.retry_after) == (True, 7.0)
    queued = job(functions.add, retries=1, retry_on=("builtins:OSError",))
    plain = raised(ExceptionGroup("several", [ValueError("no"), OSError("disk")]))
    assert decide(queued, plain, Facts("w", NOON)).next_attempt is not None
    other = raised(ExceptionGroup("several", [ValueError("no")]))
    assert decide(queued, other, Facts("w", NOON)).next_attempt is None


def test_a_job_that_raises_leaves_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    nothing: Any = None
    ends = EndWriter("w", nothing, ManualClock())
    for attempt in (1, 2):
        queued = job(functions.fail, retries=1).evolve(attempt=attempt)
        claimed = Claimed(Delivery("default", "job.default.j", 1, 1, queued, 0.0), b"")
        try:
            raise ValueError("no such customer")
        except ValueError as error:
            ends.decide(claimed, raised(error), NOON)
    first, second = caplog.records
    assert first.levelname == "WARNING"
    assert "job j (tests.worker.functions:fail) failed on attempt 1 of 2, tried again at" in first.message
    assert "ValueError: no such customer" in first.message
    assert second.levelname == "ERROR"
    assert "job j (tests.worker.functions:fail) failed: ValueError: no such customer\nTraceback" in second.message
