"""The report: what is written is read again, runs of one fault share a row, and a broken promise is an exit code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from naq.jobs.job import JobSpec, QueuedJob
from tests.faults.report import FaultRun, Reports, main, read, table
from tests.faults.world import Recorder, Verdict

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def recorder(*lates: float) -> Recorder:
    """A fire at each second from noon, so many seconds late."""
    made = Recorder()
    for step, late in enumerate(lates):
        nominal = NOON + timedelta(seconds=step)
        job = QueuedJob(
            job_id=f"j{step}",
            spec=JobSpec(func="m:f"),
            enqueued_at=nominal + timedelta(seconds=late),
            schedule_id="s",
            nominal_at=nominal,
        )
        made.fires.append((step, job))
    return made


def verdict(lost: int = 0) -> Verdict:
    return Verdict(tuple(f"s {number}" for number in range(lost)), (), (), ())


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    told: list[FaultRun] = []
    reports = Reports(tmp_path, "test_x.py", told.append)
    taken = [timedelta(seconds=1.5)]
    written = reports.write("cut", verdict(), recorder(0, 0, 4), failover=taken, healing=taken, seed=7, terms=2)
    assert read(tmp_path) == [written] == told
    assert (written.fires, written.failover, written.notes, written.seed) == (3, (1.5,), {"terms": "2"}, 7)
    assert written.lateness is not None
    assert (written.lateness.p50, written.lateness.max) == (0, 4)
    assert written.clean


def test_runs_of_one_fault_are_one_row(tmp_path: Path) -> None:
    reports = Reports(tmp_path, "test_x.py")
    reports.write("cut", verdict(lost=1), recorder(0.001), failover=[timedelta(seconds=1)])
    reports.write("cut", verdict(lost=2), recorder(0.25, 0), failover=[timedelta(seconds=2)], repeated=3)
    reports.write("flap", verdict(), recorder())
    lines = table(read(tmp_path)).splitlines()
    assert lines[2] == (
        "| cut (2 runs) | `test_x.py` | 3 | 0 | 0 | 0 | 3 | 3 | 0.000 / 0.250 / 0.250 s | 1.00, 2.00 s |  |  |"
    )
    assert lines[3] == "| flap | `test_x.py` | 0 | 0 | 0 | 0 |  | 0 |  |  |  |  |"
    assert lines[-1].startswith("Made on 20")


def test_many_times_are_told_by_the_median_and_the_longest(tmp_path: Path) -> None:
    taken = [timedelta(seconds=each) for each in (5, 1, 2, 3, 4)]
    run = Reports(tmp_path, "test_x.py").write("kill", verdict(), recorder(), failover=taken)
    assert "median 3.00, longest 5.00 s (5 times)" in table([run])


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (1, 1)])
def test_the_command_fails_when_a_promise_was_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lost: int, code: int
) -> None:
    Reports(tmp_path, "test_x.py").write("cut", verdict(lost), recorder())
    assert main([str(tmp_path)]) == code
    assert f"| cut | `test_x.py` | {lost} |" in capsys.readouterr().out


def test_the_command_says_how_to_make_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert f"FAULT_REPORTS={tmp_path}" in capsys.readouterr().err


def test_steady_after_counts_late_fires_behind_the_end_of_a_fault() -> None:
    fires = recorder(0, 0, 5, 4, 0, 0)
    assert fires.steady_after(NOON + timedelta(seconds=1)) == timedelta(seconds=6)
    assert fires.steady_after(NOON + timedelta(seconds=8)) == timedelta()
