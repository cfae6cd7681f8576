"""A job: one call of a function by a worker.

`Job` is what a user passes in. `JobSpec` is its stored form: what to run and how; schedules and queued jobs contain it.
`QueuedJob` is one attempt of a job in the queue. `JobResult` is what is known of a job that runs or has ended.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, Literal

import msgspec

from naq.exceptions import InvalidJob
from naq.jobs.keying import UniqueKey
from naq.store.codec import Keyed
from naq.store.keys import deferred_key, ended_key, fits_schedule, job_key
from naq.timing.backoff import Backoff
from naq.timing.instants import Instant

__all__ = ["Job", "JobResult", "JobSpec", "JobStatus", "QueuedJob", "Take"]


class JobStatus(StrEnum):
    """The status of a job."""

    DEFERRED = "deferred"
    """It waits: for its time, for other jobs, or for its next attempt."""
    QUEUED = "queued"
    """It is in the queue, and no worker runs it."""
    RUNNING = "running"
    """A worker runs it."""
    COMPLETED = "completed"
    """Its function returned."""
    FAILED = "failed"
    """Its last attempt failed, or it could not be run; it is a dead letter."""
    CANCELLED = "cancelled"
    """It was cancelled before it ended by itself."""
    MISSED = "missed"
    """No worker started it before its start deadline, so it did not run."""

    @property
    def ended(self) -> bool:
        """Whether the job has ended."""
        return self not in (JobStatus.DEFERRED, JobStatus.QUEUED, JobStatus.RUNNING)


class Take(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """An argument that is the result of another job."""

    job_id: str
    path: tuple[str | int, ...]
    """Where it belongs: ``args`` or ``kwargs``, then the position or name, and so on into lists and dicts."""


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
    """How long one attempt may run; ``None``: without limit."""
    result_ttl: timedelta | None = None
    """How long the result is kept; ``None``: the configured ``job_ttl``."""
    executor: str = "auto"
    """``auto`` (async on the event loop, sync in a thread) or ``process`` (in a child process)."""
    depends_on: tuple[str, ...] = ()
    """Ids of the jobs that must have ended before this one runs."""
    depends_when: str = "succeeded"
    """How they must have ended: ``succeeded``, ``failed`` or ``ended``."""
    takes: tuple[Take, ...] = ()
    """Arguments that are ``null`` until the job that returns them has ended; ``depends_on`` has those jobs, too."""
    max_concurrent: int | None = None
    """How many jobs with this function may run at once across all workers; ``None``: no limit."""
    key: str | None = None
    """What ``max_concurrent`` counts by, within the function; ``None``: the function alone."""
    unique_key: str | None = None
    """What makes it unique among the jobs of its function (`naq.queue.uniqueness`); ``None``: nothing does."""
    unique_for: timedelta | None = None
    """How long after its end no equal job is enqueued."""
    expires: timedelta | None = None
    """How long after it was enqueued, or was due, it may start; ``None``: at any time. Not for the jobs of schedules."""

    @property
    def line(self) -> str:
        """What its slots of ``max_concurrent`` are counted by."""
        return self.func if self.key is None else f"{self.func} {self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a user passes in: a function and how to run it.

    ``func`` is a function defined at the top level of an importable module, or its name as ``module:qualname``.
    ``args`` and ``kwargs`` must be JSON values, or values that msgspec writes as JSON: datetimes, UUIDs, dataclasses, ...;
    or results of other jobs (`naq.after`).
    ``timeout`` and ``result_ttl`` are seconds, a timedelta, or text such as "5m".
    ``retries`` counts attempts after the first.
    """

    func: Callable[..., Any] | str
    job_id: str | None = None
    """``None``: one is generated."""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    queue: str = "default"
    retries: int = 0
    backoff: Backoff | float | str = field(default_factory=Backoff)
    """A `Backoff`, or seconds (or "30s") between attempts."""
    retry_on: Sequence[type[BaseException] | str] = ()
    timeout: float | timedelta | str | None = None
    result_ttl: float | timedelta | str | None = None
    executor: Literal["auto", "process"] = "auto"
    depends_on: Sequence[str] = ()
    depends_when: Literal["succeeded", "failed", "ended"] = "succeeded"
    max_concurrent: int | None = None
    key: UniqueKey | None = None
    """What ``max_concurrent`` counts by besides the function: text with arguments in braces (``"{account}"``), or a function that
    is called with the arguments and returns text or a whole number."""
    unique_for: float | timedelta | str | None = None
    """While this job has not ended, and so long after its end, enqueueing the same again gives this job's id; 0: until its end.
    It is rounded up to whole seconds."""
    unique_key: UniqueKey | None = None
    """What "the same" is: ``None``: the function and all arguments; text (``"invoice-{number}"``, with arguments in braces), or a
    function that is called with the arguments and returns text or a whole number: the function and this key."""
    expires: float | timedelta | str | None = None
    """A job that no worker has started so long after it was enqueued (or after its time, ``at`` or ``delay``) does not run, and
    ends as missed. Retries are not affected. The jobs of a schedule have its ``start_deadline`` instead."""


