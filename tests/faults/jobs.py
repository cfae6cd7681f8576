"""The application that the fault tests run."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from naq import Naq
from naq.jobs.context import current_job

app = Naq()


@app.job
async def tick() -> None:
    """Does nothing, quickly."""


@app.job
async def leave_mark(path: str) -> None:
    """Leaves a line that says that it ran."""
    _write(path, "start")


@app.job
async def linger(path: str, seconds: float) -> None:
    """Takes a while, and says when it began and when it ended."""
    _write(path, "start")
    await asyncio.sleep(seconds)
    _write(path, "end")


@app.job
async def fail_until(path: str, attempt: int) -> None:
    """Fails until that attempt, and then leaves a line."""
    if current_job().attempt < attempt:
        raise ConnectionError(f"attempt {current_job().attempt}")
    _write(path, "start")


def _write(path: str, what: str) -> None:
    job = current_job()
    with Path(path).open("a") as file:
        file.write(f"{what} {job.job_id} {os.getpid()}\n")
