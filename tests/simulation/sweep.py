"""One situation, swept through in small steps of time: a leader that was gone for a moment comes back beside its successor.

The leader loses its connection, so the standby sees at once that it is gone, and takes over. The connection comes back
while the old leader still trusts its lease and has not heard of its successor: for some milliseconds there are two. Its
clock is a little fast, so it finds something due that its successor does not, just when it is back. Histories that are
drawn come upon this too seldom to be relied on.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.simulation.history import History, Kind, Step

__all__ = ["two_leaders", "vanished_jobs"]

FORM = {"type": "interval", "interval": 5, "anchor": "epoch", "catch_up": None, "coalesce": "all"}
STEPS = 30
HELD = {"type": "interval", "interval": 2, "overlap": "skip"}


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


def vanished_jobs() -> Iterator[History]:
    """A schedule that waits for its run's end, whose job an administrator purges, now and then beside a fault."""
    faults = (
        (),
        (Step(4.0, Kind.CRASH, "n0", (0, 3.0)),),
        (Step(5.5, Kind.CRASH, "n0", (20, 3.0)), Step(6.0, Kind.SLOW, "n1", (6.0, 1.5))),
        (Step(3.5, Kind.STALE, "n0", (12.0, 2.0)), Step(3.5, Kind.STALE, "n1", (12.0, 2.0))),
        (Step(4.5, Kind.LOSE, "n0", (6.0, 0.3)), Step(4.5, Kind.LOSE, "n1", (6.0, 0.3))),
        (Step(4.5, Kind.DEAFEN, "n0"), Step(5.0, Kind.FREEZE, "n1", (6.0,))),
    )
    for seed, steps in enumerate(faults):
        create = Step(0.5, Kind.CREATE, "p0", ("s0", HELD))
        yield History(seed, 2, 1, 14.0, (create, *steps, Step(6.5, Kind.PURGE, "store")))
