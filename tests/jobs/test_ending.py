"""What becomes of an attempt that ended: the next attempt, or a dead letter."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq.exceptions import Retry
from naq.jobs.ending import Facts, decide
from naq.jobs.history import RunOutcome
from naq.jobs.job import JobSpec, JobStatus, QueuedJob
from naq.jobs.outcome import Raised, Stopped, raised
from naq.timing.backoff import Backoff, BackoffKind

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FACTS = Facts("w", NOW, NOW - timedelta(seconds=2), NOW)


def queued(*, attempt: int = 1, **spec: object) -> QueuedJob:
    return QueuedJob(job_id="j", spec=JobSpec(func="m:f", **spec), attempt=attempt, enqueued_at=NOW)  # type: ignore[arg-type]


def test_backoff_says_when_the_next_attempt_is_due() -> None:
    backoff = Backoff(BackoffKind.LINEAR, timedelta(seconds=10), jitter=0)
    for attempt in (1, 2, 3):
        ending = decide(queued(attempt=attempt, retries=3, backoff=backoff), raised(ValueError("x")), FACTS)
        assert ending.next_attempt is not None
        assert ending.next_attempt.attempt == attempt + 1
        assert ending.next_attempt.due_at == NOW + timedelta(seconds=10 * attempt)
        assert ending.next_attempt.error == "ValueError: x"
        assert ending.result is None
    ending = decide(queued(attempt=4, retries=3, backoff=backoff), raised(ValueError("x")), FACTS)
    assert ending.next_attempt is None
    assert ending.dead is not None
    assert ending.result is not None
    assert ending.result.status is JobStatus.FAILED


def test_retry_overrides_the_backoff() -> None:
    ending = decide(queued(retries=1), raised(Retry(90)), FACTS)
    assert ending.next_attempt is not None
    assert ending.next_attempt.due_at == NOW + timedelta(seconds=90)
    ending = decide(queued(retries=1), raised(Retry(0)), FACTS)
    assert ending.next_attempt is not None
    assert ending.next_attempt.due_at is None
    assert decide(queued(retries=0), raised(Retry(0)), FACTS).dead is not None


def test_a_retry_of_a_job_that_was_started_in_time_has_no_deadline() -> None:
    late = queued(retries=1).evolve(start_by=NOW - timedelta(seconds=1))
    following = decide(late, raised(ValueError("x")), FACTS).next_attempt
    assert following is not None
    assert following.start_by is None


@pytest.mark.parametrize(
    ("retry_on", "retried"),
    [
        ((), True),
        (("OSError",), True),
        (("ConnectionError", "KeyError"), True),
        (("builtins:ConnectionError",), True),
        (("builtins.ConnectionError",), True),
        (("ValueError",), False),
    ],
)
def test_retry_on_limits_which_exceptions(retry_on: tuple[str, ...], retried: bool) -> None:
    ending = decide(queued(retries=1, retry_on=retry_on), raised(ConnectionError("x")), FACTS)
    assert (ending.next_attempt is not None) is retried


def test_a_timeout_is_retried_as_a_timeout_error() -> None:
    assert decide(queued(retries=1), Stopped("timeout", 2.0), FACTS).next_attempt is not None
    assert (
        decide(queued(retries=1, retry_on=("TimeoutError",)), Stopped("timeout", 2.0), FACTS).next_attempt is not None
    )
    assert decide(queued(retries=1, retry_on=("OSError",)), Stopped("timeout", 2.0), FACTS).dead is not None


def test_history_of_an_attempt_says_how_it_went() -> None:
    job = QueuedJob(job_id="s/x", schedule_id="s", spec=JobSpec(func="m:f", retries=1), enqueued_at=NOW, nominal_at=NOW)
    record = decide(job, Raised("ValueError", "x"), FACTS).history
    assert record is not None
    assert (record.outcome, record.error, record.duration) == (RunOutcome.RETRIED, "x", timedelta(seconds=2))
