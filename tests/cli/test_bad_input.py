"""A table of bad input: each is one message that names the field, the value and a valid example; nothing is written."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from naq.cli import exit_code
from naq.exceptions import EmbeddedServerError, RecordUnreadable, ScheduleExists, SchedulerError, StoreUnavailable
from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from tests.cli.conftest import Command

ADD = ("schedule", "add", "shop:greet")
EVERY = (*ADD, "--every", "1s")

TABLE: dict[str, tuple[tuple[str, ...], str]] = {
    "no time at all": (
        ADD,
        "schedule = []: say when with one of --every, --cron, --at; for example schedule = '--every 10s'",
    ),
    "two times": (
        (*EVERY, "--at", "2030-01-01"),
        "schedule = [{'type': 'interval', 'interval': '1s'}, {'type': 'once', 'run_at': '2030-01-01'}]: "
        "say when with one of --every, --cron, --at; for example schedule = '--every 10s'",
    ),
    "cron out of range": (
        (*ADD, "--cron", "61 * * * *"),
        "schedule.cron = '61 * * * *': '61' in the field minute is not in 0-59; "
        "for example schedule.cron = '*/15 * * * *'",
    ),
    "cron with one field": (
        ("schedule", "explain", "bad"),
        "schedule.cron = 'bad': has 1 fields and needs five (minute hour day month weekday), or six with seconds in "
        "front; for example schedule.cron = '0 9 * * MON-FRI'",
    ),
    "unknown zone": (
        (*ADD, "--cron", "0 9 * * *", "--tz", "Mars/Base"),
        "schedule.timezone = 'Mars/Base': is no time zone of the IANA database on this machine; "
        "for example schedule.timezone = 'Europe/Berlin'",
    ),
    "no time": (
        (*ADD, "--at", "tomorrow"),
        "schedule.run_at = 'tomorrow': is no time (an aware datetime, ISO 8601 text or epoch seconds); "
        "for example schedule.run_at = '2030-01-31T09:00:00+00:00'",
    ),
    "interval of nothing": (
        (*ADD, "--every", "0s"),
        "schedule.interval = '0s': must be more than zero; for example schedule.interval = 3600",
    ),
    "no function": (
        ("schedule", "add", "not a func", "--every", "1s"),
        "job.func = 'not a func': must be a function name of the form module:qualname; "
        "for example job.func = 'reports:send_daily' or a function of a module",
    ),
    "arguments that are no JSON": (
        (*EVERY, "--args", "[1"),
        "--args = '[1': must be JSON (Expecting ',' delimiter: line 1 column 3 (char 2)); "
        "for example --args = '[\"eu\", 3]'",
    ),
    "keyword arguments that are no JSON": (
        (*EVERY, "--kwargs", "region=eu"),
        "--kwargs = 'region=eu': must be JSON (Expecting value: line 1 column 1 (char 0)); "
        'for example --kwargs = \'{"region": "eu"}\'',
    ),
    "arguments that are no list": (
        (*EVERY, "--args", '{"a": 1}'),
        "job.args = {'a': 1}: must be a list or tuple of JSON values; for example job.args = ['eu', 3]",
    ),
    "arguments twice": (
        (*EVERY, "--arg", "eu", "--args", "[]"),
        "--arg = ['eu']: cannot be combined with --args; for example --arg = 'eu'",
    ),
    "an id that is no key": (
        (*EVERY, "--id", "bad id"),
        "schedule_id = 'bad id': an id is 1 to 128 letters, digits, '-', '_' or '=' (it becomes a key); "
        "for example schedule_id = 'daily-report'",
    ),
    "unknown policy": (
        (*EVERY, "--set", "overlp=skip"),
        "schedule.overlp = 'skip': there is no such key; did you mean 'overlap'?; "
        "for example schedule.overlp = 'skip' as schedule.overlap",
    ),
    "policy without a value": (
        (*EVERY, "--set", "overlap"),
        "--set = 'overlap': must be NAME=VALUE; for example --set = 'overlap=skip'",
    ),
    "unknown if-exists": (
        (*EVERY, "--if-exists", "maybe"),
        "if_exists = 'maybe': is not one of raise, keep, replace; for example if_exists = 'keep'",
    ),
    "several at once": (
        (*EVERY, "--queue", "a b", "--retries", "-1"),
        "job.queue = 'a b': a queue is 1 to 64 letters, digits, '-' or '_'; for example job.queue = 'mail'\n"
        "job.retries = -1: must be 0 or more; for example job.retries = 3",
    ),
    "unknown status of schedules": (
        ("schedule", "ls", "--status", "gone"),
        "status = 'gone': is not one of active, paused, completed, cancelled; for example status = 'active'",
    ),
    "update of nothing": (
        ("schedule", "update", "x"),
        "changes = (none): say what to change; for example changes = max_runs=10",
    ),
    "range without an end": (
        ("schedule", "backfill", "x", "2026-01-01", "tomorrow"),
        "last = 'tomorrow': must be an instant (a datetime, ISO text, epoch seconds); "
        "for example last = '2030-01-31T09:00:00Z'",
    ),
    "unknown status of jobs": (
        ("job", "ls", "--status", "gone"),
        "status = ['gone']: must be one of deferred, queued, running, completed, failed, cancelled, missed; "
        "for example status = 'queued'",
    ),
    "retry of nothing": (
        ("job", "retry"),
        "ID = None: give one id, or --all; for example ID = 'report-1'",
    ),
    "no age": (
        ("job", "purge", "--older-than", "never"),
        "--older-than = 'never': is no duration (seconds, a timedelta, or text like '1h30m'); "
        "for example --older-than = '5m'",
    ),
    "no queue": (
        ("queue", "purge", "bad queue", "--yes"),
        "queue = 'bad queue': a queue is 1 to 64 letters, digits, '-' or '_'; for example queue = 'mail'",
    ),
    "no duration": (
        ("events", "--since", "x"),
        "--since = 'x': is no duration (seconds, a timedelta, or text like '1h30m'); for example --since = '5m'",
    ),
    "unknown log level": (
        ("--log-level", "LOUD", "schedule", "ls"),
        "log_level = 'LOUD': must be one of DEBUG, INFO, WARNING, ERROR; for example log_level = 'INFO'",
    ),
    "no configuration file": (
        ("--config", "nope.toml", "schedule", "ls"),
        "config file = 'nope.toml': cannot be read (No such file or directory); for example config file = 'naq.toml'",
    ),
    "no NATS scheme": (
        ("--nats-url", "http://user:hunter2@x", "schedule", "ls"),
        "nats_url = ***: the scheme 'http' is not one of nats, tls, ws, wss; "
        "for example nats_url = 'nats://127.0.0.1:4222'",
    ),
    "no application in the module": (
        ("run", "json:app"),
        "MODULE:APP = 'json:app': module 'json' has no Naq called 'app'; for example MODULE:APP = 'myapp:app'",
    ),
    "no module's name": (
        ("worker", ":app"),
        "MODULE:APP = ':app': must name a module; for example MODULE:APP = 'myapp:app'",
    ),
}

USAGE: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown command": (("nonsense",), "No such command 'nonsense'"),
    "unknown option": (("schedule", "ls", "--sttus", "active"), "No such option"),
    "missing argument": (("schedule", "pause"), "Missing argument 'ID'"),
    "no number": (("schedule", "add", "shop:greet", "--every", "1s", "--max-runs", "many"), "--max-runs"),
    "too many to skip": (("schedule", "skip", "x", "99999"), "Invalid value for 'COUNT'"),
    "nobody to ask": (("queue", "purge", "mail"), "must be given: there is no terminal to ask"),
}


@pytest.mark.parametrize("name", TABLE)
def test_bad_input_is_one_message(name: str, naq: Command) -> None:
    arguments, message = TABLE[name]
    result = naq(*arguments)
    assert (result.code, result.out, result.err) == (2, "", f"naq: {message}\n")


def test_a_time_in_the_past(naq: Command) -> None:
    result = naq(*ADD, "--at", "2020-01-01")
    assert result.code == 2
    assert result.err.startswith("naq: schedule.run_at = '2020-01-01T00:00:00+00:00': it lies in the past (now is ")


@pytest.mark.parametrize("name", USAGE)
def test_bad_usage(name: str, naq: Command) -> None:
    arguments, message = USAGE[name]
    result = naq(*arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert "Traceback" not in result.err


def test_an_unknown_module_says_where_it_looked(naq: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = naq("worker", "nomodule:app")
    assert result.code == 2
    assert result.err == (
        f"naq: MODULE:APP = 'nomodule:app': there is no module 'nomodule' here (looked in {tmp_path} and the installed "
        "packages); for example MODULE:APP = 'myapp:app'\n"
    )


def test_unknown_settings_are_named_all_at_once(naq: Command, tmp_path: Path) -> None:
    file = tmp_path / "naq.toml"
    file.write_text("[naq]\nnamspace = 'x'\nreplicas = 2\n")
    result = naq("--config", str(file), "schedule", "ls")
    assert result.code == 2
    first, second = result.err.splitlines()
    assert first.startswith("naq: namspace = (given): there is no such key, did you mean 'namespace'?")
    assert second == "replicas = 2: must be 1, 3 or 5; for example replicas = 3"


def test_a_server_that_is_not_there(command: Command) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = command("--nats-url", f"nats://someone:hunter2@127.0.0.1:{port}", "schedule", "ls", "--json")
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(f"naq: cannot connect to NATS at nats://127.0.0.1:{port} ")
    assert result.err.count("\n") == 1
    assert "hunter2" not in result.err


def test_debug_shows_where_it_comes_from_and_no_secret(command: Command) -> None:
    result = command("--debug", "--nats-url", "http://someone:hunter2@x", "schedule", "ls")
    assert result.code == 2
    assert "Traceback" in result.err
    assert "hunter2" not in result.err


def test_nothing_was_written(naq: Command, config: dict[str, Any]) -> None:
    for arguments, _ in TABLE.values():
        if arguments[:2] == ADD[:2]:
            assert naq(*arguments).code == 2

    async def keys() -> list[str]:
        async with ServiceManager(config) as services:
            store = await services.get_service(KVStoreService)
            return [key async for page in store.keys(">") for key in page]

    assert asyncio.run(keys()) == []


def test_exit_codes() -> None:
    lost = SchedulerError("cannot be asked")
    lost.__cause__ = StoreUnavailable("no answer")
    assert exit_code(lost) == 3
    assert exit_code(EmbeddedServerError("it ended")) == 3
    assert exit_code(ScheduleExists("x")) == 1
    assert exit_code(RecordUnreadable("schedule.x", "rubbish")) == 1
