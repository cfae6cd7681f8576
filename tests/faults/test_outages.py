"""The server is away for a while: what came due meanwhile is fired when it is back, once, and everybody hears of changes."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.fleet import fleet, now
from tests.faults.report import Reports

COUNT = 100


@pytest.mark.parametrize(
    "seconds", [pytest.param(5, marks=pytest.mark.slow), *(pytest.param(n, marks=pytest.mark.long) for n in (30, 130))]
)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.timeout(600)
async def test_fires_are_made_up_for_after_an_outage(
    tmp_path: Path, reports: Reports, how: signal.Signals, seconds: int
) -> None:
    async with fleet(tmp_path) as world:
        recorder = world.recorder
        await world.load(COUNT)
        terms = len(recorder.terms)
        await world.server.stop(how)
        await asyncio.sleep(seconds)
        await world.server.start()
        healed_at = now()
        taken = await world.goes_on(healed_at, timedelta())
        await recorder.until_nominal(healed_at + timedelta(seconds=3))
        changes_of_leader = len(recorder.terms) - terms
        await world.sees_changes("after-the-outage")
        # The standby's watches are alive too: it takes over, and fires what was stored meanwhile.
        name = recorder.leader
        world.schedulers[name].signal(signal.SIGTERM)
        await recorder.until(lambda: recorder.leader != name)
        await world.sees_changes("under-the-other-one")
        verdict = await world.settled()
        reports.write(
            f"server away for {seconds} s after {how.name}",
            verdict,
            recorder,
            failover=[taken],
            healing=[recorder.steady_after(healed_at)],
            terms=changes_of_leader,
        )
    assert verdict.clean, verdict
    assert changes_of_leader <= 1
