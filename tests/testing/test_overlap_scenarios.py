"""Each overlap policy as a story on a clock that is stepped by hand: a run takes two and a half intervals.

The first run begins at minute 1. Minutes 2 and 3 come while it is open, unless its policy ends it; at minute 3.5 it
would end by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import pytest

from naq import Job
from naq.jobs.history import RunOutcome
from naq.jobs.job import JobStatus
from naq.schedules.policy import Overlap
from naq.testing.clock import START
from naq.testing.scheduler import ManualScheduler

TAKES = 150.0


async def nap(seconds: float) -> None:
    await asyncio.sleep(seconds)


@dataclass(frozen=True)
class Story:
    """What is to be seen when the first run has ended, in minutes since the beginning."""

    overlap: Overlap
    ended_at: float
    ended: JobStatus
    fired: list[float]
    buffered: list[float]
    skipped: list[float]
    then: list[float]
    """What has fired in all once every run that is queued then has ended by itself, one after the other."""


STORIES = [
    Story(Overlap.ALLOW_ALL, 3.5, JobStatus.COMPLETED, [1, 2, 3], [], [], [1, 2, 3, 4, 5, 6, 7, 8]),
    Story(Overlap.SKIP, 3.5, JobStatus.COMPLETED, [1], [], [2, 3], [1]),
    Story(Overlap.BUFFER_ONE, 3.5, JobStatus.COMPLETED, [1, 2], [], [3], [1, 2, 4]),
    Story(Overlap.BUFFER_ALL, 3.5, JobStatus.COMPLETED, [1, 2], [3], [], [1, 2, 3]),
    Story(Overlap.CANCEL_OTHER, 2, JobStatus.CANCELLED, [1, 2], [], [], [1, 2, 3]),
    Story(Overlap.TERMINATE_OTHER, 2, JobStatus.CANCELLED, [1, 2], [], [], [1, 2, 3]),
]


def minutes(instants: list[datetime]) -> list[float]:
    return [(instant - START).total_seconds() / 60 for instant in instants]


def fired(scheduler: ManualScheduler) -> list[float]:
    return minutes([job.nominal_at for job in scheduler.fired if job.nominal_at is not None])


def skipped(scheduler: ManualScheduler) -> list[float]:
    """The nominal times that were not enqueued because a run was open; every other reason is a fault here."""
    records = [record for record in scheduler.history if not record.outcome.fired]
    assert all(record.outcome is RunOutcome.SKIPPED and record.count == 1 for record in records)
    assert {record.reason for record in records} <= {"the previous run was not finished"}
    return minutes([record.nominal_at for record in records if record.nominal_at is not None])


def buffered(scheduler: ManualScheduler) -> list[float]:
    record = scheduler.call(scheduler.service.schedules.get("s"))
    assert record is not None
    return minutes(list(record.buffered))


@pytest.mark.parametrize("story", STORIES, ids=lambda story: str(story.overlap))
def test_a_run_that_takes_longer_than_its_interval(story: Story) -> None:
    with ManualScheduler() as scheduler:
        job = Job(func=nap, args=[TAKES])
        scheduler.schedule(job, {"type": "interval", "interval": 60, "overlap": story.overlap}, schedule_id="s")
        assert minutes([run.nominal_at for run in scheduler.advance("1m") if run.nominal_at]) == [1]
        (ran,) = scheduler.run_jobs()
        assert (ran.status, minutes([scheduler.now])) == (story.ended, [story.ended_at])
        scheduler.settle()
        assert fired(scheduler) == story.fired
        assert buffered(scheduler) == story.buffered
        assert skipped(scheduler) == story.skipped
        state = scheduler.get("s")
        assert state is not None
        assert (state["runs"], state["skipped"]) == (len(story.fired), len(story.skipped))
        assert (state["missed"], state["error_count"]) == (0, 0)
        scheduler.run_jobs()
        scheduler.settle()
        assert fired(scheduler) == story.then


@pytest.mark.parametrize("overlap", [each for each in Overlap if each is not Overlap.ALLOW_ALL])
def test_the_slot_is_free_when_the_schedule_comes_to_rest(overlap: Overlap) -> None:
    """Short runs never collide, and whatever collided leaves nothing behind."""
    with ManualScheduler() as scheduler:
        scheduler.stub("work:work", nap)
        form = {"type": "interval", "interval": 60, "overlap": overlap, "max_runs": 4}
        scheduler.schedule(Job(func="work:work", args=[TAKES]), form, schedule_id="s")
        for _ in range(8):
            scheduler.advance("1m")
            scheduler.run_jobs()
        state = scheduler.get("s")
        assert state is not None
        assert (state["status"], state["runs"], state["open_runs"]) == ("completed", 4, [])
        assert buffered(scheduler) == []


def test_a_run_that_was_given_up_before_a_worker_had_it_is_not_run() -> None:
    with ManualScheduler() as scheduler:
        form = {"type": "interval", "interval": 60, "overlap": "terminate_other"}
        scheduler.schedule(Job(func=nap, args=[1.0]), form, schedule_id="s")
        scheduler.advance("2m")
        ends = [(ran.job.nominal_at, ran.status) for ran in scheduler.run_jobs()]
        assert [status for _, status in ends] == [JobStatus.CANCELLED, JobStatus.COMPLETED]
