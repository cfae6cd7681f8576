"""``naq doctor``, ``leader``, ``config``, ``events`` and ``server``: how things stand."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from naq.testing.server import NatsServer
from tests.cli.conftest import Command, Start, finish


def test_doctor_without_a_scheduler(naq: Command) -> None:
    result = naq("doctor")
    assert result.code == 0, "a warning is no error"
    for subject in ("server", "JetStream", "bucket", "replicas", "sync on write", "clock", "leader", "time zones"):
        assert subject in result.out
    assert "no scheduler leads: nothing fires" in result.out
    findings = naq("doctor", "--json").json
    assert {each["level"] for each in findings} <= {"ok", "warning"}
    assert all(each["remedy"] for each in findings if each["level"] != "ok")


def test_health_is_an_exit_code(naq: Command, command: Command) -> None:
    live = naq("health", "live")
    assert (live.code, live.out) == (0, "well\n")
    ready = naq("health", "ready", "--json").json
    assert ready["well"] is True
    assert [each["code"] for each in ready["findings"]] == ["sync-unknown", "no-leader"]
    for question in ("live", "ready"):
        gone = command("--nats-url", "nats://127.0.0.1:1", "health", question)
        assert gone.code == 1
        assert gone.out.startswith("not well\nerror: no-connection: cannot be used -> cannot connect to NATS")


def test_doctor_when_the_server_is_not_there(command: Command) -> None:
    result = command("--nats-url", "nats://127.0.0.1:1", "doctor", "--json")
    assert result.code == 1
    assert [each["subject"] for each in result.json if each["level"] == "error"] == ["server"]


def test_doctor_on_a_server_without_jetstream(command: Command, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "bare")
    original = server._configuration
    server._configuration = lambda: "\n".join(  # type: ignore[method-assign]
        line for line in original().splitlines() if not line.startswith("jetstream")
    )
    asyncio.run(server.start())
    try:
        result = command("--nats-url", server.url, "doctor", "--json")
    finally:
        asyncio.run(server.stop())
    assert result.code == 1
    assert "nats-server -js" in json.dumps([each for each in result.json if each["level"] == "error"])


async def test_who_leads(naq: Command, start: Start) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(naq, *arguments)

    nobody = await ask("leader")
    assert (nobody.code, nobody.out.startswith("no instance leads")) == (1, True)
    assert (await ask("leader", "--json")).json is None
    first = await start("scheduler", "--instance-id", "first")
    assert first.lines == ["naq scheduler ready instance=first leader=true"]
    second = await start("scheduler", "--instance-id", "second")
    assert second.lines == ["naq scheduler ready instance=second leader=false"]
    leader = (await ask("leader", "--json")).json
    assert leader["instance_id"] == "first"
    assert leader["became_leader_at"] <= leader["last_heartbeat"]
    assert "first" in (await ask("leader")).out
    assert {"leader": "ok"}.items() <= {
        each["subject"]: each["level"] for each in (await ask("doctor", "--json")).json
    }.items()
    watching = await start("events", "--type", "scheduler_became_leader", "--since", "1h", "--json", until='"first"')
    first.signal(signal.SIGTERM)
    assert await first.ended() == 0
    await watching.line('"second"')
    assert (await ask("leader", "--json")).json["instance_id"] == "second"
    second.signal(signal.SIGINT)
    assert await second.ended() == 0
    assert (await ask("leader")).code == 1, "whoever ends gracefully resigns"
    watching.signal(signal.SIGINT)
    assert await watching.ended() == 130
    assert all(json.loads(line)["type"] == "scheduler_became_leader" for line in watching.lines)


def test_config_says_where_from_and_hides_secrets(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "naq.toml"
    file.write_text("[naq]\nconcurrency = 3\nnats_token = 'hunter2'\npriority = 9\n")
    monkeypatch.setenv("NAQ_DRAIN_TIMEOUT", "7")
    monkeypatch.setenv("NAQ_PRIORITY", "8")
    given = [
        "--nats-url",
        "nats://someone:hunter2@host,nats://other:4222",
        "--namespace",
        "shop",
        "--config",
        str(file),
    ]
    found = command(*given, "config", "--json")
    assert "hunter2" not in found.out
    form = found.json
    assert form["nats_url"] == {"value": ["nats://***@host", "nats://other:4222"], "from": "command line"}
    assert form["namespace"] == {"value": "shop", "from": "command line"}
    assert form["nats_token"] == {"value": "***", "from": str(file)}
    assert form["priority"] == {"value": 9, "from": str(file)}
    assert form["drain_timeout"] == {"value": 7.0, "from": "NAQ_DRAIN_TIMEOUT"}
    assert form["replicas"] == {"value": 1, "from": "default"}
    assert form["instance_id"]["from"] == "default"
    table = command(*given, "config")
    assert "hunter2" not in table.out
    assert "NAQ_DRAIN_TIMEOUT" in table.out


def test_events_of_the_past(naq: Command) -> None:
    naq("schedule", "add", "shop:greet", "--every", "1h", "--id", "x")
    naq("schedule", "pause", "x", "--reason", "inventory")
    said = naq("events", "--no-follow", "--since", "1h", "--schedule", "x")
    assert said.code == 0
    first, second = said.out.splitlines()
    assert "job_scheduled" in first
    assert "schedule_paused" in second
    assert "(inventory)" in second
    assert "by cli:" in second
    forms = [json.loads(line) for line in naq("events", "--no-follow", "--since", "1h", "--json").out.splitlines()]
    assert [form["type"] for form in forms if form.get("schedule_id") == "x"] == ["job_scheduled", "schedule_paused"]


async def test_the_embedded_server(command: Command, start: Start, tmp_path: Path) -> None:
    def ask(*arguments: str) -> Any:
        return asyncio.to_thread(command, "--data-dir", str(tmp_path / "own"), *arguments)

    nothing = await ask("server", "status")
    assert (nothing.code, nothing.out) == (1, f"no embedded server runs in {tmp_path / 'own'}\n")
    assert (await ask("server", "status", "--json")).json is None
    assert (await ask("server", "stop")).code == 1
    holder = await start("server", "run", given=["--data-dir", str(tmp_path / "own")])
    assert holder.lines[0].startswith("naq server ready nats://127.0.0.1:")
    status = (await ask("server", "status", "--json")).json
    assert holder.pid in status["members"]
    assert status["answers"] is True
    assert "password" not in json.dumps(status)
    assert (await ask("server", "status")).code == 0
    assert (await ask("schedule", "add", "shop:greet", "--every", "1h", "--id", "x")).code == 0
    assert len((await ask("schedule", "ls", "--json")).json) == 1
    holder.signal(signal.SIGTERM)
    assert await holder.ended() == 0
    assert (await ask("server", "status")).code == 1, "the last one to leave stops it"
    assert len((await ask("schedule", "ls", "--json")).json) == 1, "and it comes back with its data"
    assert (await ask("server", "status")).code == 1


async def test_the_embedded_server_is_stopped_under_its_users(command: Command, start: Start, tmp_path: Path) -> None:
    own = ["--data-dir", str(tmp_path / "own")]
    holder = await start("server", "run", given=own)
    stopped = await asyncio.to_thread(command, *own, "server", "stop")
    assert (stopped.code, stopped.out) == (0, "stopped\n")
    holder.signal(signal.SIGTERM)
    assert await holder.ended() == 0


async def test_a_reader_that_goes_away(options: list[str]) -> None:
    """``naq events | head -1``: no traceback."""
    program = f"{sys.executable} -m naq {' '.join(options)} schedule explain '* * * * *' -n 1000 | head -1"
    process = await asyncio.create_subprocess_shell(
        program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert out.decode().startswith("every minute")
    assert b"Traceback" not in err


def test_a_process_that_cannot_start(shop: Path) -> None:
    result = finish(["--nats-url", "nats://127.0.0.1:1", "run", "shop:app"], {"PYTHONPATH": str(shop)})
    assert (result.code, result.out) == (3, "")
    assert "naq: cannot connect to NATS at nats://127.0.0.1:1" in result.err
    assert "Traceback" not in result.err
