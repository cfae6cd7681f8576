"""The decision about an attempt that ended: ``decide(queued, outcome, facts) -> Ending``, carried out by `naq.queue.settle`.

Pure: it reads neither a clock nor a store.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from naq.events import Event, EventType
from naq.jobs.events import job_event
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.outcome import Dropped, Ended, Raised, Returned, Stopped, Unrunnable
from naq.jobs.records import AttemptLog, DeadJob, DeadReason, StoredResult

__all__ = ["Ending", "Facts", "abandoned", "decide", "unwritable"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known besides the outcome."""

    worker_id: str
    now: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reason: str | None = None
    log: str | None = None
    """The last lines that were logged while it ran."""


@dataclass(frozen=True, slots=True)
class Ending:
    """The decision: either the job has ended (``result``) or another attempt follows (``next_attempt``)."""

    queued: QueuedJob
    result: StoredResult | None = None
    """The end of the job; jobs that wait for it are checked."""
    dead: DeadJob | None = None
    """The dead letter, if the job became one."""
    next_attempt: QueuedJob | None = None
    """Deferred until its ``due_at``; without one it is queued at once."""
    log: AttemptLog | None = None
    """What this attempt logged, if another one follows."""
    history: HistoryRecord | None = None
    event: Event | None = None


def decide(queued: QueuedJob, outcome: Ended, facts: Facts) -> Ending:
    """What becomes of a job whose attempt ended with ``outcome``."""
    match outcome:
        case Returned(value, complaint):
            error_type = None if complaint is None else "ResultNotStored"
            return _ended(queued, facts, JobStatus.COMPLETED, value, error_type, complaint)
        case Raised():
            if _is_retried(queued, outcome):
                return _retried(queued, facts, outcome.error_type, outcome.error, outcome.retry_after)
            return _died(queued, facts, DeadReason.FAILED, outcome.error_type, outcome.error, outcome.traceback)
        case Stopped("cancelled", _, ignored):
            parts = [part for part in (facts.reason, ignored and f"it {ignored}") if part]
            return _ended(queued, facts, JobStatus.CANCELLED, error="; ".join(parts) or None)
        case Stopped():
            raised = _timed_out(outcome)
            if _is_retried(queued, raised):
                return _retried(queued, facts, raised.error_type, raised.error, None)
            return _died(queued, facts, DeadReason.FAILED, raised.error_type, raised.error, None)
        case Unrunnable(reason, error_type, error):
            return _died(queued, facts, reason, error_type, error, None)
        case Dropped("missed"):
            return _ended(queued, facts, JobStatus.MISSED, error="no worker started it before its start deadline")
        case Dropped():
            return _ended(queued, facts, JobStatus.CANCELLED, error=facts.reason)


def abandoned(queued: QueuedJob, facts: Facts, worker_id: str, starts: int) -> tuple[HistoryRecord | None, Event]:
    """The history record and event for a worker that vanished before the attempt ended; ``facts`` are of the finder.

    This is not an end: the attempt is started again, or was started too often and ends as a dead letter.
    """
    text = f"its worker {worker_id} vanished before it ended"
    history = _history(queued, facts, RunOutcome.ABANDONED, "WorkerVanished", text)
    if history is not None:
        history = msgspec.structs.replace(history, worker_id=worker_id)
    event = _event(queued, facts, EventType.JOB_ABANDONED, error=text, error_type="WorkerVanished")
    details = {**event.details, "worker_id": worker_id, "starts": starts}
    return history, msgspec.structs.replace(event, details=details)


def unwritable(ending: Ending, facts: Facts, problem: str) -> Ending:
    """The end of a job whose own end the store refuses: a dead letter and a result that are small and plain."""
    wanted = f"ended as {ending.result.status}" if ending.result is not None else "failed, and was to be tried again"
    text = f"it {wanted}, but that could not be written: {problem[:500]}".encode("ascii", "backslashreplace").decode()
    spec = msgspec.structs.replace(ending.queued.spec, result_ttl=None)
    queued = msgspec.structs.replace(ending.queued, spec=spec, error=None)
    return _died(queued, facts, DeadReason.UNWRITABLE, "EndNotWritten", text, None)


def _timed_out(stopped: Stopped) -> Raised:
    text = f"it ran for {stopped.after:.1f} s, longer than its timeout"
    if stopped.ignored is not None:
        text += f", {stopped.ignored}"
    names = (
        "TimeoutError",
        "builtins:TimeoutError",
        "builtins.TimeoutError",
        "JobTimeout",
        "naq.exceptions:JobTimeout",
    )
    return Raised("JobTimeout", text, None, names)


def _is_retried(queued: QueuedJob, outcome: Raised) -> bool:
    if queued.attempt > queued.spec.retries:
        return False
    return outcome.asked_retry or not queued.spec.retry_on or not set(queued.spec.retry_on).isdisjoint(outcome.names)


