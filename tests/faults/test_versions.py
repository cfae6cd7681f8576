"""Old and new side by side: schedulers of two versions, and records of three, while one is being upgraded to the next.

What both understand keeps every promise, whoever leads. What only the newer one understands is left alone by the older
one, to the last byte, and told; it fires as soon as the newer one leads, what was due meanwhile included.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.faults.fleet import TICK, Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 50
FEW = 5
FUTURE = "tests.faults.newer"
SECOND = timedelta(seconds=1)
EVERY_FIRE = {"coalesce": "all", "catch_up": None}


async def write(those: Fleet, name: str, **more: object) -> bytes:
    """Write the record of a schedule that fires every second; what it says it needs, and nothing else, as the first naq did."""
    first = now().replace(microsecond=0) + 2 * SECOND
    record = {
        "schedule_id": name,
        "job": {"func": TICK},
        "trigger": {"type": "interval", "every": "PT1S", "anchor": first.isoformat()},
        "policy": EVERY_FIRE,
        "created_at": first.isoformat(),
        "next_nominal_at": first.isoformat(),
        "next_run_at": first.isoformat(),
    }
    value = json.dumps(record | more).encode()
    await those.schedules._kv.put(f"schedule.{name}", value)
    those.targets[name] = (first, SECOND)
    return value


async def told_of(those: Fleet, names: set[str], since: datetime) -> None:
    """Wait until each instance has told that it leaves these schedules alone."""
    async with asyncio.timeout(20):
        while True:
            found = await those.schedules._events.get_event_history(types=["schedule_quarantined"], since=since)
            if {(it.instance_id, it.schedule_id) for it in found} >= {
                (by, name) for by in ("one", "two") for name in names
            }:
                assert all("upgrade this instance" in (it.reason or "") for it in found)
                return
            await asyncio.sleep(0.1)


async def replace(those: Fleet, name: str, module: str) -> timedelta | None:
    """Stop a scheduler, and start another version in its place; how long fires took to go on, when it led."""
    led = those.recorder.leader == name
    struck_at = now()
    those.schedulers[name].signal(signal.SIGTERM)
    assert await those.schedulers[name].ended() == 0
    taken = await those.goes_on(struck_at) if led else None
    await those.start_scheduler(name, module)
    return taken


async def is_clean(those: Fleet, reports: Reports, fault: str, taken: Sequence[timedelta | None]) -> None:
    """Judge the run, and write its row."""
    verdict = await those.settled()
    reports.write(fault, verdict, those.recorder, failover=[each for each in taken if each is not None])
    assert verdict.clean, verdict


@pytest.mark.slow
async def test_a_rolling_upgrade(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        for number in range(FEW):
            await write(those, f"older{number}")
        began = now()
        newer = {f"newer{number}": await write(those, f"newer{number}", v=2, shape="round") for number in range(FEW)}
        await told_of(those, set(newer), began)
        await those.recorder.until_nominal(now() + 2 * SECOND)
        assert {name: await value_of(those, name) for name in newer} == newer, "the old one changed it"
        taken = [await replace(those, name, FUTURE) for name in ("one", "two")]
        assert those.recorder.leader == "one", "the first one that was upgraded, when the other one went"
        for name in newer:
            await those.recorder.until_fired(name)
        await is_clean(
            those, reports, "rolling upgrade of two schedulers; older and newer records beside those of today", taken
        )


@pytest.mark.slow
async def test_an_old_instance_beside_a_new_leader_and_in_its_place(tmp_path: Path, reports: Reports) -> None:
    """It respects the lease of the newer one though it does not know all that it says; it leads when the newer one is gone."""
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        await replace(those, "one", FUTURE)
        taken = [await replace(those, "two", "naq")]
        assert those.recorder.leader == "one"
        terms = len(those.recorder.terms)
        await write(those, "newer", v=2)
        await those.recorder.until_fired("newer")
        assert len(those.recorder.terms) == terms, "the old one took the lease from the new one"
        taken.append(await replace(those, "one", FUTURE))
        assert those.recorder.leader == "two"
        value = await value_of(those, "newer")
        await those.recorder.until_nominal(now() + 3 * SECOND)
        assert await value_of(those, "newer") == value, "the old one changed it"
        taken.append(await replace(those, "two", FUTURE))
        await is_clean(those, reports, "an old and a new scheduler lead by turns", taken)


async def value_of(those: Fleet, name: str) -> bytes:
    entry = await those.schedules._kv.get(f"schedule.{name}")
    assert entry is not None
    assert entry.value is not None
    return entry.value
