from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.store.codec import encode
from naq.store.keys import schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.testing.server import until
from tests.cli.conftest import Command


def test_nothing_to_complain_of(naq: Command) -> None:
    naq("schedule", "add", "shop:greet", "--id", "x", "--every", "1h")
    done = naq("verify")
    assert (done.code, done.err) == (0, "")
    assert "✓ all that should have fired did" in done.out
    form = naq("verify", "x", "--since", "30m", "--json").json
    assert form["clean"] is True
    assert (form["figures"]["schedules"], form["findings"], form["unproven"]) == (1, [], [])
    assert form["as_of"] - form["since"] == pytest.approx(1800, abs=60)


def test_a_finding_says_what_when_why_and_what_to_do(naq: Command, config: dict[str, Any]) -> None:
    naq("schedule", "add", "shop:greet", "--id", "late", "--every", "10ms")
    asyncio.run(spoil(config, "bad"))
    done = naq("verify", "--patience", "0s")
    assert done.code == 1
    assert re.search(
        r"^overdue     late \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC to .* UTC \(\d+\): due since ", done.out, re.M
    )
    assert "no scheduler leads, so nothing fires\n            -> start a scheduler: naq scheduler" in done.out
    assert "quarantined bad: its record cannot be read" in done.out
    assert "-> repair the record, upgrade the instance, or: naq schedule delete bad" in done.out
    form = naq("verify", "--patience", "0s", "--json")
    assert form.code == 1
    assert sorted(each["kind"] for each in form.json["findings"]) == ["overdue", "quarantined"]


async def spoil(config: dict[str, Any], name: str) -> None:
    async with ServiceManager(config) as services:
        await (await services.get_service(KVStoreService)).put(schedule_key(name), b"rubbish")


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01", "0s", "-1h"])
def test_a_since_that_is_none_is_one_message(naq: Command, since: str) -> None:
    done = naq("verify", f"--since={since}")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"naq: --since = '{since}': ")
    assert done.err.count("\n") == 1
    assert "for example --since = '24h'" in done.err


def test_a_schedule_that_is_not_there(naq: Command) -> None:
    done = naq("verify", "nobody")
    assert done.code == 1
    assert done.err == "nobody: there is no such schedule\n"


def test_a_server_that_is_not_there(command: Command) -> None:
    done = command("--nats-url", "nats://127.0.0.1:1", "verify")
    assert (done.code, done.out) == (3, "")


def test_a_nightly_report_that_its_window_missed_is_said_beside_the_tick(naq: Command, config: dict[str, Any]) -> None:
    """The schedulers were down at its time, and for longer than its catch-up window."""
    asyncio.run(missed(config))
    done = naq("verify", "--since", "3h")
    assert done.code == 0
    assert re.search(
        r"^not fired   nightly \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC: older than the catch-up window$", done.out, re.M
    )
    assert done.out.splitlines()[-1] == "✓ all that should have fired did; 1 did not, for the reasons above"
    (form,) = naq("verify", "--since", "3h", "--json").json["not_fired"]
    assert (form["schedule_id"], form["count"], form["reason"]) == ("nightly", 1, "older than the catch-up window")
    assert form["first_at"] == form["last_at"]


async def missed(config: dict[str, Any]) -> None:
    past = datetime.now(UTC) - timedelta(hours=1)
    cron = f"{past.minute} {past.hour} * * *"
    past = past.replace(second=0, microsecond=0)
    async with ServiceManager(config) as services:
        schedules = await services.get_service(SchedulerService)
        await schedules.schedule_job("shop:greet", {"cron": cron, "catch_up": "10m"}, schedule_id="nightly")
        record = await schedules.schedules.get("nightly")
        assert record is not None
        store = await services.get_service(KVStoreService)
        down = record.evolve(created_at=past - timedelta(hours=1), next_nominal_at=past, next_run_at=past)
        await store.put(schedule_key("nightly"), encode(down))

        async def is_decided() -> bool:
            found = await schedules.schedules.get("nightly")
            return found is not None and found.missed == 1

        await until(is_decided, lambda: "nobody decided about it")
