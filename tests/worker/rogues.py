"""An application whose jobs do what no job should: ``naq worker tests.worker.rogues:app``."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from naq import Naq

app = Naq(drain_timeout=5)
KINDS = ("sys.exit", "KeyboardInterrupt", "GeneratorExit", "MemoryError")
leaked: list[bytes] = []


def note(path: str, word: str) -> None:
    with Path(path).open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


@app.job
async def quick(number: int) -> int:
    return number


def rage(kind: str) -> None:
    if kind == "sys.exit":
        sys.exit(3)
    raise {"KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit, "MemoryError": MemoryError}[kind]


@app.job
async def rage_on_the_loop(kind: str) -> None:
    rage(kind)


@app.job
def rage_beside(kind: str) -> None:
    rage(kind)


@app.job
async def rage_in_a_task(kind: str) -> None:
    """What is raised in a task of the job's own does not pass through the job first."""

    async def below() -> None:
        await asyncio.sleep(0)
        rage(kind)

    await asyncio.gather(below())


@app.job
def end_the_process(code: int) -> None:
    os._exit(code)


def is_enough(path: str) -> bool:
    return Path(f"{path}.enough").exists()


@app.job
async def deaf_on_the_loop(path: str) -> None:
    note(path, "begun")
    while not is_enough(path):
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            note(path, "deaf")


@app.job
def deaf_beside(path: str) -> None:
    note(path, "begun")
    while not is_enough(path):
        try:
            time.sleep(0.05)
        except BaseException:  # noqa: BLE001 - that is the point
            note(path, "deaf")


@app.job
async def block(path: str, seconds: float) -> None:
    note(path, "begun")
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point
    note(path, "ended")


@app.job
async def note_once(path: str, number: int) -> int:
    note(path, f"number-{number}")
    return number


@app.job
def wait_for(path: str) -> int:
    note(path, "begun")
    while not is_enough(path):
        time.sleep(0.02)
    return os.getpid()


@app.job
def leak(megabytes: int) -> int:
    leaked.append(b"x" * (megabytes << 20))
    return os.getpid()
