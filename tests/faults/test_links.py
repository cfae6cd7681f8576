"""The leader's link to the server is cut, one way or both, flaps, is slow, or loses an answer: nothing is lost or repeated,
somebody else leads meanwhile when it must be, and nobody quarrels about it."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.fleet import fleet, now
from tests.faults.proxy import Way
from tests.faults.report import Reports

COUNT = 100
LONG = pytest.param(60, marks=pytest.mark.long)
SHORT = pytest.param(8, marks=pytest.mark.slow)
WAYS = {
    "both ways": (),
    "to the server only": (Way.TO_SERVER,),
    "from the server only": (Way.FROM_SERVER,),
}


@pytest.mark.parametrize("seconds", [SHORT, LONG])
@pytest.mark.parametrize("which", WAYS)
async def test_a_leader_that_is_cut_off_is_replaced_and_comes_back_as_a_standby(
    tmp_path: Path, reports: Reports, which: str, seconds: int
) -> None:
    async with fleet(tmp_path, leader_lease=3, request_timeout=2) as world:
        recorder = world.recorder
        await world.load(COUNT)
        cut, terms = recorder.leader, len(recorder.terms)
        struck_at = now()
        world.proxies[cut].cut(*WAYS[which])
        await recorder.until(lambda: recorder.leader != cut, patience=seconds)
        await world.schedulers[cut].line(f"{cut} stops leading")
        await asyncio.sleep(seconds - (now() - struck_at).total_seconds())
        healed_at = now()
        world.proxies[cut].heal()
        await recorder.until_nominal(healed_at + timedelta(seconds=3))
        changes_of_leader = len(recorder.terms) - terms
        # It stands by again, and knows what there is to fire: the other one goes, and it takes over.
        world.schedulers[recorder.leader].signal(signal.SIGTERM)
        await recorder.until(lambda: recorder.leader == cut)
        verdict = await world.settled()
        reports.write(
            f"leader cut off {which} for {seconds} s (lease 3 s)",
            verdict,
            recorder,
            failover=[await world.goes_on(struck_at)],
            healing=[recorder.steady_after(healed_at)],
            terms=changes_of_leader,
        )
    assert verdict.clean, verdict
    assert changes_of_leader == 1


@pytest.mark.parametrize("times", [pytest.param(8, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.long)])
async def test_a_leader_whose_link_flaps_starts_no_quarrel(tmp_path: Path, reports: Reports, times: int) -> None:
    """Cut for half a second, whole for a quarter: shorter than the lease, so the leader stays."""
    async with fleet(tmp_path, leader_lease=3, request_timeout=2) as world:
        await world.load(COUNT)
        terms = len(world.recorder.terms)
        await world.proxies[world.recorder.leader].flap(times, 0.5, 0.25)
        healed_at = now()
        verdict = await world.settled()
        changes_of_leader = len(world.recorder.terms) - terms
        reports.write(
            f"leader's link flaps {times} times: 0.5 s cut, 0.25 s whole",
            verdict,
            world.recorder,
            healing=[world.recorder.steady_after(healed_at)],
            terms=changes_of_leader,
        )
    assert verdict.clean, verdict
    assert changes_of_leader == 0


@pytest.mark.slow
async def test_broken_connections_change_the_leader_once_each_at_most(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as world:
        await world.load(COUNT)
        terms = len(world.recorder.terms)
        taken = []
        for _ in range(8):
            struck_at = now()
            world.proxies[world.recorder.leader].break_connections()
            taken.append(await world.goes_on(struck_at))
            await world.recorder.until_nominal(now() + timedelta(milliseconds=200))
        verdict = await world.settled()
        changes_of_leader = len(world.recorder.terms) - terms
        reports.write(
            "leader's connection breaks 8 times", verdict, world.recorder, failover=taken, terms=changes_of_leader
        )
    assert verdict.clean, verdict
    assert changes_of_leader <= 8


@pytest.mark.slow
async def test_a_slow_link_makes_fires_late_and_nothing_else(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as world:
        await world.load(COUNT)
        terms = len(world.recorder.terms)
        world.proxies[world.recorder.leader].delay = 0.15
        await world.recorder.until_nominal(now() + timedelta(seconds=6))
        world.proxies[world.recorder.leader].delay = 0
        healed_at = now()
        verdict = await world.settled()
        changes_of_leader = len(world.recorder.terms) - terms
        reports.write(
            "leader's link takes 150 ms each way for 6 s",
            verdict,
            world.recorder,
            healing=[world.recorder.steady_after(healed_at)],
            terms=changes_of_leader,
        )
    assert verdict.clean, verdict
    assert changes_of_leader == 0


@pytest.mark.slow
@pytest.mark.parametrize("then_break", [False, True])
async def test_the_outcome_of_a_commit_whose_answer_is_lost_is_learned(
    tmp_path: Path, reports: Reports, then_break: bool
) -> None:
    async with fleet(tmp_path, request_timeout=0.5) as world:
        await world.load(COUNT)
        taken = []
        for _ in range(5):
            proxy = world.proxies[world.recorder.leader]
            lost = proxy.lost
            proxy.lose_answers(then_break=then_break)
            await proxy.until_lost(lost + 1)
            taken.append(await world.goes_on(now()))
        verdict = await world.settled()
        reports.write(
            "answer of a commit lost, " + ("and the connection breaks" if then_break else "and nothing else"),
            verdict,
            world.recorder,
            failover=taken,
        )
    assert verdict.clean, verdict
