"""The server ends a connection with an error (``-ERR``): when its cause is gone, everything goes on by itself."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nkeys
import pytest

from naq.exceptions import StoreUnavailable, TransactionTooLarge
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.port import Entry
from naq.testing.server import NatsServer

PATIENCE = 60.0


async def until_read(store: KVStoreService, key: str) -> bytes | None:
    """The key's value, as soon as the store can be asked."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                entry = await store.get(key)
            except StoreUnavailable:
                await asyncio.sleep(0.02)
                continue
            return None if entry is None else entry.value


@dataclass
class Watched:
    """A connection that is in use: a store, a watch on it, and what happened to the connection."""

    store: KVStoreService
    connection: ConnectionService
    seen: asyncio.Queue[Entry]
    lost: asyncio.Event

    async def goes_on(self, value: bytes) -> None:
        """Writes are taken, read back, and seen by the watch that was there before."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.store.put("after", value)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
            assert await until_read(self.store, "after") == value
            while (await self.seen.get()).value != value:
                pass


@asynccontextmanager
async def watched(config: dict[str, Any]) -> AsyncIterator[Watched]:
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        connection = await services.get_service(ConnectionService)
        use = Watched(store, connection, asyncio.Queue(), asyncio.Event())
        connection.on_state(lambda state: use.lost.set() if state is ConnectionState.LOST else None)

        async def watch() -> None:
            async for entries in store.watch(["before", "after"]):
                for entry in entries:
                    use.seen.put_nowait(entry)

        watching = asyncio.create_task(watch())
        try:
            await store.put("before", b"1")
            assert (await use.seen.get()).value == b"1"
            yield use
        finally:
            watching.cancel()
            await asyncio.wait((watching,))


async def test_a_password_that_was_wrong_for_a_while(tmp_path: Path) -> None:
    def users(password: str) -> str:
        return f"authorization {{ user: ann, password: {password} }}"

    async with NatsServer(tmp_path, config=users("right1")) as server:
        config = {"nats_url": server.url, "nats_user": "ann", "nats_password": "right1"}
        async with watched(config) as use:
            await server.reload(users("other2"))
            await use.lost.wait()
            with pytest.raises(StoreUnavailable):
                await use.store.get("before")
            await server.reload(users("right1"))
            await use.goes_on(b"2")


async def test_a_limit_of_connections_that_was_too_low_for_a_while(tmp_path: Path) -> None:
    async with NatsServer(tmp_path) as server:
        config = {"nats_url": server.url}
        async with watched(config) as first, watched(config) as second:
            await server.reload("max_connections: 1")
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait(
                    [asyncio.create_task(each.lost.wait()) for each in (first, second)],
                    return_when=asyncio.FIRST_COMPLETED,
                )
            await server.reload("max_connections: 100")
            await first.goes_on(b"2")
            await second.goes_on(b"3")


async def test_a_value_over_a_limit_that_was_lowered_meanwhile(tmp_path: Path) -> None:
    """The one value is refused; the connection goes on."""
    async with NatsServer(tmp_path) as server, watched({"nats_url": server.url}) as use:
        await server.reload("max_payload: 4096")
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await use.store.put("before", b"x" * 8192)
                except StoreUnavailable:
                    await asyncio.sleep(0.02)
                except TransactionTooLarge as error:
                    assert "4096" in str(error)
                    break
        await use.goes_on(b"2")


async def test_credentials_that_were_renewed_before_the_old_ones_expired(tmp_path: Path) -> None:
    authority = Authority()
    file = tmp_path / "user.creds"
    file.write_text(authority.credentials(expires_in=4))
    async with (
        NatsServer(tmp_path / "server", config=authority.server_config()) as server,
        watched({"nats_url": server.url, "nats_creds": str(file)}) as use,
    ):
        file.write_text(authority.credentials(expires_in=3600))
        await use.lost.wait()
        await use.goes_on(b"2")


@pytest.mark.parametrize("broken", ["", "-----BEGIN NATS USER JWT-----\nabc\n", "nothing of the kind\n" * 3])
async def test_credentials_that_could_not_be_read_for_a_while(tmp_path: Path, broken: str) -> None:
    """As when they are just being written."""
    authority = Authority()
    file = tmp_path / "user.creds"
    file.write_text(authority.credentials(expires_in=3600))
    async with (
        NatsServer(tmp_path / "server", config=authority.server_config()) as server,
        watched({"nats_url": server.url, "nats_creds": str(file)}) as use,
    ):
        file.write_text(broken)
        failed = asyncio.Event()
        seen = use.connection.client._error_cb

        async def on_error(error: Exception) -> None:
            await seen(error)
            if not isinstance(error, OSError) and str(error).startswith("nats: "):
                failed.set()

        use.connection.client._error_cb = on_error
        await server.restart()
        async with asyncio.timeout(PATIENCE):
            await failed.wait()
        file.write_text(authority.credentials(expires_in=3600))
        await use.goes_on(b"2")


async def test_a_start_while_no_connection_is_free(tmp_path: Path) -> None:
    """It waits as long as ``connect_timeout`` allows, and starts when it can."""
    async with (
        NatsServer(tmp_path, config="max_connections: 1") as server,
        ServiceManager({"nats_url": server.url}) as first,
    ):
        await first.get_service(ConnectionService)
        async with ServiceManager({"nats_url": server.url, "connect_timeout": 30}) as second:
            starting = asyncio.create_task(second.get_service(ConnectionService))
            done, _ = await asyncio.wait((starting,), timeout=0.5)
            assert not done, "it gave up at once"
            await first.cleanup()
            async with asyncio.timeout(PATIENCE):
                assert (await starting).is_connected


class Authority:
    """An operator with one account: signs users, and says what its server has to know (JWTs of NATS, version 2)."""

    def __init__(self) -> None:
        self._operator = _pair(nkeys.PREFIX_BYTE_OPERATOR)
        self._account = _pair(nkeys.PREFIX_BYTE_ACCOUNT)
        self._system = _pair(nkeys.PREFIX_BYTE_ACCOUNT)

    def server_config(self) -> str:
        limits = dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn", "leaf"), -1) | {
            "wildcards": True
        }
        storage = dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), -1)
        operator = self._signed(self._operator, self._operator, {"type": "operator", "version": 2})
        account = self._signed(
            self._operator, self._account, {"limits": limits | storage, "type": "account", "version": 2}
        )
        system = self._signed(self._operator, self._system, {"limits": limits, "type": "account", "version": 2})
        names = self._account.public_key.decode(), self._system.public_key.decode()
        return (
            f"operator: {operator}\nsystem_account: {names[1]}\nresolver: MEMORY\n"
            f"resolver_preload: {{ {names[0]}: {account}, {names[1]}: {system} }}\n"
        )

    def credentials(self, expires_in: float) -> str:
        seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
        user = nkeys.from_seed(bytearray(seed))
        permissions = {"subs": -1, "data": -1, "payload": -1, "type": "user", "version": 2}
        token = self._signed(self._account, user, permissions, int(time.time() + expires_in))
        return (
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{seed.decode()}\n------END USER NKEY SEED------\n"
        )

    @staticmethod
    def _signed(issuer: Any, subject: Any, claims: dict[str, Any], expires: int | None = None) -> str:
        body: dict[str, Any] = {
            "jti": os.urandom(8).hex(),
            "iat": int(time.time()),
            "iss": issuer.public_key.decode(),
            "sub": subject.public_key.decode(),
            "name": "test",
            "nats": claims,
        }
        if expires is not None:
            body["exp"] = expires
        text = f"{_part({'typ': 'JWT', 'alg': 'ed25519-nkey'})}.{_part(body)}"
        return f"{text}.{_encoded(issuer.sign(text.encode()))}"


def _pair(prefix: int) -> Any:
    return nkeys.from_seed(bytearray(nkeys.encode_seed(os.urandom(32), prefix)))


def _part(value: dict[str, Any]) -> str:
    return _encoded(json.dumps(value).encode())


def _encoded(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
