"""The checker of the comparison counts what is lost and what comes twice, whether or not runs say for which time they stand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks.peers.checker import judge
from benchmarks.runs import RECORDS, Run, read_runs, write_run

BEGIN = 1_800_000_000.0


def told(schedule: str, *seconds: float, late: float = 0.01) -> list[Run]:
    """Runs that say for which time they stand."""
    return [Run(schedule, BEGIN + each + late, BEGIN + each) for each in seconds]


def untold(schedule: str, *starts: float) -> list[Run]:
    """Runs of which only the start is known."""
    return [Run(schedule, BEGIN + each) for each in starts]


def test_all_well() -> None:
    verdict = judge(["a", "b"], [*told("a", -1, 0, 1, 2, 3), *untold("b", 0.3, 1.31, 2.28)], BEGIN, BEGIN + 3)
    assert (verdict.targets, verdict.lost, verdict.duplicate) == (6, 0, 0)
    assert verdict.late(0.99) == pytest.approx(10, abs=0.1)


def test_a_lost_and_a_duplicate_run_are_counted_where_the_time_is_told() -> None:
    verdict = judge(["a"], told("a", 0, 1, 1, 3), BEGIN, BEGIN + 4)
    assert (verdict.targets, verdict.lost, verdict.duplicate) == (4, 1, 1)


def test_a_lost_and_a_duplicate_run_are_counted_where_it_is_not() -> None:
    lost = judge(["a"], untold("a", 0.2, 1.2, 3.2), BEGIN, BEGIN + 4)
    assert (lost.targets, lost.lost, lost.duplicate) == (4, 1, 0)
    twice = judge(["a"], untold("a", 0.2, 1.2, 1.6, 2.2), BEGIN, BEGIN + 3)
    assert (twice.targets, twice.lost, twice.duplicate) == (3, 0, 1)


def test_runs_that_make_up_for_lost_ones_are_late_and_not_too_many() -> None:
    verdict = judge(["a"], untold("a", 0.2, 3.1, 3.1, 3.2), BEGIN, BEGIN + 4)
    assert (verdict.targets, verdict.lost, verdict.duplicate) == (4, 0, 0)
    assert verdict.lateness[-1] == pytest.approx(2.0)


def test_two_that_run_everything_are_seen_whatever_their_phase() -> None:
    verdict = judge(["a"], untold("a", 0.2, 0.7, 1.2, 1.7, 2.2, 2.7), BEGIN, BEGIN + 3)
    assert verdict.duplicate == 3


def test_a_schedule_that_never_ran_lost_everything() -> None:
    verdict = judge(["a", "b"], told("a", 0, 1, 2), BEGIN, BEGIN + 3)
    assert (verdict.targets, verdict.lost) == (6, 3)


def test_one_that_came_late_to_the_window_lost_what_was_before() -> None:
    assert judge(["a"], told("a", 2, 3), BEGIN, BEGIN + 4).lost == 2


def test_what_is_outside_of_the_window_does_not_count() -> None:
    verdict = judge(["a"], [*told("a", -2, -2, 0, 1, 2, 2)], BEGIN, BEGIN + 2)
    assert (verdict.targets, verdict.lost, verdict.duplicate) == (2, 0, 0)


def test_runs_are_written_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "runs"
    monkeypatch.setenv(RECORDS, str(file))
    assert read_runs(file) == []
    write_run("a", BEGIN)
    write_run("b")
    assert [(run.schedule, run.nominal) for run in read_runs(file)] == [("a", BEGIN), ("b", None)]
    assert len([json.loads(line) for line in file.read_text().splitlines()]) == 2
