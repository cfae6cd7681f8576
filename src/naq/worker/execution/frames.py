"""The messages between a worker and its process children: JSON frames, each after its length in four bytes."""

from __future__ import annotations

from datetime import datetime

import msgspec

from naq.jobs.job import QueuedJob
from naq.jobs.records import Progress

__all__ = ["Answer", "Logged", "Order", "Said"]


class Order(msgspec.Struct, frozen=True):
    """To the child: run this attempt."""

    queued: QueuedJob
    func: str
    """The function as the child imports it; a job may name it by another name or alias."""
    worker_id: str
    allow_pickle: bool
    path: tuple[str, ...]
    """The worker's ``sys.path``, so that both import the same modules."""
    previous_success_at: datetime | None = None
    log_level: int = 0
    """The level of the worker's root logger: the child sends no lines below it."""


class Said(msgspec.Struct, frozen=True, tag=True):
    """From the child, while the job runs: its progress."""

    progress: Progress


class Logged(msgspec.Struct, frozen=True, tag=True):
    """From the child, while the job runs: a line for the worker's log."""

    name: str
    level: int
    message: str
    created: float
    """Epoch seconds."""
    traceback: str | None = None


class Answer(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """From the child: the job ended."""

    value: msgspec.Raw = msgspec.Raw(b"null")
    complaint: str | None = None
    error_type: str | None = None
    error: str = ""
    traceback: str | None = None
    names: tuple[str, ...] = ()
    asked_retry: bool = False
    retry_after: float | None = None
    unrunnable: bool = False
    """The job could not be started: its function or its arguments are wrong."""
