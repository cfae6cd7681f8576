"""A bad network between one process and the server: cut, slow, flapping, or one that loses the answer to a commit.

A cut does what a partition does: nothing arrives, nothing is closed, and what was sent meanwhile arrives when the cut is
healed, if its connection still lives. That includes the news that a connection was closed. The proxy reads the NATS
protocol as it passes, so that it can lose whole messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum
from typing import Self

__all__ = ["Frames", "Proxy", "Way"]

HOST = "127.0.0.1"
CHUNK = 64 * 1024
WITH_PAYLOAD = frozenset({b"PUB", b"HPUB", b"MSG", b"HMSG"})
COMMIT = b"\r\nNats-Batch-Commit: 1\r\n"


class Way(Enum):
    """One of the two directions of a connection."""

    TO_SERVER = "to the server"
    FROM_SERVER = "from the server"


class Frames:
    """Cuts a stream of bytes into whole frames of the NATS protocol."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole now, as they came."""
        self._rest += data
        while (size := self._size()) is not None and size <= len(self._rest):
            yield bytes(self._rest[:size])
            del self._rest[:size]

    def _size(self) -> int | None:
        """Of the first frame; ``None`` while that is not known."""
        end = self._rest.find(b"\r\n")
        if end < 0:
            return None
        words = bytes(self._rest[:end]).split()
        if words and words[0].upper() in WITH_PAYLOAD:
            return end + 2 + int(words[-1]) + 2
        return end + 2


class Proxy:
    """Listens on loopback and passes on to the server at ``target``, as well or as badly as it is told."""

    def __init__(self, target: int) -> None:
        self.lost = 0
        """Answers that were lost."""
        self.delay = 0.0
        """Seconds that everything takes, each way."""
        self._target = target
        self._port = 0
        self._server: asyncio.Server | None = None
        self._gates = {way: asyncio.Event() for way in Way}
        self._links: dict[asyncio.Task[None], _Link] = {}
        self._to_lose = 0
        self._then_break = False
        self._lost_one = asyncio.Event()
        self.heal()

    @property
    def port(self) -> int:
        return self._port

    @property
    def url(self) -> str:
        return f"nats://{HOST}:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._server is not None
        self._server.close()
        self.break_connections()
        while self._links:
            await asyncio.wait(tuple(self._links))
        await self._server.wait_closed()

    def cut(self, *ways: Way) -> None:
        """Let nothing pass any more: both ways, or only those that are named. No connection can be made meanwhile."""
        for way in ways or tuple(Way):
            self._gates[way].clear()

    def heal(self) -> None:
        """Let everything pass again, what waits first."""
        for gate in self._gates.values():
            gate.set()

    async def flap(self, times: int, down: float, up: float) -> None:
        """Cut for ``down`` seconds and heal for ``up``, so many times."""
        for _ in range(times):
            self.cut()
            await asyncio.sleep(down)
            self.heal()
            await asyncio.sleep(up)

    def break_connections(self) -> None:
        """Close every connection, as a router does that was started again; new ones can be made."""
        for task in self._links:
            task.cancel()

    def lose_answers(self, count: int = 1, *, then_break: bool = False) -> None:
        """Lose the answers to the next ``count`` batch commits. ``then_break``: the connection breaks in that moment."""
        self._to_lose += count
        self._then_break = then_break

    def keep_answers(self) -> None:
        """Lose no more answers, whatever was asked before."""
        self._to_lose = 0

    async def until_lost(self, count: int) -> None:
        """Wait until so many answers were lost in all."""
        while self.lost < count:
            self._lost_one.clear()
            await self._lost_one.wait()

    async def passage(self, way: Way) -> None:
        """Wait until something can pass."""
        await self._gates[way].wait()

    def is_to_be_lost(self, frame: bytes) -> bool:
        """Whether ``frame`` is a commit whose answer is to be lost; it counts as one of them then."""
        if self._to_lose == 0 or COMMIT not in frame:
            return False
        self._to_lose -= 1
        return True

    def lose(self, link: _Link) -> None:
        """An answer was lost on a link."""
        self.lost += 1
        self._lost_one.set()
        if self._then_break:
            for task, other in self._links.items():
                if other is link:
                    task.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        task = asyncio.create_task(link.run(self._target), name="proxy link")
        self._links[task] = link
        task.add_done_callback(self._links.pop)


class _Link:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._to_lose: set[bytes] = set()

    async def run(self, target: int) -> None:
        """Until both ends are closed, or the task is cancelled: then both are closed at once."""
        writers = [self._writer]
        try:
            for way in Way:
                await self._proxy.passage(way)
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(HOST, target)
                writers.append(writer)
                async with asyncio.TaskGroup() as tasks:
                    for way, source, sink in (
                        (Way.TO_SERVER, self._reader, writer),
                        (Way.FROM_SERVER, reader, self._writer),
                    ):
                        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
                        tasks.create_task(self._read(way, source, queue))
                        tasks.create_task(self._deliver(way, queue, sink))
        finally:
            for each in writers:
                each.transport.abort()

    async def _read(self, way: Way, source: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]) -> None:
        """Frames from one end into the queue; at the end of the stream an empty one."""
        frames = Frames()
        data = b"-"
        while data:
            data = b""
            with suppress(OSError):
                data = await source.read(CHUNK)
            passed = b"".join(frame for frame in frames.take(data) if self._passes(way, frame))
            if passed or not data:
                await queue.put((asyncio.get_running_loop().time() + self._proxy.delay, passed))

    async def _deliver(self, way: Way, queue: asyncio.Queue[tuple[float, bytes]], sink: asyncio.StreamWriter) -> None:
        """What is in the queue to the other end, each when its time has come and the way is open."""
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._proxy.passage(way)
            if not data:
                sink.close()
                return
            with suppress(OSError):  # it is closed: the other way brings the news
                sink.write(data)
                await sink.drain()

    def _passes(self, way: Way, frame: bytes) -> bool:
        if way is Way.TO_SERVER:
            if self._proxy.is_to_be_lost(frame):
                self._to_lose.add(frame.split(b" ", 3)[2])
            return True
        if not self._to_lose or not frame.startswith((b"MSG ", b"HMSG ")):
            return True
        subject = frame.split(b" ", 2)[1]
        if subject not in self._to_lose:
            return True
        self._to_lose.discard(subject)
        self._proxy.lose(self)
        return False
