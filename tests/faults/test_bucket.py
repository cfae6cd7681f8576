"""The bucket is deleted under everybody: they say so once, wait, and go on by themselves when there is one again."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from naq.store.nats.bucket_config import bucket_config
from naq.store.nats.connection import StreamService
from tests.faults.backup import Backup, WrittenMeanwhile, back_up, restore
from tests.faults.fleet import Fleet, fleet, now
from tests.faults.report import Reports

COUNT = 50
AWAY = 3.0
"""Seconds for which there is no bucket."""
TOLD = 4
"""Times that one instance may say what is wrong: firing, the lease, reading, and once more with other words."""


def streams(those: Fleet) -> StreamService:
    return those.schedules._connection.stream_service


async def delete(those: Fleet) -> None:
    """Delete the bucket; returns when everybody has had the time to notice, and has told."""
    assert await streams(those).delete("KV_naq")
    await those.schedules.clock.sleep(AWAY)


async def back_up_at_rest(those: Fleet) -> Backup:
    """A backup made while nobody writes: the schedulers are frozen, and what they had sent is taken in."""
    for process in those.schedulers.values():
        process.signal(signal.SIGSTOP)
    while True:
        try:
            backup = await back_up(streams(those).connection, "KV_naq")
            break
        except WrittenMeanwhile:
            continue
    for process in those.schedulers.values():
        process.signal(signal.SIGCONT)
    return backup


async def told(those: Fleet, since: datetime) -> Counter[str]:
    """By instance: how often it told of trouble with the store."""
    events = await those.schedules._events.get_event_history(types=["store_trouble"], since=since)
    return Counter(event.instance_id for event in events)


def begin_anew(those: Fleet) -> None:
    """What was fired in the life that is over is gone with it."""
    those.recorder.fires.clear()
    those.recorder.terms.clear()


@pytest.mark.slow
async def test_a_bucket_that_was_deleted_and_made_anew(tmp_path: Path, reports: Reports) -> None:
    async with fleet(tmp_path) as those:
        await those.start_worker("worker")
        await those.load(COUNT)
        before = those.recorder.fires[-1][0]
        struck_at = now()
        await delete(those)
        begin_anew(those)
        those.targets.clear()
        made_at = now()
        await streams(those).ensure(bucket_config(those.schedules._kv.names, 1, made_at))
        async with asyncio.timeout(30):
            await those.schedules._kv.next_life(0)  # or the recorder might miss what the worker finishes before
        await those.load(COUNT)
        healing = await those.recorder.until_fire_after(made_at)
        async for _ in those.schedules._events.stream_events(types=["job_completed"], since=made_at):
            break
        verdict = await those.settled()
        said = await told(those, struck_at)
        reports.write(
            "bucket deleted, and made anew after 3 s", verdict, those.recorder, healing=[healing], told=dict(said)
        )
        assert verdict.clean, verdict
        assert those.recorder.fires[0][0] > before, "revisions began anew"
        assert said["one"], "the leader said nothing"
        assert all(times <= TOLD for times in said.values()), said


@pytest.mark.slow
async def test_a_bucket_that_was_deleted_and_restored_from_a_backup(tmp_path: Path, reports: Reports) -> None:
    """The schedules go on from where the backup has them: what was fired since is due again, and is fired."""
    async with fleet(tmp_path) as those:
        await those.load(COUNT)
        backup = await back_up_at_rest(those)
        await those.recorder.until_nominal(now())
        struck_at = now()
        await delete(those)
        begin_anew(those)
        restored_at = now()
        await restore(streams(those).connection, "KV_naq", backup)
        healing = await those.recorder.until_fire_after(restored_at)
        verdict = await those.settled()
        said = await told(those, struck_at)
        reports.write(
            "bucket deleted, and restored from a backup after 3 s", verdict, those.recorder, healing=[healing]
        )
        assert verdict.clean, verdict
        assert all(times <= TOLD for times in said.values()), said
