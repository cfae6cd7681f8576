"""The process of the embedded server: one decision at a time about it, waiting for its end, and ending it."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from naq.clock import Clock
from naq.exceptions import EmbeddedServerError
from naq.store.embedded.directory import ServerDirectory, ServerRecord, grab, reap, release
from naq.store.embedded.program import process_ended

__all__ = [
    "GLANCE",
    "ROUND",
    "decision",
    "end_server",
    "has_ended",
    "kill",
    "require_posix",
    "server_ended",
    "size_of",
    "until",
]

STOP_PATIENCE = 15.0
"""Seconds the server may take to end after SIGTERM, before it is killed."""
KILL_PATIENCE = 5.0
"""Seconds the kernel may take to end a killed server."""
DECISION_PATIENCE = 60.0
"""Seconds to wait for another process that starts or stops the server; longer than either may take."""
GLANCE = 0.02
"""Seconds between two checks of a lock that another process holds."""
ROUND = 0.2
"""Seconds between two looks at the server where its end cannot be waited for."""

T = TypeVar("T")


@asynccontextmanager
async def decision(directory: ServerDirectory, clock: Clock) -> AsyncIterator[None]:
    """Hold the right to start or stop the server. Raises `EmbeddedServerError` if another takes too long."""

    def take() -> int | None:
        with directory.writable():
            return grab(directory.decision_lock)

    try:
        async with asyncio.timeout(DECISION_PATIENCE):
            lock = await until(take, clock)
    except TimeoutError:
        raise EmbeddedServerError(
            f"another naq process has been starting or stopping the embedded server for {DECISION_PATIENCE:g} s "
            f"and holds {str(directory.decision_lock)!r}: end it if it hangs"
        ) from None
    try:
        yield
    finally:
        release(lock)


async def end_server(directory: ServerDirectory, clock: Clock) -> None:
    """End the server process and wait until it has ended. Only under the decision lock."""
    for number, patience in ((signal.SIGTERM, STOP_PATIENCE), (signal.SIGKILL, KILL_PATIENCE)):
        sent = False
        try:
            async with asyncio.timeout(patience):
                while directory.server_runs():
                    sent = sent or directory.signal_server(number)
                    await clock.sleep(GLANCE)
        except TimeoutError:
            continue
        reap()
        return
    raise EmbeddedServerError(
        f"the embedded server (process {directory.server_pid()}) cannot be stopped: end it by hand"
    )


async def server_ended(directory: ServerDirectory, known: ServerRecord | None, clock: Clock) -> None:
    """Return when the ``known`` server process has ended, even if another member has restarted it already. At once where
    the kernel reports it, otherwise within `ROUND`."""
    while directory.server_runs() and directory.record() == known:
        pid = directory.server_pid()
        told = pid is not None and await process_ended(pid)
        await clock.sleep(GLANCE if told else ROUND)


async def until(probe: Callable[[], T | None], clock: Clock) -> T:
    """Poll until the answer is not ``None``."""
    while (answer := probe()) is None:
        await clock.sleep(GLANCE)
    return answer


async def has_ended(child: subprocess.Popen[bytes]) -> bool:
    """Whether a process has ended; one that is about to is given a second."""
    try:
        await asyncio.to_thread(child.wait, 1.0)
    except subprocess.TimeoutExpired:
        return False
    return True


def kill(child: subprocess.Popen[bytes]) -> None:
    """Kill a server that was just started, and collect its exit status."""
    child.kill()
    child.wait()
    reap()


def size_of(file: Path) -> int:
    """Bytes of a file; 0 when there is none."""
    return file.stat().st_size if file.exists() else 0


def require_posix() -> None:
    """Raise `EmbeddedServerError` where the system has no POSIX locks and signals."""
    if sys.platform == "win32":
        raise EmbeddedServerError(
            "the embedded server needs a POSIX system (Linux, macOS): run nats-server yourself and set nats_url"
        )
