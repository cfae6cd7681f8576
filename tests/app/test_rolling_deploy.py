"""A rolling deploy in real processes: three replicas of an application go from one release to the next, in every order, and
replicas of the old release start again in between. Another application has a set of its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from naq.lifecycle import ServiceManager
from naq.schedules.record import Schedule
from naq.schedules.service import ScheduleService
from naq.timing.triggers import Cron, Interval

RELEASE = """
from naq import Naq, cron, every

app = Naq(**CONFIG)

@app.schedule(every("8h"), id="steady")
def steady() -> None: ...

@app.schedule(every("{number}h"), id="changed")
def changed() -> None: ...

@app.schedule(cron("{number} 9 * * *", tz="Europe/Berlin"), id="daily")
def daily() -> None: ...

@app.schedule(every("2h"), id="new-{number}")
def new() -> None: ...
"""
OTHER = RELEASE.replace('id="', 'id="other-')
EACH = [(order, early) for order in itertools.permutations(("one", "two", "three")) for early in (0, 1, 2)]
ROUNDS = [*EACH, EACH[4], EACH[12]]
"""The order in which the replicas are replaced, and after how many of them an old one starts again: all, and two again."""
PATIENCE = 60.0


def replica(folder: str, module: str, config: dict[str, Any], ready: Connection) -> None:
    """One process: ``naq scheduler MODULE:app`` in the folder of its release."""
    import builtins
    import importlib

    async def run() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await app.run(worker=False, stop=stop, ready=lambda services: ready.send("ready"))
        await app.close()

    sys.path.insert(0, folder)
    vars(builtins)["CONFIG"] = config
    app = importlib.import_module(module).app
    asyncio.run(run())


class Deploys:
    """The replicas of one application, each with its release."""

    def __init__(self, directory: Path, config: Mapping[str, Any]) -> None:
        self.directory = directory
        self.config = dict(config)
        self.replicas: dict[str, BaseProcess] = {}
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["naq.app.application", "naq.scheduler.service", "zoneinfo"])

    async def start(self, name: str, release: int, *, module: str = "shop", text: str = RELEASE) -> None:
        """Start a replica with a release; it has declared its schedules when it is ready."""
        folder = self.directory / f"release-{release}"
        folder.mkdir(exist_ok=True)
        (folder / f"{module}.py").write_text(text.format(number=release))
        ours, theirs = self._context.Pipe(duplex=False)
        config = {**self.config, "instance_id": f"{name}-{release}"}
        process = self._context.Process(target=replica, args=(str(folder), module, config, theirs))
        process.start()
        self.replicas[name] = process
        theirs.close()
        assert await asyncio.to_thread(ours.poll, PATIENCE), f"{name} with release {release} is not ready"
        assert ours.recv() == "ready"
        ours.close()

    async def stop(self, name: str) -> None:
        process = self.replicas[name]
        process.terminate()
        await asyncio.to_thread(process.join, PATIENCE)
        assert process.exitcode == 0, f"{name} ended with {process.exitcode}"
        process.close()
        del self.replicas[name]


@asynccontextmanager
async def deploys(directory: Path, config: Mapping[str, Any]) -> AsyncIterator[Deploys]:
    made = Deploys(directory, config)
    try:
        yield made
    finally:
        for process in made.replicas.values():
            with contextlib.suppress(ValueError):  # it is closed already
                process.kill()
                process.join()
                process.close()


async def stored(service: ScheduleService) -> dict[str, Schedule]:
    pages = [page async for page in service.schedules.pages()]
    return {each.schedule_id: each for page in pages for each in page if isinstance(each, Schedule)}


def meant(schedule: Schedule) -> tuple[Any, ...]:
    """What a deploy must not change without a reason: definition, grid, and which change was the last."""
    return schedule.trigger, schedule.policy, schedule.job, schedule.declared_in, schedule.change_id


@pytest.mark.slow
async def test_each_schedule_of_the_newer_release_is_there_with_its_grid(
    tmp_path: Path, config: dict[str, Any], services: ServiceManager
) -> None:
    service = await services.get_service(ScheduleService)
    async with deploys(tmp_path, config) as those:
        await those.start("other", 1, module="other", text=OTHER)
        for name in ("one", "two", "three"):
            await those.start(name, 1)
        first = await stored(service)
        assert first.keys() >= {"steady", "changed", "daily", "new-1", "other-steady", "other-new-1"}
        for release, (order, early) in enumerate(ROUNDS, 2):
            now = await roll(those, service, release, order, early)
            assert now.keys() == first.keys() | {f"new-{number}" for number in range(2, release + 1)}
            changed, daily = now["changed"].trigger, now["daily"].trigger
            assert isinstance(changed, Interval)
            assert isinstance(daily, Cron)
            assert (changed.every, daily.expression) == (timedelta(hours=release), f"{release} 9 * * *")
            for name, schedule in first.items():
                if name not in ("changed", "daily"):
                    assert meant(now[name]) == meant(schedule), (release, order, early, name)


async def roll(
    those: Deploys, service: ScheduleService, release: int, order: tuple[str, ...], early: int
) -> dict[str, Schedule]:
    """Replace the replicas one by one. After ``early`` of them the last one starts again as it was. What the first one with the
    new release declared stays to the last character, whoever starts after it; returns that."""
    declared: dict[str, Schedule] = {}
    for position, name in enumerate(order):
        if position == early:
            await those.stop(order[-1])
            await those.start(order[-1], release - 1)
        await those.stop(name)
        await those.start(name, release)
        now = await stored(service)
        for each, schedule in declared.items():
            assert meant(now[each]) == meant(schedule), (release, order, early, each)
        declared = now
    return declared
