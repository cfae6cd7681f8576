"""Jobs of every kind that ever harmed others, beside jobs that are none: ``naq worker tests.worker.misbehaving:app``.

`KINDS` has the kinds of rogues and how such a job ends. A good job leaves one line for each of its attempts in a file, and fails
if it finds anything that another job left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from naq import Job, JobContext, Naq, Retry

app = Naq(drain_timeout=5)
DEAF_FOR = 7.0
"""Seconds; longer than the grace of a worker."""
trace: ContextVar[str] = ContextVar("trace", default="")


def mark(path: str, context: JobContext) -> None:
    """One line for this attempt, and a complaint if another job's context is seen."""
    with Path(path).open("a") as file:
        file.write(f"{context.job_id}.{context.attempt} {os.getpid()}\n")
    assert trace.get() == "", trace.get()
    trace.set(context.job_id)


@app.job
async def good(context: JobContext, path: str, number: int) -> int:
    mark(path, context)
    await asyncio.sleep(0)
    return number


@app.job
def good_beside(context: JobContext, path: str, number: int) -> int:
    mark(path, context)
    return number


@app.job
async def good_at_last(context: JobContext, path: str, number: int) -> int:
    mark(path, context)
    if context.attempt == 1:
        raise ConnectionError("once")
    return number


class Silent(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be shown")


def unreadable_name() -> None:
    raise FileNotFoundError(os.fsdecode(b"caf\xe9.txt"))


def endless_text() -> None:
    raise ValueError("\udcff" * 3_000_000)


def silent() -> None:
    raise Silent


def fail_with(data: str) -> None:
    raise ValueError(f"{len(data)} characters were not liked")


def wrong_retry(after: str) -> None:
    raise Retry({"nan": float("nan"), "inf": float("inf"), "text": "soon"}[after])  # type: ignore[arg-type]


async def grouped_retry(context: JobContext) -> None:
    if context.attempt == 1:
        raise ExceptionGroup("several", [ValueError("a"), Retry(timedelta(0))])


async def leave_a_trace() -> None:
    trace.set("of a rogue")


def forking() -> None:
    if os.fork() == 0:
        time.sleep(5)
        os._exit(0)
    os._exit(3)


async def block() -> None:
    time.sleep(0.3)  # noqa: ASYNC251 - that is the point


async def not_json(kind: str) -> Any:
    return {"nan": float("nan"), "keys": {1: "a", "1": "b"}, "object": object()}[kind]


async def large_result() -> str:
    return "x" * 900_000


async def wrong_progress(context: JobContext) -> None:
    context.progress(float("nan"))


async def ignore_the_end() -> None:
    until = time.monotonic() + DEAF_FOR
    while time.monotonic() < until:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.1)


def ignore_the_end_beside() -> None:
    until = time.monotonic() + DEAF_FOR
    while time.monotonic() < until:
        with contextlib.suppress(BaseException):
            time.sleep(0.1)


async def rage(kind: str) -> None:
    if kind == "exit":
        sys.exit(3)
    raise {
        "interrupt": KeyboardInterrupt,
        "generator": GeneratorExit,
        "memory": MemoryError,
        "stop": asyncio.CancelledError,
    }[kind]


async def rage_below(kind: str) -> None:
    await asyncio.gather(rage(kind))


def rage_beside() -> None:
    sys.exit(3)


def too_deep(depth: int = 0) -> int:
    return too_deep(depth + 1) + 1


