"""One job in fifty misbehaves, in every way that ever harmed others, and workers are killed: the others do not notice.

What is held: every good job ends as in a run without the rogues, once per attempt; every rogue ends in the way of its kind; no
job waits longer than in that run by more than what the rogues cost themselves; no worker ends that was not killed.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from naq import Naq
from naq.jobs.job import JobStatus
from naq.jobs.records import StoredResult
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.store.codec import decode
from tests.faults.world import Process
from tests.worker.misbehaving import Kind, drawn

APP = "tests.worker.misbehaving:app"
WORKERS = 3
KILL_EVERY = 4.0
"""Seconds."""
KILL_COSTS = 45.0
"""Seconds that a job may wait because its worker was killed: the acknowledgement wait, and slots that expire."""


@dataclass
class Run:
    """What became of all jobs."""

    results: dict[str, StoredResult] = field(default_factory=dict)
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Job and attempt, and the process that ran it."""
    killed: set[str] = field(default_factory=set)
    died: int = 0
    """Workers that ended without being killed."""

    def waits(self, prefix: str) -> list[float]:
        """Seconds from enqueueing to the end, sorted."""
        chosen = [each for name, each in self.results.items() if name.startswith(prefix)]
        return sorted(
            (each.ended_at - each.enqueued_at).total_seconds() for each in chosen if each.ended_at and each.enqueued_at
        )


class Fleet:
    """Workers of which one is killed now and then."""

    def __init__(self, config: dict[str, Any], run: Run) -> None:
        self._config = config
        self._run = run
        self._workers: list[Process] = []
        self._ready: set[Process] = set()

    async def start(self) -> None:
        """Start all of them."""
        for _ in range(WORKERS):
            await self._add()

    async def _add(self) -> None:
        given = {**self._config, "ack_wait": 5, "concurrency": 10, "log_level": "ERROR"}
        worker = Process(["worker", APP], {f"NAQ_{name.upper()}": str(value) for name, value in given.items()})
        self._workers.append(worker)
        await worker.start()
        self._ready.add(worker)

    async def rage(self, good: set[str]) -> None:
        """Kill one after the other, and start another in its place, until the good jobs have ended.

        Kills that went on would use up the deliveries of the rogues that take long, one start after the other.
        """
        while not self._run.results.keys() >= good:
            await asyncio.sleep(KILL_EVERY)
            victim = self._workers[0]
            self._run.killed.add(str(victim.pid))
            await self._end(victim)
            await self._add()

    async def stop(self) -> None:
        """End all of them."""
        for worker in tuple(self._workers):
            await self._end(worker)

    async def _end(self, worker: Process) -> None:
        self._run.died += worker in self._ready and not worker.running
        await worker.kill()
        self._workers.remove(worker)


@pytest.fixture
async def empty(config: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    """Configuration of a namespace for the run without rogues."""
    yield {**config, "namespace": f"{config['namespace']}x"}


async def ran(
    config: dict[str, Any], path: Path, count: int, seed: int, *, rogues: bool
) -> tuple[Run, dict[str, Kind]]:
    """Enqueue the jobs, and return when all have ended."""
    run = Run()
    jobs, bad = drawn(str(path), count, seed, rogues=rogues)
    fleet = Fleet(config, run)
    async with Naq(**config) as app, ServiceManager(config) as services:
        results = await services.get_service(ResultService)
        await fleet.start()
        ids: set[str] = set(await app.enqueue_many(jobs))
        killing = asyncio.create_task(fleet.rage({each for each in ids if each.startswith("good-")}))
        try:
            async with asyncio.timeout(120 + count / 20):
                await watched(results, ids, run)
        finally:
            killing.cancel()
            await asyncio.wait([killing])
            await fleet.stop()
            if left := sorted(ids - run.results.keys()):
                print(f"seed {seed}: {len(left)} did not end: {left[:10]}")
    run.lines = [(line.split()[0], line.split()[1]) for line in lines_of(path)]
    return run, bad


def lines_of(path: Path) -> list[str]:
    """What the jobs left in a file."""
    return path.read_text().splitlines()


async def watched(results: ResultService, ids: set[str], run: Run) -> None:
    """Return when all of these have ended."""
    async for entries in results.store.watch(["*"], 0):
        for entry in entries:
            if entry.value is not None:
                result = decode(StoredResult, entry.key, entry.value)
                if result.status.ended:
                    run.results[result.job_id] = result
        if run.results.keys() >= ids:
            return


def unexplained(run: Run) -> list[str]:
    """Attempts that ran more than once, though the worker that ran them first was not killed."""
    processes: dict[str, list[str]] = {}
    for attempt, process in run.lines:
        processes.setdefault(attempt, []).append(process)
    return [each for each, of in processes.items() if len(of) > 1 and not run.killed.intersection(of[:-1])]


def ends(run: Run) -> dict[str, tuple[str, Any, int]]:
    """How the good jobs ended: status, value, attempt."""
    good = {name: result for name, result in run.results.items() if name.startswith("good-")}
    return {name: (str(each.status), msgspec.json.decode(each.value), each.attempt) for name, each in good.items()}


def wrong_ends(run: Run, bad: dict[str, Kind]) -> dict[str, tuple[str | None, str | None]]:
    """The rogues that ended in another way than their kind: what they should have ended with, and what they did."""
    found = {name: run.results[name] for name in bad}
    return {
        name: (kind.error_type, found[name].error_type)
        for name, kind in bad.items()
        if found[name].error_type != kind.error_type
        and not (kind.error_type == "CancelledError" and found[name].status is JobStatus.CANCELLED)
    }


async def misbehave(config: dict[str, Any], other: dict[str, Any], path: Path, count: int) -> None:
    """Both runs, and what must hold of them."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    run, bad = await ran(config, path / "with", count, seed, rogues=True)
    without, _ = await ran(other, path / "without", count, seed, rogues=False)
    waits, usual, cost = run.waits("good-"), without.waits("good-"), sum(kind.cost for kind in bad.values())
    kinds = Counter(each.func.__name__ for each in bad.values())
    print(f"{len(run.killed)} and {len(without.killed)} workers killed, {len(bad)} rogues: {dict(kinds)}")
    print(
        f"waits: median {waits[len(waits) // 2]:.1f} s, longest {waits[-1]:.1f} s; without {usual[-1]:.1f} s; cost {cost:.0f} s"
    )
    assert ends(run) == ends(without), seed
    failed = {
        name: run.results[name].error for name, end in ends(run).items() if end[:2] != ("completed", int(name[5:]))
    }
    assert failed == {}, seed
    assert (unexplained(run), unexplained(without)) == ([], []), seed
    assert wrong_ends(run, bad) == {}, seed
    assert (run.died, without.died) == (0, 0), seed
    assert waits[-1] <= 2 * usual[-1] + cost + KILL_COSTS, seed


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_job_notices_those_that_misbehave(
    config: dict[str, Any], empty: dict[str, Any], tmp_path: Path
) -> None:
    await misbehave(config, empty, tmp_path, 2_000)


@pytest.mark.long
@pytest.mark.timeout(3_000)
async def test_no_job_of_twenty_thousand_notices_those_that_misbehave(
    config: dict[str, Any], empty: dict[str, Any], tmp_path: Path
) -> None:
    await misbehave(config, empty, tmp_path, 20_000)
