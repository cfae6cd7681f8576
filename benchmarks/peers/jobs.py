"""Jobs: how many a second from enqueueing to result, and how long after an instant the function starts."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass

from benchmarks.jobs import starts, throughput
from benchmarks.peers.catalogue import Peer, Queueing
from benchmarks.peers.schedules import place_for
from benchmarks.runs import read_runs
from benchmarks.world import percentile, services

__all__ = ["Figures", "measured_jobs"]

STARTUP = 2.0
"""Seconds that a worker has to be ready before the clock runs; none needs that long."""


@dataclass(frozen=True)
class Figures:
    """What one queue reached."""

    per_second: float
    lateness: tuple[float, ...]
    """Milliseconds from each instant to the start of the function, sorted."""
    expected: int
    """Instants at which a function should have started."""

    def late(self, share: float) -> float:
        return percentile(self.lateness, share)


async def measured_jobs(peer: Peer, count: int, rate: int, seconds: int) -> Figures:
    """First ``count`` trivial jobs as fast as they go, then on a fresh server ``rate`` instants a second."""
    if peer.queueing is None:
        async with services() as manager:
            done = await throughput(manager, count)
        async with services() as manager:
            runs = await starts(manager, rate, seconds)
        return Figures(done, tuple(sorted(run.late for run in runs)), rate * seconds)
    done = await _throughput(peer, peer.queueing, count)
    return Figures(done, tuple(sorted(await _instants(peer, peer.queueing, rate, seconds))), rate * seconds)


async def _throughput(peer: Peer, queueing: Queueing, count: int) -> float:
    async with place_for(peer, 0) as (place, _), AsyncExitStack() as started:
        worker = await place.start(queueing.worker)
        started.push_async_callback(worker.stop)
        await asyncio.sleep(STARTUP)
        return float(await place.finish(queueing.throughput, count=count))


async def _instants(peer: Peer, queueing: Queueing, rate: int, seconds: int) -> list[float]:
    """Of a worker with schedules of its own, the second to the last but one are taken: of whole seconds, when all is warm."""
    by_schedules = queueing.instants is None
    async with place_for(peer, rate if by_schedules else 0) as (place, runs), AsyncExitStack() as started:
        worker = await place.start(queueing.worker)
        started.push_async_callback(worker.stop)
        await asyncio.sleep(STARTUP)
        if queueing.instants is not None:
            await place.finish(queueing.instants, rate=rate, seconds=seconds)
        else:
            await asyncio.sleep(seconds + 3 * STARTUP)
        found = [run for run in read_runs(runs) if run.nominal is not None]
    if by_schedules:
        begin = float(int(min(run.nominal for run in found if run.nominal is not None)) + 2)
        found = [run for run in found if run.nominal is not None and begin <= run.nominal < begin + seconds]
    return [run.late for run in found]
