"""A worker hears signals though a job blocks its event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from naq.queue.service import JobService
from tests.faults.world import Process
from tests.worker import rogues
from tests.worker.test_rogues import noted

StartNaqWorker = Callable[..., Awaitable[Process]]
LONG = 120.0
"""Seconds for which a job blocks the loop: longer than any of these tests waits."""


@pytest.fixture
async def naq_worker(config: dict[str, Any]) -> AsyncIterator[StartNaqWorker]:
    """Start ``naq worker`` with these settings; it is killed after the test."""
    processes: list[Process] = []

    async def start(**settings: Any) -> Process:
        given = {**config, "instance_id": "worker-0", **settings}
        variables = {f"NAQ_{name.upper()}": str(value) for name, value in given.items()}
        process = Process(["worker", "tests.worker.rogues:app"], variables)
        processes.append(process)
        await process.start()
        return process

    yield start
    for process in processes:
        await process.kill()


async def test_a_second_sigterm_ends_a_worker_whose_loop_is_blocked(
    jobs: JobService, naq_worker: StartNaqWorker, tmp_path: Path
) -> None:
    worker = await naq_worker(drain_timeout=LONG)
    await jobs.enqueue(rogues.block, str(tmp_path / "runs"), LONG)
    await noted(tmp_path / "runs", "begun")
    ended = asyncio.create_task(worker.ended())
    while not ended.done():  # two signals that come at once are one
        worker.signal(signal.SIGTERM)
        await asyncio.wait([ended], timeout=0.5)
    assert await ended == 128 + signal.SIGTERM


async def test_a_worker_whose_loop_is_blocked_ends_after_its_drain_timeout(
    jobs: JobService, naq_worker: StartNaqWorker, tmp_path: Path
) -> None:
    worker = await naq_worker(drain_timeout=1.0)
    await jobs.enqueue(rogues.block, str(tmp_path / "runs"), LONG)
    await noted(tmp_path / "runs", "begun")
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == 128 + signal.SIGTERM
    assert "the event loop is blocked" in await worker.line("the process ends without waiting")
