"""What a job knows about itself, and how it reports progress while it runs.

A function gets its context as its first parameter if that is annotated `JobContext`, or calls `current_job()` anywhere below,
also in threads and in process children.
"""

from __future__ import annotations

import logging
import math
import numbers
import threading
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from naq.exceptions import InvalidInput, JobCancelled
from naq.jobs.records import Progress
from naq.store.codec import encodable_text

if TYPE_CHECKING:
    from naq.jobs.job import QueuedJob

__all__ = ["JobContext", "JobLog", "bind_context", "current_job", "find_job"]

_current: ContextVar[JobContext] = ContextVar("naq_job")

NOTE_LIMIT = 1000
"""Characters of a progress note that are kept."""

LINES_LIMIT = 200
LOG_LIMIT = 8000
"""Lines and characters of a job's log that are kept: the last ones."""
LINE_LIMIT = 2000

log = logging.getLogger("naq.job")


class _JobLogger(logging.LoggerAdapter[logging.Logger]):
    """Adds the job's id in front of each message, and to the log record as ``job_id``."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        job_id = (self.extra or {}).get("job_id")
        return f"[{job_id}] {msg}", kwargs


class JobLog:
    """The last lines that were logged while a job ran. Any thread may add to it."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._size = self._dropped = 0

    def add(self, line: str) -> None:
        """Keep a line; the oldest are dropped when there are too many."""
        line = encodable_text(line[:LINE_LIMIT])
        self._lines.append(line)
        self._size += len(line) + 1
        while len(self._lines) > LINES_LIMIT or self._size > LOG_LIMIT:
            self._size -= len(self._lines.popleft()) + 1
            self._dropped += 1

    def __str__(self) -> str:
        lines = list(self._lines)
        return "\n".join([f"... ({self._dropped} lines before)", *lines] if self._dropped else lines)


class JobContext:
    """One attempt of a job, as its function sees it. Times are aware UTC."""

    def __init__(
        self,
        queued: QueuedJob,
        *,
        worker_id: str = "",
        started_at: datetime | None = None,
        on_progress: Callable[[JobContext], None] | None = None,
        previous_success_at: datetime | None = None,
    ) -> None:
        self.job_id: str = queued.job_id
        self.schedule_id: str | None = queued.schedule_id
        self.nominal_at: datetime | None = queued.nominal_at
        """When the schedule should have fired; ``None`` for an ad-hoc job."""
        self.fired_at: datetime = queued.enqueued_at
        """When this attempt went into the queue."""
        self.attempt: int = queued.attempt
        self.retries: int = queued.spec.retries
        self.previous_at: datetime | None = queued.previous_at
        """The nominal time of the fire before this one, however that ended."""
        self.previous_success_at: datetime | None = previous_success_at
        """The nominal time of the schedule's last successful run when this attempt began; if that run was triggered by
        hand, when it was enqueued. ``None`` if the history has none. Looked up only for functions that take the context
        as their first parameter."""
        self.next_at: datetime | None = queued.next_at
        """The schedule's next nominal time as known when this one fired."""
        self.queue: str = queued.spec.queue
        self.func: str = queued.spec.func
        self.args: tuple[Any, ...] = ()
        """The positional arguments, as the function gets them; set before the first middleware is called."""
        self.kwargs: Mapping[str, Any] = {}
        """The keyword arguments, resources included."""
        self.worker_id: str = worker_id
        self.started_at: datetime | None = started_at
        self.last_progress: Progress | None = None
        self.log: JobLog | None = None
        """The lines that were logged while it ran; ``None``: none were (`naq.jobs.run_log`)."""
        self._on_progress = on_progress
        self._cancelled: threading.Event | None = None
        self._cancel_reason: str | None = None
        self._logger: _JobLogger | None = None

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure now is final."""
        return self.attempt > self.retries

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """The logger ``naq.job`` with the job's id in front of each message."""
        if self._logger is None:
            self._logger = _JobLogger(log, {"job_id": self.job_id, "schedule_id": self.schedule_id})
        return self._logger

    @property
    def cancelled(self) -> bool:
        """Whether the job is asked to stop: it was cancelled, its timeout has passed, or the worker stops.

        Async functions need not check it: they get `asyncio.CancelledError` at their next await. A sync function should
        check it from time to time, or call `check`.
        """
        return self._cancel_reason is not None

    @property
    def cancel_reason(self) -> str | None:
        """Why the job is asked to stop: ``cancelled``, ``timeout`` or ``drain``; ``None`` if it is not."""
        return self._cancel_reason

    def check(self) -> None:
        """Raise `JobCancelled` if the job is asked to stop."""
        if self._cancel_reason is not None:
            raise JobCancelled(self.job_id)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Report how far the job is. Cheap: the worker publishes the last report about twice a second.

        ``done`` and ``total`` are finite numbers; of ``note`` the first 1,000 characters are kept. Raises `InvalidInput`.
        """
        if note is not None and not isinstance(note, str):
            raise InvalidInput.of("progress.note", note, "must be text", "half of the files")
        text = None if note is None else encodable_text(note[:NOTE_LIMIT])
        whole = None if total is None else _finite(total, "progress.total")
        self.last_progress = Progress(_finite(done, "progress.done"), whole, text)
        if self._on_progress is not None:
            self._on_progress(self)

    def wait_cancelled(self, timeout: float | None = None) -> bool:
        """In a *sync* job, instead of sleep: wait until it is asked to stop, at most ``timeout`` seconds; whether it was."""
        if self._cancelled is None:
            self._cancelled = threading.Event()
            if self._cancel_reason is not None:
                self._cancelled.set()
        return self._cancelled.wait(timeout)

    def ask_to_stop(self, reason: str) -> None:
        """For the worker: tell the job to stop."""
        self._cancel_reason = reason
        if self._cancelled is not None:
            self._cancelled.set()


def _finite(value: object, field: str) -> float:
    """A number that JSON can hold, also one of another package (numpy)."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise InvalidInput.of(field, value, "must be a finite number", 3)
    return float(value)


def current_job() -> JobContext:
    """The context of the running job. Raises `LookupError` outside of a job."""
    return _current.get()


def find_job() -> JobContext | None:
    """The context of the job that runs here; ``None`` outside of a job."""
    return _current.get(None)


def bind_context(context: JobContext) -> None:
    """Make this the current job in the running task or thread."""
    _current.set(context)
