"""An application that runs in the test, a list that is told, and a small HTTP server that remembers what was posted."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from naq import Alert, Naq
from naq.lifecycle import ServiceManager
from tests.observe.alerts import functions

HANG = 90.0
"""Seconds after which a test is taken to hang, on a machine that may be busy."""

Run = Callable[..., AbstractAsyncContextManager[ServiceManager]]


class Received:
    """A sink that keeps what it was told, and lets a test wait for it."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []
        self._changed = asyncio.Event()

    async def __call__(self, alert: Alert) -> None:
        self.alerts.append(alert)
        self._changed.set()

    async def until(self, kind: str, subject: str, count: int = 1) -> Alert:
        """Wait until that was told so often; the last one."""
        async with asyncio.timeout(HANG):
            while True:
                found = [each for each in self.alerts if each.kind == kind and each.subject == subject]
                if len(found) >= count:
                    return found[-1]
                self._changed.clear()
                await self._changed.wait()

    def kinds(self, subject: str) -> list[str]:
        return [str(each.kind) for each in self.alerts if each.subject == subject]


@dataclass
class Hook:
    """What was posted to a webhook, and what it answers: the statuses in turn, then 200."""

    url: str = ""
    posts: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    """Closed: it takes what is posted, and does not answer."""
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    async def until(self, count: int) -> list[dict[str, Any]]:
        """Wait until so many posts have come; their bodies."""
        async with asyncio.timeout(HANG):
            while len(self.posts) < count:
                await asyncio.to_thread(self.arrived.acquire, timeout=1.0)
        return [json.loads(body) for _, body in self.posts]


@pytest.fixture
def hook() -> Iterator[Hook]:
    found = Hook()
    found.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # who posts was killed
                return
            found.posts.append(({key.lower(): value for key, value in self.headers.items()}, body))
            found.arrived.release()
            found.gate.wait(2 * HANG)
            status = found.statuses.pop(0) if found.statuses else 200
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hooks/T0P-SECRET"
    try:
        yield found
    finally:
        found.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def fresh_functions() -> None:
    functions.gate = asyncio.Event()
    functions.broken = True


@pytest.fixture
def run() -> Run:
    """Run an application while the block lasts."""

    @asynccontextmanager
    async def running(app: Naq, **parts: Any) -> AsyncIterator[ServiceManager]:
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        task = asyncio.create_task(app.run(stop=stop, ready=ready.set_result, **parts))
        task.add_done_callback(lambda _: ready.done() or ready.cancel())
        try:
            async with asyncio.timeout(HANG):
                services = await ready
            yield services
        finally:
            stop.set()
            functions.gate.set()
            async with asyncio.timeout(HANG):
                await task
            await app.close()

    return running
