"""The command in this process against a real server, and in processes of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from naq.cli import run
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from tests.faults.world import Process

APPLICATION = """
import asyncio, logging, pathlib, sys
from naq import Naq, every

app = Naq(drain_timeout=5)
log = logging.getLogger("shop")


@app.job
async def greet(name="world"):
    print(f"hello {name}", flush=True)
    return f"hello {name}"


@app.job(queue="mail")
async def send(region="eu"):
    return region


@app.job
async def fail():
    raise RuntimeError("no stock [left]")


@app.job
async def patient(path):
    print("patient runs", flush=True)
    while not pathlib.Path(path).exists():
        await asyncio.sleep(0.01)


@app.schedule(every("1h"), id="declared")
async def declared():
    log.info("declared ran")
"""


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its standard output, which must be one JSON document."""
        return json.loads(self.out)


Command = Callable[..., Outcome]
Start = Callable[..., Awaitable[Process]]


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """Run ``naq`` in this process, with these arguments and nothing else."""

    def execute(*arguments: str) -> Outcome:
        capfd.readouterr()
        code = run(list(arguments))
        out, err = capfd.readouterr()
        return Outcome(code, out, err)

    return execute


@pytest.fixture
def options(config: dict[str, Any]) -> list[str]:
    """Global options that lead to the test's own namespace."""
    return ["--nats-url", config["nats_url"], "--namespace", config["namespace"]]


@pytest.fixture
def made(config: dict[str, Any]) -> None:
    """The test's own namespace exists, as after a first deploy."""

    async def make() -> None:
        async with ServiceManager(config) as services:
            await services.get_service(ScheduleService)
            await services.get_service(JobService)

    thread = threading.Thread(target=lambda: asyncio.run(make()))
    thread.start()
    thread.join()


@pytest.fixture
def naq(command: Command, options: list[str], made: None) -> Command:
    """Run ``naq`` on the test's own namespace, which exists."""
    return lambda *arguments: command(*options, *arguments)


@pytest.fixture(autouse=True)
def quiet_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Nothing of this machine's shows: no settings, no terminal, no data directory."""
    for name in ("NAQ_NATS_URL", "NAQ_NAMESPACE", "NAQ_LOG_LEVEL", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NAQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NAQ_CONNECT_TIMEOUT", "2")
    monkeypatch.setenv("COLUMNS", "200")
    yield


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A directory with an application in it: ``shop:app``."""
    directory = tmp_path / "application"
    directory.mkdir()
    (directory / "shop.py").write_text(APPLICATION)
    return directory


def finish(arguments: list[str], environment: dict[str, str]) -> Outcome:
    """Run ``naq`` in a process of its own to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "naq", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
async def start(options: list[str], shop: Path) -> AsyncIterator[Start]:
    """Start ``naq`` in a process of its own on the test's namespace, and wait until it printed a line with ``until``."""
    running: list[Process] = []

    async def begin(*arguments: str, until: str = "ready", given: list[str] | None = None) -> Process:
        found = os.pathsep.join(filter(None, (str(shop), os.environ.get("PYTHONPATH"))))
        process = Process([*(options if given is None else given), *arguments], {"PYTHONPATH": found}, logs=False)
        running.append(process)
        await process.start(until)
        return process

    yield begin
    for process in running:
        await process.kill()
