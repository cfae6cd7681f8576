"""Records besides the job itself: dead letters, results, what is shown of a job, workers, limits of queues."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any

import msgspec

from naq.jobs.job import JobResult, JobStatus, QueuedJob
from naq.store.codec import Keyed, plain_form
from naq.store.keys import dead_key, fits_schedule, is_attempt_of, worker_key
from naq.timing.instants import Instant

__all__ = [
    "PRESENCE_TTL",
    "AttemptLog",
    "DeadJob",
    "DeadReason",
    "JobInfo",
    "Progress",
    "QueueLimits",
    "StoredResult",
    "UniqueJob",
    "WaitingFor",
    "WorkerInfo",
    "dead_info",
    "entry_info",
    "is_known_nowhere",
    "is_over",
    "result_info",
]

PRESENCE_TTL = 30
"""Seconds after its last heartbeat at which a worker's record, and the slots it holds, expire."""


class DeadReason(StrEnum):
    """Why a job will not be tried again."""

    FAILED = "failed"
    """Its last attempt failed."""
    KILLER = "killer"
    """It was started too often without an end: it seems to kill its workers."""
    UNKNOWN_FUNCTION = "unknown function"
    """No worker that took it within ``unknown_function_wait`` registered or allows its function."""
    BAD_ARGUMENTS = "bad arguments"
    """Its arguments do not match its function."""
    UNREADABLE = "unreadable"
    """Its record cannot be read, or a newer naq wrote it."""
    UNWRITABLE = "unwritable"
    """It ended, but the store refuses to take its end."""
    DEPENDENCY = "dependency"
    """A job that it depends on ended in another way than ``depends_when`` asks for."""


class DeadJob(Keyed, frozen=True, omit_defaults=True, kw_only=True):
    """A dead letter."""

    v: int = 1
    job_id: str
    reason: DeadReason
    died_at: Instant
    job: QueuedJob | None = None
    """The last attempt; ``None`` when its record could not be read."""
    raw: str | None = None
    """The bytes of the last attempt's record, as text, when ``job`` is ``None``."""
    shortened: bool = False
    """``raw`` is only the beginning, because the whole was too large for a dead letter: it cannot be requeued."""
    key: str = ""
    """Where the attempt was queued."""
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None
    worker_id: str | None = None

    def fits(self, key: str) -> bool:
        """Whether the key is that of this job's dead letter, and the last attempt was this job's: it is queued again there."""
        if key != dead_key(self.job_id) or (self.key and not is_attempt_of(self.key, self.job_id)):
            return False
        job = self.job
        return job is None or (job.job_id == self.job_id and fits_schedule(job.job_id, job.schedule_id))


