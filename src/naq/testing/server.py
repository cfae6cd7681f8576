"""A real ``nats-server`` for tests, with its own directory and port, and control of its process.

::

    async with nats_server() as server:
        connection = await nats.connect(server.url)
        await server.kill()        # as a crash does it
        await server.start()       # same port, same data

Each method returns when its effect is complete: `NatsServer.start` when the server answers,
`NatsServer.stop` and `NatsServer.kill` when its process has ended. JetStream is always on. There are no credentials: the
servers listen on loopback only. No method sleeps in the hope that something has happened.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from naq.clock import SystemClock
from naq.exceptions import EmbeddedServerError
from naq.store.embedded.program import HOST, find_program, free_port, greeting, last_words

__all__ = ["PORT_ATTEMPTS", "ClusterPlace", "NatsServer", "nats_server", "until"]

START_TIMEOUT = 30.0
"""Seconds a server may take to answer, and a cluster to choose its leader."""
STOP_TIMEOUT = 15.0
"""Seconds a server may take to end after a signal, before it is killed."""
GLANCE = 0.02
"""Seconds between two readiness checks."""
PORT_ATTEMPTS = 5
RELOADED = b"Reloaded server configuration"
"""What it says in its log then."""


@dataclass(frozen=True, slots=True)
class ClusterPlace:
    """A server's place in a cluster."""

    cluster: str
    """The cluster's name, the same for all nodes."""
    port: int
    """Where this node listens for the others."""
    routes: tuple[int, ...]
    """Where all nodes listen, this one included."""


