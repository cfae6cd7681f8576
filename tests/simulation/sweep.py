"""One situation, swept through in small steps of time: a leader that was gone for a moment comes back beside its successor.

The leader loses its connection, so the standby sees at once that it is gone, and takes over. The connection comes back
while the old leader still trusts its lease and has not heard of its successor: for some milliseconds there are two. Its
clock is a little fast, so it finds something due that its successor does not, just when it is back. Histories that are
drawn come upon this too seldom to be relied on.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History, Kind, Step

__all__ = ["two_leaders"]

FORM = {"type": "interval", "interval": 5, "anchor": "epoch", "catch_up": None, "coalesce": "all"}
STEPS = 30


def two_leaders() -> Iterator[History]:
    """The old leader comes back ever a little later."""
    for number in range(STEPS):
        steps = (
            Step(0.0, Kind.DISCONNECT, "n1", (0.5,)),
            Step(0.7, Kind.CREATE, "p0", ("s0", FORM)),
            Step(0.8, Kind.STEP_CLOCK, "n0", (0.4,)),
            Step(1.8, Kind.DISCONNECT, "n0", (2.794 + number * 0.0004,)),
        )
        yield History(seed=number, nodes=2, people=1, length=8.0, steps=steps)