async def chatter() -> None:
    for number in range(3_000):
        logging.getLogger("rogue").debug("line %d \udcff", number)


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to misbehave."""

    func: Callable[..., Any]
    error_type: str | None
    """How its last attempt ends."""
    args: Sequence[Any] = ()
    cost: float = 0.0
    """Seconds that it takes, at most."""
    options: Mapping[str, Any] | None = None

    def job(self, job_id: str) -> Job:
        """One job of this kind."""
        app.job(self.func)
        return Job(func=self.func, args=self.args, job_id=job_id, **(self.options or {}))


PROCESS = {"executor": "process"}
KINDS: dict[str, Kind] = {
    "1a text that is not UTF-8": Kind(unreadable_name, "FileNotFoundError"),
    "1a the same in a process": Kind(unreadable_name, "FileNotFoundError", (), 2, PROCESS),
    "1a an endless text": Kind(endless_text, "ValueError", (), 1),
    "1a an exception without a text": Kind(silent, "Silent"),
    "1c arguments near the limit": Kind(fail_with, "ValueError", ("x" * 1_010_000,)),
    "2 Retry(nan)": Kind(wrong_retry, "InvalidInput", ("nan",)),
    "2 Retry(inf)": Kind(wrong_retry, "InvalidInput", ("inf",)),
    "2 Retry(text)": Kind(wrong_retry, "InvalidInput", ("text",)),
    "3 a context variable": Kind(leave_a_trace, None),
    "8 a fork that lives on": Kind(forking, "ProcessDied", (), 2, PROCESS),
    "9 a blocked loop": Kind(block, None, (), 0.3),
    "12 NaN": Kind(not_json, "ResultNotStored", ("nan",)),
    "12 two keys of one text": Kind(not_json, "ResultNotStored", ("keys",)),
    "12 an object": Kind(not_json, "ResultNotStored", ("object",)),
    "13 a large result": Kind(large_result, None),
    "15 progress(nan)": Kind(wrong_progress, "InvalidInput"),
    "17 a timeout at once": Kind(sleep, "JobTimeout", (60,), 0, {"timeout": 0.0001}),
    "18 deaf, one at a time": Kind(
        ignore_the_end_beside, "JobTimeout", (), 2 * DEAF_FOR, {"timeout": 0.2, "max_concurrent": 1}
    ),
    "18 deaf on the loop": Kind(ignore_the_end, "JobTimeout", (), 2 * DEAF_FOR, {"timeout": 0.2}),
    "25 many lines": Kind(chatter, None, (), 1),
    "27 Retry in a group": Kind(grouped_retry, None, (), 0, {"retries": 2, "backoff": 0}),
    "28 sys.exit": Kind(rage, "SystemExit", ("exit",)),
    "28 KeyboardInterrupt": Kind(rage, "KeyboardInterrupt", ("interrupt",)),
    "28 GeneratorExit": Kind(rage, "GeneratorExit", ("generator",)),
    "28 MemoryError": Kind(rage, "MemoryError", ("memory",)),
    "28 CancelledError": Kind(rage, "CancelledError", ("stop",)),
    "28 sys.exit in a task": Kind(rage_below, "SystemExit", ("exit",)),
    "28 sys.exit in a thread": Kind(rage_beside, "SystemExit"),
    "28 sys.exit in a process": Kind(rage_beside, "SystemExit", (), 2, PROCESS),
    "28 a recursion without end": Kind(too_deep, "RecursionError"),
}
for each in KINDS.values():
    app.job(each.func)

GOOD = (good, good, good_beside, good_at_last)
ONE_IN = 50


def drawn(path: str, count: int, seed: int, *, rogues: bool) -> tuple[list[Job], dict[str, Kind]]:
    """So many jobs of which one in fifty misbehaves, and those by id; with ``rogues=False`` the same without them."""
    draw = random.Random(seed)
    jobs: list[Job] = []
    bad: dict[str, Kind] = {}
    bag: list[str] = []
    for number in range(count):
        if draw.randrange(ONE_IN) == 0:
            bag = bag or draw.sample(list(KINDS), len(KINDS))  # no kind comes again before each other came
            name = bag.pop()
            if rogues:
                bad[f"bad-{number}"] = KINDS[name]
                jobs.append(KINDS[name].job(f"bad-{number}"))
        else:
            func = draw.choice(GOOD)
            jobs.append(Job(func=func, args=[path, number], job_id=f"good-{number}", retries=2, backoff=0))
    return jobs, bad
