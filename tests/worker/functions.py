"""What the tests' jobs do. Imported by the tests, by their workers, and by workers in other processes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from contextvars import ContextVar
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from naq.exceptions import Retry
from naq.jobs.context import JobContext, current_job

started: dict[str, asyncio.Event] = {}
"""Set by `hold` when it begins, by name."""
released: dict[str, asyncio.Event] = {}
"""What `hold` waits for."""
thread_gate = threading.Event()
seen: list[Any] = []
leaked: list[bytes] = []


class Order(msgspec.Struct):
    number: int
    at: datetime


def reset() -> None:
    global now_running, most
    now_running = most = 0
    started.clear()
    released.clear()
    seen.clear()
    thread_gate.clear()


def event(events: dict[str, asyncio.Event], name: str) -> asyncio.Event:
    return events.setdefault(name, asyncio.Event())


async def add(a: int, b: int = 0) -> int:
    return a + b


def add_in_thread(a: int, b: int) -> dict[str, Any]:
    return {"sum": a + b, "thread": threading.current_thread().name}


def process_id() -> int:
    return os.getpid()


async def typed(context: JobContext, at: datetime, order: Order, wait: timedelta | None = None) -> dict[str, Any]:
    return {
        "at": at.isoformat(),
        "order": type(order).__name__,
        "number": order.number,
        "wait": wait,
        "job_id": context.job_id,
    }


async def who_am_i() -> dict[str, Any]:
    context = current_job()
    return {"job_id": context.job_id, "attempt": context.attempt, "queue": context.queue, "worker": context.worker_id}


def who_am_i_in_thread() -> str:
    return current_job().job_id


async def fail(text: str = "no") -> None:
    raise ValueError(text)


async def fail_until(attempt: int) -> int:
    if current_job().attempt < attempt:
        raise ConnectionError(f"attempt {current_job().attempt}")
    return current_job().attempt


async def ask_again(after: float, until: int) -> int:
    if current_job().attempt < until:
        raise Retry(after)
    return current_job().attempt


async def hold(name: str) -> str:
    event(started, name).set()
    await event(released, name).wait()
    return name


async def ignore_cancellation(name: str) -> str:
    event(started, name).set()
    while not event(released, name).is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await event(released, name).wait()
    return name


def hold_thread() -> bool:
    seen.append("begun")
    return thread_gate.wait(30)


def spin() -> None:
    while True:
        time.sleep(0.01)


def wait_politely(context: JobContext) -> str:
    context.wait_cancelled(30)
    return context.cancel_reason or ""


async def sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)


def block(seconds: float) -> None:
    time.sleep(seconds)


async def block_the_loop(seconds: float) -> None:
    time.sleep(seconds)  # noqa: ASYNC251 - that is the point


def exit_thread() -> None:
    sys.exit(3)


async def exit_loop() -> None:
    sys.exit(3)


async def interrupt() -> None:
    raise KeyboardInterrupt


async def cancel_itself() -> None:
    raise asyncio.CancelledError


def stop_iteration() -> None:
    raise StopIteration


def die() -> None:
    os._exit(9)


async def not_json() -> object:
    return object()


async def large(size: int) -> str:
    return "x" * size


async def note(value: Any) -> None:
    seen.append(value)


async def report(context: JobContext, name: str) -> None:
    context.progress(1, 4, "a quarter")
    event(started, name).set()
    await event(released, name).wait()


def report_from_process(context: JobContext) -> int:
    context.progress(2, 2)
    return context.attempt


async def leak(megabytes: int, name: str) -> None:
    leaked.append(b"x" * (megabytes * 1024 * 1024))
    event(started, name).set()
    await event(released, name).wait()


def append(path: str, line: str) -> None:
    """Add a line to a file, atomically: what several processes did can be read from it."""
    with Path(path).open("a") as file:
        file.write(f"{line} {os.getpid()}\n")


def append_and_die(path: str, line: str) -> None:
    append(path, line)
    os._exit(9)


async def append_and_wait(path: str, line: str) -> None:
    append(path, line)
    await asyncio.sleep(3600)


private = add
from os import getcwd  # noqa: E402, F401 - an allowed pattern must not reach it


async def told_previous_success(context: JobContext) -> datetime | None:
    return context.previous_success_at


def told_previous_success_in_thread(context: JobContext) -> datetime | None:
    return context.previous_success_at


who: ContextVar[str] = ContextVar("who", default="nobody")


async def greet(name: str) -> str:
    """Whom it finds greeted before it, by the context."""
    found = who.get()
    who.set(name)
    await asyncio.sleep(0)
    return found


def greet_beside(name: str) -> str:
    found = who.get()
    who.set(name)
    return found


def fork_and_vanish(path: str) -> None:
    """Leave a process behind that holds what it inherited, and end."""
    if os.fork() == 0:
        Path(path).write_text(str(os.getpid()))
        time.sleep(300)
        os._exit(0)
    os._exit(3)


def fork_and_ignore(path: str) -> None:
    """Leave a process behind, and ignore being stopped."""
    if os.fork() == 0:
        Path(path).write_text(str(os.getpid()))
        time.sleep(300)
        os._exit(0)
    while True:
        with contextlib.suppress(BaseException):
            time.sleep(300)


def fork_and_terminate(path: str) -> int:
    """The signal that ended a forked process that was told to end; 0 when it did not obey."""
    pid = os.fork()
    if pid == 0:
        Path(path).write_text(str(os.getpid()))
        time.sleep(20)
        os._exit(0)
    while not Path(path).exists():
        time.sleep(0.01)
    os.kill(pid, signal.SIGTERM)
    return os.waitpid(pid, 0)[1]


def fail_with_a_file_name() -> None:
    raise FileNotFoundError(os.fsdecode(b"caf\xe9.txt"))


def chatter(word: str) -> None:
    logging.getLogger("reports").info("%s from the child", word)
    try:
        raise KeyError(word)
    except KeyError:
        logging.getLogger("reports").exception("it went wrong")


async def length(text: str) -> int:
    return len(text)


now_running = 0
most = 0
"""How many of `alone` ran at once."""


async def alone(seconds: float) -> None:
    global now_running, most
    now_running += 1
    most = max(most, now_running)
    await asyncio.sleep(seconds)
    now_running -= 1


async def talks(lines: int) -> None:
    for number in range(lines):
        logging.getLogger("reports").warning("line %d", number)
    await asyncio.sleep(0)
    logging.getLogger("reports").warning("the last one")


def talks_beside(word: str) -> None:
    current_job().logger.warning("%s by its own logger", word)
    try:
        raise KeyError(word)
    except KeyError:
        logging.getLogger("reports").exception("it went wrong")
    raise ValueError("no")


async def talks_until(attempt: int) -> None:
    now = current_job().attempt
    logging.getLogger("reports").warning("attempt %d", now)
    if now < attempt:
        raise ConnectionError(f"of attempt {now}")
