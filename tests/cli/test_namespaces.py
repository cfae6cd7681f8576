"""Only what stores something makes a namespace; replicas are raised by one command."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Any

import pytest

from naq.cli import run
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from naq.store.nats.connection import ConnectionService
from naq.testing.cluster import NatsCluster
from tests.cli.conftest import Command


async def streams(config: dict[str, Any]) -> list[str]:
    async with ServiceManager(config) as services:
        connection = await services.get_service(ConnectionService)
        listed = await connection.api("STREAM.NAMES")
        return [name for name in listed.get("streams") or [] if config["namespace"] in name]


@pytest.mark.parametrize(
    "arguments",
    [
        ["leader"],
        ["schedule", "ls"],
        ["schedule", "show", "x"],
        ["schedule", "pause", "x"],
        ["job", "ls"],
        ["job", "show", "x"],
        ["workers"],
        ["queue", "show", "mail"],
        ["alert", "ls"],
        ["events", "--no-follow"],
        ["verify"],
        ["lint"],
        ["doctor"],
        ["health", "ready"],
        ["store", "replicas", "3"],
    ],
    ids=" ".join,
)
def test_reading_a_namespace_that_does_not_exist_says_so_and_makes_nothing(
    arguments: list[str], command: Command, options: list[str], config: dict[str, Any]
) -> None:
    result = command(*options, *arguments)
    assert result.code == 1
    assert f"there is no namespace '{config['namespace']}'" in result.out + result.err
    assert "naq run MODULE:APP" in result.out + result.err
    assert asyncio.run(streams(config)) == []


def test_a_misspelt_namespace_is_told_which_one_was_meant(naq: Command, config: dict[str, Any]) -> None:
    meant = config["namespace"]
    result = naq("--namespace", f"{meant}x", "schedule", "ls")
    assert (result.code, result.out) == (1, "")
    assert f"did you mean '{meant}'?" in result.err


def test_what_stores_something_makes_the_namespace(
    command: Command, options: list[str], config: dict[str, Any]
) -> None:
    added = command(*options, "schedule", "add", "reports:send", "--every", "1h", "--id", "x")
    assert added.code == 0
    assert command(*options, "schedule", "show", "x").code == 0
    assert f"KV_{config['namespace']}" in asyncio.run(streams(config))


@pytest.mark.slow
async def test_replicas_that_differ_from_the_settings_are_raised_by_one_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with NatsCluster(tmp_path) as cluster:
        config = {"nats_url": cluster.urls, "namespace": "shop", "replicas": 1}
        async with ServiceManager(config) as services:
            await services.get_service(ScheduleService)
            await services.get_service(JobService)
        configured = tmp_path / "naq.toml"
        configured.write_text("[naq]\nreplicas = 3\n")
        given = ["--config", str(configured), "--nats-url", ",".join(cluster.urls), "--namespace", "shop"]
        assert await asyncio.to_thread(run, [*given, "doctor"]) == 1
        out, _ = capfd.readouterr()
        assert "naq store replicas 3" in out
        assert await asyncio.to_thread(run, [*given, "store", "replicas", "3"]) == 0
        out, _ = capfd.readouterr()
        assert sorted(out.splitlines()) == [
            "KV_shop: 1 -> 3",
            "KV_shop_results: 1 -> 3",
            "shop_events: 1 -> 3",
            "shop_history: 1 -> 3",
        ]
        assert await asyncio.to_thread(run, [*given, "store", "replicas", "3"]) == 0
        out, _ = capfd.readouterr()
        assert out == "all streams have 3 already\n"


def test_a_backup_is_restored_into_a_namespace_that_does_not_exist_yet(naq: Command, tmp_path: Path) -> None:
    assert naq("schedule", "add", "reports:send", "--every", "1h", "--id", "x").code == 0
    assert naq("backup", str(tmp_path / "naq.backup")).code == 0
    there = f"r{secrets.token_hex(6)}"
    restored = naq("--namespace", there, "restore", str(tmp_path / "naq.backup"))
    assert (restored.code, restored.err) == (0, "")
    assert naq("--namespace", there, "schedule", "show", "x").code == 0
