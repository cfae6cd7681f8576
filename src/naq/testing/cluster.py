"""A real JetStream cluster for tests: several `NatsServer` on free ports.

::

    async with nats_cluster(3) as cluster:
        await cluster.node(0).kill()

`NatsCluster.start` returns when every node knows the same meta leader and says that it is healthy.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from naq.exceptions import EmbeddedServerError
from naq.store.embedded.program import free_port, last_words
from naq.testing.server import PORT_ATTEMPTS, ClusterPlace, NatsServer, until

__all__ = ["NatsCluster", "nats_cluster"]


class NatsCluster:
    """``n`` servers that form one JetStream cluster, each in its own directory below ``directory``."""

    def __init__(self, directory: Path, n: int = 3, *, config: str = "", sync_always: bool = False) -> None:
        self._directory = directory
        self._size = n
        self._config = config
        self._sync_always = sync_always
        self._nodes: tuple[NatsServer, ...] = ()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    @property
    def nodes(self) -> tuple[NatsServer, ...]:
        """Its servers, running or not; empty before the first `start`."""
        return self._nodes

    def node(self, index: int) -> NatsServer:
        """The server ``n<index>``."""
        return self._nodes[index]

    def named(self, name: str) -> NatsServer:
        """The server of that name, as the server itself tells names, e.g. of a stream's leader. Raises `KeyError`."""
        for node in self._nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def urls(self) -> tuple[str, ...]:
        """The address of every server, to hand to a client."""
        return tuple(node.url for node in self._nodes)

    async def start(self) -> None:
        """Start all nodes that do not run, and return when the cluster is whole (`whole`).

        Raises `EmbeddedServerError` when a node ends, or the cluster is not whole within 30 s.
        """
        for attempt in range(PORT_ATTEMPTS):
            if new := not self._nodes:
                self._nodes = self._arranged()
            try:
                await self._start_all()
                return
            except EmbeddedServerError as error:
                await self.kill()
                if not (new and "address already in use" in str(error)) or attempt + 1 == PORT_ATTEMPTS:
                    raise
                self._nodes = ()
            except BaseException:
                await self.kill()
                raise

    async def whole(self) -> None:
        """Return when all nodes run, are healthy and agree on a meta leader that sees them all.

        Raises `EmbeddedServerError` when that is not so within 30 s.
        """
        await until(self._is_whole, lambda: f"the cluster has no leader that all nodes know:\n{self._last_words()}")

    async def meta_leader(self) -> NatsServer | None:
        """The node that all running nodes name as the meta leader; ``None`` while they do not agree."""
        running = [node for node in self._nodes if node.pid is not None]
        named = {view.leader if view is not None else "" for view in await self._views(running)}
        return self.named(named.pop()) if len(named) == 1 and "" not in named else None

    async def stop(self, sig: int = signal.SIGTERM) -> None:
        """Stop all nodes at the same time and return when all have ended."""
        await asyncio.gather(*(node.stop(sig) for node in self._nodes))

    async def kill(self) -> None:
        """Kill all nodes at the same time, as a power failure does."""
        await self.stop(signal.SIGKILL)

    def _arranged(self) -> tuple[NatsServer, ...]:
        ports: set[int] = set()
        while len(ports) < self._size:
            ports.add(free_port())
        routes = tuple(ports)
        return tuple(
            NatsServer(
                self._directory / f"n{index}",
                name=f"n{index}",
                config=self._config,
                sync_always=self._sync_always,
                place=ClusterPlace(f"test-{self._directory.name}", port, routes),
            )
            for index, port in enumerate(routes)
        )

    async def _start_all(self) -> None:
        for node in self._nodes:
            if node.pid is None:
                node.launch()
        await asyncio.gather(*(node.ready() for node in self._nodes))
        await self.whole()

    async def _is_whole(self) -> bool:
        for node in self._nodes:
            if node.pid is None:
                raise EmbeddedServerError(f"cluster node {node.name!r} ended:\n{last_words(node.log_file)}")
        leader = await self.meta_leader()
        if leader is None:
            return False
        (view,) = await self._views([leader])
        if view is None or sum(peer.current for peer in view.replicas) != self._size - 1:
            return False
        return None not in await asyncio.gather(*(node.monitor("/healthz") for node in self._nodes))

    async def _views(self, nodes: Sequence[NatsServer]) -> list[_MetaView | None]:
        pages = await asyncio.gather(*(node.monitor("/jsz") for node in nodes))
        return [None if page is None else msgspec.json.decode(page, type=_Jsz).meta_cluster for page in pages]

    def _last_words(self) -> str:
        return "\n".join(f"  {node.name}:\n{last_words(node.log_file, lines=3)}" for node in self._nodes)


class _Peer(msgspec.Struct):
    """What the meta leader says about another node."""

    name: str = ""
    current: bool = False


class _MetaView(msgspec.Struct):
    """What one node knows about the meta group."""

    leader: str = ""
    cluster_size: int = 0
    replicas: list[_Peer] = []


class _Jsz(msgspec.Struct):
    """The part of the ``/jsz`` page that is read here."""

    meta_cluster: _MetaView | None = None


@asynccontextmanager
async def nats_cluster(n: int = 3, *, config: str = "", sync_always: bool = False) -> AsyncIterator[NatsCluster]:
    """A running `NatsCluster` of ``n`` nodes in a temporary directory; stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="naq-cluster-") as directory:
        async with NatsCluster(Path(directory), n, config=config, sync_always=sync_always) as cluster:
            yield cluster
