"""One machine's wall clock is set an hour ahead, or an hour back, while its scheduler leads or stands by: it fires nothing by
that clock, another leads, and no nominal time is fired twice, too early, or lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from naq.clock import SystemClock
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from tests.faults.fleet import Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 4
HOUR = timedelta(hours=1)


class WrongClock(SystemClock):
    """This machine's clocks, the wall clock set wrong by ``off``."""

    def __init__(self) -> None:
        self.off = timedelta()

    def now(self) -> datetime:
        return super().now() + self.off


@asynccontextmanager
async def scheduler_with(clock: WrongClock, world: Fleet) -> AsyncIterator[SchedulerService]:
    """A scheduler in this process, named ``odd``, that goes by ``clock``."""
    async with ServiceManager({"nats_url": world.server.url, "instance_id": "odd"}) as services:
        connection = await services.get_service(ConnectionService)
        store = KVStoreService(services.settings, connection, clock=clock)
        events = await services.get_service(EventService)
        async with store, SchedulerService(services.settings, connection, store, events, clock=clock) as scheduler:
            yield scheduler


@pytest.mark.slow
@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_a_leader_whose_clock_is_set_wrong_hands_over_to_one_whose_clock_is_right(
    tmp_path: Path, reports: Reports, off: timedelta
) -> None:
    """It fired an hour of nominal times too early, and its schedules were silent for an hour then."""
    clock = WrongClock()
    async with fleet(tmp_path, ()) as world, scheduler_with(clock, world) as odd:
        recorder = world.recorder
        await world.start_scheduler("even")
        await world.load(COUNT)
        clock.off = off
        await recorder.until(lambda: recorder.leader == "even")
        await recorder.until_nominal(now() + timedelta(seconds=6))
        assert not odd.is_leader
        clock.off = timedelta()
        verdict = await world.settled()
        reports.write(
            f"the leader's wall clock is set {'ahead' if off > timedelta() else 'back'} by an hour, and right again",
            verdict,
            recorder,
            timed=False,
            terms=len(recorder.terms) - 1,
        )
    assert verdict.clean, verdict


@pytest.mark.slow
@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "back"])
async def test_a_standby_whose_clock_is_set_wrong_takes_nothing(
    tmp_path: Path, reports: Reports, off: timedelta
) -> None:
    clock = WrongClock()
    async with fleet(tmp_path, ("even",)) as world, scheduler_with(clock, world) as odd:
        await world.load(COUNT)
        clock.off = off
        await world.recorder.until_nominal(now() + timedelta(seconds=6))
        assert not odd.is_leader
        verdict = await world.settled()
        reports.write(
            f"a standby's wall clock is set {'ahead' if off > timedelta() else 'back'} by an hour",
            verdict,
            world.recorder,
            terms=len(world.recorder.terms) - 1,
        )
        assert len(world.recorder.terms) == 1
    assert verdict.clean, verdict
