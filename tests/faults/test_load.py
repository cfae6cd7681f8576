"""Ten thousand schedules under three schedulers: nothing happens to them; and the leader is killed in the middle."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.fleet import Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 10_000
EVERY = 10
"""Seconds between two fires of one schedule: a thousand fires a second in all."""


async def judged_so_far(world: Fleet) -> None:
    """Judge what was due by now, and look at it no more."""
    until = now()
    verdict = await world.settled()
    assert verdict.clean, verdict
    world.forget(until)


@pytest.mark.parametrize(
    ("calm", "kills"), [pytest.param(10, 1, marks=pytest.mark.slow), pytest.param(60, 6, marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
async def test_ten_thousand_schedules(tmp_path: Path, reports: Reports, calm: int, kills: int) -> None:
    async with fleet(tmp_path, ("one", "two", "three")) as world:
        await world.load(COUNT, seconds=EVERY)
        await judged_so_far(world)  # loading them took longer than it took until the first was due
        await asyncio.sleep(calm)
        until = now()
        verdict = await world.settled()
        under = f"{COUNT:,} schedules, each due once in {EVERY} s, and three schedulers"
        reports.write(f"none: {under}, for {calm} s", verdict, world.recorder, terms=len(world.recorder.terms) - 1)
        assert verdict.clean, verdict
        world.forget(until)
        failover = []
        for _ in range(kills):
            name, struck_at = world.recorder.leader, now()
            await world.schedulers[name].kill()
            failover.append(await world.goes_on(struck_at))
            await world.start_scheduler(name)
            await asyncio.sleep(calm / kills)
        verdict = await world.settled()
        reports.write(f"kill -9 of the leader: {under}", verdict, world.recorder, failover=failover)
    assert verdict.clean, verdict
