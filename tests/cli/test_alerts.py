"""``naq alert ls``."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from naq.lifecycle import ServiceManager
from naq.observe.alerts.alert import Alert, AlertKind, AlertRecord
from naq.store.codec import encode
from naq.store.keys import alert_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Put
from tests.cli.conftest import Command

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


async def store(config: dict[str, Any], name: str, kind: AlertKind, subject: str) -> None:
    alert = Alert(
        kind=kind,
        name=name,
        application="my.shop",
        rule="failed 3 times",
        subject=subject,
        since=NOW,
        at=NOW,
        reason="the last 3 runs failed: no [stock]",
        schedule_id=None if ":" in subject else subject,
    )
    async with ServiceManager(config) as services:
        kv = await services.get_service(KVStoreService)
        await kv.transact([Put(alert_key("my.shop", name, subject), encode(AlertRecord(alert=alert, untold=(alert,))))])


async def test_what_is_firing(config: dict[str, Any], naq: Command) -> None:
    await store(config, "exports", AlertKind.FIRED, "nightly")
    await store(config, "over", AlertKind.RESOLVED, "reports:send")
    outcome = await asyncio.to_thread(naq, "alert", "ls")
    assert outcome.code == 0
    assert "exports" in outcome.out and "no [stock]" in outcome.out and "1 waiting" in outcome.out
    assert "over" not in outcome.out
    (found,) = (await asyncio.to_thread(naq, "alert", "ls", "--json")).json
    assert (found["firing"], found["name"], found["since"], found["untold"]) == (True, "exports", NOW.timestamp(), 1)
    everything = (await asyncio.to_thread(naq, "alert", "ls", "--all", "--json")).json
    assert {each["name"]: each["firing"] for each in everything} == {"exports": True, "over": False}
    (about,) = (await asyncio.to_thread(naq, "alert", "ls", "--all", "--schedule", "nightly", "--json")).json
    assert about["name"] == "exports"


def test_none(naq: Command) -> None:
    assert naq("alert", "ls").out.strip() == "no alert is firing"
    assert naq("alert", "ls", "--all").out.strip() == "there are no alerts"
    assert naq("alert", "ls", "--json").json == []
