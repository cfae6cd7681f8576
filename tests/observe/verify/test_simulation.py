"""In the simulated world, where processes are killed and frozen, clocks jump and people change what they like: no alarm."""

from __future__ import annotations

from datetime import timedelta

import pytest

from naq.jobs.job import QueuedJob
from naq.observe.verify.case import Case, Question
from naq.observe.verify.evidence import Gathered
from naq.observe.verify.judging import judge
from naq.observe.verify.verdict import Kind
from naq.schedules.record import Schedule
from naq.store.codec import decode
from tests.simulation.history import draw
from tests.simulation.world import START, World, live

SEEDS = range(40)
ALARMS = (Kind.LOST, Kind.DUPLICATE, Kind.UNEXPLAINED)
DAY = timedelta(days=1)


def alarms(seed: int) -> list[str]:
    """What is said of a history's schedules, of which all jobs are known, and no recorded reason."""
    worlds: list[World] = []
    assert live(draw(seed), prepare=worlds.append).clean
    return said_of(worlds[0])


def said_of(world: World) -> list[str]:
    """The alarms about its schedules as they are now."""
    since = START - DAY
    question = Question(since, world.clock.now() + DAY, 2 * DAY, since, since, 10**6, None)
    found = []
    for entry in world.store.entries("schedule.>"):
        if entry.value is None:
            continue
        record = decode(Schedule, entry.key, entry.value)
        gathered = Gathered([record.schedule_id], since)
        for written in world.log:
            if written.entry.key == entry.key and written.entry.value is None:
                gathered = Gathered([record.schedule_id], since)  # it was deleted: another life begins
            if written.entry.key.startswith("job.") and written.entry.value is not None:
                gathered.job(written.entry.key, decode(QueuedJob, written.entry.key, written.entry.value))
        judged = judge(Case(record, gathered.of[record.schedule_id], record), question)
        found += [str(matter) for matter in judged.matters if matter.kind in ALARMS]
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_no_alarm(seed: int) -> None:
    assert alarms(seed) == [], f"seed {seed}"