def _refuse_unknown_fields() -> None:
    """Let `Job` raise `InvalidJob` for a field that it does not have, as for every other mistake in it."""
    names = tuple(Job.__dataclass_fields__)
    made = Job.__init__

    @functools.wraps(made)
    def checked(self: Job, *given: Any, **fields: Any) -> None:
        for name, value in fields.items():
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1, cutoff=0.6) or ["retries"]
                raise InvalidJob.of(
                    f"job.{name}", value, f"a job has no such field, did you mean {near[0]!r}?", near[0]
                )
        made(self, *given, **fields)

    setattr(Job, "__init__", checked)  # noqa: B010 - so that checkers keep the dataclass's own signature


_refuse_unknown_fields()


class QueuedJob(Keyed, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """One attempt of a job as it is stored, queued or deferred."""

    v: int = 1
    """The version of this form of the record."""
    job_id: str
    spec: JobSpec
    attempt: int = 1
    enqueued_at: Instant
    """When this attempt was queued; for the job of a schedule, when it fired."""
    enqueued_by: str = ""
    """The instance that queued it."""
    schedule_id: str | None = None
    nominal_at: Instant | None = None
    """When the schedule should have fired; ``None`` for an ad-hoc job."""
    next_at: Instant | None = None
    """The schedule's next nominal time as known then."""
    previous_at: Instant | None = None
    """The nominal time of the schedule's fire before this one."""
    start_by: Instant | None = None
    """A job that no worker has started by then does not run and is recorded as missed."""
    tracked: bool = False
    """Whether the schedule's record lists this run as open. Its end must then be written there."""
    planned_from: int = 0
    """The revision of the schedule's record that a tracked run was planned from. Every later revision lists the run until it
    ends or is abandoned, unless the schedule was deleted and created again."""
    schedule_created_at: Instant | None = None
    """When the schedule of a tracked run was created: tells it from a later schedule with the same id."""
    epoch: int = 0
    """The revision of the leader's epoch key when it fired: proof that the leader was entitled to fire."""
    due_at: Instant | None = None
    """For a deferred job: when it is put into the queue."""
    error: str | None = None
    """The error of the attempt before this one."""
    unknown_since: Instant | None = None
    """When a worker that does not know its function had it first and passed it on; ``None``: none had it."""
    passed_on: int = 0
    """How often such workers passed this attempt on."""

    def fits(self, key: str) -> bool:
        """Whether the key names this queue, id and attempt, and the id the schedule."""
        mine = job_key(self.spec.queue, self.job_id, self.attempt)
        if key != mine and key != deferred_key(self.job_id, self.attempt):
            return False
        return fits_schedule(self.job_id, self.schedule_id)

    def evolve(self, **changes: Any) -> QueuedJob:
        """This record with some fields changed."""
        return msgspec.structs.replace(self, **changes)


class JobResult(Keyed, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """What is known of a job that runs or has ended."""

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

    def fits(self, key: str) -> bool:
        """Whether the key is that of this job's result, or of the note that it ended."""
        return key in (self.job_id, ended_key(self.job_id))
