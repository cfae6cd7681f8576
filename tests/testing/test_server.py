"""The real servers that naq ships for tests."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import nats
import nats.errors
import pytest

from naq.exceptions import EmbeddedServerError
from naq.store.embedded.program import HOST, greeting, port_is_free
from naq.testing.cluster import nats_cluster
from naq.testing.server import NatsServer, nats_server


async def test_a_server_comes_and_goes() -> None:
    async with nats_server() as server:
        directory, port = server.directory, server.port
        client = await nats.connect(server.url)
        assert (await client.jetstream().account_info()).streams == 0
        await client.close()
    assert port_is_free(port)
    assert not Path.exists(directory)


@pytest.mark.parametrize("sync_always", [False, True])
async def test_kill_and_start_keep_port_and_data(tmp_path: Path, sync_always: bool) -> None:
    async with NatsServer(tmp_path, sync_always=sync_always) as server:
        url, pid = server.url, server.pid
        client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.05)
        back = asyncio.Event()

        async def reconnected() -> None:
            back.set()

        client._reconnected_cb = reconnected
        await client.jetstream().add_stream(name="S", subjects=["s"])
        await client.jetstream().publish("s", b"kept")
        await server.kill()
        assert port_is_free(server.port)
        await server.start()
        await server.start()
        assert server.url == url
        assert server.pid not in (None, pid)
        await asyncio.wait_for(back.wait(), 30)
        assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
        await server.restart()
        assert server.url == url
        await client.close()


async def test_a_paused_server_is_silent_until_it_is_resumed() -> None:
    async with nats_server() as server:
        client = await nats.connect(server.url)
        server.pause()
        with pytest.raises(nats.errors.TimeoutError):
            await client.request("nobody", timeout=0.2)
        assert greeting(server.port, timeout=0.1) is None
        server.resume()
        await client.flush(timeout=10)
        await client.close()
        server.pause()
    assert port_is_free(server.port)


async def test_extra_configuration() -> None:
    async with nats_server(config="max_payload: 4096") as server:
        client = await nats.connect(server.url)
        assert client.max_payload == 4096
        await client.close()


async def test_a_server_that_cannot_start(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "wrong", config="no such thing {")
    with pytest.raises(EmbeddedServerError, match=r"ended:\n.*Parse error"):
        await server.start()
    with pytest.raises(EmbeddedServerError, match="no port yet"):
        _ = NatsServer(tmp_path).url


async def test_a_taken_port_is_refused_when_it_was_asked_for(tmp_path: Path) -> None:
    with socket.socket() as stranger:
        stranger.bind((HOST, 0))
        stranger.listen()
        with pytest.raises(EmbeddedServerError, match="address already in use"):
            await NatsServer(tmp_path, port=stranger.getsockname()[1]).start()


async def test_a_cluster_is_whole_and_survives_a_node() -> None:
    async with nats_cluster(3) as cluster:
        leader = await cluster.meta_leader()
        assert leader is not None
        client = await nats.connect(leader.url)
        stream = await client.jetstream().add_stream(name="S", subjects=["s"], num_replicas=3)
        await client.jetstream().publish("s", b"kept")
        assert stream.cluster is not None
        assert stream.cluster.leader is not None
        leaders = {leader, cluster.named(stream.cluster.leader)}
        follower = next(node for node in cluster.nodes if node not in leaders)
        await follower.kill()
        await follower.start()
        await cluster.whole()
        assert (await client.jetstream().get_msg("S", 1)).data == b"kept"
        await client.close()
    assert [node.pid for node in cluster.nodes] == [None, None, None]


@pytest.mark.slow
async def test_a_cluster_chooses_a_new_leader() -> None:
    async with nats_cluster(3) as cluster:
        leader = await cluster.meta_leader()
        assert leader is not None
        await leader.kill()
        async with asyncio.timeout(60):
            while await cluster.meta_leader() in (None, leader):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await cluster.start()
        assert all(node.pid is not None for node in cluster.nodes)
