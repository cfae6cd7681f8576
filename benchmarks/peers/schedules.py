"""Schedules that are due once a second: with one instance, with two at once, and with the one that fires killed in the middle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.peers.catalogue import Peer, Server
from benchmarks.peers.checker import Verdict, judge
from benchmarks.peers.environments import environment_of
from benchmarks.peers.processes import RESTART_AFTER, Place, Process
from benchmarks.peers.servers import serving
from benchmarks.peers.settings import SCHEDULES, URL
from benchmarks.runs import RECORDS, read_runs

__all__ = ["Scenario", "Workload", "measured", "place_for"]

READY = 60.0
"""Seconds after which every schedule must have run once."""
WARM = 2.0
"""Seconds from then on until the window begins."""
SETTLE = 3.0
"""Seconds after the window in which runs may still come: then a target without a run is lost."""


class Scenario(StrEnum):
    """What is done to it."""

    ONE = "one instance"
    TWO = "two instances at once"
    KILL = "kill -9 in the middle"


@dataclass(frozen=True)
class Workload:
    """So many schedules, due once a second, for so many seconds."""

    schedules: int
    seconds: int

    @property
    def names(self) -> list[str]:
        return [f"s{number}" for number in range(self.schedules)]


@asynccontextmanager
async def place_for(peer: Peer, schedules: int) -> AsyncIterator[tuple[Place, Path]]:
    """A fresh server, a directory and the environment of the peer; and the file in which runs are written down."""
    with TemporaryDirectory(prefix="naq-peers-") as name:
        directory = Path(name)
        runs = directory / "runs"
        async with serving(peer.server, directory) as url:
            variables = {URL: url, RECORDS: str(runs), SCHEDULES: str(schedules)}
            if peer.server is Server.NATS:
                variables["NAQ_DATA_DIR"] = str(directory / "naq")
            yield Place(await environment_of(peer), directory, variables), runs


async def measured(peer: Peer, scenario: Scenario, workload: Workload) -> Verdict:
    """One scenario from an empty server to the verdict."""
    scheduling = peer.scheduling
    assert scheduling is not None
    instances = 2 if scenario is Scenario.TWO or (scenario is Scenario.KILL and scheduling.several) else 1
    async with place_for(peer, workload.schedules) as (place, runs), AsyncExitStack() as started:

        async def start(command: Sequence[str], number: int = 0) -> Process:
            process = await place.start(command, number=number)
            started.push_async_callback(process.stop)
            return process

        for command in scheduling.before:
            await place.finish(command)
        processes = [await start(command) for command in scheduling.beside]
        first = await start(scheduling.instance)
        processes.append(first)
        await _until_all_ran(runs, workload, processes)
        if instances == 2:
            processes.append(await start(scheduling.instance, 1))
            await asyncio.sleep(WARM)
        await asyncio.sleep(WARM)
        begin = time.time()
        if scenario is Scenario.KILL:
            await asyncio.sleep(workload.seconds / 2)
            await first.kill()
            processes.remove(first)
            if instances == 1:
                await asyncio.sleep(RESTART_AFTER)
                processes.append(await start(scheduling.instance))
        end = begin + workload.seconds
        await asyncio.sleep(end + SETTLE - time.time())
        _all_running(processes)
        return judge(workload.names, read_runs(runs), begin, end)


async def _until_all_ran(runs: Path, workload: Workload, processes: Sequence[Process]) -> None:
    async with asyncio.timeout(READY):
        while {run.schedule for run in read_runs(runs)} != set(workload.names):
            _all_running(processes)
            await asyncio.sleep(0.1)


def _all_running(processes: Sequence[Process]) -> None:
    """A peer that broke down says nothing about what it promises."""
    for process in processes:
        if not process.running:
            raise SystemExit(f"a process of the comparison ended by itself:\n{process.said()}")