class NatsServer:
    """One ``nats-server`` process with its data in ``directory``, to be started, stopped, killed and restarted.

    ``port`` 0 chooses a free one at the first start and keeps it for all later ones. ``config`` is added to the
    configuration file as it is, e.g. ``"max_payload: 2MB"``. ``sync_always`` makes JetStream sync every write to
    disk, as the embedded server does; without it a test is faster, and still loses nothing by a kill -9.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        config: str = "",
        name: str | None = None,
        sync_always: bool = False,
        place: ClusterPlace | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.name = name if name is not None else f"test-{directory.name}"
        self._port = port
        self._monitor_port = 0
        self._config = config
        self._sync_always = sync_always
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        """``nats://127.0.0.1:PORT``; the same after every restart. Raises `EmbeddedServerError` before `start`."""
        return f"nats://{HOST}:{self.port}"

    @property
    def port(self) -> int:
        """The client port. Raises `EmbeddedServerError` before the first `start` when none was given."""
        if not self._port:
            raise EmbeddedServerError(f"test server {self.name!r} has no port yet: start it first")
        return self._port

    @property
    def monitor_port(self) -> int:
        """The port of its monitoring pages (``/varz``, ``/jsz``, ...); 0 before the first `start`."""
        return self._monitor_port

    @property
    def pid(self) -> int | None:
        """Its process id; ``None`` while it does not run."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def log_file(self) -> Path:
        """What it said, in all its lives."""
        return self.directory / "server.log"

    async def start(self) -> None:
        """Run it and return when it answers. Does nothing while it runs.

        Raises `EmbeddedServerError` with the end of its log when it ends or does not answer within 30 s.
        """
        if self.pid is not None:
            return
        choose = self._port == 0
        for attempt in range(PORT_ATTEMPTS):
            self.launch()
            try:
                await self.ready()
                return
            except EmbeddedServerError as error:
                await self.kill()
                if not (choose and "address already in use" in str(error)) or attempt + 1 == PORT_ATTEMPTS:
                    raise
                self._port = self._monitor_port = 0
            except BaseException:
                await self.kill()
                raise

    def launch(self) -> None:
        """Run it without waiting for anything: `ready` does. A cluster needs its nodes to start side by side."""
        self._port = self._port or free_port()
        self._monitor_port = self._monitor_port or free_port()
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "server.conf"
        config.write_text(self._configuration())
        with self.log_file.open("ab") as log:
            self._said_before = log.tell()
            self._process = subprocess.Popen(
                [str(find_program()), "-c", str(config)],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Return when the launched server answers. Raises `EmbeddedServerError` as `start` does."""

        async def answers() -> bool:
            if self.pid is None:
                raise EmbeddedServerError(f"test server {self.name!r} ended:\n{self._last_words()}")
            said = await asyncio.to_thread(greeting, self.port)
            return said is not None and said.server_name == self.name

        await until(answers, lambda: f"test server {self.name!r} does not answer:\n{self._last_words()}")

    async def stop(self, sig: int = signal.SIGTERM) -> None:
        """Send a signal that ends it and return when it has ended (killed, if it takes longer than 15 s).

        A paused server is resumed first. Does nothing while it does not run.
        """
        process = self._process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(sig)
            process.send_signal(signal.SIGCONT)
        try:
            await asyncio.to_thread(process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            await asyncio.to_thread(process.wait)
        finally:
            if process.poll() is None:  # cancelled
                process.kill()
                process.wait()
            self._process = None

    async def kill(self) -> None:
        """End it as a crash does (SIGKILL) and return when it has ended."""
        await self.stop(signal.SIGKILL)

    async def restart(self, sig: int = signal.SIGTERM) -> None:
        """`stop` with the signal, then `start`: same port, same data."""
        await self.stop(sig)
        await self.start()

    async def reload(self, config: str) -> None:
        """Have it take over another configuration while it runs (SIGHUP), and return when it has.

        ``config`` takes the place of what was given at first. Raises `EmbeddedServerError` when it does not say so
        within 30 s: what it does not accept is in its log.
        """
        self._config = config
        (self.directory / "server.conf").write_text(self._configuration())
        known = self.log_file.read_bytes().count(RELOADED)
        assert self._process is not None, "a server that does not run takes nothing over"
        self._process.send_signal(signal.SIGHUP)

        async def has_reloaded() -> bool:
            return self.log_file.read_bytes().count(RELOADED) > known

        await until(has_reloaded, lambda: f"test server {self.name!r} did not take it over:\n{self._last_words()}")

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its connections stay open and nobody answers. Does nothing while it does not run.

        Returns when all of its threads stand still, where the system can tell (not on macOS before Python 3.13): until
        then, some milliseconds after the signal, it may still answer.
        """
        if self._process is None:
            return
        self._process.send_signal(signal.SIGSTOP)
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # it has ended
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Resume after `pause` (SIGCONT)."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    async def monitor(self, page: str) -> bytes | None:
        """A monitoring page, e.g. ``/jsz``; ``None`` when it does not answer with status 200 within a second."""
        return await asyncio.to_thread(_get, self._monitor_port, page)

    def _configuration(self) -> str:
        sync = ", sync_interval: always" if self._sync_always else ""
        lines = [
            f'server_name: "{self.name}"',
            f'listen: "{HOST}:{self._port}"',
            f'http: "{HOST}:{self._monitor_port}"',
            f'jetstream {{ store_dir: "."{sync} }}',
        ]
        if self._place is not None:
            routes = ", ".join(f'"nats-route://{HOST}:{port}"' for port in self._place.routes)
            listen = f'listen: "{HOST}:{self._place.port}"'
            lines.append(f'cluster {{ name: "{self._place.cluster}", {listen}, routes: [{routes}] }}')
        return "\n".join([*lines, self._config, ""])

    def _last_words(self) -> str:
        return last_words(self.log_file, self._said_before)


@asynccontextmanager
async def nats_server(*, port: int = 0, config: str = "", sync_always: bool = False) -> AsyncIterator[NatsServer]:
    """A running `NatsServer` in a temporary directory; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="naq-server-") as directory:
        async with NatsServer(Path(directory), port=port, config=config, sync_always=sync_always) as server:
            yield server


async def until(question: Callable[[], Awaitable[bool]], complaint: Callable[[], str]) -> None:
    """Poll until the answer is yes. Raises `EmbeddedServerError` with the complaint after `START_TIMEOUT`."""
    clock = SystemClock()
    try:
        async with asyncio.timeout(START_TIMEOUT):
            while not await question():
                await clock.sleep(GLANCE)
    except TimeoutError:
        raise EmbeddedServerError(complaint()) from None


def _get(port: int, page: str) -> bytes | None:
    connection = http.client.HTTPConnection(HOST, port, timeout=1.0)
    try:
        connection.request("GET", page)
        response = connection.getresponse()
        body = response.read()
        return body if response.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
