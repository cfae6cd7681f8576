"""Quarantined records fire again when what kept them is gone, though the records themselves never change."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from naq.jobs.job import Job, JobSpec
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.schedules.policy import Policy
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Put
from naq.testing.clock import ManualClock, manual_time
from naq.testing.server import NatsServer, until
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval
from tests.scheduler.test_loop import partition_on, stop

FIVE = [f"large-{number}" for number in range(5)]


def report(text: str) -> None:
    """The function that is to be run."""


@manual_time
async def test_a_record_that_was_too_large_for_a_while_is_tried_ever_more_rarely_and_then_fires() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    for name, size in (("large", 5000), ("small", 5)):
        spec = JobSpec(func="reports:send", args=msgspec.Raw(b'["%s"]' % (b"x" * size)))
        record = new_schedule(name, spec, Interval(timedelta(seconds=10), clock.now()), Policy(), clock.now())
        store.commit([Put(f"schedule.{name}", encode(record), 0)])
    store.max_value = 3000
    partition = partition_on(store, clock, {})
    await partition.start()
    await clock.advance(600)
    assert partition.mirror.quarantined.keys() == {"schedule.large"}
    assert not store.entries("job.default.large/>")
    assert len(store.entries("job.default.>")) == 60, "the other schedule is not concerned"
    store.max_value = 1_000_000
    await clock.advance(400)
    assert not partition.mirror.quarantined
    assert any(entry.key.startswith("job.default.large/") for entry in store.entries("job.default.>"))
    await stop(partition, clock)


@manual_time
async def test_a_new_term_tries_quarantined_records_at_once() -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    spec = JobSpec(func="reports:send", args=msgspec.Raw(b'["%s"]' % (b"x" * 5000)))
    record = new_schedule("s", spec, Interval(timedelta(seconds=1000), clock.now()), Policy(), clock.now())
    store.commit([Put("schedule.s", encode(record), 0)])
    store.max_value = 3000
    partition = partition_on(store, clock, {})
    await partition.start()
    await clock.advance(1300)
    assert partition.mirror.quarantined
    store.max_value = 1_000_000
    partition.elector.on_change()
    await clock.advance(0.1)
    assert not partition.mirror.quarantined
    assert partition.firing.fired == 1
    await stop(partition, clock)


@manual_time
async def test_a_record_of_a_newer_naq_is_read_once_this_naq_can(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    store = MemoryStore(clock)
    partition = partition_on(store, clock, {"s": 1.0})
    record = store.peek("schedule.s")
    assert record is not None
    assert record.value is not None
    newer = record.value.replace(b'"schedule_id"', b'"v":2,"schedule_id"')
    store.commit([Put("schedule.s", newer)])
    await partition.start()
    await clock.advance(60)
    assert partition.mirror.quarantined
    monkeypatch.setattr("naq.store.codec.VERSION", 2)
    await clock.advance(120)
    assert not partition.mirror.quarantined
    assert partition.firing.fired == 1
    await stop(partition, clock)


async def until_quarantined(scheduler: SchedulerService, count: int) -> None:
    async def has_so_many() -> bool:
        return len(scheduler.partition.mirror.quarantined) == count

    await until(has_so_many, lambda: f"quarantined are {scheduler.partition.mirror.quarantined}, not {count}")


@pytest.mark.parametrize("limit", ["server", "stream"])
async def test_five_schedules_fire_again_after_a_limit_that_was_too_small_for_a_while(
    tmp_path: Path, limit: str
) -> None:
    async def set_limit(size: int) -> None:
        if limit == "server":
            await server.reload(f"max_payload: {size}")
        else:
            info = await store.connection.stream_service.info(store.names.stream)
            assert info is not None
            await store.connection.stream_service.update({**info["config"], "max_msg_size": size})

    async with NatsServer(tmp_path) as server, ServiceManager({"nats_url": server.url}) as services:
        scheduler = await services.get_service(SchedulerService)
        store = await services.get_service(KVStoreService)
        for name in FIVE:
            await scheduler.schedule_job(
                Job(func=report, args=["x" * 9000]), {"type": "interval", "interval": 0.5}, schedule_id=name
            )
        await set_limit(8000)
        await until_quarantined(scheduler, len(FIVE))
        await set_limit(1_000_000)
        await until_quarantined(scheduler, 0)
        before = {name: (await scheduler.get_schedule(name) or {})["runs"] for name in FIVE}

        async def go_on() -> bool:
            return all([(await scheduler.get_schedule(name) or {})["runs"] > before[name] for name in FIVE])

        await until(go_on, lambda: "not all of them fire")
