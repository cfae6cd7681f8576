"""Idle schedules: how long they take to load, what they weigh, and what they cost while nothing is due.

The instance that is measured is a process of its own, started on a store that holds the schedules already.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time

from benchmarks.world import Row, cpu_seconds, resident_bytes, services
from naq.job import Job
from naq.services.base import ServiceManager
from naq.services.scheduler import SchedulerService
from naq.services.schedules import ScheduleService
from naq.specification import cron

JOB = Job(func="reports:send", args=["eu"])
LOAD_TARGET = {100_000: "<= 5 s", 1_000_000: "<= 30 s"}
MEMORY_TARGET = {100_000: "<= 1,000 bytes", 1_000_000: "<= 600 bytes"}


async def idle(count: int, seconds: float = 10.0) -> list[Row]:
    """``count`` schedules of which none is due, and an instance that starts on them."""
    async with services() as manager:
        schedules = await manager.get_service(ScheduleService)
        yearly = cron("0 0 1 1 *", tz="Europe/Berlin")
        for start in range(0, count, 50_000):
            part = range(start, min(start + 50_000, count))
            await schedules.schedule_many([(JOB, yearly, f"idle-{number}") for number in part])
        arguments = json.dumps({"nats_url": manager.settings.nats_url[0], "namespace": manager.settings.namespace})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.idle", arguments, str(seconds), stdout=asyncio.subprocess.PIPE
        )
        answer, _ = await process.communicate()
        found = json.loads(answer)
    assert found["total"] == count, found
    name = f"{count:,} idle schedules"
    return [
        Row(f"{name}: load", f"{found['load']:.2f} s", LOAD_TARGET.get(count, "")),
        Row(f"{name}: memory each", f"{found['bytes'] / count:,.0f} bytes", MEMORY_TARGET.get(count, "")),
        Row(f"{name}: CPU", f"{found['share']:.2%}", "< 1 %"),
    ]


async def measure(arguments: str, seconds: float) -> None:
    """Start a scheduler, and print what it took as JSON."""
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
    print(json.dumps({"load": load, "bytes": weight, "share": share, "total": total}))


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], float(sys.argv[2])))
