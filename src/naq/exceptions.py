"""Every error that naq raises, in one tree.

::

    NaqError
    ├── InvalidInput            an argument cannot be used (also a ValueError)
    │   ├── ConfigError         one or more configuration keys; lists all complaints at once
    │   ├── InvalidJob          a job definition
    │   ├── InvalidName         a method that does not exist (also an AttributeError)
    │   └── InvalidSchedule     a schedule definition (also a SchedulerError)
    ├── ServiceError            a service cannot be built, started or found
    │   └── EmbeddedServerError the server that naq runs itself did not start
    ├── StoreError              the store did not answer, or rejected the request
    │   ├── StoreUnavailable    no answer: the connection is down or the server too slow
    │   ├── StoreUnsuitable     the server or bucket cannot do what naq needs; says what to do
    │   │   └── NoSuchNamespace nothing was ever stored in this namespace
    │   ├── StoreRejected       the server answered with an error (full, no permission, ...)
    │   │   └── StoreForbidden  the user may not write or read there; says which permission is missing
    │   └── TransactionTooLarge more messages or bytes than one batch may have; nothing was sent
    ├── SinkError               a sink did not accept a notification
    ├── RecordUnreadable        a record in the store that is invalid, or of a newer version
    ├── SchedulerError          the scheduler could not do it; the cause is attached
    │   ├── ScheduleExists      the id is taken and ``if_exists`` is ``raise``
    │   ├── SetConflict         two applications declare the same set of schedules, or the same schedule
    │   └── FenceMoved          a write was conditional on another record, which changed meanwhile
    └── JobError                about one job
        ├── JobExists           the id is taken by a job that is still queued
        ├── JobFailed           a result was asked for, and the job ended in failure
        ├── JobUnknown          a result was asked for, and nothing is known of the job
        ├── JobTimeout          a result did not come, or a job ran longer than its timeout
        ├── JobCancelled        the job was cancelled
        ├── ResultUnfit         a result is not what the function is annotated to return
        └── UnknownFunction     a function reference that this process neither registered nor allows

    Retry                       raised *by a job*: run me again after a while (control flow)

"Not found" is not an exception: the services return ``None`` or ``False``. An exception means that the store could not be
read, or that the request was invalid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from naq.durations import LONGEST, read_duration

__all__ = [
    "ConfigError",
    "EmbeddedServerError",
    "FenceMoved",
    "InvalidInput",
    "InvalidJob",
    "InvalidName",
    "InvalidSchedule",
    "JobCancelled",
    "JobError",
    "JobExists",
    "JobFailed",
    "JobTimeout",
    "JobUnknown",
    "NaqError",
    "NoSuchNamespace",
    "Problem",
    "RecordUnreadable",
    "ResultUnfit",
    "Retry",
    "ScheduleExists",
    "SchedulerError",
    "ServiceError",
    "SetConflict",
    "SinkError",
    "StoreError",
    "StoreForbidden",
    "StoreFull",
    "StoreRejected",
    "StoreUnavailable",
    "StoreUnsuitable",
    "TransactionTooLarge",
    "UnknownFunction",
]


class NaqError(Exception):
    """The root of the tree: catch this to catch all of naq."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One complaint about one value: what is wrong and what would be right."""

    field: str
    """The name the user wrote, e.g. ``schedule.cron``."""
    value: str
    """The value as it was given, shortened; ``***`` for a secret."""
    reason: str
    """What is wrong, as the end of the sentence "field = value: ..."."""
    example: str = ""
    """A value that would be accepted, as it is written; empty when no value alone would help."""
    advice: str = ""
    """What to do instead, when no value alone would help."""

    def __str__(self) -> str:
        text = f"{self.field} = {self.value}: {self.reason}"
        if self.example:
            text += f"; for example {self.field} = {self.example}"
        return f"{text}; {self.advice}" if self.advice else text


class InvalidInput(NaqError, ValueError):
    """An argument cannot be used; nothing was written.

    ``problems`` holds every complaint that was found; the message prints them all.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems: tuple[Problem, ...] = problems

    @classmethod
    def of(cls, field: str, value: object, reason: str, example: object) -> InvalidInput:
        """Build the error for one value, which is shown as its ``repr``, cut at 120 characters."""
        return cls(Problem(field, shown(value), reason, shown(example)))


def shown(value: object) -> str:
    """``repr`` of a value for an error message, cut at 120 characters."""
    try:
        text = repr(value[:200] if isinstance(value, str | bytes) else value)
    except Exception as error:  # noqa: BLE001 - a user's __repr__, or a value that is nested too deep for any
        text = f"<a {type(value).__qualname__} that cannot be shown: {type(error).__name__}>"
    return text if len(text) <= 120 else text[:117] + "..."


class ConfigError(InvalidInput):
    """The configuration cannot be used; the message lists every complaint."""


class InvalidJob(InvalidInput):
    """The job cannot be stored: its function, arguments, queue or policy is wrong."""


class InvalidName(InvalidInput, AttributeError):
    """A method does not exist; the message suggests the most similar name."""


class ServiceError(NaqError):
    """A service cannot be built, started, stopped or found."""


class EmbeddedServerError(ServiceError):
    """The NATS server that naq runs itself did not start or could not be joined."""


class StoreError(NaqError):
    """The store did not answer, or rejected the request. Never means "not found"."""


class StoreUnavailable(StoreError):
    """No answer came: the connection is down, or the server took too long. Trying again may help."""


class StoreUnsuitable(StoreError):
    """This server or bucket cannot hold a naq store. The message says what to change."""


class NoSuchNamespace(StoreUnsuitable):
    """Nothing was ever stored in this namespace, and only what stores something makes it. The message names those that exist."""


class StoreRejected(StoreError):
    """The server answered with an error of its own, e.g. a full disk or a missing permission.

    ``code`` is JetStream's error number (``err_code``), 0 when it gave none.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StoreFull(StoreRejected):
    """The bucket has reached its size limit (``max_bytes``). Nothing was written. The message says what to do."""


