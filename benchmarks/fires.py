"""Fires: many at one instant, and many every second."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from benchmarks.limit import bare_creations_per_second, bare_fires_per_second, bare_latencies
from benchmarks.world import Row, beside, fires, latency_beside, percentile, services
from naq.jobs.job import Job
from naq.scheduler.service import SchedulerService
from naq.schedules.forms.specification import every, once
from naq.store.nats.event_stream import EventService

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
        stamps = [stored_at for _, stored_at in await fires(manager)]
        assert len(stamps) == count, f"{len(stamps)} of {count} fires are in the stream"
        rate = count / (max(stamps) - min(stamps)).total_seconds()
    bare_creation, bare_rate = await bare_creations_per_second(count), await bare_fires_per_second(count)
    return [
        Row(
            f"bulk creation of {count:,} schedules",
            f"{creation:,.0f} /s",
            ">= 10,000 /s",
            *beside(creation, bare_creation, ",.0f", "/s"),
        ),
        Row(
            f"{count:,} schedules due at one instant",
            f"{rate:,.0f} fires/s",
            ">= 15,000 /s, 0.85",
            *beside(rate, bare_rate, ",.0f", "/s"),
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
        seen = [(job, at) for job, at in await fires(manager) if job.nominal_at is not None and job.nominal_at < end]
    expected = count * seconds
    doubles = sum(times - 1 for times in Counter(job.job_id for job, _ in seen).values())
    fired = sorted((job.enqueued_at - job.nominal_at).total_seconds() * 1000 for job, _ in seen if job.nominal_at)
    stored = sorted((at - job.nominal_at).total_seconds() * 1000 for job, at in seen if job.nominal_at)
    bare = await bare_latencies()
    name = f"{count:,} schedules once a second for {seconds} s"
    return [
        Row(f"{name}: lost, twice", f"{expected - len(seen)}, {doubles}", "0, 0"),
        Row(f"{name}: lateness of the fired time, p50", f"{percentile(fired, 0.5):.2f} ms", "<= 1.5 ms"),
        Row(f"{name}: the same, p99", f"{percentile(fired, 0.99):.2f} ms", "<= 6 ms"),
        Row(
            f"{name}: until the server stored it, p50", *latency_beside(percentile(stored, 0.5), percentile(bare, 0.5))
        ),
        Row(f"{name}: the same, p99", *latency_beside(percentile(stored, 0.99), percentile(bare, 0.99))),
    ]
