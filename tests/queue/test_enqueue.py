"""Enqueueing: names and times as users give them, and errors that say what to do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from naq.exceptions import InvalidInput, Problem
from naq.jobs.job import JobStatus
from naq.queue.service import JobService
from tests.queue import functions


async def test_a_function_whose_parameter_is_called_job_can_be_enqueued(jobs: JobService) -> None:
    job_id = await jobs.enqueue(functions.about, job="x", func="y")
    info = await jobs.get(job_id)
    assert info is not None
    assert info.status is JobStatus.QUEUED


@pytest.mark.parametrize("delay", [1e12, 1e300, float("inf"), float("nan"), "1000000w", timedelta.max, -1, "soon"])
async def test_a_delay_that_no_calendar_can_hold_names_its_field(jobs: JobService, delay: Any) -> None:
    with pytest.raises(InvalidInput, match="delay = "):
        await jobs.enqueue(functions.about, "x", "y", delay=delay)


@pytest.mark.parametrize("at", [1e12, 1e300, -1.0, float("nan"), "9999-12-31T23:59:59-12:00", "0001-01-01"])
async def test_a_time_that_lies_outside_of_the_calendar_names_its_field(jobs: JobService, at: Any) -> None:
    with pytest.raises(InvalidInput, match="at = "):
        await jobs.enqueue(functions.about, "x", "y", at=at)


def test_an_error_shows_a_value_that_would_do_or_says_what_to_do() -> None:
    assert str(Problem("x", "3", "must be less", "2")) == "x = 3: must be less; for example x = 2"
    assert str(Problem("range", "..", "is empty", advice="give a longer range")) == (
        "range = ..: is empty; give a longer range"
    )
