"""``naq run``, ``scheduler`` and ``worker`` as processes: what they print, how they end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.cli.conftest import Command, Start, finish


async def test_run_does_all_of_it(naq: Command, start: Start) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    process = await start("run", "shop:app", "--instance-id", "all", "--queue", "default", "--queue", "mail")
    assert process.lines == ["naq run ready instance=all leader=true"]
    assert [each["schedule_id"] for each in (await ask("schedule", "ls", "--json")).json] == ["declared"]
    (worker,) = (await ask("workers", "--json")).json
    assert sorted(worker["queues"]) == ["default", "mail"]
    await ask("schedule", "add", "shop:greet", "--every", "1s", "--arg", "schedule", "--id", "x", "--max-runs", "2")
    await process.line("hello schedule")
    job = (await ask("schedule", "trigger", "declared")).out.strip()
    await start("events", "--since", "1h", "--type", "job_completed", "--job", job, until=job)
    (ran,) = (await ask("schedule", "history", "declared", "--json")).json
    assert (ran["outcome"], ran["job_id"], ran["worker_id"]) == ("completed", job, "all")
    assert "completed" in (await ask("schedule", "show", "declared")).out
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert not [line for line in process.lines if "INFO" in line], "logs are for standard error"
    assert (await ask("workers", "--json")).json == []


async def run_patient(naq: Command, path: Path) -> str:
    """Have ``patient`` run until ``path`` exists; its job's id."""
    add = ("schedule", "add", "shop:patient", "--every", "1h", "--id", "x", "--arg", str(path))
    assert (await asyncio.to_thread(naq, *add)).code == 0
    return (await asyncio.to_thread(naq, "schedule", "trigger", "x")).out.strip()


async def test_a_worker_that_is_told_to_stop_lets_its_job_end(naq: Command, start: Start, tmp_path: Path) -> None:
    worker = await start("worker", "shop:app")
    job = await run_patient(naq, tmp_path / "go")
    await worker.line("patient runs")
    worker.signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert await worker.ended() == 0
    assert (await asyncio.to_thread(naq, "job", "show", job, "--json")).json["status"] == "completed"


async def test_a_second_signal_ends_at_once(naq: Command, start: Start, tmp_path: Path) -> None:
    worker = await start("worker", "shop:app")
    job = await run_patient(naq, tmp_path / "never")
    await worker.line("patient runs")
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)
    assert await worker.ended() in {128 + signal.SIGTERM, 128 + signal.SIGINT}
    shown = (await asyncio.to_thread(naq, "job", "show", job, "--json")).json
    assert shown["status"] in {"queued", "running"}, "another worker gets it"


async def test_a_closed_terminal_ends_gracefully(naq: Command, start: Start) -> None:
    process = await start("scheduler")
    process.signal(signal.SIGHUP)
    assert await process.ended() == 0
    assert (await asyncio.to_thread(naq, "leader")).code == 1


async def test_logs_are_readable_and_on_standard_error(options: list[str], shop: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "naq", *options, "scheduler", "shop:app"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(shop)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        first = await process.stdout.readline()
        process.terminate()
        out, err = await process.communicate()
    assert first.startswith(b"naq scheduler ready instance=")
    assert out == b""
    lines = err.decode().splitlines()
    assert lines
    assert all(" naq." in line and (" INFO " in line or " WARNING " in line) for line in lines)
    assert process.returncode == 0


async def test_the_log_level_is_heeded(options: list[str], shop: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "naq", *options, "--log-level", "ERROR", "scheduler", "shop:app"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(shop)},
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        await process.stdout.readline()
        process.terminate()
        _, err = await process.communicate()
    assert err == b""


def test_an_application_that_breaks_shows_its_own_traceback(options: list[str], tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("raise ZeroDivisionError('mine')\n")
    result = finish([*options, "worker", "broken:app"], {"PYTHONPATH": str(tmp_path)})
    assert (result.code, result.out) == (1, "")
    assert result.err.endswith("ZeroDivisionError: mine\n")
