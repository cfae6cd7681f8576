"""Whatever a schedule went through: an honest life raises no alarm, and one fire that is taken away or doubled is found."""

from __future__ import annotations

import pytest

from tests.observe.verify.lives import wrongs

SEEDS = range(150)
"""Many more at once: ``python -m tests.observe.verify.lives --count 5000``."""


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_said_of_an_honest_life_and_one_fire_away_or_doubled_is_found(seed: int) -> None:
    assert wrongs(seed) == [], f"python -m tests.observe.verify.lives --from {seed} --count 1"
