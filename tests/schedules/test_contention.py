"""A change by a person to a schedule whose record changes all the time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from naq.events import EventType
from naq.exceptions import SchedulerError
from naq.jobs.job import JobSpec
from naq.schedules.contention import PATIENCE
from naq.schedules.policy import Policy
from naq.schedules.record import ScheduleStatus
from naq.schedules.repository import Changed, Schedules
from naq.schedules.transitions import new_schedule, paused
from naq.store.codec import encode
from naq.store.port import Outcome, Put, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval
from tests.simulation.node import Silence


class Raced(MemoryStore):
    """Somebody else is faster, until ``gap`` seconds have passed."""

    def __init__(self, clock: ManualClock, gap: float) -> None:
        super().__init__(clock)
        self.lost = 0
        self._clock_, self._until = clock, clock.monotonic() + gap

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        if self._clock_.monotonic() < self._until:
            self.lost += 1
            entry = self.peek("schedule.s")
            assert entry is not None
            assert entry.value is not None
            self.commit([Put(entry.key, entry.value)])
        return await super().transact(writes)


def world(gap: float) -> tuple[ManualClock, Raced, Schedules]:
    clock = ManualClock()
    store = Raced(clock, gap)
    record = new_schedule(
        "s", JobSpec(func="reports:send"), Interval(timedelta(hours=1), clock.now()), Policy(), clock.now()
    )
    store.commit([Put("schedule.s", encode(record), 0)])
    return clock, store, Schedules(store, clock, Silence(), "p")


async def pause(clock: ManualClock, schedules: Schedules) -> Changed | None:
    return await schedules.change("s", lambda it: paused(it, clock.now(), None, None), EventType.SCHEDULE_PAUSED)


@manual_time
async def test_a_pause_that_loses_every_race_for_ten_seconds_is_made_in_the_end() -> None:
    """A hundred lost races in a row, which took a second, were the end of it."""
    clock, store, schedules = world(10)
    pausing = asyncio.create_task(pause(clock, schedules))
    await clock.advance(15)
    changed = await pausing
    assert changed is not None
    assert changed.after.status is ScheduleStatus.PAUSED
    assert 20 < store.lost < 1000, "it waits between its tries"


@manual_time
async def test_a_change_is_given_up_after_half_a_minute() -> None:
    clock, _, schedules = world(3600)
    pausing = asyncio.create_task(pause(clock, schedules))
    await clock.advance(PATIENCE - 1)
    assert not pausing.done()
    await clock.advance(2)
    with pytest.raises(SchedulerError, match="changed by others all the time"):
        await pausing
