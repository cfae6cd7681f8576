"""A scheduler whose wall clock is far from the server's fires nothing, and lets another lead."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from naq.events import Event
from naq.jobs.job import JobSpec
from naq.scheduler.drift import Drift
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.listeners import Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.schedules.policy import Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.port import Put
from naq.testing.clock import ManualClock, manual_time
from naq.testing.link import MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval

SECOND = timedelta(seconds=1)


class Told:
    def __init__(self) -> None:
        self.types: list[str] = []

    def emit(self, events: Iterable[Event]) -> None:
        self.types += [str(event.type) for event in events]


class World:
    """A store whose server's clock is right, and schedulers with clocks of their own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.board = Switchboard()
        self.told = Told()
        self.began, self.zero = self.clock.now(), self.clock.monotonic()
        record = new_schedule("s", JobSpec(func="m:f"), Interval(SECOND, self.began), Policy(), self.began)
        self.store.commit([Put("schedule.s", encode(record), 0)])

    async def server(self) -> datetime:
        return self.began + timedelta(seconds=self.clock.monotonic() - self.zero)

    def partition(self, name: str, clock: ManualClock, limit: float = 5.0) -> Partition:
        return Partition(
            self.store,
            MemoryPresence(self.board, MemoryClient(self.store, name)),
            clock,
            Listeners(self.told),
            PartitionSettings(ElectorSettings(name, 1, 0.25, 1, 5), 400, 15),
            Drift(clock, self.told, name, self.server, limit),
        )

    @property
    def fired(self) -> int:
        return len(self.store.entries("job.>"))


def leads(partition: Partition) -> bool:
    return partition.elector.leads


async def stop(partition: Partition, clock: ManualClock) -> None:
    stopping = asyncio.create_task(partition.stop())
    await clock.settle()
    await stopping


@manual_time
@pytest.mark.parametrize("off", [3600.0, -3600.0], ids=["ahead", "behind"])
async def test_a_leader_whose_clock_jumps_fires_nothing_by_it_and_goes_on_when_it_is_right(off: float) -> None:
    """A clock that was ahead for four seconds left schedules silent for as long as it was ahead."""
    world = World()
    leader = world.partition("a", world.clock)
    await leader.start()
    await world.clock.advance(10)
    before = world.fired
    assert before == 10
    world.clock.step_wall(off)
    await world.clock.advance(4)
    assert world.fired == before, "it fired by a wrong clock"
    assert not leads(leader)
    assert "clock_wrong" in world.told.types
    world.clock.step_wall(-off)
    await world.clock.advance(10)
    assert world.fired > before + 5
    assert leads(leader)
    assert "clock_right" in world.told.types
    await stop(leader, world.clock)


@manual_time
async def test_an_instance_that_starts_with_a_wrong_clock_does_not_lead() -> None:
    world = World()
    world.clock.step_wall(60)
    started = world.partition("a", world.clock)
    await started.start()
    await world.clock.advance(20)
    assert not leads(started)
    assert world.fired == 0
    await stop(started, world.clock)


@manual_time
@pytest.mark.parametrize(("off", "limit"), [(4.0, 5.0), (3600.0, 0.0)], ids=["a little off", "not compared"])
async def test_a_clock_within_the_limit_is_gone_by(off: float, limit: float) -> None:
    world = World()
    leader = world.partition("a", world.clock, limit)
    await leader.start()
    await world.clock.advance(3)
    world.clock.step_wall(off)
    await world.clock.advance(3)
    assert leads(leader)
    assert world.fired > 3
    await stop(leader, world.clock)
