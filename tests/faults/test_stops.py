"""The leader is killed again and again, frozen for longer and longer, and all schedulers are rolled."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.fleet import fleet, now
from tests.faults.report import Reports

COUNT = 100
LEASE = 3.0


@pytest.mark.parametrize(
    "leases",
    [*(pytest.param(n, marks=pytest.mark.slow) for n in (0.5, 1, 3)), pytest.param(20, marks=pytest.mark.long)],
)
async def test_a_leader_that_wakes_up_too_late_steps_down(tmp_path: Path, reports: Reports, leases: float) -> None:
    """Within half a lease it goes on leading; later it stops before it does anything else."""
    async with fleet(tmp_path, leader_lease=LEASE, leader_heartbeat_interval=0.5) as world:
        recorder = world.recorder
        await world.load(COUNT)
        frozen = recorder.leader
        process = world.schedulers[frozen]
        terms, said = len(recorder.terms), len(process.lines)
        struck_at = now()
        process.signal(signal.SIGSTOP)
        await asyncio.sleep(LEASE * leases)
        woken_at = now()
        process.signal(signal.SIGCONT)
        stepped_down = "not"
        if leases >= 1:
            await process.line(f"{frozen} stops leading", said)
            stepped_down = f"after {(now() - woken_at).total_seconds():.3f} s"
        verdict = await world.settled()
        changes_of_leader = len(recorder.terms) - terms
        reports.write(
            f"SIGSTOP of the leader for {leases:g} leases of {LEASE:g} s, then CONT",
            verdict,
            recorder,
            failover=[await world.goes_on(struck_at)],
            healing=[recorder.steady_after(woken_at)],
            terms=changes_of_leader,
            stepped_down=stepped_down,
        )
    assert verdict.clean, verdict
    assert changes_of_leader == (0 if leases < 1 else 1)
    assert (recorder.leader == frozen) is (leases < 1) or leases == 1


@pytest.mark.long
async def test_kill_9_of_the_leader_twenty_times(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as world:
        await world.load(COUNT)
        taken = []
        for _ in range(20):
            name = world.recorder.leader
            struck_at = now()
            world.schedulers[name].signal(signal.SIGKILL)
            await world.schedulers[name].ended()
            taken.append(await world.goes_on(struck_at))
            await world.start_scheduler(name)
            await world.recorder.until_nominal(now() + timedelta(seconds=1))
        verdict = await world.settled()
        reports.write("kill -9 of the leader, 20 times", verdict, world.recorder, failover=taken)
    assert verdict.clean, verdict


@pytest.mark.slow
async def test_all_schedulers_are_restarted_one_after_the_other(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path, ("one", "two", "three")) as world:
        await world.load(COUNT)
        taken = []
        for name in tuple(world.schedulers):
            led = world.recorder.leader == name
            struck_at = now()
            world.schedulers[name].signal(signal.SIGTERM)
            assert await world.schedulers[name].ended() == 0
            if led:
                taken.append(await world.goes_on(struck_at))
            await world.start_scheduler(name)
        verdict = await world.settled()
        reports.write("rolling restart of three schedulers by SIGTERM", verdict, world.recorder, failover=taken)
    assert taken
    assert verdict.clean, verdict
