"""The leader dies, is asked to go, or is frozen: no fire is lost, none comes twice, and the takeover is quick."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.report import Reports
from tests.faults.world import Process, every_second, judge, recording

COUNT = 200
GRACE = timedelta(milliseconds=50)
"""What was under way when a leader was struck may still arrive; a takeover is counted from later fires."""


def environment(config: dict[str, Any], name: str) -> dict[str, str]:
    return {"NAQ_NATS_URL": config["nats_url"], "NAQ_NAMESPACE": config["namespace"], "NAQ_INSTANCE_ID": name}


def scheduler(config: dict[str, Any], name: str) -> Process:
    return Process(["scheduler"], environment(config, name))


@pytest.fixture
async def world(config: dict[str, Any]) -> AsyncIterator[dict[str, Process]]:
    """Two schedulers and a worker; whatever runs at the end is killed."""
    processes = {name: scheduler(config, name) for name in ("one", "two")}
    processes["worker"] = Process(["worker", "tests.faults.jobs:app"], environment(config, "worker"))
    try:
        for process in processes.values():
            await process.start()
        yield processes
    finally:
        for process in processes.values():
            await process.kill()


async def leader_of(schedules: Any) -> str:
    entry = await schedules._kv.get_json("lease.0")
    return str(entry["instance_id"])


@pytest.mark.slow
async def test_kill_9_three_times_and_sigterm_once(
    config: dict[str, Any], world: dict[str, Process], reports: Reports
) -> None:
    async with recording(config) as (recorder, schedules):
        made = await every_second(schedules, COUNT, "tests.faults.jobs:tick")
        takeovers: list[tuple[str, timedelta]] = []
        for fault in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGTERM):
            await recorder.until_nominal(datetime.now(UTC) + timedelta(seconds=2))
            name = await leader_of(schedules)
            struck_at = datetime.now(UTC)
            world[name].signal(fault)
            if fault is signal.SIGKILL:
                await world[name].ended()
            takeovers.append((fault.name, GRACE + await recorder.until_fire_after(struck_at + GRACE)))
            assert await world[name].ended() == (0 if fault is signal.SIGTERM else -signal.SIGKILL)
            world[name] = scheduler(config, name)
            await world[name].start()
        until = datetime.now(UTC) + timedelta(seconds=2)
        await recorder.until_nominal(until + timedelta(seconds=1))
        verdict = judge(made, until, recorder)
    for kind in ("SIGKILL", "SIGTERM"):
        taken = [taken for name, taken in takeovers if name == kind]
        reports.write(f"{kind} of the leader", verdict, recorder, failover=taken)
    assert verdict.clean, verdict


@pytest.mark.slow
async def test_a_frozen_leader_is_replaced_within_the_lease_and_harmless_when_it_wakes(
    config: dict[str, Any], world: dict[str, Process], reports: Reports
) -> None:
    async with recording(config) as (recorder, schedules):
        made = await every_second(schedules, COUNT, "tests.faults.jobs:tick")
        await recorder.until_nominal(datetime.now(UTC) + timedelta(seconds=2))
        name = await leader_of(schedules)
        struck_at = datetime.now(UTC)
        world[name].signal(signal.SIGSTOP)
        taken = GRACE + await recorder.until_fire_after(struck_at + GRACE)
        world[name].signal(signal.SIGCONT)
        until = datetime.now(UTC) + timedelta(seconds=3)
        await recorder.until_nominal(until + timedelta(seconds=1))
        verdict = judge(made, until, recorder)
        assert await leader_of(schedules) != name
    reports.write("SIGSTOP of the leader, then CONT", verdict, recorder, failover=[taken])
    assert verdict.clean, verdict
