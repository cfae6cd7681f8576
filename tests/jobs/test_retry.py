"""`Retry`, progress and other things that a job says while it runs: right, or refused where they are said."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.exceptions import InvalidInput, Retry
from naq.jobs.context import JobContext
from naq.jobs.ending import Facts, decide
from naq.jobs.job import JobSpec, QueuedJob
from naq.jobs.outcome import raised
from naq.jobs.records import Progress

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JOB = QueuedJob(job_id="j", spec=JobSpec(func="m:f", retries=1), enqueued_at=NOW)


@pytest.mark.parametrize("after", [300, 300.0, "300", "5m", timedelta(minutes=5)])
def test_retry_takes_a_duration_in_every_form(after: Any) -> None:
    again = decide(JOB, raised(Retry(after)), Facts("w", NOW)).next_attempt
    assert again is not None
    assert again.due_at == NOW + timedelta(minutes=5)


@pytest.mark.parametrize("after", [float("nan"), float("inf"), -1, "soon", [], timedelta(days=40_000), 1e300, True])
def test_a_wrong_wait_is_refused_in_retry_itself_and_fails_its_job(after: Any) -> None:
    with pytest.raises(InvalidInput, match="after = ") as refused:
        Retry(after)
    assert decide(JOB, raised(refused.value), Facts("w", NOW)).next_attempt is not None


def test_retry_survives_a_process_boundary() -> None:
    again = pickle.loads(pickle.dumps(Retry("5m", "busy")))
    assert (again.after, str(again)) == (300.0, "busy")


@pytest.mark.parametrize(
    ("done", "total", "note"),
    [
        (float("nan"), None, None),
        (None, None, None),
        ("50%", None, None),
        (True, None, None),
        (1, float("inf"), None),
        (1, "4", None),
        (1, 4, 7),
    ],
)
def test_a_wrong_progress_is_refused_where_it_is_reported(done: Any, total: Any, note: Any) -> None:
    context = JobContext(JOB)
    context.progress(1, 4, "begun")
    with pytest.raises(InvalidInput, match=r"progress\.(done|total|note) = "):
        context.progress(done, total, note)
    assert context.last_progress == Progress(1.0, 4.0, "begun")


def test_a_long_note_is_cut() -> None:
    context = JobContext(JOB)
    context.progress(1, note="x" * 10_000)
    assert context.last_progress is not None
    assert len(context.last_progress.note or "") == 1000
