"""Idle schedules: how fast they are made, how long they take to load, what they weigh, what they cost while nothing is due,
and whether what is due among them is on time, also when the leader is killed.

The instances that are measured are processes of their own, started on a store that holds the schedules already. Each
prints a line of JSON when it has measured itself, and goes on until it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from benchmarks.limit import bare_creations_per_second
from benchmarks.world import Row, beside, cpu_seconds, fires, services
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.schedules.forms.specification import cron, once
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from naq.worker.execution.memory import resident_bytes

JOB = Job(func="reports:send", args=["eu"])
LOAD_TARGET = {100_000: "<= 5 s", 1_000_000: "<= 30 s"}
PART = 50_000
"""Schedules that are made in one call."""
AHEAD = timedelta(seconds=2)
"""How long before it is due a schedule is made whose fire is to be seen."""
JUST_AFTER = timedelta(milliseconds=20)
"""How long after the leader is killed a schedule is due: too soon for anybody to have noticed."""


async def idle(count: int, seconds: float = 10.0) -> list[Row]:
    """``count`` schedules of which none is due, and an instance that starts on them; then a second one takes over."""
    async with services() as manager:
        created = await _create(manager, count)
        scanned = await _scan(manager)
        async with _instance(manager, seconds) as (leader, found):
            assert found["total"] == count, found
            lateness = await _fire_at(manager, "first", datetime.now(UTC) + AHEAD)
            async with _instance(manager, 0):
                killed_at = datetime.now(UTC) + AHEAD
                fired = asyncio.create_task(_fire_at(manager, "taken-over", killed_at + JUST_AFTER))
                await asyncio.sleep((killed_at - datetime.now(UTC)).total_seconds())
                leader.kill()
                takeover = await fired + JUST_AFTER.total_seconds()
        lease = manager.settings.leader_lease
    bare = await bare_creations_per_second(min(count, 100_000))
    name = f"{count:,} idle schedules"
    return [
        Row(f"{name}: bulk creation", f"{created:,.0f} /s", ">= 10,000 /s", *beside(created, bare, ",.0f", "/s")),
        Row(
            f"{name}: ready after",
            f"{found['load']:.2f} s",
            LOAD_TARGET.get(count, ""),
            *beside(found["load"], scanned, ".2f", "s"),
        ),
        Row(f"{name}: memory each", f"{found['bytes'] / count:,.0f} bytes", "<= 600 bytes"),
        Row(f"{name}: CPU", f"{found['share']:.2%}", "< 1 %"),
        Row(f"{name}: one that is due, stored after", f"{lateness * 1000:.1f} ms"),
        Row(f"{name}: one due as the leader is killed, stored after", f"{takeover:.2f} s", f"<= {lease + 1:.0f} s"),
    ]


async def _create(manager: ServiceManager, count: int) -> float:
    """Make the schedules; how many a second."""
    schedules = await manager.get_service(ScheduleService)
    yearly = cron("0 0 1 1 *", tz="Europe/Berlin")
    began = time.perf_counter()
    for start in range(0, count, PART):
        part = range(start, min(start + PART, count))
        await schedules.schedule_many([(JOB, yearly, f"idle-{number}") for number in part])
    return count / (time.perf_counter() - began)


async def _scan(manager: ServiceManager) -> float:
    """Seconds that reading all records takes when nothing is done with them: the limit of loading."""
    store = await manager.get_service(KVStoreService)
    began = time.perf_counter()
    async for _ in store.scan("schedule.>"):
        pass
    return time.perf_counter() - began


async def _fire_at(manager: ServiceManager, schedule_id: str, due_at: datetime) -> float:
    """Make a schedule that is due once; seconds from then until the server has stored its fire."""
    schedules = await manager.get_service(ScheduleService)
    await schedules.schedule_job(JOB, once(due_at), schedule_id=schedule_id)
    while True:
        for job, stored_at in await fires(manager):
            if job.schedule_id == schedule_id:
                return (stored_at - due_at).total_seconds()
        await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def _instance(
    manager: ServiceManager, seconds: float
) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, float]]]:
    """A scheduler in a process of its own, and what it measured of itself; killed at the end."""
    arguments = json.dumps({"nats_url": manager.settings.nats_url[0], "namespace": manager.settings.namespace})
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.idle", arguments, str(seconds), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def measure(arguments: str, seconds: float) -> None:
    """Start a scheduler, print what it took as JSON, and stay."""
    gc.collect()
    before, began = resident_bytes(), time.perf_counter()
    async with ServiceManager({**json.loads(arguments), "request_timeout": 30}) as manager:
        scheduler = await manager.get_service(SchedulerService)
        load = time.perf_counter() - began
        gc.collect()
        weight = resident_bytes() - before
        await asyncio.sleep(1)
        used, began = cpu_seconds(), time.perf_counter()
        await asyncio.sleep(seconds)
        share = (cpu_seconds() - used) / (time.perf_counter() - began)
        total = scheduler.partition.mirror.total
        print(json.dumps({"load": load, "bytes": weight, "share": share, "total": total}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], float(sys.argv[2])))
