"""What both programs share: jobs in PostgreSQL, and whatever was missed is made up for, one run for each time."""

from __future__ import annotations

from typing import Any

from apscheduler.events import JobExecutionEvent
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore

from benchmarks.peers.settings import url
from benchmarks.runs import write_run


def nothing() -> None:
    """The job. It is not told for which time it runs; the scheduler's event is, right behind it."""


def record(event: JobExecutionEvent) -> None:
    """Write down a run, and for which time it was."""
    write_run(event.job_id, event.scheduled_run_time.timestamp())


def configuration() -> dict[str, Any]:
    """Of a scheduler on the job store."""
    store = SQLAlchemyJobStore(url=url().replace("postgresql://", "postgresql+psycopg2://"))
    defaults = {"coalesce": False, "misfire_grace_time": None, "max_instances": 10}
    return {"jobstores": {"default": store}, "job_defaults": defaults, "timezone": "UTC"}
