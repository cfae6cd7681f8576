"""Histories that once broke a promise, shrunk; each stands for a defect that the simulation found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from naq.jobs.job import JobSpec
from naq.scheduler.mirror import Mirror
from naq.schedules.policy import Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.port import Delete, Entry, Put
from naq.testing.clock import ManualClock, manual_time
from naq.testing.replica import Replica
from naq.testing.store import MemoryStore
from naq.timing.triggers import Once
from tests.simulation.history import History, Kind, Step
from tests.simulation.node import Silence
from tests.simulation.world import live

STRICT = {"catch_up": None, "coalesce": "all"}
GRID = {"type": "interval", "interval": 1, "anchor": "epoch", **STRICT}

LAPSED = History(
    seed=1349,
    nodes=2,
    people=2,
    length=7.235,
    steps=(
        Step(0.939, Kind.REPLACE, "p0", ("s2", GRID)),
        Step(1.113, Kind.STEP_CLOCK, "n0", (-0.5,)),
        Step(1.534, Kind.CREATE, "p1", ("s0", {"type": "interval", "interval": 2, **STRICT})),
        Step(5.547, Kind.TERMINATE, "n0", (0.2,)),
        Step(5.864, Kind.SLOW, "n1", (12.0, 4.0)),
        Step(6.735, Kind.PAUSE, "p0", ("s0",)),
    ),
)
"""A renewal came so late that the leader had stopped to trust its lease, and then made it trust it again."""

CLOCK_MENDED = History(
    seed=7320,
    nodes=3,
    people=1,
    length=7.889,
    steps=(
        Step(2.453, Kind.CREATE, "p0", ("s3", GRID)),
        Step(6.179, Kind.FULL, "store", (3.0,)),
        Step(7.389, Kind.STEP_CLOCK, "n2", (30,)),
    ),
)
"""A fire that was refused by the store waited for its next try, by a wall clock that was set back meanwhile."""

BETWEEN_SCANS = History(
    seed=5238,
    nodes=2,
    people=2,
    length=9.222,
    steps=(
        Step(2.373, Kind.FREEZE, "n0", (12.0,)),
        Step(2.433, Kind.CRASH, "n1", (6, 12.0)),
        Step(4.349, Kind.CREATE, "p1", ("s0", {"type": "once", "run_at": 1893456008.2768264, "max_runs": 1, **STRICT})),
        Step(8.722, Kind.DEFER, "p1", ("job1", 0.3133943031099067)),
    ),
)
"""A schedule was written after a mirror had read the schedules, and before it had read the deferred jobs."""

CREATED_TWICE = History(
    seed=2654,
    nodes=1,
    people=1,
    length=5.629,
    steps=(
        Step(4.074, Kind.CUT, "p0", (1.0, "answers")),
        Step(4.518, Kind.CREATE, "p0", ("s1", {"type": "cron", "cron": "*/5 * * * * *", "max_runs": 1})),
        Step(5.129, Kind.DELETE, "p0", ("s1",)),
    ),
)
"""The answer to a creation was lost, the schedule was deleted, and the creation tried again."""


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(LAPSED, id="a trust that came back"),
        pytest.param(CLOCK_MENDED, id="a clock set back"),
        pytest.param(BETWEEN_SCANS, id="between two scans"),
        pytest.param(CREATED_TWICE, id="created twice"),
    ],
)
def test_what_was_found_stays_mended(history: History) -> None:
    verdict = live(history)
    assert verdict.clean, "\n".join(verdict.complaints)


@manual_time
async def test_a_late_answer_does_not_bring_back_what_was_deleted() -> None:
    """Seed 10775: the record of a schedule was read, the schedule was deleted, and then the answer came."""
    clock = ManualClock()
    store = MemoryStore(clock)
    mirror = Mirror(store, clock, Silence(), "n0")
    await mirror.load()
    watching = asyncio.create_task(mirror.follow("schedule.>"))
    record = new_schedule("s", JobSpec(func="reports:send"), Once(clock.now()), Policy(), clock.now())
    store.commit([Put("schedule.s", encode(record), 0)])
    late = store.peek("schedule.s")
    assert late is not None
    store.commit([Delete("schedule.s", late.revision)])
    await clock.settle()
    mirror.apply(late)
    watching.cancel()
    assert mirror.get("schedule.s") is None


class HalfBehind(MemoryStore):
    """A clustered store: its scans are answered by a replica that is behind, its other reads by one that is not."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.replica = Replica(self, clock)

    async def scan(self, pattern: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        if page := self.replica.behind(10.0).page(pattern, after):
            yield page


@manual_time
async def test_a_replica_that_is_behind_hides_nothing_for_ever() -> None:
    """Seed 1659: a mirror asked one replica how far the store is, and read the schedules from another one."""
    clock = ManualClock()
    store = HalfBehind(clock)
    old = new_schedule("old", JobSpec(func="reports:send"), Once(clock.now()), Policy(), clock.now())
    store.commit([Put("schedule.old", encode(old))])
    await clock.advance(20)
    store.commit([Put("schedule.new", encode(old.evolve(schedule_id="new")))])
    mirror = Mirror(store, clock, Silence(), "n0")
    await mirror.load()
    watching = asyncio.create_task(mirror.follow("schedule.>"))
    await clock.settle()
    watching.cancel()
    assert mirror.get("schedule.old") is not None
    assert mirror.get("schedule.new") is not None
