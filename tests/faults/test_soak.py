"""The soak ends by itself, repeats its blows for the same seed, and says by its exit code whether a promise was broken."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.faults import soak
from tests.faults.blows import STRIKES, draw
from tests.faults.fleet import Fleet
from tests.faults.report import FaultRun, read
from tests.faults.world import Verdict

LONG = timedelta(minutes=10)


def test_a_seed_repeats_its_blows() -> None:
    first, again = random.Random(7), random.Random(7)
    blows = [draw(first, LONG).what for _ in range(50)]
    assert blows == [draw(again, LONG).what for _ in range(50)]
    assert len(set(blows)) > len(STRIKES)


@pytest.mark.parametrize("seconds", [1, 6, 30])
def test_no_blow_lasts_longer_than_what_is_left(seconds: int) -> None:
    rng = random.Random(seconds)
    assert all(draw(rng, timedelta(seconds=seconds)).seconds <= seconds for _ in range(200))


@pytest.mark.parametrize(("lost", "broken", "code"), [(0, "", 0), (1, "", 1), (0, "round 1: fires did not go on", 1)])
def test_the_exit_code_says_whether_a_promise_was_broken(lost: int, broken: str, code: int) -> None:
    at = datetime.now(UTC)
    run = FaultRun(fault="x", test="soak.py", fires=1, lost=lost, duplicate=0, untargeted=0, stale=0, at=at)
    assert soak.verdict_of([run], broken) == code


def test_a_duration_that_is_none_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        soak.main(["soon"])
    assert "'soon'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_soak_ends_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["8s", "--seed", "1", "--reports", str(tmp_path)]) == 0, capsys.readouterr().out
    assert {run.seed for run in read(tmp_path)} == {1}
    assert "nothing broken (seed 1)" in capsys.readouterr().out


@pytest.mark.slow
def test_a_soak_stops_at_the_first_broken_promise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fleet, "judged", lambda *_: Verdict((), ("s1 2026-01-01 00:00:00+00:00",), (), ()))
    assert soak.main(["8s", "--seed", "1", "--reports", str(tmp_path)]) == 1
    assert len(read(tmp_path)) == 1
    assert "broken: round 1" in capsys.readouterr().out
