"""The wall clock of one machine steps by an hour, either way: leadership is unaffected, and nothing is fired twice."""

from __future__ import annotations

import pytest

from tests.simulation.history import History, Kind, Step
from tests.simulation.world import World, live

HOUR = 3600
FORM = {"type": "interval", "interval": 60, "anchor": "epoch", "catch_up": None, "coalesce": "all"}


def history(machine: str, jump: int) -> History:
    """A schedule that fires each minute, on whose way one clock jumps and, two minutes later, is mended."""
    steps = (Step(0.5, Kind.CREATE, "p0", ("s0", FORM)), Step(70.0, Kind.STEP_CLOCK, machine, (jump,)))
    return History(seed=HOUR + jump, nodes=2, people=1, length=190.0, steps=steps)


@pytest.mark.parametrize("jump", [-HOUR, HOUR, -7, 7])
@pytest.mark.parametrize("machine", ["n0", "n1"])
def test_a_step_of_the_wall_clock(machine: str, jump: int) -> None:
    worlds: list[World] = []
    verdict = live(history(machine, jump), prepare=worlds.append)
    assert verdict.clean, verdict.complaints
    assert verdict.fired >= 3
    elections = [written for written in worlds[0].log if written.entry.key == "epoch.0.0"]
    assert len(elections) == 1
