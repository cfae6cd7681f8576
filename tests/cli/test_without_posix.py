"""naq against a cluster, where there is nothing of POSIX: no fork, no SIGHUP, no locks of files, no users' database."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from naq import Client, JobFailed, load_settings
from tests.faults.world import Process

MODULE = "tests.cli.without_posix"
APPLICATION = """
from naq import Naq, every

app = Naq(name="shop")


@app.schedule(every("1s"), id="often")
async def often():
    print("often ran", flush=True)


@app.job
def greet(name="world"):
    return f"hello {name}"


@app.job(executor="process")
def apart():
    return 1
"""


def naq(options: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", MODULE, *options, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "both"])
async def test_a_scheduler_and_a_worker_run(
    command: str, options: list[str], config: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    path = {"PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    commands = ["run"] if command == "run" else ["scheduler", "worker"]
    running = [Process([*options, each, "shop:app"], path, logs=True, module=MODULE) for each in commands]
    try:
        for process in running:
            await process.start("ready")
        await running[-1].line("often ran")
        async with Client(load_settings(config)) as client:
            assert await client.result(await client.enqueue("shop:greet", "Ada"), timeout=60) == "hello Ada"
            with pytest.raises(JobFailed, match="needs a POSIX system"):
                await client.result(await client.enqueue("shop:apart"), timeout=60)
        for process in running:
            process.signal(signal.SIGTERM)
            assert await process.ended() == 0, process.lines
    finally:
        for process in running:
            await process.kill()


def test_a_client_s_commands_work(options: list[str]) -> None:
    added = naq(options, "schedule", "add", "reports:send", "--every", "1h", "--id", "hourly")
    assert (added.returncode, added.stdout) == (0, "hourly\n"), added.stderr
    assert "hourly" in naq(options, "schedule", "ls").stdout


def test_without_a_server_of_ones_own_the_reason_is_one_line(tmp_path: Path) -> None:
    done = naq(["--data-dir", str(tmp_path / "data")], "schedule", "ls")
    assert done.returncode == 3
    assert done.stderr.strip() == (
        "naq: the embedded server needs a POSIX system (Linux, macOS): run nats-server yourself and set nats_url"
    )
