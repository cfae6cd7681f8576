"""The limit: what a bare loop reaches that sends the same atomic batches, with nothing decided and nothing decoded."""

from __future__ import annotations

import asyncio
import time

from benchmarks.world import services
from naq.schedules.repository import BULK, IN_FLIGHT
from naq.store.keys import LANES
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Check, Committed, Put, Write

RECORD = (
    b'{"schedule_id":"bench-000000","job":{"func":"reports:send","args":["eu"]},"trigger":{"type":"once",' + b"x" * 200
)
JOB = (
    b'{"job_id":"bench-000000/20261124T090000Z","spec":{"func":"reports:send","args":["eu"]},"enqueued_at":"'
    + b"x" * 180
)


async def bare_fires_per_second(fires: int, batch: int = 400, lanes: int = LANES) -> float:
    """Fires per second of prepared batches: a conditional record and a create-once job for each, and one fence a batch."""
    async with services() as manager:
        store = await manager.get_service(KVStoreService)
        revisions: dict[int, int] = {}
        for start in range(0, fires, batch):
            part = range(start, min(start + batch, fires))
            outcome = await store.transact([Put(f"schedule.bench-{number}", RECORD, 0) for number in part])
            assert isinstance(outcome, Committed), outcome
            revisions |= dict(zip(part, outcome.revisions, strict=True))
        epoch = await store.put("epoch.0.0", b"x")
        todo = [range(start, min(start + batch, fires)) for start in range(0, fires, batch)]
        return fires / await _race(store, [_writes(part, revisions, epoch) for part in todo], lanes)


async def bare_creations_per_second(count: int, batch: int = BULK, lanes: int = IN_FLIGHT) -> float:
    """Records a second of prepared batches that create them."""
    async with services() as manager:
        store = await manager.get_service(KVStoreService)
        parts = [range(start, min(start + batch, count)) for start in range(0, count, batch)]
        batches: list[list[Write]] = [[Put(f"schedule.bench-{number}", RECORD, 0) for number in part] for part in parts]
        return count / await _race(store, batches, lanes)


async def _race(store: KVStoreService, batches: list[list[Write]], lanes: int) -> float:
    """Seconds until all batches are committed, so many at once in flight."""

    async def lane() -> None:
        while batches:
            outcome = await store.transact(batches.pop())
            assert isinstance(outcome, Committed), outcome

    began = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(lanes)))
    return time.perf_counter() - began


async def bare_latencies(count: int = 500) -> list[float]:
    """Milliseconds that the fire of one schedule alone takes until it is acknowledged, one after the other; sorted."""
    async with services() as manager:
        store = await manager.get_service(KVStoreService)
        epoch = await store.put("epoch.0.0", b"x")
        taken = []
        for number in range(count):
            began = time.perf_counter()
            outcome = await store.transact(
                [
                    Check("epoch.0.0", epoch),
                    Put(f"schedule.b{number}", RECORD, 0),
                    Put(f"job.default.b{number}", JOB, 0),
                ]
            )
            taken.append((time.perf_counter() - began) * 1000)
            assert isinstance(outcome, Committed), outcome
        return sorted(taken)


def _writes(part: range, revisions: dict[int, int], epoch: int) -> list[Write]:
    writes: list[Write] = [Check("epoch.0.0", epoch)]
    for number in part:
        writes.append(Put(f"schedule.bench-{number}", RECORD, revisions[number]))
        writes.append(Put(f"job.default.bench-{number}/20261124T090000Z", JOB, 0))
    return writes
