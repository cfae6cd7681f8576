"""The last ten times are ten times, whatever the number of attempts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq.jobs.history import HistoryRecord, RunOutcome
from naq.schedules.occurrences import occurrences
from naq.schedules.planning.decision import NonFire, NonFireReason
from naq.store.keys import backfill_job_id, job_id, manual_job_id

T = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def attempt(number: int, outcome: RunOutcome, at: datetime, nominal: datetime = T, identity: str = "") -> HistoryRecord:
    return HistoryRecord(
        schedule_id="x",
        outcome=outcome,
        at=at,
        job_id=identity or job_id("x", nominal),
        nominal_at=None if identity else nominal,
        fired_at=at - MINUTE,
        attempt=number,
    )


def skipped(nominal: datetime, until: datetime | None = None, count: int = 1) -> HistoryRecord:
    return HistoryRecord(
        schedule_id="x", outcome=RunOutcome.SKIPPED, at=until or nominal, nominal_at=nominal, until=until, count=count
    )


def test_attempts_of_one_job_are_one_time() -> None:
    written = [
        attempt(1, RunOutcome.RETRIED, T + MINUTE),
        attempt(1, RunOutcome.COMPLETED, T + 2 * MINUTE, T + MINUTE),
        attempt(2, RunOutcome.RETRIED, T + 3 * MINUTE),
        attempt(3, RunOutcome.FAILED, T + 4 * MINUTE),
    ]
    newest, oldest = occurrences(reversed(written), 10)
    assert (newest.when, newest.last.outcome) == (T + MINUTE, RunOutcome.COMPLETED)
    assert [record.attempt for record in oldest.attempts] == [1, 2, 3]
    assert (oldest.when, oldest.last.outcome) == (T, RunOutcome.FAILED)
    assert [each["attempt"] for each in oldest.to_dict()["attempts"]] == [1, 2, 3]
    assert oldest.to_dict()["outcome"] == "failed"
    assert occurrences(reversed(written), 1) == (newest,)


def test_times_come_in_their_order_not_in_that_of_their_ends() -> None:
    """A run that took long is recorded when it ends, behind the times that were skipped meanwhile."""
    written = [skipped(T + MINUTE), skipped(T + 2 * MINUTE), attempt(1, RunOutcome.COMPLETED, T + 3 * MINUTE)]
    assert [each.when for each in occurrences(reversed(written), 10)] == [T + 2 * MINUTE, T + MINUTE, T]


def test_a_stretch_stands_where_it_ends_and_a_run_by_hand_where_it_was_asked_for() -> None:
    stretch = skipped(T, T + 5 * MINUTE, 6)
    by_hand = attempt(1, RunOutcome.COMPLETED, T + 4 * MINUTE, identity=manual_job_id("x"))
    filled = attempt(1, RunOutcome.COMPLETED, T + 9 * MINUTE, identity=backfill_job_id("x", "b", T))
    found = occurrences([filled, by_hand, stretch], 10)
    assert [(each.when - T, each.kind) for each in found] == [
        (8 * MINUTE, "backfill"),
        (5 * MINUTE, None),
        (3 * MINUTE, "by hand"),
    ]


@pytest.mark.parametrize(
    ("count", "last", "until"),
    [(1, 0, None), (3, 2, 2), (1, 5, 5)],
    ids=["one nominal time", "several", "one of a stretch in which others had another fate"],
)
def test_a_line_tells_the_whole_stretch_that_did_not_fire(count: int, last: int, until: int | None) -> None:
    record = NonFire(NonFireReason.OVERLAP, count, T, T + last * MINUTE).record("s", T + 30 * MINUTE)
    assert (record.nominal_at, record.count) == (T, count)
    assert record.until == (None if until is None else T + until * MINUTE)
