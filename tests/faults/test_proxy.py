"""The proxy does what it is told: passes, cuts one way or both, delays, breaks, and loses the answer to a commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionState
from naq.store.port import Check, Committed, Put, Unknown, Write
from tests.faults.proxy import HOST, Frames, Proxy, Way

PATIENCE = 30.0
MOMENT = 0.1
"""Seconds in which something would have arrived on loopback."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Server:
    """Accepts connections, and hands them to the test."""

    port: int = 0
    accepted: asyncio.Queue[Streams] = field(default_factory=asyncio.Queue)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    writers = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        made.accepted.put_nowait((reader, writer))

    listening = await asyncio.start_server(accept, HOST, 0)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    listening.close()
    for writer in writers:
        writer.transport.abort()
    await listening.wait_closed()


@pytest.fixture
async def proxy(server: Server) -> AsyncIterator[Proxy]:
    async with Proxy(server.port) as running:
        yield running


@dataclass
class Ends:
    """Both ends of one connection through the proxy."""

    client: Streams
    server: Streams


@pytest.fixture
async def ends(proxy: Proxy, server: Server) -> AsyncIterator[Ends]:
    client = await asyncio.open_connection(HOST, proxy.port)
    yield Ends(client, await server.accepted.get())
    client[1].transport.abort()


async def arrives(at: Streams, expected: bytes) -> None:
    async with asyncio.timeout(PATIENCE):
        assert await at[0].readexactly(len(expected)) == expected


async def nothing_arrives(at: Streams) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(MOMENT):
            await at[0].read(1)


async def is_closed(end: Streams) -> None:
    async with asyncio.timeout(PATIENCE):
        try:
            assert await end[0].read() == b""
        except ConnectionResetError:
            return


async def test_what_is_sent_arrives_both_ways(ends: Ends) -> None:
    ends.client[1].write(b"PING\r\nPUB a 4\r\nx\r\ny\r\n")
    await arrives(ends.server, b"PING\r\nPUB a 4\r\nx\r\ny\r\n")
    ends.server[1].write(b"MSG a 1 2\r\nab\r\nPONG\r\n")
    await arrives(ends.client, b"MSG a 1 2\r\nab\r\nPONG\r\n")


async def test_a_close_is_passed_on(ends: Ends) -> None:
    ends.client[1].close()
    await is_closed(ends.server)


@pytest.mark.parametrize("way", Way)
async def test_one_way_is_cut_and_the_other_passes_until_it_is_healed(proxy: Proxy, ends: Ends, way: Way) -> None:
    ends_of = {Way.TO_SERVER: (ends.client, ends.server), Way.FROM_SERVER: (ends.server, ends.client)}
    proxy.cut(way)
    for each, (source, target) in ends_of.items():
        source[1].write(b"PING\r\n")
        if each is not way:
            await arrives(target, b"PING\r\n")
    source, target = ends_of[way]
    await nothing_arrives(target)
    proxy.heal()
    await arrives(target, b"PING\r\n")


async def test_a_close_during_a_cut_is_heard_when_it_is_healed(proxy: Proxy, ends: Ends) -> None:
    proxy.cut()
    ends.client[1].write(b"PING\r\n")
    ends.client[1].close()
    await nothing_arrives(ends.server)
    proxy.heal()
    await arrives(ends.server, b"PING\r\n")
    await is_closed(ends.server)


async def test_no_connection_is_made_during_a_cut(proxy: Proxy, server: Server) -> None:
    proxy.cut(Way.FROM_SERVER)
    client = await asyncio.open_connection(HOST, proxy.port)
    client[1].write(b"PING\r\n")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(MOMENT):
            await server.accepted.get()
    proxy.heal()
    await arrives(await server.accepted.get(), b"PING\r\n")
    client[1].transport.abort()


async def test_a_delay_holds_each_message_for_its_time_and_keeps_the_order(proxy: Proxy, ends: Ends) -> None:
    proxy.delay = 0.2
    began = asyncio.get_running_loop().time()
    ends.client[1].write(b"PUB a 1\r\n1\r\n")
    await ends.client[1].drain()
    ends.client[1].write(b"PUB a 1\r\n2\r\n")
    await arrives(ends.server, b"PUB a 1\r\n1\r\nPUB a 1\r\n2\r\n")
    assert asyncio.get_running_loop().time() - began >= proxy.delay


async def test_broken_connections_are_closed_at_both_ends_and_new_ones_made(
    proxy: Proxy, server: Server, ends: Ends
) -> None:
    proxy.break_connections()
    await is_closed(ends.client)
    await is_closed(ends.server)
    client = await asyncio.open_connection(HOST, proxy.port)
    await server.accepted.get()
    client[1].transport.abort()


async def test_a_flapping_link_is_whole_in_the_end(proxy: Proxy, ends: Ends) -> None:
    flapping = asyncio.create_task(proxy.flap(3, 0.02, 0.01))
    for _ in range(20):
        ends.client[1].write(b"PING\r\n")
        await asyncio.sleep(0.005)
    await flapping
    await arrives(ends.server, b"PING\r\n" * 20)


async def test_a_server_that_is_not_there_closes_the_connection(server: Server) -> None:
    async with Proxy(1) as nowhere:
        client = await asyncio.open_connection(HOST, nowhere.port)
        await is_closed(client)
        client[1].transport.abort()


@given(st.data())
def test_frames_are_found_however_the_stream_is_split(data: st.DataObject) -> None:
    payloads = st.binary(max_size=30)
    made: list[bytes] = []
    for kind, payload in data.draw(st.lists(st.tuples(st.sampled_from(["PING", "PUB", "HMSG"]), payloads), max_size=8)):
        if kind == "PING":
            made.append(b"PING\r\n")
        elif kind == "PUB":
            made.append(b"PUB a.b reply %d\r\n%b\r\n" % (len(payload), payload))
        else:
            head = b"NATS/1.0\r\n\r\n"
            made.append(b"HMSG a 1 %d %d\r\n%b%b\r\n" % (len(head), len(head) + len(payload), head, payload))
    stream = b"".join(made)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    frames = Frames()
    edges = [0, *cuts, len(stream)]
    found = [frame for start, end in pairwise(edges) for frame in frames.take(stream[start:end])]
    assert found == made


@pytest.mark.parametrize("then_break", [False, True])
async def test_the_answer_to_a_commit_is_lost_and_the_commit_is_not(config: dict[str, Any], then_break: bool) -> None:
    port = urlsplit(config["nats_url"]).port
    assert port is not None
    async with Proxy(port) as proxy, ServiceManager(config | {"nats_url": proxy.url, "request_timeout": 1}) as services:
        store = await services.get_service(KVStoreService)
        revision = await store.put("epoch", b"1")
        restored = asyncio.Event()
        store.connection.on_state(lambda state: restored.set() if state is ConnectionState.RESTORED else None)
        proxy.lose_answers(then_break=then_break)
        writes: list[Write] = [Check("epoch", revision), Put("a", b"1", 0)]
        outcome = await store.transact(writes)
        assert isinstance(outcome, Unknown), outcome
        assert proxy.lost == 1
        async with ServiceManager(config) as direct:
            entry = await (await direct.get_service(KVStoreService)).get("a")
        assert entry is not None
        if then_break:
            async with asyncio.timeout(PATIENCE):
                await restored.wait()
        assert isinstance(await store.transact([Check("epoch", revision), Put("b", b"1", 0)]), Committed)
