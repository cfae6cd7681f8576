"""The server dies under load: whatever was acknowledged is there, and nothing fires twice."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from naq.store.embedded.server import describe
from tests.faults.report import Reports
from tests.faults.world import Process, every_second, judge, recording

COUNT = 200


@pytest.fixture
async def embedded(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """Environment of processes that share one embedded server; its processes are stopped after the test."""
    environment = {"NAQ_DATA_DIR": str(tmp_path)}
    processes = [
        Process(["scheduler"], {**environment, "NAQ_INSTANCE_ID": "one"}),
        Process(["scheduler"], {**environment, "NAQ_INSTANCE_ID": "two"}),
        Process(["worker", "tests.faults.jobs:app"], {**environment, "NAQ_INSTANCE_ID": "worker"}),
    ]
    try:
        for process in processes:
            await process.start()
        yield environment
    finally:
        for process in processes:
            if process.running:
                process.signal(signal.SIGTERM)
        for process in processes:
            assert await process.ended() == 0


@pytest.mark.slow
async def test_kill_9_of_the_embedded_server_under_load(
    embedded: dict[str, str], tmp_path: Path, reports: Reports
) -> None:
    async with recording({"data_dir": str(tmp_path)}) as (recorder, schedules):
        made = await every_second(schedules, COUNT, "tests.faults.jobs:tick")
        outages: list[timedelta] = []
        for _ in range(3):
            await recorder.until_nominal(datetime.now(UTC) + timedelta(seconds=2))
            status = describe(tmp_path)
            assert status is not None
            assert status.pid is not None
            struck_at = datetime.now(UTC)
            os.kill(status.pid, signal.SIGKILL)
            grace = timedelta(milliseconds=20)
            outages.append(grace + await recorder.until_fire_after(struck_at + grace))
        until = datetime.now(UTC) + timedelta(seconds=2)
        await recorder.until_nominal(until + timedelta(seconds=1))
        verdict = judge(made, until, recorder)
    reports.write("kill -9 of the embedded server", verdict, recorder, failover=outages)
    assert verdict.clean, verdict
