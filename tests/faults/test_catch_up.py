"""A catch-up of five thousand fires, and the leader is killed in the middle of it, again and again."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.jobs.job import JobSpec
from naq.schedules.policy import Coalesce, IfExists, Policy
from naq.schedules.record import Schedule
from naq.timing.triggers import Interval
from tests.faults.report import Reports
from tests.faults.test_leader import scheduler
from tests.faults.world import judge, recording

MISSED = 5_000
EVERY = timedelta(seconds=1)
KILLS = 3


@pytest.mark.slow
async def test_a_crash_in_the_middle_of_a_catch_up_loses_and_repeats_none(
    config: dict[str, Any], reports: Reports
) -> None:
    anchor = datetime.now(UTC).replace(microsecond=0) - MISSED * EVERY
    late = Schedule(
        schedule_id="late",
        job=JobSpec(func="tests.faults.jobs:tick"),
        trigger=Interval(EVERY, anchor),
        policy=Policy(coalesce=Coalesce.ALL, catch_up=None),
        created_at=anchor - EVERY,
        next_nominal_at=anchor,
        next_run_at=anchor,
    )
    async with recording(config) as (recorder, schedules):
        await schedules.schedules.create(late, IfExists.RAISE, lambda it: it, None)
        middle = []
        for life in range(KILLS + 1):
            process = scheduler(config, f"life-{life}")
            try:
                before = len(recorder.fires)
                if life < KILLS:
                    await process.launch()
                    await recorder.until_count(before + 200)
                    process.signal(signal.SIGKILL)
                    await process.ended()
                    middle.append(len(recorder.fires))
                else:
                    await process.start()
                    await recorder.until_nominal(datetime.now(UTC))
            finally:
                await process.kill()
        verdict = judge({"late": (anchor, EVERY)}, anchor + MISSED * EVERY, recorder)
    reports.write(f"kill -9 in the middle of a catch-up of {MISSED:,} fires", verdict, recorder, kills=KILLS)
    assert middle[0] < MISSED, "the catch-up was over before the leader was killed"
    assert verdict.clean, verdict