class Progress(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a running job is, as it reported."""

    done: float = 0.0
    total: float | None = None
    note: str | None = None


class StoredResult(JobResult, frozen=True, omit_defaults=True, kw_only=True):
    """A `JobResult` as it is stored."""

    chunks: int = 0
    """The number of further entries that hold the value; 0: it is in this one."""
    progress: Progress | None = None
    log: str | None = None
    """The last lines that were logged while it ran."""


class AttemptLog(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What was logged while an attempt ran that was followed by another one."""

    v: int = 1
    job_id: str
    attempt: int
    log: str
    """The last lines."""
    error: str = ""
    """How it failed."""
    worker_id: str | None = None
    started_at: Instant | None = None
    ended_at: Instant | None = None


class WaitingFor(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The note that one job waits for another."""

    v: int = 1
    job_id: str
    """The job that waits."""
    attempt: int = 1
    due_at: Instant | None = None
    """It must not run before this time either."""


class UniqueJob(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The job that holds a unique key."""

    v: int = 1
    job_id: str
    enqueued_at: Instant
    held_for: timedelta = timedelta(0)
    """How long after its end it holds the key."""
    ended: bool = False
    """The job has ended; the record expires when the key is free again."""


class QueueLimits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The limits of one queue, for all workers."""

    v: int = 1
    max_concurrent: int | None = None
    """How many jobs of the queue all workers together may have in hand; ``None``: no limit."""
    rate: float | None = None
    """How many jobs all workers together may start per second; ``None``: no limit."""
    paused: bool = False
    """No job of the queue is delivered to a worker."""


class WorkerInfo(Keyed, frozen=True, omit_defaults=True, kw_only=True):
    """A worker that is alive, as it reports every few seconds."""

    v: int = 1
    worker_id: str
    host: str = ""
    pid: int = 0
    queues: tuple[str, ...] = ()
    concurrency: int = 1
    started_at: Instant
    seen_at: Instant
    running: tuple[str, ...] = ()
    """Ids of the jobs that it runs, at most a hundred."""
    running_count: int = 0
    finished: int = 0
    """Attempts that ended so far, whether they succeeded or not."""
    failed: int = 0
    stuck: int = 0
    """Attempts that were abandoned and still run, because they ignored being stopped."""
    memory: int = 0
    """Resident bytes."""
    blocked_for: float = 0.0
    """Seconds for which a job has been blocking the event loop; 0: none does."""
    draining: bool = False
    zones: str = ""
    """The release of its zone data; empty: an older naq, which does not say."""
    functions: tuple[str, ...] | None = None
    """The names of the functions that it registered; ``None``: it does not say, because they are too many."""
    allows: tuple[str, ...] = ()
    """Patterns of functions that it may import besides."""

    def knows(self, func: str) -> bool | None:
        """Whether it runs the function; ``None``: it does not say, or would have to import it to find out."""
        if self.functions is not None and func in self.functions:
            return True
        if self.functions is None or any(fnmatch.fnmatchcase(func, pattern) for pattern in self.allows):
            return None
        return False

    def fits(self, key: str) -> bool:
        """Whether the key is that of this worker."""
        return key == worker_key(self.worker_id)


class JobInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one job, whatever its status."""

    job_id: str
    status: JobStatus
    func: str = ""
    queue: str = ""
    attempt: int = 1
    retries: int | None = None
    """Attempts after the first; ``None``: no longer known, because a result does not hold it."""
    enqueued_at: Instant | None = None
    due_at: Instant | None = None
    """When a deferred job goes into the queue; ``None`` for one that waits for other jobs."""
    start_by: Instant | None = None
    """A job that waits and is not started by then ends as missed."""
    started_at: Instant | None = None
    ended_at: Instant | None = None
    schedule_id: str | None = None
    nominal_at: Instant | None = None
    worker_id: str | None = None
    depends_on: tuple[str, ...] = ()
    depends_when: str = "succeeded"
    """How they must have ended."""
    max_concurrent: int | None = None
    """How many jobs of its function may run at once; ``None``: no limit, or no longer known."""
    key: str | None = None
    """What that limit counts by besides the function."""
    progress: Progress | None = None
    value: Any = None
    """What the function returned, as JSON values."""
    reason: str | None = None
    """Why it is a dead letter."""
    error_type: str | None = None
    error: str | None = None
    traceback: str | None = None
    log: str | None = None
    """The last lines that were logged while its last attempt ran."""
    logs: tuple[AttemptLog, ...] = ()
    """The same of the attempts before, the oldest first: of the last ten of those that logged something. Only where one job was
    asked for."""
    unknown_since: Instant | None = None
    """When a worker that does not know its function had it first and passed it on; ``None``: none had it."""
    passed_on: int = 0
    """How often such workers passed it on."""

    @property
    def duration(self) -> timedelta | None:
        """How long the last attempt ran."""
        if self.started_at is None or self.ended_at is None:
            return None
        return self.ended_at - self.started_at

    def to_dict(self) -> dict[str, Any]:
        """Plain values: times in epoch seconds."""
        return plain_form(self)


def is_known_nowhere(func: str, workers: Sequence[WorkerInfo]) -> bool:
    """Whether each of some workers says that it does not run the function; not known when there is none."""
    return bool(workers) and all(each.knows(func) is False for each in workers)


def entry_info(queued: QueuedJob, status: JobStatus) -> JobInfo:
    """What is known from the record of a queued or deferred attempt."""
    return JobInfo(
        job_id=queued.job_id,
        status=status,
        func=queued.spec.func,
        queue=queued.spec.queue,
        attempt=queued.attempt,
        retries=queued.spec.retries,
        enqueued_at=queued.enqueued_at,
        due_at=queued.due_at,
        start_by=queued.start_by,
        schedule_id=queued.schedule_id,
        nominal_at=queued.nominal_at,
        depends_on=queued.spec.depends_on,
        depends_when=queued.spec.depends_when,
        max_concurrent=queued.spec.max_concurrent,
        key=queued.spec.key,
        error=queued.error,
        unknown_since=queued.unknown_since,
        passed_on=queued.passed_on,
    )


def result_info(result: StoredResult) -> JobInfo:
    """What is known from a result."""
    return JobInfo(
        job_id=result.job_id,
        status=result.status,
        func=result.func,
        queue=result.queue,
        attempt=result.attempt,
        enqueued_at=result.enqueued_at,
        started_at=result.started_at,
        ended_at=result.ended_at,
        schedule_id=result.schedule_id,
        nominal_at=result.nominal_at,
        worker_id=result.worker_id,
        progress=result.progress,
        value=msgspec.json.decode(result.value) if result.chunks == 0 else None,
        error_type=result.error_type,
        error=result.error,
        traceback=result.traceback,
        log=result.log,
    )


def dead_info(dead: DeadJob) -> JobInfo:
    """What is known from a dead letter."""
    known = None if dead.job is None else entry_info(dead.job, JobStatus.FAILED)
    base = known or JobInfo(job_id=dead.job_id, status=JobStatus.FAILED)
    return msgspec.structs.replace(
        base,
        reason=str(dead.reason),
        ended_at=dead.died_at,
        error_type=dead.error_type,
        error=dead.error,
        traceback=dead.traceback,
        worker_id=dead.worker_id,
    )


def is_over(queued: QueuedJob, result: StoredResult | None) -> bool:
    """Whether this attempt has ended according to ``result``; the result of an earlier job with the same id does not count."""
    return (
        result is not None
        and result.status.ended
        and result.attempt >= queued.attempt
        and (result.enqueued_at is None or result.enqueued_at >= queued.enqueued_at)
    )
