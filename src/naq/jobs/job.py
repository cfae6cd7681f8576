"""A job: one call of a function, to be made by a worker.

`Job` is what a user hands in. `JobSpec` is its plain, stored form: what to run and how, embedded in schedules and in
queued jobs alike. `QueuedJob` is one attempt of a job in the queue, with the facts of its fire. `JobResult` is what is
known of a job when it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from naq.timing.backoff import Backoff
from naq.timing.instants import Instant

__all__ = ["Job", "JobResult", "JobSpec", "JobStatus", "QueuedJob"]


class JobStatus(StrEnum):
    """Where a job is in its life."""

    DEFERRED = "deferred"
    """It waits for its time: enqueued for later, or for its next attempt."""
    QUEUED = "queued"
    """It is in the queue, and no worker has it."""
    RUNNING = "running"
    """A worker has it."""
    COMPLETED = "completed"
    """Its function returned."""
    FAILED = "failed"
    """Its last attempt failed, or it could not be run at all: it is a dead letter."""
    CANCELLED = "cancelled"
    """Somebody cancelled it before it ended by itself."""
    MISSED = "missed"
    """No worker started it before its start deadline, so it was not run."""

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the job."""
        return self not in (JobStatus.DEFERRED, JobStatus.QUEUED, JobStatus.RUNNING)


class JobSpec(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What to run and how, as it is stored."""

    func: str
    """The function as ``module:qualname``."""
    args: msgspec.Raw = msgspec.Raw(b"[]")
    """Positional arguments: a JSON array."""
    kwargs: msgspec.Raw = msgspec.Raw(b"{}")
    """Keyword arguments: a JSON object."""
    pickled: bool = False
    """Whether ``args`` is a one-element array with base64 of a pickled ``(args, kwargs)``; both sides must allow it."""
    queue: str = "default"
    retries: int = 0
    """Attempts after the first one."""
    backoff: Backoff = Backoff()
    """How long to wait before each of them."""
    retry_on: tuple[str, ...] = ()
    """Names of the exception classes that are retried (``module:qualname`` or the bare name); empty: all."""
    timeout: timedelta | None = None
    """How long one attempt may run; ``None``: for ever."""
    result_ttl: timedelta | None = None
    """How long the result is kept; ``None``: the configured ``job_ttl``."""
    executor: str = "auto"
    """``auto`` (async on the loop, sync in a thread) or ``process`` (a process pool)."""
    depends_on: tuple[str, ...] = ()
    """Ids of the jobs that must have ended before."""
    depends_when: str = "succeeded"
    """How they must have ended: ``succeeded``, ``failed`` or ``ended``."""
    max_concurrent: int | None = None
    """How many jobs with this function may run at once across all workers; ``None``: no limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a user hands in: a function and how to run it.

    ``func`` is a function defined at the top level of an importable module, or its name as ``module:qualname``.
    ``args`` and ``kwargs`` must be JSON values (or what msgspec writes as such: datetimes, UUIDs, dataclasses, ...).
    ``timeout`` and ``result_ttl`` are seconds. ``retries`` counts attempts after the first.
    """

    func: Callable[..., Any] | str
    job_id: str | None = None
    """``None``: one is made."""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "default"
    retries: int = 0
    backoff: Backoff | float | str = field(default_factory=Backoff)
    """A `Backoff`, or seconds (or "30s") between attempts."""
    retry_on: Sequence[type[BaseException] | str] = ()
    timeout: float | timedelta | None = None
    result_ttl: float | timedelta | None = None
    executor: str = "auto"
    depends_on: Sequence[str] = ()
    depends_when: str = "succeeded"
    max_concurrent: int | None = None


class QueuedJob(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One attempt of a job, as it lies in the queue."""

    v: int = 1
    """Version of this record's form."""
    job_id: str
    spec: JobSpec
    attempt: int = 1
    enqueued_at: Instant
    """When this attempt was put into the queue (for a schedule's job: when it fired)."""
    enqueued_by: str = ""
    """The instance that did it."""
    schedule_id: str | None = None
    nominal_at: Instant | None = None
    """When the schedule should have fired; ``None`` for an ad-hoc job."""
    next_at: Instant | None = None
    """The schedule's next nominal time as it was known then."""
    previous_at: Instant | None = None
    """The nominal time of the schedule's fire before this one."""
    start_by: Instant | None = None
    """A job that no worker has started by then is recorded as missed, not run."""
    tracked: bool = False
    """Whether the schedule's record lists this run as open, so that its end must be written there."""
    planned_from: int = 0
    """The revision of the schedule's record that a tracked run was planned from. Every later one of the same life lists the
    run, until it has ended or was given up."""
    schedule_created_at: Instant | None = None
    """Which life of its schedule a tracked run belongs to: the same id may live twice."""
    epoch: int = 0
    """The revision of the leader's epoch key when it fired: proof of who was allowed to."""
    due_at: Instant | None = None
    """For a deferred job: when it goes into the queue."""
    error: str | None = None
    """What ended the attempt before this one."""

    def evolve(self, **changes: Any) -> QueuedJob:
        """The same record with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class JobResult(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What is known of a job that runs or ended."""

    v: int = 1
    job_id: str
    status: JobStatus
    func: str = ""
    queue: str = ""
    attempt: int = 1
    value: msgspec.Raw = msgspec.Raw(b"null")
    """The returned value as JSON."""
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None
    worker_id: str | None = None
    schedule_id: str | None = None
    nominal_at: Instant | None = None
    enqueued_at: Instant | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None

    @property
    def duration(self) -> timedelta | None:
        """How long the last attempt ran; ``None`` while it runs, or when it never started."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at
