"""``naq demo``: it ends well, it leaves nothing behind, and its verdict can be bad."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from naq.cli.demo.check import Watch, problems
from naq.cli.demo.view import View
from naq.events import Event, EventType
from naq.jobs.job import Job
from naq.schedules.forms.specification import parse_job, parse_schedule
from naq.schedules.record import Schedule
from naq.schedules.transitions import new_schedule, paused
from naq.store.keys import job_id
from tests.cli.conftest import finish
from tests.faults.world import Process

T = datetime(2030, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def left_behind(directory: Path) -> list[Path]:
    return list(directory.glob("naq-demo-*"))


def test_it_ends_by_itself_and_well(tmp_path: Path) -> None:
    result = finish(["demo", "--for", "3s"], {"TMPDIR": str(tmp_path)})
    assert result.code == 0, result.out + result.err
    assert "fires were due, and each was run exactly once" in result.out
    assert result.err == ""
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_well(tmp_path: Path, number: signal.Signals) -> None:
    process = Process(["demo"], {"TMPDIR": str(tmp_path)}, logs=False)
    await process.start("fires")
    process.signal(number)
    assert await process.ended() == 0
    assert "each was run exactly once" in process.lines[-1]
    assert left_behind(tmp_path) == []


async def test_two_signals_end_it_without_a_verdict_and_leave_no_server(tmp_path: Path) -> None:
    process = Process(["demo"], {"TMPDIR": str(tmp_path)}, logs=False)
    await process.start("fires")
    (directory,) = left_behind(tmp_path)
    server = int((directory / "server" / "server.pid").read_text())
    process.signal(signal.SIGINT)
    process.signal(signal.SIGTERM)
    assert await process.ended() in {130, 0}  # 0: it was quicker than the second signal
    assert left_behind(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)


def test_on_a_terminal_it_is_a_live_table(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TMPDIR": str(tmp_path), "TERM": "xterm-256color", "LINES": "40", "COLUMNS": "120"}
        os.execvpe("naq", ["naq", "demo", "--for", "2s"], environment)
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # the other side is closed: how Linux says the end
            break
        if not piece:
            break
        said += piece
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = said.decode()
    assert "\x1b[?25l" in text, "the cursor is hidden while it lives"
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "and shown again"
    for word in ("naq demo", "next run", "late", "Europe/Berlin", "heartbeat", "leader ", "jobs finished"):
        assert word in text


# --- the verdict, on a schedule of one second that ran for five


def schedule(**form: object) -> Schedule:
    trigger, policy = parse_schedule({"type": "interval", "interval": 1, **form}, T)
    return new_schedule("x", parse_job(Job(func="shop:greet")), trigger, policy, T)


def ended(record: Schedule, at: timedelta = 5.5 * SECOND, undecided: timedelta = 6 * SECOND) -> Schedule:
    found = paused(record.evolve(next_nominal_at=T + undecided), T + at, None, None)
    assert found is not None
    return found


def seen(offsets: Sequence[int] = (1, 2, 3, 4, 5), runs: Sequence[int] | None = None) -> tuple[Watch, list[str]]:
    """A watch on fires at these seconds, and runs of these; and the jobs that the store knows."""
    watch = Watch()
    for offset in offsets:
        nominal_at = T + offset * SECOND
        event = Event(
            type=EventType.SCHEDULED_JOB_TRIGGERED,
            timestamp=nominal_at + timedelta(milliseconds=2),
            schedule_id="x",
            nominal_at=nominal_at,
            job_id=job_id("x", nominal_at),
        )
        watch.on_event(event)
    ran = [job_id("x", T + offset * SECOND) for offset in (offsets if runs is None else runs)]
    for job in ran:
        watch.on_event(Event(type=EventType.JOB_COMPLETED, timestamp=T, schedule_id="x", job_id=job))
    return watch, ran


def verdict(record: Schedule, watch: Watch, kept: Sequence[str]) -> list[str]:
    return problems([record], watch, kept)


def test_all_is_well() -> None:
    assert verdict(ended(schedule()), *seen()) == []


def test_a_schedule_that_completed() -> None:
    record = schedule(max_runs=3).evolve(completed_at=T + 3 * SECOND, next_nominal_at=None, runs=3)
    assert verdict(record.evolve(status="completed"), *seen((1, 2, 3))) == []


@pytest.mark.parametrize(
    ("offsets", "runs", "complaint"),
    [
        ((1, 2, 4, 5), None, "x: 1 times did not fire, 0 of them by its policy"),
        ((1, 2, 3, 3, 4, 5), (1, 2, 3, 4, 5), "x: 2030-01-01 00:00:03+00:00 was fired 2 times"),
        ((1, 2, 3, 4, 5, 7), None, "x: 2030-01-01 00:00:07+00:00 was fired, and was not due"),
        ((1, 2, 3, 4, 5), (1, 2, 3, 4), "was run 0 times"),
        ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 5), "was run 2 times"),
        ((1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 9), "was run, and nothing was due"),
    ],
    ids=["lost", "twice", "not due", "not run", "run twice", "run unasked"],
)
def test_what_is_wrong_is_said(offsets: Sequence[int], runs: Sequence[int] | None, complaint: str) -> None:
    found = verdict(ended(schedule()), *seen(offsets, runs))
    assert any(complaint in each for each in found), found


def test_a_run_that_the_store_does_not_know() -> None:
    watch, kept = seen()
    assert verdict(ended(schedule()), watch, kept[:-1]) == [
        f"job {kept[-1]} is not among the completed jobs in the store"
    ]


def test_a_schedule_that_stood_still() -> None:
    watch, kept = seen((1, 2))
    found = verdict(ended(schedule(), undecided=3 * SECOND), watch, kept)
    assert found == ["x: 2030-01-01 00:00:03+00:00 was due, and nothing became of it"]


def test_what_the_policy_skipped_is_no_loss() -> None:
    record = ended(schedule(overlap="skip")).evolve(skipped=2)
    assert verdict(record, *seen((1, 3, 5))) == []
    assert verdict(record.evolve(skipped=1), *seen((1, 3, 5)))


# --- the picture


@pytest.fixture
def view() -> Callable[..., View]:
    def make(*offsets: int, leader: str | None = "here", **form: object) -> View:
        record = schedule(**form).evolve(next_run_at=T + 6 * SECOND)
        return View(T + 5.25 * SECOND, T, leader, [record], seen(offsets)[0])

    return make


def test_a_line(view: Callable[..., View]) -> None:
    line = view(1, 2, 3, 4, 5).line()
    assert "leader here  schedules 1  fires 5  jobs finished 5  lateness p50 2.0 ms, p99 2.0 ms" in line
    assert "leader nobody  schedules 1  fires 0  jobs finished 0  lateness -" in view(leader=None).line()


def test_the_picture_loads_nothing_from_elsewhere() -> None:
    picture = (Path(__file__).parents[2] / "docs" / "images" / "demo.svg").read_text()
    assert "heartbeat" in picture
    assert "@font-face" not in picture
