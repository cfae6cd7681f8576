"""One bad record or trigger stops no other: written into the bucket by hand while fifty schedules fire every second.

What cannot be fired is told once, is left as it is, and never fires; the others keep their time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from naq.store.keys import LANES, epoch_key, lease_key
from tests.faults.fleet import TICK, Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 50
GOES_ON = timedelta(seconds=3)
"""For how long the others are looked at after the last bad record was told of."""
PATIENCE = timedelta(seconds=20)
"""Until when each must have been told of."""
LARGE = 64 * 1024
"""Bytes that the server accepts in one message, here."""
LONG_AGO = "2020-01-01T00:00:00Z"


def record(name: str, trigger: Mapping[str, Any], **more: Any) -> bytes:
    """The record of a schedule that is due, written by somebody who did not ask naq."""
    fields = {
        "schedule_id": name,
        "job": {"func": TICK},
        "trigger": trigger,
        "created_at": LONG_AGO,
        "next_nominal_at": LONG_AGO,
        "next_run_at": LONG_AGO,
    }
    return json.dumps(fields | more).encode()


SECONDLY = {"type": "interval", "every": "PT1S", "anchor": LONG_AGO}
NESTED = b'{"a":' * 5000
RUBBISH = {
    "bytes": b"\xff\x00 no record",
    "empty": b"",
    "text": b'"a word"',
    "number": b"7",
    "list": b"[1, 2, 3]",
    "null": b"null",
    "object": b"{}",
    "cut": record("cut", SECONDLY)[:-20],
    "nested": NESTED,
    "kind": record("kind", {"type": "sometimes"}),
    "status": record("status", SECONDLY, status="asleep"),
    "instant": record("instant", SECONDLY, next_run_at="tomorrow"),
    "naive": record("naive", SECONDLY, next_run_at="2020-01-01T00:00:00"),
    "naive-nominal": record("naive-nominal", SECONDLY, next_nominal_at="2020-01-01T00:00:00"),
    "queue": record("queue", SECONDLY, job={"func": TICK, "queue": "a b..>"}),
    "another": record("s0", SECONDLY),
    "tägliches": record("tägliches", SECONDLY),
}
RAISES = {
    "zero": record("zero", {"type": "interval", "every": "PT0S", "anchor": LONG_AGO}),
    "negative": record("negative", {"type": "interval", "every": "-PT1S", "anchor": LONG_AGO}),
    "unbound": record("unbound", {"type": "interval", "every": "PT1S"}),
    "cron": record("cron", {"type": "cron", "expression": "61 * * * *"}),
    "rrule": record("rrule", {"type": "rrule", "rrule": "FREQ=NEVER", "dtstart": "2020-01-01T00:00:00"}),
}
NEWER = {
    "newer": record("newer", SECONDLY, v=2),
    "newer-form": b'{"v": 99, "shape": "unheard of"}',
}


async def stops_no_other(those: Fleet, reports: Reports, fault: str, bad: Mapping[str, bytes]) -> None:
    """Write the records, wait until each is told of, and hold the others to every promise."""
    kv, events = those.schedules._kv, those.schedules._events
    began, terms = now(), len(those.recorder.terms)
    for name, value in bad.items():
        await kv.connection.client.publish(kv.names.subject(f"schedule.{name}"), value)
    told: set[str | None] = set()
    while not told >= bad.keys() and now() < began + PATIENCE:
        await asyncio.sleep(0.1)
        found = await events.get_event_history(types=["schedule_quarantined"], since=began)
        told = {event.schedule_id for event in found}
    assert told == bad.keys(), f"not told of: {bad.keys() - told}"
    await those.recorder.until_nominal(now() + GOES_ON)
    verdict = await those.settled()
    reports.write(fault, verdict, those.recorder, quarantined=len(told), terms=len(those.recorder.terms) - terms)
    assert verdict.clean, verdict
    assert len(those.recorder.terms) == terms, "the leader fell over it"
    kept = await kv.get_many([f"schedule.{name}" for name in bad])
    assert {key.removeprefix("schedule."): entry.value for key, entry in kept.items()} == bad
    await those.sees_changes("later")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "bad"),
    [
        ("rubbish of 17 kinds written into the bucket", RUBBISH),
        ("two records of a newer version written into the bucket", NEWER),
        ("five triggers that raise, written into the bucket", RAISES),
    ],
)
async def test_what_cannot_be_fired(tmp_path: Path, reports: Reports, fault: str, bad: dict[str, bytes]) -> None:
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        await stops_no_other(those, reports, fault, bad)


@pytest.mark.slow
async def test_a_rule_that_names_no_day_ends_its_schedule(tmp_path: Path, reports: Reports) -> None:
    """The 30th of February: well-formed, and there is no next time. What the record says is due is told as missed."""
    rule = {"type": "rrule", "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "dtstart": "2020-01-01T00:00:00"}
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        terms = len(those.recorder.terms)
        await those.schedules._kv.put("schedule.february", record("february", rule))
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while (found := await those.schedules.get_schedule("february")) is None or found["status"] == "active":  # noqa: ASYNC110 - the leader is another process
                await asyncio.sleep(0.1)
        await those.recorder.until_nominal(now() + GOES_ON)
        verdict = await those.settled(but={"february"})
        reports.write("a rule that names no day", verdict, those.recorder)
        assert verdict.clean, verdict
        assert len(those.recorder.terms) == terms, "the leader fell over it"
        assert (found["status"], found["missed"], found["runs"]) == ("completed", 1, 0)


@pytest.mark.slow
async def test_a_record_that_is_too_large_to_fire(tmp_path: Path, reports: Reports) -> None:
    """It could be stored, but not together with what a transaction adds to it: found out when it is due, among others."""
    async with fleet(tmp_path, server_config=f"max_payload: {LARGE}") as those:
        await those.load(COUNT)
        room = LARGE - 50 - len(record("large", SECONDLY, job={"func": TICK, "args": [""]}))
        bad = {"large": record("large", SECONDLY, job={"func": TICK, "args": ["x" * room]})}
        await stops_no_other(those, reports, "a record that is too large to fire", bad)


@pytest.mark.slow
async def test_a_trigger_whose_missed_times_take_long_to_count(tmp_path: Path, reports: Reports) -> None:
    """Two triggers that fire every second, together, for years: that is well-formed, and what was missed has to be told."""
    union = {"type": "any", "triggers": [SECONDLY, {"type": "cron", "expression": "* * * * * *"}]}
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        terms = len(those.recorder.terms)
        await those.schedules._kv.put("schedule.dense", record("dense", union))
        await those.recorder.until_fired("dense")
        await those.recorder.until_nominal(now() + GOES_ON)
        verdict = await those.settled(but={"dense"})
        reports.write("a trigger with 200 million missed times", verdict, those.recorder)
        dense = await those.schedules.get_schedule("dense")
        assert verdict.clean, verdict
        assert len(those.recorder.terms) == terms, "the leader fell over it"
        assert dense is not None
        assert dense["missed"] > 200_000_000


@pytest.mark.slow
async def test_rubbish_where_the_leadership_is(tmp_path: Path, reports: Reports) -> None:
    """A lease that nobody can read is held by nobody, and an epoch that moved is no leader's: one of them takes office anew."""
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        terms, taken = len(those.recorder.terms), []
        for keys in ([lease_key(0)], [epoch_key(lane, 0) for lane in range(LANES)]):
            struck_at = now()
            for key in keys:
                await those.schedules._kv.put(key, b"\xff rubbish")
            taken.append(await those.goes_on(struck_at))
            await those.recorder.until_nominal(now() + GOES_ON)
        verdict = await those.settled()
        changes = len(those.recorder.terms) - terms
        reports.write("rubbish at the keys of lease and epochs", verdict, those.recorder, failover=taken, terms=changes)
        assert verdict.clean, verdict
        assert changes >= 2
