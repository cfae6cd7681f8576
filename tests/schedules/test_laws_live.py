"""The laws of editing, for a sample, against a real bucket: `tests.schedules.test_laws` has them for ten thousand cases."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from naq.clock import SystemClock
from naq.lifecycle import ServiceManager
from naq.schedules.declared_file import read_definitions
from naq.schedules.record import Schedule
from naq.schedules.service import ScheduleService
from naq.store.codec import decode
from naq.store.keys import job_id, job_key, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService

FORMS: list[Any] = [
    "every 8h",
    {"interval": "8h", "jitter": "5m", "timezone": "Europe/Berlin", "exclude": ["2030-12-24"]},
    {"delay": "20m", "overlap": "skip"},
    {"cron": "0 9 * * MON-FRI", "timezone": "America/New_York", "catch_up": None},
    {"every": "2 days", "at": "09:00", "timezone": "Europe/Berlin"},
    {"rrule": "FREQ=HOURLY;INTERVAL=5"},
    ["every 6h", {"every": "2 weeks"}, "30 2 * * *"],
    {"of": ["0 9 * * *", "every 7h"], "timezone": "Asia/Kolkata", "end_at": "2031-01-01T00:00:00"},
]


class Stepped(SystemClock):
    """A wall clock that stands still until it is stepped."""

    def __init__(self) -> None:
        self.at = super().now()

    def now(self) -> datetime:
        return self.at

    def step_wall(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@asynccontextmanager
async def deployed(config: dict[str, Any], clock: Stepped) -> AsyncIterator[ScheduleService]:
    """A process with a connection of its own."""
    async with ServiceManager(config) as services:
        connection = await services.get_service(ConnectionService)
        store = await services.get_service(KVStoreService)
        events = await services.get_service(EventService)
        async with ScheduleService(services.settings, connection, store, events, clock=clock) as service:
            yield service


async def record(service: ScheduleService, name: str) -> tuple[int, Schedule]:
    entry = await service.schedules.store.get(schedule_key(name))
    assert entry is not None
    assert entry.value is not None
    return entry.revision, decode(Schedule, entry.key, entry.value)


def declared(forms: dict[str, Any]) -> Any:
    return read_definitions({"schedules": {name: {"job": "m:f", "schedule": form} for name, form in forms.items()}})


async def test_storing_the_same_again_does_not_touch_the_bucket(config: dict[str, Any]) -> None:
    clock = Stepped()
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    random = Random(seed)
    async with deployed(config, clock) as service, deployed(config, clock) as other:
        for number in range(20):
            name, first, then = f"s{number}", random.choice(FORMS), random.choice(FORMS)
            await service.schedule_job("m:f", first, schedule_id=name)
            clock.step_wall(random.choice([1, 3_700, 50_000]))
            await other.update_schedule(name, schedule=then)
            clock.step_wall(random.choice([1, 3_700, 50_000]))
            before = await record(service, name)
            for process in (service, other):
                await process.update_schedule(name, schedule=then)
                await process.schedule_job("m:f", then, schedule_id=name, if_exists="replace")
                shown = await process.get_schedule(name)
                assert shown is not None
                await process.update_schedule(name, schedule=shown["schedule"])
            assert await record(service, name) == before, f"{first} -> {then}"


async def test_what_was_due_in_the_bucket_is_decided_before_an_edit(config: dict[str, Any]) -> None:
    """No scheduler runs; two people edit at the same moment."""
    clock = Stepped()
    async with deployed(config, clock) as service, deployed(config, clock) as other:
        await service.schedule_job("m:f", {"interval": "1h", "catch_up": "2h"}, schedule_id="x")
        _, before = await record(service, "x")
        clock.step_wall(3 * 3600 + 60)
        await asyncio.gather(service.update_schedule("x", interval="7h"), other.update_schedule("x", cron="0 9 * * *"))
        _, after = await record(service, "x")
        due = before.created_at + timedelta(hours=3)
        assert await service.schedules.store.get(job_key("default", job_id("x", due))) is not None
        assert (after.runs, after.missed, after.last_nominal_at) == (1, 2, due)


@pytest.mark.slow
async def test_a_rolling_deploy_in_any_order_ends_with_the_newer_release(config: dict[str, Any]) -> None:
    """Two releases, three replicas each, started and restarted at the same time, twenty times; another application beside."""
    clock = Stepped()
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    random = Random(seed)
    old = {"a": "every 6h", "b": "0 9 * * *", "gone": "every 1h"}
    new = {"a": "every 8h", "b": "0 9 * * *", "new": "every 2h"}
    async with deployed(config, clock) as service:
        await service.sync(declared({"theirs": "every 3h"}), "another", at_start=True)
        theirs = await record(service, "theirs")
        for number in range(20):
            name = f"app{number}"

            def of(release: dict[str, Any], app: str = name) -> Any:
                return declared({f"{app}-{each}": form for each, form in release.items()})

            await service.sync(of(old), name, at_start=True)
            clock.step_wall(3_600)
            await service.sync(of(new), name, at_start=True, prune=True)
            before = {each: await record(service, f"{name}-{each}") for each in new}
            clock.step_wall(3_600)
            starts = [old, old, old, new, new, new]
            random.shuffle(starts)
            async with deployed(config, clock) as one, deployed(config, clock) as two:
                replicas = [one, two, service]
                await asyncio.gather(
                    *(
                        replicas[place % 3].sync(of(release), name, at_start=True, prune=True)
                        for place, release in enumerate(starts)
                    )
                )
            assert {each: await record(service, f"{name}-{each}") for each in new} == before
            assert await service.get_schedule(f"{name}-gone") is None
        assert await record(service, "theirs") == theirs