def _retried(queued: QueuedJob, facts: Facts, error_type: str, error: str, after: float | None) -> Ending:
    wait = queued.spec.backoff.wait_after(queued.attempt, queued.job_id)
    if after is not None:
        wait = timedelta(seconds=max(0.0, after))
    due_at = facts.now + wait if wait > timedelta(0) else None
    following = msgspec.structs.replace(
        queued,
        attempt=queued.attempt + 1,
        enqueued_at=facts.now,
        enqueued_by=facts.worker_id,
        start_by=None,  # the job was started in time
        due_at=due_at,
        error=f"{error_type}: {error}",
        unknown_since=None,
        passed_on=0,
    )
    event = _event(queued, facts, EventType.JOB_RETRY_SCHEDULED, error=error, error_type=error_type, wait=wait)
    return Ending(
        queued,
        next_attempt=following,
        log=_log_of(following, facts),
        history=_history(queued, facts, RunOutcome.RETRIED, error_type, error),
        event=event,
    )


def _log_of(following: QueuedJob, facts: Facts) -> AttemptLog | None:
    """What the attempt before this one logged."""
    if not facts.log:
        return None
    return AttemptLog(
        job_id=following.job_id,
        attempt=following.attempt - 1,
        log=facts.log,
        error=following.error or "",
        worker_id=facts.worker_id,
        started_at=facts.started_at,
        ended_at=facts.ended_at,
    )


def _died(
    queued: QueuedJob, facts: Facts, reason: DeadReason, error_type: str, error: str, traceback: str | None
) -> Ending:
    dead = DeadJob(
        job_id=queued.job_id,
        reason=reason,
        died_at=facts.now,
        job=queued,
        error_type=error_type,
        error=error,
        traceback=traceback,
        worker_id=facts.worker_id,
    )
    ended = _ended(queued, facts, JobStatus.FAILED, error_type=error_type, error=error, traceback=traceback)
    return Ending(queued, ended.result, dead, history=ended.history, event=ended.event)


EVENTS = {
    JobStatus.COMPLETED: EventType.JOB_COMPLETED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELLED: EventType.JOB_CANCELLED,
    JobStatus.MISSED: EventType.FIRE_MISSED,
}


def _ended(
    queued: QueuedJob,
    facts: Facts,
    status: JobStatus,
    value: msgspec.Raw = msgspec.Raw(b"null"),  # noqa: B008 - immutable
    error_type: str | None = None,
    error: str | None = None,
    traceback: str | None = None,
) -> Ending:
    result = StoredResult(
        job_id=queued.job_id,
        status=status,
        func=queued.spec.func,
        queue=queued.spec.queue,
        attempt=queued.attempt,
        value=value,
        error_type=error_type,
        error=error,
        traceback=traceback,
        log=facts.log,
        worker_id=facts.worker_id,
        schedule_id=queued.schedule_id,
        nominal_at=queued.nominal_at,
        enqueued_at=queued.enqueued_at,
        started_at=facts.started_at,
        ended_at=facts.ended_at or facts.now,
    )
    missed = status is JobStatus.MISSED and queued.schedule_id is None
    kind = EventType.JOB_EXPIRED if missed else EVENTS[status]
    event = _event(queued, facts, kind, error=error, error_type=error_type)
    return Ending(
        queued, result, history=_history(queued, facts, RunOutcome(str(status)), error_type, error), event=event
    )


def _history(
    queued: QueuedJob, facts: Facts, outcome: RunOutcome, error_type: str | None, error: str | None
) -> HistoryRecord | None:
    if queued.schedule_id is None:
        return None
    unfired = outcome in (RunOutcome.MISSED, RunOutcome.CANCELLED)
    return HistoryRecord(
        schedule_id=queued.schedule_id,
        outcome=outcome,
        at=facts.now,
        job_id=queued.job_id,
        nominal_at=queued.nominal_at,
        fired_at=queued.enqueued_at,
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        attempt=queued.attempt,
        worker_id=facts.worker_id,
        reason=error if unfired else None,
        error_type=error_type,
        error=None if unfired else error,
    )


def _event(
    queued: QueuedJob,
    facts: Facts,
    kind: EventType,
    *,
    error: str | None = None,
    error_type: str | None = None,
    wait: timedelta | None = None,
) -> Event:
    details: dict[str, object] = {}
    if facts.started_at is not None and facts.ended_at is not None:
        details["duration"] = (facts.ended_at - facts.started_at).total_seconds()
    if error_type is not None:
        details["error_type"] = error_type
    if wait is not None:
        details["retry_in"] = wait.total_seconds()
    return job_event(queued, kind, facts.now, facts.worker_id, reason=error, details=details)
