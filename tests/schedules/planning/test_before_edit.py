"""What a pause took is told in the history when the schedule is resumed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from naq import every
from naq.jobs.history import RunOutcome
from naq.testing import ManualScheduler

HOUR = timedelta(hours=1)


@pytest.fixture
def scheduler() -> Iterator[ManualScheduler]:
    with ManualScheduler() as made:
        yield made


def taken(scheduler: ManualScheduler) -> list[tuple[RunOutcome, str | None, int, float, float]]:
    """Outcome, reason, count, and hours from the start to the first and the last of each record."""
    start = scheduler.now - 5 * HOUR
    return [
        (
            record.outcome,
            record.reason,
            record.count,
            (record.nominal_at - start) / HOUR,
            ((record.until or record.nominal_at) - start) / HOUR,
        )
        for record in scheduler.history
        if record.nominal_at is not None
    ]


def after_a_pause(scheduler: ManualScheduler, resumed_with: bool = False, **policy: Any) -> None:
    """A schedule that is paused for four hours from the first on, and looked at in the fifth."""
    scheduler.schedule("shop:greet", every("1h", **policy), schedule_id="x")
    scheduler.advance("30m")
    assert scheduler.pause("x")
    scheduler.advance("4h")
    assert scheduler.resume("x", catch_up=resumed_with)
    scheduler.advance("30m")


def test_times_that_passed(scheduler: ManualScheduler) -> None:
    after_a_pause(scheduler)
    assert taken(scheduler) == [(RunOutcome.SKIPPED, "paused", 4, 1, 4)]
    entry = scheduler.get("x")
    assert entry is not None
    assert entry["skipped"] == 0, "it was not wanted, which is no miss and no skip of a policy's"


def test_with_catch_up_the_plan_tells_what_becomes_of_them(scheduler: ManualScheduler) -> None:
    after_a_pause(scheduler, resumed_with=True, catch_up="6h")
    assert [each[1] for each in taken(scheduler)] == ["coalesced into another fire of the same catch-up"]


def test_nothing_was_due(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("1h"), schedule_id="x")
    scheduler.pause("x")
    scheduler.advance("10m")
    scheduler.resume("x")
    assert taken(scheduler) == []


def test_excluded_times_inside_a_pause_have_a_line_of_their_own(scheduler: ManualScheduler) -> None:
    after_a_pause(scheduler, exclude=["* 2 * * *"])
    assert [(reason, count) for _, reason, count, *_ in taken(scheduler)] == [("paused", 3), ("excluded", 1)]
