"""Workers for tests: in this process, or in one of their own that can be killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.worker.service import WorkerOptions, WorkerService
from tests.worker import functions

ROOT = Path(__file__).parents[2]
FUNCTIONS = "tests.worker.functions:*"
QUEUE_FUNCTIONS = "tests.queue.functions:*"
HANG = 30.0

StartWorker = Callable[..., Awaitable[WorkerService]]
StartProcess = Callable[..., Awaitable["WorkerProcess"]]


async def until(question: Callable[[], Awaitable[bool]], timeout: float = HANG) -> None:
    """Return when the answer is yes; a test that hangs here fails."""
    async with asyncio.timeout(timeout):
        while not await question():  # noqa: ASYNC110 - the world outside sends no signal
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def fresh_functions() -> None:
    functions.reset()


@pytest.fixture
async def jobs(services: ServiceManager) -> JobService:
    return await services.get_service(JobService)


@pytest.fixture
async def kv(services: ServiceManager) -> KVStoreService:
    return await services.get_service(KVStoreService)


@pytest.fixture
async def scheduler(services: ServiceManager) -> SchedulerService:
    return await services.get_service(SchedulerService)


@pytest.fixture
async def start_worker(services: ServiceManager, config: dict[str, Any]) -> AsyncIterator[StartWorker]:
    """Start a worker with these settings; several may run. All are stopped after the test."""
    workers: list[WorkerService] = []

    async def start(*, functions_allowed: bool = True, **options: Any) -> WorkerService:
        names = ("registry", "middleware", "weights", "grace", "on_start", "on_stop")
        own: dict[str, Any] = {name: options.pop(name) for name in names if name in options}
        defaults: dict[str, Any] = {
            "registry": Registry([FUNCTIONS, QUEUE_FUNCTIONS] if functions_allowed else []),
            "grace": 1.0,
        }
        settings = {**config, "instance_id": f"worker-{len(workers)}", "drain_timeout": 5, **options}
        worker = WorkerService(
            settings,
            await services.get_service(KVStoreService),
            await services.get_service(EventService),
            await services.get_service(ResultService),
            await services.get_service(HistoryService),
            WorkerOptions(**{**defaults, **own}),
        )
        workers.append(worker)
        await worker.start()
        return worker

    yield start
    for worker in workers:
        for gate in functions.released.values():
            gate.set()
        functions.thread_gate.set()
        await worker.cleanup()


class WorkerProcess:
    """A worker in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    async def ready(self) -> None:
        assert self.process.stdout is not None
        async with asyncio.timeout(HANG):
            line = await self.process.stdout.readline()
        assert line.strip() == b"ready", line

    async def kill(self) -> None:
        if self.process.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
        await self.process.wait()

    async def terminate(self) -> int:
        os.kill(self.pid, signal.SIGTERM)
        async with asyncio.timeout(HANG):
            return await self.process.wait()


@pytest.fixture
async def start_process(config: dict[str, Any]) -> AsyncIterator[StartProcess]:
    """Start a worker process with these settings. All are killed after the test."""
    processes: list[WorkerProcess] = []

    async def start(**options: Any) -> WorkerProcess:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.worker.worker_process",
            json.dumps({**config, "allow_functions": [FUNCTIONS], **options}),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = WorkerProcess(process)
        processes.append(worker)
        await worker.ready()
        return worker

    yield start
    for worker in processes:
        await worker.kill()


@pytest.fixture
def clock() -> SystemClock:
    return SystemClock()


async def stream_is_empty(services: ServiceManager, kv: KVStoreService, pattern: str = "job.>") -> bool:
    """Whether nothing lies under a pattern."""
    async for entries in kv.scan(pattern):
        if entries:
            return False
    return True
