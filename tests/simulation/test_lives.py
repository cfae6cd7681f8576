"""The store is deleted and there again, empty or as a backup had it: nothing of the old life is written into the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from naq.jobs.job import JobSpec
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.firing import Fired
from naq.scheduler.listeners import Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.port import Entry, Put
from naq.testing.clock import ManualClock, manual_time
from naq.testing.link import MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval
from tests.simulation.node import Silence

T = TypeVar("T")
SECOND = timedelta(seconds=1)


class House:
    """A store and the schedulers on it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.board = Switchboard()
        self.partitions: list[Partition] = []

    async def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something that takes a moment."""
        task = asyncio.create_task(work)
        while not task.done():
            await self.clock.advance(0.1)
        return task.result()

    async def scheduler(self, name: str) -> tuple[Partition, MemoryClient]:
        client = MemoryClient(self.store, name)
        settings = ElectorSettings(name, 1, check_interval=1.0, heartbeat_interval=1.0, ttl=5.0)
        presence = MemoryPresence(self.board, client)
        partition = Partition(
            client, presence, self.clock, Listeners(Silence()), PartitionSettings(settings, 100, 10.0)
        )
        self.partitions.append(partition)
        await self.do(partition.start())
        return partition, client

    def schedule(self, name: str) -> Schedule:
        now = self.clock.now()
        return new_schedule(
            name, JobSpec(func="reports:send"), Interval(SECOND, now), Policy(coalesce=Coalesce.ALL), now
        )

    def create(self, name: str) -> None:
        self.store.commit([Put(f"schedule.{name}", encode(self.schedule(name)), 0)])

    def fired(self, name: str) -> list[str]:
        return [entry.key for entry in self.store.entries("job.>") if f".{name}/" in entry.key]

    async def end(self) -> None:
        for partition in self.partitions:
            await self.do(partition.stop())


@manual_time
async def test_an_empty_store_forgets_what_was_and_fires_what_is_new() -> None:
    house = House()
    house.create("old")
    one, _ = await house.scheduler("one")
    two, _ = await house.scheduler("two")
    await house.clock.advance(3)
    assert house.fired("old")
    house.store.replace()
    await house.clock.advance(1)
    assert [len(partition.mirror) for partition in (one, two)] == [0, 0]
    assert sum(partition.elector.leads for partition in (one, two)) == 1
    house.create("new")
    await house.clock.advance(3)
    assert len(house.fired("new")) >= 2
    assert not house.fired("old")
    await house.end()


@manual_time
async def test_a_restored_store_goes_on_from_where_the_backup_was() -> None:
    house = House()
    house.create("kept")
    one, _ = await house.scheduler("one")
    await house.clock.advance(2.5)
    backup, revision = house.store.entries(), house.store.revision
    house.create("later")
    await house.clock.advance(5)
    assert house.fired("later")
    house.store.replace(backup, revision)
    await house.clock.advance(3)
    assert one.elector.leads
    assert one.mirror.get("schedule.later") is None
    assert len(house.fired("kept")) >= 8, "each nominal time is there, those fired after the backup included"
    assert len(set(house.fired("kept"))) == len(house.fired("kept"))
    await house.end()


@pytest.mark.parametrize("restored", [False, True])
@manual_time
async def test_a_leader_of_the_old_life_writes_nothing_into_the_new_one(restored: bool) -> None:
    """It planned, was cut off, and sends what it planned when another leads the new store."""
    house = House()
    house.create("s")
    old, client = await house.scheduler("old")
    backup: list[Entry] = house.store.entries()
    revision = house.store.revision
    term = old.elector.term
    assert term is not None
    client.cut(sends=True)
    intents = old.firing.collect(term, 0, house.clock.now() + SECOND, 10)
    assert intents
    if restored:
        house.store.replace(backup, revision)
    else:
        house.store.replace()
        house.create("s")
    before = house.store.peek("schedule.s")
    new, _ = await house.scheduler("new")
    await house.clock.advance(0.1)
    for _ in range(8):
        if new.elector.leads:
            break
        await house.clock.advance(1)
    assert new.elector.leads
    written = house.store.entries("job.>")
    client.restore()
    assert await house.do(old.firing.commit(term, 0, intents)) == Fired([], False)
    assert [entry.key for entry in house.store.entries("job.>")][: len(written)] == [entry.key for entry in written]
    assert before is not None
    await house.end()


@manual_time
async def test_it_waits_for_a_store_that_is_away_and_tells_once() -> None:
    house = House()
    house.create("s")
    one, client = await house.scheduler("one")
    client.disconnect()
    await house.clock.advance(30)
    before = one.firing.retries.probing
    client.restore()
    await house.clock.advance(2)
    assert (before, one.firing.retries.probing) == (True, False)
    assert house.fired("s")
    await house.end()


@manual_time
async def test_a_watch_that_died_silently_is_made_anew_at_the_next_resync() -> None:
    """What it missed comes with the resync; what is written afterwards comes at once again."""
    house = House()
    one, client = await house.scheduler("one")
    client.kill_watches()
    house.create("missed")
    await house.clock.advance(1)
    assert one.mirror.get("schedule.missed") is None
    await house.clock.advance(12)
    assert one.mirror.get("schedule.missed") is not None
    house.create("seen")
    await house.clock.advance(1)
    assert one.mirror.get("schedule.seen") is not None
    await house.end()
