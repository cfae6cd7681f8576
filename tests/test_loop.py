"""The loop that keeps transactions in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from naq.engine.elector import ElectorSettings
from naq.engine.partition import Partition
from naq.job import JobSpec
from naq.policy import Policy
from naq.ports import Outcome, Put, Unknown, Write
from naq.schedule import new_schedule
from naq.testing.clock import ManualClock, manual_time
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from naq.timing.triggers import Once
from naq.wire import encode
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


@manual_time
async def test_an_answer_that_does_not_come_holds_up_its_own_schedules_alone() -> None:
    """It held up all of them, until it was given up."""
    clock = ManualClock()
    store = Forgetful(clock)
    began = clock.now()
    for name, after in (("a", 1.0), ("b", 1.1)):
        due_at = began + timedelta(seconds=after)
        record = new_schedule(name, JobSpec(func="reports:send"), Once(due_at), Policy(), began)
        store.commit([Put(f"schedule.{name}", encode(record), 0)])
    partition = Partition(
        store,
        MemoryPresence(Switchboard(), store.client("n0")),
        clock,
        Silence(),
        ElectorSettings("n0", 1, check_interval=0.25, heartbeat_interval=1, ttl=5),
        batch=400,
        resync_interval=15,
    )
    await partition.start()
    await clock.advance(2)
    assert partition.firing.fired == 1, "b waited for a"
    await clock.advance(NO_ANSWER)
    assert partition.firing.fired == 2, "the outcome of a was not learned"
    stopping = asyncio.create_task(partition.stop())
    await clock.settle()
    await stopping
