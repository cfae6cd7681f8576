"""The connection and the bucket: what is refused, what is said, and what survives."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from naq.config import load_settings
from naq.exceptions import ConfigError, StoreUnavailable, StoreUnsuitable, TransactionTooLarge
from naq.lifecycle import ServiceManager
from naq.observe.doctor import Level, check_up
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.bucket_config import bucket_config, mirrors_of
from naq.store.nats.client import RawClient
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.event_stream import EventService
from naq.store.nats.protocol import Delivery, header_field, parse_delivery, status_code
from naq.store.port import Committed, Put, Refused
from naq.testing.server import NatsServer

SECRET = "hunter2hunter2"


async def test_an_unreachable_server_is_one_clear_error() -> None:
    config = {"nats_url": f"nats://ann:{SECRET}@127.0.0.1:9", "connect_timeout": 0.5}
    async with ServiceManager(config) as services:
        with pytest.raises(
            StoreUnavailable, match=r"cannot connect to NATS at nats://127.0.0.1:9 .*start a server"
        ) as caught:
            await services.get_service(ConnectionService)
    assert SECRET not in str(caught.value)


def test_secrets_are_in_no_repr_and_no_error() -> None:
    settings = load_settings(
        {"nats_url": f"nats://ann:{SECRET}@h:1", "nats_user": "ann", "nats_password": SECRET, "nats_token": SECRET},
        environment={},
    )
    assert SECRET not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        load_settings(
            {"nats_url": f"ftp://ann:{SECRET}@h:1", "nats_password": 5, "nats_token": [SECRET]}, environment={}
        )
    assert SECRET not in str(caught.value)
    assert str(caught.value).count("\n") >= 2


async def test_a_server_with_users_and_no_secret_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    users = f'authorization {{ user: ann, password: "{SECRET}" }}'
    async with NatsServer(tmp_path, config=users) as server:
        config = {"nats_url": server.url, "nats_user": "ann", "nats_password": SECRET}
        async with ServiceManager(config) as services:
            store = await services.get_service(KVStoreService)
            assert await store.create("a", b"1") is not None
            await server.restart()
            async with asyncio.timeout(30):
                while (found := await read_when_possible(store)) is None:
                    pass
            assert found == b"1"
    assert SECRET not in caplog.text


async def read_when_possible(store: KVStoreService) -> bytes | None:
    try:
        entry = await store.get("a")
    except StoreUnavailable:
        await asyncio.sleep(0.01)
        return None
    assert entry is not None
    return entry.value


async def test_jetstream_switched_off_says_what_to_do(tmp_path: Path) -> None:
    program = NatsServer(tmp_path, config="jetstream: disabled")
    async with program as server, ServiceManager({"nats_url": server.url}) as services:
        with pytest.raises(StoreUnsuitable, match="nats-server -js"):
            await services.get_service(KVStoreService)


async def test_a_bucket_without_atomic_publish_says_what_to_do(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        connection = await services.get_service(ConnectionService)
        store = KVStoreService(config, connection)
        plain = {**bucket_config(store.names, 1, datetime.now(UTC)), "allow_atomic": False}
        await connection.stream_service.ensure(plain)
        with pytest.raises(StoreUnsuitable, match=r"atomic publish is off.*nats stream edit"):
            await services.get_service(KVStoreService)


@pytest.mark.parametrize(
    ("changed", "said", "mended_by"),
    [
        ({"max_age": 3_600_000_000_000}, "expire", {"max_age": 0}),
        ({"max_bytes": 1_000_000, "discard": "old"}, "max_bytes with discard old", {"discard": "new"}),
        ({"max_msgs": 1000}, "max_msgs", {"max_msgs": -1}),
        ({"max_msgs_per_subject": 5}, "more than one message", {"max_msgs_per_subject": 1}),
        ({"retention": "interest"}, "retention is 'interest'", None),
    ],
)
async def test_a_bucket_whose_records_would_vanish_is_refused_with_what_mends_it(
    config: dict[str, Any], changed: dict[str, Any], said: str, mended_by: dict[str, Any] | None
) -> None:
    async with ServiceManager(config) as services:
        connection = await services.get_service(ConnectionService)
        names = KVStoreService(config, connection).names
        made = await connection.stream_service.ensure({**bucket_config(names, 1, datetime.now(UTC)), **changed})
        with pytest.raises(StoreUnsuitable, match=said) as caught:
            await services.get_service(KVStoreService)
        if mended_by is None:
            assert "create it again" in str(caught.value)
            return
        (name,) = mended_by
        assert f"nats stream edit {names.stream} --{name.replace('_', '-')}={mended_by[name]}" in str(caught.value)
        await connection.stream_service.update({**made["config"], **mended_by})
        assert await (await services.get_service(KVStoreService)).create("a", b"1") is not None


async def test_a_bucket_that_refuses_what_does_not_fit_is_accepted(config: dict[str, Any]) -> None:
    """Nothing vanishes: writes are refused when it is full, loudly."""
    async with ServiceManager(config) as services:
        connection = await services.get_service(ConnectionService)
        names = KVStoreService(config, connection).names
        await connection.stream_service.ensure({**bucket_config(names, 1, datetime.now(UTC)), "max_bytes": 1_000_000})
        assert await (await services.get_service(KVStoreService)).create("a", b"1") is not None


async def test_a_lone_server_that_can_tear_transactions_is_named_at_connection_and_by_doctor(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with ServiceManager(config) as services:
        await services.get_service(ConnectionService)
    assert "can lose a part of a transaction" not in caplog.text
    assert [each.level for each in await check_up(load_settings(config)) if each.subject == "server"] == [Level.OK]
    monkeypatch.setattr("naq.store.nats.connection.WHOLE_BATCHES", (99, 0, 0))
    async with ServiceManager(config) as services:
        await services.get_service(ConnectionService)
    assert "can lose a part of a transaction at a power failure: upgrade it to 2.15" in caplog.text
    (found,) = [each for each in await check_up(load_settings(config)) if each.subject == "server"]
    assert found.level is Level.ERROR
    assert found.remedy is not None and "2.15" in found.remedy


async def test_a_mirror_of_the_bucket_is_named_by_doctor(config: dict[str, Any]) -> None:
    """The server lets a mirror answer direct gets of its origin, and it cannot be told not to."""
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        streams = store.connection.stream_service
        made = await streams.ensure(
            {"name": f"{store.names.stream}_copy", "mirror": {"name": store.names.stream}, "storage": "memory"}
        )
        assert await mirrors_of(store.connection, store.names.stream) == [made["config"]["name"]]
        found = [each for each in await check_up(load_settings(config)) if "mirrors it" in each.found]
        assert [each.level for each in found] == [Level.ERROR]
        await streams.delete(made["config"]["name"])
        assert not [each for each in await check_up(load_settings(config)) if "mirrors it" in each.found]


async def test_events_of_a_year_that_the_server_cannot_tell_are_none(config: dict[str, Any]) -> None:
    """Asked for an instant after 2262 the server answers with the first message."""
    async with ServiceManager(config) as services:
        events = await services.get_service(EventService)
        await events.log_event({"type": "job_scheduled", "schedule_id": "a"})
        await events.outbox.flush()
        assert await events.sequence_at(datetime(2200, 1, 1, tzinfo=UTC)) is None
        assert await events.sequence_at(datetime(2263, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("name", ["job_ttl", "history_age", "events_age"])
def test_a_lifetime_that_the_server_refuses_is_refused_in_the_settings(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name} = .*100 years"):
        load_settings({name: 1e10}, environment={})
    assert load_settings({name: 3e9}, environment={})


async def test_an_old_server_says_what_to_do(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("naq.store.nats.connection.OLDEST_SERVER", (99, 0, 0))
    async with ServiceManager(config) as services:
        with pytest.raises(StoreUnsuitable, match=r"naq needs 2\.12\.1 or newer"):
            await services.get_service(KVStoreService)


async def test_states_are_told(tmp_path: Path) -> None:
    told: list[ConnectionState] = []
    changed = asyncio.Event()
    async with NatsServer(tmp_path) as server, ServiceManager({"nats_url": server.url}) as services:
        connection = await services.get_service(ConnectionService)

        def on_state(state: ConnectionState) -> None:
            told.append(state)
            changed.set()

        connection.on_state(on_state)
        await server.kill()
        async with asyncio.timeout(30):
            await changed.wait()
            assert told == [ConnectionState.LOST]
            with pytest.raises(StoreUnavailable):
                await connection.api("INFO")
            changed.clear()
            await server.start()
            await changed.wait()
        assert told == [ConnectionState.LOST, ConnectionState.RESTORED]
        assert "memory" in await connection.api("INFO")


async def test_a_transaction_is_all_or_nothing(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    first = await store.create("a", b"1")
    assert first is not None
    outcome = await store.transaction().check("a", first).create("b", b"2").put("c", {"n": 1}).commit()
    assert isinstance(outcome, Committed)
    assert outcome.revisions == (0, first + 3, first + 2), (
        "in the order of `naq.store.ordering`: b is created, c is put"
    )
    assert await store.get_json("c") == {"n": 1}
    refused = await store.transaction().check("a", first + 1).put("c", b"x").create("d", b"y").commit()
    assert isinstance(refused, Refused)
    assert await store.get("d") is None


async def test_an_opened_batch_is_used_once_and_is_fenced(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    check_revision = await store.put("epoch", b"1")
    transaction = store.transaction().check("epoch", check_revision).create("a", b"1")
    check = transaction.writes[0]
    assert not isinstance(check, Put)
    await store.expect(check)  # type: ignore[arg-type]
    await store.put("epoch", b"2")
    assert isinstance(await transaction.commit(), Refused)
    assert await store.get("a") is None


async def test_what_is_too_large_is_refused_before_it_is_sent(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    many = store.transaction()
    for number in range(1001):
        many.put(f"k.{number}", b"x")
    with pytest.raises(TransactionTooLarge, match="1001 messages"):
        await many.commit()
    with pytest.raises(TransactionTooLarge, match="the server accepts 1048576"):
        await store.put("big", b"x" * 1_100_000)
    assert await store.last_revision(">") == 0


async def test_keys_come_in_pages_and_skip_the_deleted(services: ServiceManager) -> None:
    store = await services.get_service(KVStoreService)
    for name in ("k.a", "k.b", "k.c", "other"):
        await store.create(name, b"1")
    assert await store.delete("k.b") is True
    assert await store.delete("k.b") is False
    assert [key async for page in store.keys("k.>") for key in page] == ["k.a", "k.c"]
    assert await store.create("k.b", b"again") is not None
    assert await store.update("k.b", b"2", revision=1) is None


async def test_a_watch_goes_on_after_a_restart_of_the_server(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server, ServiceManager({"nats_url": server.url}) as services:
        store = await services.get_service(KVStoreService)
        seen: asyncio.Queue[tuple[str, bytes | None]] = asyncio.Queue()

        async def watch() -> None:
            async for entries in store.watch("k.>"):
                for entry in entries:
                    seen.put_nowait((entry.key, entry.value))

        task = asyncio.create_task(watch())
        async with asyncio.timeout(60):
            await store.put("k.1", b"1")
            assert await seen.get() == ("k.1", b"1")
            restored = asyncio.Event()
            store.connection.on_state(lambda state: restored.set() if state is ConnectionState.RESTORED else None)
            await server.kill()
            await server.start()
            await restored.wait()
            await store.put("k.2", b"2")
            await store.delete("k.1")
            assert await seen.get() == ("k.2", b"2")
            assert await seen.get() == ("k.1", None)
        task.cancel()
        await asyncio.wait((task,))


def test_nats_py_still_has_what_the_raw_client_touches() -> None:
    client = RawClient()
    assert isinstance(client._ps, Parser)
    for name in ("_process_msg", "_send_command", "_flush_pending", "_sid", "_connect_to_server", "_transport"):
        assert hasattr(client, name), f"nats-py has no {name} any more: see naq.store.nats.client"


async def test_a_failed_attempt_to_reconnect_leaves_no_socket_open() -> None:
    """The second connection is greeted with what makes no sense. It must be closed, not left to the garbage collector,
    whose warning would fail this test."""
    writers: list[asyncio.StreamWriter] = []
    restored = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(b"?\r\n" if len(writers) == 2 else b'INFO {"version":"2.12.1"}\r\n')
        while line := await reader.readline():
            if line == b"PING\r\n":
                writer.write(b"PONG\r\n")
        writer.close()

    async def on_restored() -> None:
        restored.set()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        client = RawClient()
        await client.connect(f"nats://127.0.0.1:{port}", reconnected_cb=on_restored, reconnect_time_wait=0)
        writers[0].close()
        await restored.wait()
        assert len(writers) == 3
        await client.close()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
async def test_frames_are_cut_wherever_the_network_cuts_them(size: int) -> None:
    client = RawClient()
    frames: list[tuple[bytes, ...]] = []
    client.raw[7] = lambda *frame: frames.append(frame)
    headers = b"NATS/1.0\r\nA: b\r\n\r\n"
    sent = b"MSG a.b 7 3\r\nx\r\n\r\n+OK\r\nHMSG a.c 7 _INBOX.1 %d %d\r\n%bMSG 7\r\n" % (
        len(headers),
        len(headers) + 5,
        headers,
    ) + b"MSG a.d 7 _INBOX.2 0\r\n\r\nHMSG a.e 7 %d %d\r\n%b\r\n" % (len(headers), len(headers), headers)
    for start in range(0, len(sent), size):
        await client._ps.parse(sent[start : start + size])
    assert frames == [
        (b"a.b", b"", b"", b"x\r\n"),
        (b"a.c", b"_INBOX.1", headers, b"MSG 7"),
        (b"a.d", b"_INBOX.2", b"", b""),
        (b"a.e", b"", headers, b""),
    ]


@pytest.mark.parametrize("line", [b"MSG a\r\n", b"HMSG a 7 x 3\r\n", b"MSG a seven 3\r\n", b"NONSENSE\r\n"])
async def test_what_is_no_nats_is_an_error(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        await RawClient()._ps.parse(line)


def test_protocol_parts() -> None:
    headers = b"NATS/1.0\r\nNats-Sequence: 17\r\nKV-Operation: DEL\r\n\r\n"
    assert header_field(headers, b"Nats-Sequence") == b"17"
    assert header_field(headers, b"Sequence") is None
    assert status_code(headers) == 0
    assert status_code(b"NATS/1.0 503\r\n\r\n") == 503
    short = b"$JS.ACK.KV_naq.worker_mail.2.40.7.1700000000000000000.5"
    long = b"$JS.ACK.domain.account.KV_naq.worker_mail.2.40.7.1700000000000000000.5.token"
    assert parse_delivery(short) == parse_delivery(long) == Delivery(40, 7, 2, 5)
