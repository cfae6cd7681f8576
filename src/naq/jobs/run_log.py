"""The log lines of a run: what is logged while a job runs carries the job's id, and its last lines are kept with the run.

This is done where log records are made, so it needs no handler, and sees what the levels of the loggers let through, in threads
and process children too. Every record has ``naq_job``: ``"[<job id>] "`` for a line of a job, ``""`` for any other.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from naq.jobs.context import JobContext, JobLog, find_job

__all__ = ["carry_job_ids", "keep_traceback"]

OWN = "naq.job"
"""The logger of `JobContext.logger`, which puts the id into the message itself."""

_installed = False


def carry_job_ids() -> None:
    """Have every log record of this process carry the job that it belongs to. Idempotent."""
    global _installed
    if _installed:
        return
    _installed = True
    make = logging.getLogRecordFactory()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        context = find_job()
        record.naq_job = "" if context is None or record.name == OWN else f"[{context.job_id}] "
        if context is not None and (record.name == OWN or not record.name.startswith("naq.")):
            _keep(context, record)
        return record

    logging.setLogRecordFactory(factory)


def _keep(context: JobContext, record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - a message that cannot be formatted: the handlers report it
        return
    trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
    when = datetime.fromtimestamp(record.created, UTC)
    line = f"{when:%H:%M:%S} {record.levelname} {record.name}: {message.removeprefix(f'[{context.job_id}] ')}"
    log_of(context).add(f"{line}\n{trace}" if trace else line)


def log_of(context: JobContext) -> JobLog:
    """The lines of a job, made when the first is kept."""
    if context.log is None:
        context.log = JobLog()
    return context.log


def keep_traceback(text: str) -> None:
    """Keep a traceback that came with a line of the current job's process."""
    context = find_job()
    if context is not None:
        log_of(context).add(text.rstrip())
