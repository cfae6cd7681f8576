"""The loop that keeps transactions in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta

from naq.exceptions import StoreUnavailable
from naq.jobs.job import JobSpec
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.listeners import Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.schedules.policy import Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.port import Outcome, Put, Unknown, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.link import MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from naq.timing.triggers import Once
from tests.simulation.node import Silence

NO_ANSWER = 5.0
"""Seconds after which an answer is given up."""


class Forgetful(MemoryStore):
    """Commits what concerns the schedule ``a``, and does not answer."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.clock = clock

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        outcome = await super().transact(writes)
        if any(write.key == "schedule.a" for write in writes):
            await self.clock.sleep(NO_ANSWER)
            return Unknown("no answer")
        return outcome


class Troubled(MemoryStore):
    """Its connection is down at the first fire, and breaks before the answer to the second one comes."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.fires = 0

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        if not any(write.key.startswith("schedule.") for write in writes):
            return await super().transact(writes)
        self.fires += 1
        if self.fires == 1:
            raise StoreUnavailable("the connection is down")
        outcome = await super().transact(writes)
        return Unknown("the connection broke") if self.fires == 2 else outcome


def partition_on(store: MemoryStore, clock: ManualClock, dues: Mapping[str, float]) -> Partition:
    """A lone scheduler, and schedules that are due once, so many seconds from now."""
    began = clock.now()
    for name, after in dues.items():
        trigger = Once(began + timedelta(seconds=after))
        record = new_schedule(name, JobSpec(func="reports:send"), trigger, Policy(), began)
        store.commit([Put(f"schedule.{name}", encode(record), 0)])
    return Partition(
        store,
        MemoryPresence(Switchboard(), MemoryClient(store, "n0")),
        clock,
        Listeners(Silence()),
        PartitionSettings(ElectorSettings("n0", 1, check_interval=0.25, heartbeat_interval=1, ttl=5), 400, 15),
    )


async def stop(partition: Partition, clock: ManualClock) -> None:
    stopping = asyncio.create_task(partition.stop())
    await clock.settle()
    await stopping


@manual_time
async def test_an_answer_that_does_not_come_holds_up_its_own_schedules_alone() -> None:
    """It held up all of them, until it was given up."""
    clock = ManualClock()
    partition = partition_on(Forgetful(clock), clock, {"a": 1.0, "b": 1.1})
    await partition.start()
    await clock.advance(2)
    assert partition.firing.fired == 1, "b waited for a"
    await clock.advance(NO_ANSWER)
    assert partition.firing.fired == 2, "the outcome of a was not learned"
    await stop(partition, clock)


@manual_time
async def test_fires_go_on_after_a_try_whose_outcome_had_to_be_learned() -> None:
    """After a failure one transaction at a time is tried. The loop was woken while it still counted the one that had just
    ended, and then by nobody any more."""
    clock = ManualClock()
    partition = partition_on(Troubled(clock), clock, {"a": 1.0, "b": 5.0})
    await partition.start()
    await clock.advance(20)
    assert partition.firing.fired == 2
    await stop(partition, clock)
