"""Idle schedules: how long they take to load, what they weigh, and what they cost while nothing is due."""

from __future__ import annotations

import asyncio
import gc
import time

from benchmarks.world import Row, cpu_seconds, resident_bytes, services
from naq.job import Job
from naq.services.base import ServiceManager
from naq.services.scheduler import SchedulerService
from naq.specification import cron

JOB = Job(func="reports:send", args=["eu"])


async def idle(count: int, seconds: float = 10.0) -> list[Row]:
    """``count`` schedules of which none is due: load time, memory and CPU of a second instance that starts on them."""
    async with services() as manager:
        scheduler = await manager.get_service(SchedulerService)
        yearly = cron("0 0 1 1 *", tz="Europe/Berlin")
        await scheduler.schedule_many([(JOB, yearly, f"idle-{number}") for number in range(count)])
        settings = manager.settings
        await scheduler.cleanup()
        del scheduler, yearly
        await manager.cleanup()
        gc.collect()
        before = resident_bytes()
        began = time.perf_counter()
        async with ServiceManager(settings) as second:
            standby = await second.get_service(SchedulerService)
            load = time.perf_counter() - began
            gc.collect()
            weight = (resident_bytes() - before) / count
            assert standby.partition.mirror.total == count
            used, began = cpu_seconds(), time.perf_counter()
            await asyncio.sleep(seconds)
            share = (cpu_seconds() - used) / (time.perf_counter() - began)
    return [
        Row(f"{count:,} idle schedules: load", f"{load:.2f} s", f"<= {5 if count <= 100_000 else 30} s"),
        Row(f"{count:,} idle schedules: memory each", f"{weight:,.0f} bytes", "<= 1 KB"),
        Row(f"{count:,} idle schedules: CPU", f"{share:.2%}", "< 1 %"),
    ]
