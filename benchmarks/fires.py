"""Fires: many at one instant, and many every second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from benchmarks.limit import bare_fires_per_second, bare_latencies
from benchmarks.world import Row, beside, percentile, services
from naq.job import Job, QueuedJob
from naq.services.base import ServiceManager
from naq.services.events import EventService
from naq.services.kv_stores import KVStoreService
from naq.services.scheduler import SchedulerService
from naq.specification import every, once
from naq.wire import decode

JOB = Job(func="reports:send", args=["eu"])


async def burst(count: int) -> list[Row]:
    """``count`` one-shot schedules that are due at the same instant: bulk creation, then fires committed a second."""
    async with services() as manager:
        scheduler = await manager.get_service(SchedulerService)
        due_at = datetime.now(UTC) + timedelta(seconds=3 + count / 4000)
        began = time.perf_counter()
        await scheduler.schedule_many([(JOB, once(due_at), f"bench-{number}") for number in range(count)])
        creation = count / (time.perf_counter() - began)
        await asyncio.sleep(max(0.0, (due_at - datetime.now(UTC)).total_seconds()))
        fired = asyncio.Event()
        events = await manager.get_service(EventService)
        events.listen(lambda event: fired.set() if scheduler.partition.firing.fired >= count else None)
        await fired.wait()
        stamps = [stored_at for _, stored_at in await _fires(manager)]
        assert len(stamps) == count, f"{len(stamps)} of {count} fires are in the stream"
        rate = count / (max(stamps) - min(stamps)).total_seconds()
    limit = await bare_fires_per_second(count)
    return [
        Row(f"bulk creation of {count:,} schedules", f"{creation:,.0f} /s", ">= 5,000 /s"),
        Row(
            f"{count:,} schedules due at one instant",
            f"{rate:,.0f} fires/s",
            ">= 10,000 /s",
            f"{limit:,.0f} /s",
            f"{rate / limit:.2f}",
        ),
    ]


async def steady(count: int, seconds: int) -> list[Row]:
    """``count`` schedules that fire once a second each: lateness by the stream's own time stamps, none lost or twice."""
    async with services() as manager:
        scheduler = await manager.get_service(SchedulerService)
        anchor = datetime.now(UTC) + timedelta(seconds=2)
        spread = [
            (JOB, every(1, anchor=anchor + timedelta(seconds=number / count)), f"s{number}") for number in range(count)
        ]
        await scheduler.schedule_many(spread)
        end = anchor + timedelta(seconds=seconds)
        await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + 0.5)
        fires = [(job, at) for job, at in await _fires(manager) if job.nominal_at is not None and job.nominal_at < end]
    expected = count * seconds
    doubles = sum(times - 1 for times in Counter(job.job_id for job, _ in fires).values())
    fired = sorted((job.enqueued_at - job.nominal_at).total_seconds() * 1000 for job, _ in fires if job.nominal_at)
    stored = sorted((at - job.nominal_at).total_seconds() * 1000 for job, at in fires if job.nominal_at)
    bare = await bare_latencies()
    name = f"{count:,} schedules once a second for {seconds} s"
    return [
        Row(f"{name}: lost, twice", f"{expected - len(fires)}, {doubles}", "0, 0"),
        Row(f"{name}: lateness of the fired time, p50", f"{percentile(fired, 0.5):.2f} ms", "<= 3 ms"),
        Row(f"{name}: the same, p99", f"{percentile(fired, 0.99):.2f} ms", "<= 10 ms"),
        Row(f"{name}: until the server stored it, p50", *beside(percentile(stored, 0.5), percentile(bare, 0.5))),
        Row(f"{name}: the same, p99", *beside(percentile(stored, 0.99), percentile(bare, 0.99))),
    ]


async def _fires(manager: ServiceManager) -> list[tuple[QueuedJob, datetime]]:
    store = await manager.get_service(KVStoreService)
    found = []
    async for page in store.scan_stored("job.>"):
        for stored in page:
            if stored.entry.value is not None:
                found.append((decode(QueuedJob, stored.entry.key, stored.entry.value), stored.stored_at))
    return found
