"""Ways to prove who one is: token, user, nkey, TLS with and without a client certificate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nkeys
import pytest
import trustme

from naq.exceptions import ConfigError, StoreUnavailable
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.testing.server import NatsServer


async def works(config: dict[str, Any]) -> bool:
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        return await store.create("a", b"1") is not None


@pytest.fixture
def seed(tmp_path: Path) -> tuple[Path, str]:
    """A file with the seed of a fresh user, and the user's public key."""
    raw = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    file = tmp_path / "user.nk"
    file.write_bytes(raw)
    return file, nkeys.from_seed(bytearray(raw)).public_key.decode()


async def test_a_token(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config='authorization { token: "t0k3n" }') as server:
        assert await works({"nats_url": server.url, "nats_token": "t0k3n"})


async def test_user_and_password(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config="authorization { user: ann, password: pw }") as server:
        assert await works({"nats_url": server.url, "nats_user": "ann", "nats_password": "pw"})


async def test_an_nkey(tmp_path: Path, seed: tuple[Path, str]) -> None:
    file, public = seed
    async with NatsServer(tmp_path / "server", config=f"authorization {{ users: [ {{ nkey: {public} }} ] }}") as server:
        assert await works({"nats_url": server.url, "nats_nkey": str(file)})


def certified(tmp_path: Path) -> str:
    """Make certificates, and return the server's configuration without its end."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    for name in ("server", "client"):
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        certificate.cert_chain_pems[0].write_to_path(str(tmp_path / f"{name}.pem"))
    return f'cert_file: "{tmp_path}/server.pem", key_file: "{tmp_path}/server.key", ca_file: "{tmp_path}/ca.pem"'


@pytest.mark.parametrize("verify", [False, True])
async def test_tls(tmp_path: Path, verify: bool, caplog: pytest.LogCaptureFixture) -> None:
    tls = f"tls {{ {certified(tmp_path)}, verify: {str(verify).lower()} }}"
    client = {"tls_cert": str(tmp_path / "client.pem"), "tls_key": str(tmp_path / "client.key")} if verify else {}
    async with NatsServer(tmp_path / "data", config=tls) as server:
        url = server.url.replace("nats://", "tls://")
        assert await works({"nats_url": url, "tls_ca": str(tmp_path / "ca.pem"), **client})
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({}, "it wants credentials, and none were given: set nats_creds"),
        ({"nats_user": "ann", "nats_password": "wrong"}, "it does not accept the credentials that were given"),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
async def test_a_server_that_wants_credentials_is_named_as_the_cause(
    tmp_path: Path, given: dict[str, str], remedy: str, tls: bool, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = "authorization { user: ann, password: pw }"
    if tls:
        configuration += f"\ntls {{ {certified(tmp_path)} }}"
    async with NatsServer(tmp_path / "data", config=configuration) as server:
        url = server.url.replace("nats://", "tls://") if tls else server.url
        config = {
            "nats_url": url,
            "connect_timeout": 1,
            **({"tls_ca": str(tmp_path / "ca.pem")} if tls else {}),
            **given,
        }
        with pytest.raises(StoreUnavailable, match="Authorization Violation") as caught:
            await works(config)
        assert remedy in str(caught.value)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_certificate_that_cannot_be_loaded_is_a_config_error(tmp_path: Path) -> None:
    async with ServiceManager({"nats_url": "tls://127.0.0.1:9", "tls_ca": str(tmp_path / "none.pem")}) as services:
        with pytest.raises(ConfigError, match="tls_ca"):
            await services.get_service(KVStoreService)


async def test_an_unreachable_host_among_the_servers_does_not_matter(nats_url: str) -> None:
    config = {"nats_url": ["nats://127.0.0.1:9", nats_url], "namespace": f"list{os.getpid()}"}
    assert await works(config)


async def test_an_nkey_file_that_is_not_there_is_one_clear_error(nats_url: str, tmp_path: Path) -> None:
    async with ServiceManager({"nats_url": nats_url, "nats_nkey": str(tmp_path / "none.nk")}) as services:
        with pytest.raises((ConfigError, StoreUnavailable), match="nats_nkey"):
            await services.get_service(KVStoreService)
