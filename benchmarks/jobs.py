"""Jobs: how many a second one worker process does from end to end, and how long after its nominal time a function starts.

The worker is a process of its own, ``naq worker``; schedules and jobs are written by this one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.application import nothing, record
from benchmarks.limit import bare_latencies
from benchmarks.runs import RECORDS, Run, read_runs
from benchmarks.world import Row, latency_beside, percentile, services
from naq.jobs.job import Job
from naq.jobs.records import StoredResult
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.forms.specification import every
from naq.store.codec import decode

CONCURRENCY = 100
"""Jobs that the worker runs at a time: what docs/howto/run-workers.md advises for async jobs."""


async def jobs(count: int, rate: int, seconds: int) -> list[Row]:
    """``count`` trivial jobs from enqueueing to result, then ``rate`` fires a second for so many seconds."""
    async with services() as manager:
        done = await throughput(manager, count)
    async with services() as manager:
        runs = await starts(manager, rate, seconds)
        late, fired = sorted(run.late for run in runs), sorted(run.fired_late for run in runs)
    bare = await bare_latencies()
    name = f"{rate:,} fires/s for {seconds} s: nominal time to the function's start"
    return [
        Row(f"{count:,} trivial async jobs, enqueue to result, one worker", f"{done:,.0f} jobs/s", ">= 3,000 /s"),
        Row(f"{name}: lost", f"{rate * seconds - len(late)}", "0"),
        Row(f"{name}: p50", *latency_beside(percentile(late, 0.5), percentile(bare, 0.5), "<= 5 ms")),
        Row(f"{name}: p99", *latency_beside(percentile(late, 0.99), percentile(bare, 0.99), "<= 25 ms")),
        Row(f"{name}: of that until the leader fired, p50", f"{percentile(fired, 0.5):.2f} ms"),
        Row(f"{name}: the same, p99", f"{percentile(fired, 0.99):.2f} ms"),
    ]


async def throughput(manager: ServiceManager, count: int) -> float:
    """Jobs a second, from the call that enqueues them all until this process has seen the last one's result."""
    service = await manager.get_service(JobService)
    results = await manager.get_service(ResultService)
    async with worker(manager):
        waiting: set[str] = set()
        began = time.perf_counter()
        waiting.update(await service.enqueue_many(Job(func=nothing) for _ in range(count)))
        async for entries in results.store.watch(["*"], 0):
            for entry in entries:
                if entry.value is not None and decode(StoredResult, entry.key, entry.value).status.ended:
                    waiting.discard(entry.key)
            if not waiting:
                break
        return count / (time.perf_counter() - began)


async def starts(manager: ServiceManager, rate: int, seconds: int) -> list[Run]:
    """So many fires a second and what became of them; the schedules share out the second."""
    with TemporaryDirectory(prefix="naq-bench-") as directory:
        runs = Path(directory) / "runs"
        scheduler = await manager.get_service(SchedulerService)
        async with worker(manager, {RECORDS: str(runs)}):
            anchor = datetime.now(UTC) + timedelta(seconds=2)
            end = anchor + timedelta(seconds=seconds)
            spread = [anchor + timedelta(seconds=number / rate) for number in range(rate)]
            await scheduler.schedule_many(
                [
                    (Job(func=record), every(1, anchor=first, end_at=end - timedelta(microseconds=1)), f"s{number}")
                    for number, first in enumerate(spread)
                ]
            )
            await asyncio.sleep((end - datetime.now(UTC)).total_seconds() + 1.0)
        return [run for run in read_runs(runs) if run.nominal is not None]


@asynccontextmanager
async def worker(manager: ServiceManager, environment: Mapping[str, str] | None = None) -> AsyncIterator[None]:
    """One worker process on the same store; it is drained at the end."""
    settings = manager.settings
    options = ["--nats-url", settings.nats_url[0], "--namespace", settings.namespace]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "naq", *options, "worker", "benchmarks.application:app"),
        *("--concurrency", str(CONCURRENCY)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    try:
        assert process.stdout is not None
        said = await process.stdout.readline()
        assert b"ready" in said, said
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()
