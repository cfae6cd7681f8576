"""Schedules that are due once a second: with one instance, with two at once, and with the one that fires killed in the middle.

A kill comes while runs begin: when half of the schedules have run since the moment that was chosen for it. What is killed is
started anew, as a supervisor does; where there are two instances they are killed in turn, so that it hits the one that has
taken over from the other.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
from benchmarks.runs import RECORDS, count_runs, read_runs

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
    """So many schedules, due once a second, for so many seconds, with so many kills where there are any."""

    schedules: int
    seconds: int
    kills: int

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
    two = scenario is Scenario.TWO or (scenario is Scenario.KILL and scheduling.several)
    async with place_for(peer, workload.schedules) as (place, runs), Crew(place) as crew:
        for command in scheduling.before:
            await place.finish(command)
        for command in scheduling.beside:
            await crew.start(command)
        instances = [await crew.start(scheduling.instance, 0)]
        await _until_all_ran(runs, workload, crew)
        if two:
            instances.append(await crew.start(scheduling.instance, 1))
            await asyncio.sleep(WARM)
        await asyncio.sleep(WARM)
        begin = time.time()
        end = begin + workload.seconds
        settle = SETTLE
        if scenario is Scenario.KILL:
            settle = max(SETTLE, scheduling.recovers_within)
            for number in range(workload.kills):
                await asyncio.sleep(begin + workload.seconds * (number + 1) / (workload.kills + 1) - time.time())
                await _until_runs_begin(runs, workload)
                turn = number % len(instances)
                instances[turn] = await crew.replace(instances[turn], scheduling.instance, turn)
        await asyncio.sleep(end + settle - time.time())
        crew.check()
        return judge(workload.names, read_runs(runs), begin, end)


class Crew:
    """The processes of one scenario, all of which run until it is over."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._processes: list[Process] = []

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._processes:
            await self._processes.pop().stop()

    async def start(self, command: Sequence[str], number: int = 0) -> Process:
        process = await self._place.start(command, number=number)
        self._processes.append(process)
        return process

    async def replace(self, process: Process, command: Sequence[str], number: int) -> Process:
        """Kill it, and start it anew as a supervisor does."""
        self._processes.remove(process)
        await process.kill()
        await asyncio.sleep(RESTART_AFTER)
        return await self.start(command, number)

    def check(self) -> None:
        """A peer that broke down says nothing about what it promises: end the program with what it said."""
        for process in self._processes:
            if not process.running:
                raise SystemExit(f"a process of the comparison ended by itself:\n{process.said()}")


async def _until_all_ran(runs: Path, workload: Workload, crew: Crew) -> None:
    async with asyncio.timeout(READY):
        while {run.schedule for run in read_runs(runs)} != set(workload.names):
            crew.check()
            await asyncio.sleep(0.1)


async def _until_runs_begin(runs: Path, workload: Workload) -> None:
    """Return when half of the schedules have run once more."""
    wanted = count_runs(runs) + workload.schedules // 2
    async with asyncio.timeout(READY):
        while True:
            await asyncio.sleep(0.002)
            if count_runs(runs) >= wanted:
                return
