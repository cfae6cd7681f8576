"""Seeded histories keep every promise; one that does not is printed with its seed and shrunk."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.simulation.__main__ import explain, fails, main
from tests.simulation.history import History, Kind, draw
from tests.simulation.mutations import MUTATIONS
from tests.simulation.shrink import shrink
from tests.simulation.sweep import two_leaders, vanished_jobs
from tests.simulation.world import live

SHORT = 300
LONG = 20_000
PORTION = 500
"""Histories in one test, so that they spread over the cores."""


def run(seeds: range) -> None:
    for seed in seeds:
        verdict = live(draw(seed))
        if not verdict.clean:
            pytest.fail(explain(verdict, shrink(verdict.history, fails)), pytrace=False)


@pytest.mark.parametrize("first", range(0, SHORT, SHORT // 3))
def test_histories(first: int) -> None:
    run(range(first, first + SHORT // 3))


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SHORT, SHORT + LONG, PORTION))
def test_many_histories(first: int) -> None:
    run(range(first, first + PORTION))


@pytest.mark.parametrize("history", tuple(two_leaders()), ids=lambda history: f"{history.seed}")
def test_a_leader_that_comes_back_beside_its_successor(history: History) -> None:
    verdict = live(history)
    assert verdict.clean, verdict.complaints


@pytest.mark.parametrize("history", tuple(vanished_jobs()), ids=lambda history: f"{history.seed}")
def test_a_schedule_whose_run_lost_its_job_goes_on(history: History) -> None:
    verdict = live(history)
    assert verdict.clean, verdict.complaints


def test_a_history_is_the_same_each_time() -> None:
    for seed in range(0, 60, 3):
        first, second = live(draw(seed)), live(draw(seed))
        assert first.digest == second.digest, f"seed {seed}"
        assert first.digest


def test_the_histories_hold_every_kind_of_step() -> None:
    seen = {step.kind for seed in range(SHORT) for step in draw(seed).steps}
    assert seen == set(Kind)


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_missing_safeguard_is_noticed(name: str) -> None:
    with MUTATIONS[name]():
        assert any(fails(history) for history in chain(two_leaders(), vanished_jobs(), map(draw, range(SHORT))))


def test_a_failing_history_is_shrunk_and_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    with MUTATIONS["no_taking_over"]():
        history = next(history for history in map(draw, range(SHORT)) if len(history.steps) > 4 and fails(history))
        small = shrink(history, fails)
        assert len(small.steps) < len(history.steps)
        assert fails(small)
    assert main(["--seed", str(history.seed), "--mutation", "no_taking_over"]) == 1
    told = capsys.readouterr().out
    assert f"replay: python -m tests.simulation --seed {history.seed} -v" in told
    assert "shrunk to" in told
    assert main(["--seed", str(history.seed), "-v"]) == 0
