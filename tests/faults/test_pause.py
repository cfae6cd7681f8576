"""After an acknowledged pause no fire follows, two hundred times, with the command that people use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import cli
from naq.events import EventType
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.schedules.record import Schedule
from naq.schedules.transitions import resumed
from tests.faults.report import Reports
from tests.faults.world import Verdict, recording

TRIES = 200


def resume(schedule: Schedule) -> Schedule | None:
    return resumed(schedule, datetime.now(UTC))


@pytest.mark.slow
async def test_pause_while_it_fires_every_100_ms(config: dict[str, Any], reports: Reports) -> None:
    globals_ = ["--nats-url", config["nats_url"], "--namespace", config["namespace"]]
    async with recording(config) as (recorder, schedules), ServiceManager(config) as services:
        store = schedules._kv
        scheduler = await services.get_service(SchedulerService)
        form = {"type": "interval", "interval": 0.1}
        await scheduler.schedule_job(Job(func="tests.faults.jobs:tick"), form, schedule_id="X")
        paused_at: list[int] = []
        resumed_at: list[int] = []
        for number in range(TRIES):
            # Somewhere within the interval; every second one right behind a fire, so that pauses meet fires all the time.
            moment = datetime.now(UTC)
            await recorder.until_fire_after(moment if number % 2 else moment - timedelta(milliseconds=100))
            assert await asyncio.to_thread(cli.run, [*globals_, "schedule", "pause", "X"]) == 0
            entry = await store.get("schedule.X")
            assert entry is not None
            paused_at.append(entry.revision)
            changed = await scheduler.schedules.change("X", resume, EventType.SCHEDULE_RESUMED)
            assert changed is not None
            resumed_at.append(changed.revision)
        await recorder.until_fire_after(datetime.now(UTC))
        while_paused = [
            job.job_id
            for revision, job in recorder.fires
            for begin, end in zip(paused_at, resumed_at, strict=True)
            if begin < revision < end
        ]
    fault = f"pause by the command line while a schedule fires every 100 ms, {TRIES} times"
    reports.write(fault, Verdict((), (), tuple(while_paused), ()), recorder)
    assert len(recorder.fires) > TRIES / 2
    assert not while_paused
