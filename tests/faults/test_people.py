"""Eight people change, trigger, create and delete the same schedules at once, while they fire and their leader is killed."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from naq.lifecycle import ServiceManager
from naq.schedules.service import ScheduleService
from tests.faults.fleet import Fleet, fleet, now
from tests.faults.ledger import Ledger, ledger
from tests.faults.people import Person, broken_words
from tests.faults.report import Reports

PEOPLE = 8
SHARED = ("m0", "m1", "m2")
STEADY = 20
"""Schedules that nobody touches."""
PATIENCE = timedelta(seconds=2)


async def people(world: Fleet, seed: int, stack: AsyncExitStack) -> list[Person]:
    made = []
    for number in range(PEOPLE):
        services = await stack.enter_async_context(ServiceManager({"nats_url": world.server.url}))
        schedules = await services.get_service(ScheduleService)
        made.append(Person(f"p{number}", schedules, random.Random(seed * 100 + number), SHARED))
    return made


async def kill_leader(world: Fleet) -> timedelta:
    """kill -9 of the leader, and start it again; how long it took until fires went on."""
    name, struck_at = world.recorder.leader, now()
    await world.schedulers[name].kill()
    taken = await world.goes_on(struck_at)
    await world.start_scheduler(name)
    return taken


async def complete(world: Fleet, book: Ledger) -> None:
    """Wait until all that is due by now is in the ledger."""
    await world.recorder.until_nominal(now() + PATIENCE)
    await book.until(await world.schedules._kv.last_revision(">"))


@pytest.mark.parametrize(
    ("seconds", "kills"), [pytest.param(12, 1, marks=pytest.mark.slow), pytest.param(120, 10, marks=pytest.mark.long)]
)
@pytest.mark.timeout(600)
async def test_eight_people_at_once(tmp_path: Path, reports: Reports, seconds: int, kills: int) -> None:
    seed = secrets.randbelow(2**31)
    print(f"seed {seed}")
    async with fleet(tmp_path, ()) as world, AsyncExitStack() as stack:
        book = await stack.enter_async_context(ledger(world.schedules._connection, world.schedules._kv.names))
        for name in ("one", "two"):
            await world.start_scheduler(name)
        await world.load(STEADY)
        everybody = await people(world, seed, stack)
        failover = []
        async with asyncio.TaskGroup() as acting:
            ends_at = now() + timedelta(seconds=seconds)
            for person in everybody:
                acting.create_task(person.act_until(ends_at))
            for _ in range(kills):
                await asyncio.sleep(seconds / (kills + 1))
                failover.append(await kill_leader(world))
        await complete(world, book)
        as_of = now()
        verdict = book.judged(as_of, PATIENCE)
        done = [each for person in everybody for each in person.done]
        broken = broken_words(done, book)
        reports.write(
            f"eight clients at once for {seconds} s, kill -9 of the leader {kills} times",
            verdict,
            world.recorder,
            failover=failover,
            seed=seed,
            acts=len(done),
            acknowledged=sum(bool(each.answer) for each in done),
            refused=dict(sum((person.refused for person in everybody), Counter())),
        )
        assert book.gaps == []
    assert verdict.clean, verdict
    assert not broken, "\n".join(broken[:20])
    assert {each.what for each in done if each.answer} >= {"pause", "resume", "update", "cancel", "trigger", "delete"}
