"""Redis and PostgreSQL, each a private instance in a directory of its own on a free port, with its default settings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import Server
from naq.store.embedded.program import find_program, free_port

__all__ = ["serving", "version_of_server"]

PROGRAMS = {Server.REDIS: "redis-server", Server.POSTGRES: "postgres"}
UNPRIVILEGED = "postgres"
"""The user who runs PostgreSQL when this process is root, which PostgreSQL refuses to run as."""


@asynccontextmanager
async def serving(server: Server, directory: Path) -> AsyncIterator[str]:
    """Run the server until the context is left; its URL. naq's processes bring their own server along: the URL is empty."""
    if server is Server.NATS:
        yield ""
        return
    port = free_port()
    start = _redis if server is Server.REDIS else _postgres
    process = await start(directory, port)
    try:
        url = f"redis://127.0.0.1:{port}" if server is Server.REDIS else f"postgresql://peers@127.0.0.1:{port}/postgres"
        await _until_it_listens(port)
        yield url
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)  # a fast shutdown, for PostgreSQL
        await process.wait()


async def version_of_server(server: Server) -> str:
    """As the program itself says it."""
    program = str(find_program()) if server is Server.NATS else _program(PROGRAMS[server])
    process = await asyncio.create_subprocess_exec(program, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode().strip().partition(" sha=")[0]


async def _redis(directory: Path, port: int) -> asyncio.subprocess.Process:
    return await _start(_program("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory))


async def _postgres(directory: Path, port: int) -> asyncio.subprocess.Process:
    data, user = _data_directory(directory)
    setup = await _start(_program("initdb"), "-D", str(data), "-U", "peers", "--auth", "trust", **user)
    if await setup.wait() != 0:
        raise SystemExit("initdb failed; its messages stand above")
    return await _start(
        *(_program("postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1"),
        *("-c", f"unix_socket_directories={data}"),
        **user,
    )


def _data_directory(directory: Path) -> tuple[Path, dict[str, Any]]:
    """Where PostgreSQL keeps its data, and as whom it is to be run: whoever runs this, unless that is root."""
    data = directory / "postgres"
    data.mkdir()
    if os.geteuid() != 0:
        return data, {}
    shutil.chown(data, UNPRIVILEGED, UNPRIVILEGED)
    directory.chmod(0o755)
    return data, {"user": UNPRIVILEGED, "group": UNPRIVILEGED, "extra_groups": []}


async def _start(*command: str, **options: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL if command[0].endswith("postgres") else None,
        start_new_session=True,
        **options,
    )


def _program(name: str) -> str:
    """Where a server's program is; Debian keeps those of PostgreSQL out of the search path."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        raise SystemExit(f"{name} is not installed here: apt-get install redis-server postgresql")
    return found


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionError:
                await asyncio.sleep(0.05)
                continue
            writer.close()
            await writer.wait_closed()
            return
