"""Planning: what deciding about one due schedule costs, without a store."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from benchmarks.world import Row
from naq.jobs.job import JobSpec
from naq.schedules.planning.plan import plan
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import new_schedule
from naq.timing.triggers import Cron, Interval, Trigger

ROUNDS = 20_000
JOB = JobSpec(func="reports:send")
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)


def planning() -> list[Row]:
    """Microseconds for one plan, each at the schedule's own due time, one after the other through the year."""
    return [
        _row("plan of a due interval schedule", Interval(timedelta(minutes=5)), "<= 15 us"),
        _row("plan of a due cron schedule in a zone", Cron("*/7 * * * *", "Europe/Berlin"), "<= 60 us"),
        _row("plan of a due fixed-time cron in a zone", Cron("30 2 * * *", "Europe/Berlin"), "<= 60 us"),
    ]


def _row(name: str, trigger: Trigger, target: str) -> Row:
    schedule: Schedule = new_schedule("bench", JOB, trigger, Policy(), BEGIN)
    fires = 0
    began = time.perf_counter()
    for _ in range(ROUNDS):
        assert schedule.next_run_at is not None
        decided = plan(schedule, schedule.next_run_at)
        fires += len(decided.fires)
        schedule = decided.schedule
    taken = (time.perf_counter() - began) / ROUNDS * 1e6
    assert fires == ROUNDS
    return Row(name, f"{taken:.1f} us", target)