class StoreForbidden(StoreRejected):
    """This user may not publish to a subject that the request needs. Nothing was written. The message names the subject."""


class TransactionTooLarge(StoreError):
    """One batch would have too many messages or a message too many bytes. Nothing was sent."""


class RecordUnreadable(NaqError):
    """A record in the store cannot be read; it is left unchanged.

    ``key`` is where they are, ``reason`` says why, and ``newer`` is true when a newer naq wrote them.
    """

    def __init__(self, key: str, reason: str, *, newer: bool = False) -> None:
        super().__init__(f"the record {key!r} cannot be read: {reason}")
        self.key = key
        self.reason = reason
        self.newer = newer


class SinkError(NaqError):
    """A sink (a user's function, a webhook) did not accept a notification.

    ``again``: a retry may help. ``after``: minimum seconds before the retry.
    """

    def __init__(self, message: str, *, again: bool = True, after: float = 0.0) -> None:
        super().__init__(message)
        self.again = again
        self.after = after


class SchedulerError(NaqError):
    """The scheduler could not do it. The cause, e.g. a `StoreError`, is attached."""


class InvalidSchedule(InvalidInput, SchedulerError):
    """The schedule cannot be stored: its trigger, policy or id is wrong."""


class ScheduleExists(SchedulerError):
    """A schedule with this id exists; ask for ``if_exists="keep"`` or ``"replace"``, or use another id. One that is
    ``cancelled`` cannot be replaced."""

    def __init__(self, schedule_id: str, *, cancelled: bool = False) -> None:
        super().__init__(
            f"schedule {schedule_id!r} was cancelled, which is final: delete it to have it created again, or use another id"
            if cancelled
            else f"schedule {schedule_id!r} exists already: use another id, "
            'or say if_exists="keep" (leave it) or if_exists="replace" (change it in place)'
        )
        self.schedule_id = schedule_id


class SetConflict(SchedulerError):
    """Two applications declare the same set of schedules, or the same schedule."""


class FenceMoved(SchedulerError):
    """A write was conditional on another record, and that record changed meanwhile."""


class JobError(NaqError):
    """An error about one job; ``job_id`` is its id, ``reason`` is the message without it."""

    def __init__(self, job_id: str, message: str) -> None:
        super().__init__(f"job {job_id!r}: {message}")
        self.job_id = job_id
        self.reason = message


class JobExists(JobError):
    """A job with this id is queued or waiting already; it was not queued a second time."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, "is queued already; use another job_id, or none to have one generated")


class JobFailed(JobError):
    """The job ended in failure; ``error_type`` and ``error`` are what its function raised."""

    def __init__(self, job_id: str, error_type: str, error: str) -> None:
        super().__init__(job_id, f"failed with {error_type}: {error}")
        self.error_type = error_type
        self.error = error


class JobUnknown(JobError):
    """A result was waited for, and there is no such job: the id is wrong, or the result is no longer kept."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, "is unknown: the id is wrong, or its result is no longer kept (see result_ttl)")


class JobTimeout(JobError):
    """A job's result did not come in time, or the job ran longer than it may."""


class JobCancelled(JobError):
    """The job was cancelled before it ended by itself."""

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id, "was cancelled")


class ResultUnfit(JobError):
    """The job completed, and what it returned is not of the type that its function is annotated to return, here and now: the
    annotation is wrong, or was changed since. ``get_job(id).value`` has the value as JSON values."""

    def __init__(self, job_id: str, func: str, annotation: str, error: str) -> None:
        super().__init__(
            job_id,
            f"completed, but what it returned does not fit {func}, annotated to return {annotation}: {error}; "
            "get_job(id).value has it as JSON values",
        )
        self.annotation = annotation


class UnknownFunction(JobError):
    """The job names a function that this process neither registered nor allows."""

    def __init__(self, job_id: str, reference: str, known: Sequence[str] = ()) -> None:
        hint = f"; it knows {', '.join(sorted(known)[:8])}" if known else ""
        super().__init__(
            job_id,
            f"function {reference!r} is not registered here: import the module that declares it "
            f"(naq worker MODULE:APP), or allow it with allow_functions = [{reference.split(':')[0] + ':*'!r}]{hint}",
        )
        self.reference = reference


class Retry(Exception):
    """Raise this inside a job to have it run again after ``after``, as its next attempt.

    ``after``: seconds, a timedelta, or text such as "5m", up to 100 years; 0: at once; ``None``: as the job's own backoff
    says. It counts as a failed attempt. Raises `InvalidInput` for any other ``after``: the job fails with that error.
    """

    def __init__(
        self, after: float | timedelta | str | None = None, reason: str = "the job asked to be retried"
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after: float | None = None
        """Seconds."""
        if after is not None:
            wait = read_duration(after)
            if wait is None or not timedelta(0) <= wait <= LONGEST:
                raise InvalidInput.of(
                    "after", after, "must be a duration from 0 to 100 years (seconds, a timedelta, '5m')", "5m"
                )
            self.after = wait.total_seconds()

    def __reduce__(self) -> tuple[type[Retry], tuple[float | None, str]]:
        return type(self), (self.after, self.reason)
