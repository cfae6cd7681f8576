"""The state of a job, why it does not continue, and what to do, in one sentence. Pure.

The command line and the client both use ``account_of_job(info, around, now)``, so they report the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from naq.jobs.job import JobStatus
from naq.jobs.records import DeadReason, JobInfo, QueueLimits, WorkerInfo, is_known_nowhere
from naq.observe.diagnosis.listing import START_SCHEDULER
from naq.timing.duration import duration_text

__all__ = [
    "PATIENCE",
    "Account",
    "Around",
    "account_of_job",
    "attempt_text",
    "counted",
    "failure",
    "how_far",
    "span",
    "start_worker",
]

PATIENCE = timedelta(seconds=5)
"""How long something may be due before it is reported."""
START_WITH_MODULE = (
    "start a worker with the module that declares it (naq worker MODULE:APP), or keep its old name as an alias: "
    "@app.job(aliases=[...])"
)


@dataclass(frozen=True, slots=True)
class Account:
    """A finding about a job or schedule, and its remedy."""

    found: str
    remedy: str | None = None
    """``None``: nothing needs to be done."""

    def to_dict(self) -> dict[str, str | None]:
        """The fields as plain values."""
        return {"found": self.found, "remedy": self.remedy}


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The surroundings of a job that decide whether it continues."""

    leader: str | None = None
    """The leading instance, if any."""
    workers: tuple[WorkerInfo, ...] = ()
    """All live workers, of any queue."""
    limits: QueueLimits = QueueLimits()
    """The limits of the job's queue."""
    waiting: int = 0
    """Jobs of its queue that are not delivered to a worker."""
    in_hand: int = 0
    """Jobs of its queue that workers hold."""
    slots_taken: int = 0
    """Running jobs with its function, if the function has a limit."""
    held: bool = True
    """Whether a worker reports that it holds this job; only used for running jobs."""
    others: Mapping[str, JobStatus | None] = field(default_factory=dict)
    """Statuses of the jobs that it waits for; ``None``: unknown."""


def account_of_job(info: JobInfo, around: Around, now: datetime) -> Account:
    """The state of the job ``now``, with a remedy."""
    match info.status:
        case JobStatus.QUEUED:
            return _queued(info, around)
        case JobStatus.RUNNING:
            return _running(info, around, now)
        case JobStatus.DEFERRED:
            return _waits_for_jobs(info, around) if info.depends_on else _deferred(info, around, now)
        case JobStatus.FAILED:
            return _failed(info)
        case JobStatus.MISSED:
            remedy = f"add workers for queue {info.queue!r}, or increase start_deadline"
            return Account("no worker started it before its start deadline, so it was not run", remedy)
        case JobStatus.CANCELLED:
            why = "" if info.error in (None, "cancelled") else f": {info.error}"
            return Account(f"it was cancelled{'' if info.started_at else ' before it began'}{why}")
        case JobStatus.COMPLETED:
            return _completed(info)


def span(length: timedelta) -> str:
    """A duration as text, rounded down to seconds, or in milliseconds below one second."""
    if length < timedelta(seconds=1):
        return f"{length / timedelta(milliseconds=1):.0f}ms"
    return duration_text(timedelta(seconds=int(length.total_seconds())))


def how_far(info: JobInfo) -> str:
    """Its reported progress: ``340 of 1000 (orders)``; empty if none."""
    progress = info.progress
    if progress is None:
        return ""
    total = "" if progress.total is None else f" of {progress.total:g}"
    return f"{progress.done:g}{total}" + (f" ({progress.note})" if progress.note else "")


def attempt_text(info: JobInfo) -> str:
    """``attempt 2 of 3``, or without the total if that is unknown."""
    return f"attempt {info.attempt}" + ("" if info.retries is None else f" of {max(info.attempt, 1 + info.retries)}")


def failure(error_type: str | None, error: str | None) -> str:
    """``ValueError: no stock``; one of the parts may be missing."""
    return ": ".join(filter(None, (error_type, error))) or "no reason was given"


def _completed(info: JobInfo) -> Account:
    took = "" if info.duration is None else f" after {span(info.duration)}"
    if info.error_type is not None:
        return Account(f"it completed{took}, but its result was not stored: {info.error}")
    return Account(f"it completed{took}" + (f", on {attempt_text(info)}" if info.attempt > 1 else ""))


def _running(info: JobInfo, around: Around, now: datetime) -> Account:
    since = "" if info.started_at is None else f" for {span(max(now - info.started_at, timedelta(0)))}"
    far = how_far(info)
    found = f"it has been running{since} on {info.worker_id}, {attempt_text(info)}" + (f", at {far}" if far else "")
    worker = next((each for each in around.workers if each.worker_id == info.worker_id), None)
    if worker is None or not (around.held or worker.blocked_for):
        text = f"its worker {info.worker_id} stopped responding; it started the job{since and since[4:]} ago"
        others = [each for each in around.workers if each.worker_id != info.worker_id]
        if not any(info.queue in each.queues for each in others):
            return Account(f"{text}, and no other worker serves queue {info.queue!r}", start_worker(info.queue))
        return Account(f"{text}. Another worker gets it after ack_wait", "wait, or check: naq workers")
    if worker.blocked_for:
        found += f". Its worker's event loop has been blocked for {span(timedelta(seconds=worker.blocked_for))}"
        return Account(found, "see where: naq events --type worker_blocked --since 1h")
    return Account(found)


def _queued(info: JobInfo, around: Around) -> Account:
    queue, limits, serving = info.queue, around.limits, _serving(info.queue, around)
    begun = next((each for each in serving if info.job_id in each.running), None)
    if begun is not None:
        return Account(f"{begun.worker_id} has it and is starting it")
    if limits.paused:
        return Account(f"queue {queue!r} is paused", f"resume it: naq queue limit {queue} --resume")
    if not serving:
        return Account(_nobody_serves(queue, around), start_worker(queue))
    taking = [each for each in serving if not each.draining]
    if not taking:
        return Account(f"all workers of queue {queue!r} are stopping", start_worker(queue))
    if is_known_nowhere(info.func, taking):
        return Account(f"no running worker knows this function ({info.func})", START_WITH_MODULE)
    if limits.max_concurrent is not None and around.in_hand >= limits.max_concurrent:
        found = f"queue {queue!r} may run {counted(limits.max_concurrent, 'job')} at once, and this limit is reached"
        return Account(found, f"wait, or raise the limit: naq queue limit {queue} --max-concurrent N")
    if info.max_concurrent is not None and around.slots_taken >= info.max_concurrent:
        what = info.func if info.key is None else f"{info.func} with the key {info.key!r}"
        found = f"{what} may run {info.max_concurrent} at once (max_concurrent), and this limit is reached"
        return Account(found, "wait, or see what runs: naq job ls --status running")
    blocked = next((each for each in taking if each.blocked_for), None)
    if blocked is not None and len(taking) == 1:
        length = span(timedelta(seconds=blocked.blocked_for))
        found = f"a job blocks the event loop of its worker {blocked.worker_id}, for {length} so far"
        return Account(found, "see where: naq events --type worker_blocked --since 1h")
    places = sum(each.concurrency for each in taking)
    if sum(each.running_count for each in taking) >= places:
        found = f"all {places} slots of the {counted(len(taking), 'worker')} of queue {queue!r} are in use"
        return Account(found, "wait, start another worker, or raise its --concurrency")
    if limits.rate is not None:
        lie = around.waiting + around.in_hand
        found = f"queue {queue!r} starts {limits.rate:g} jobs a second at most, and {counted(lie, 'job')} are in it"
        return Account(found, f"wait, or raise the limit: naq queue limit {queue} --rate N")
    return Account("a worker will get it soon")


def _deferred(info: JobInfo, around: Around, now: datetime) -> Account:
    what = attempt_text(info) if info.attempt > 1 else "it"
    before = f"; the one before ended with {info.error}" if info.attempt > 1 and info.error else ""
    if info.due_at is None:
        return Account(f"{what} is not queued yet{before}")
    if info.unknown_since is not None and around.leader is not None:
        return _passed_on(info, around, info.due_at, now)
    if info.due_at > now:
        return Account(f"{what} starts in {span(info.due_at - now)}{before}")
    late = now - info.due_at
    if around.leader is None:
        return Account(f"{what} has been due for {span(late)}, and no scheduler leads{before}", START_SCHEDULER)
    remedy = "check the scheduler's log, and run naq doctor" if late > PATIENCE else None
    return Account(f"{what} has been due for {span(late)}{before}", remedy)


def _passed_on(info: JobInfo, around: Around, due_at: datetime, now: datetime) -> Account:
    """Workers that do not know its function had it."""
    times = counted(info.passed_on, "time")
    had = f"it was passed on {times} since {info.unknown_since:%Y-%m-%d %H:%M:%S} UTC, and is tried again"
    had += f" in {span(due_at - now)}" if due_at > now else " now"
    serving = [each for each in _serving(info.queue, around) if not each.draining]
    knows = next((each for each in serving if each.knows(info.func)), None)
    if knows is not None:
        return Account(f"a worker that does not know its function had it; {knows.worker_id} knows it; {had}")
    if not serving:
        return Account(f"{_nobody_serves(info.queue, around)}; {had}", start_worker(info.queue))
    found = (
        "no running worker knows this function" if is_known_nowhere(info.func, serving) else "a worker did not know it"
    )
    return Account(f"{found} ({info.func}): {had}", START_WITH_MODULE)


def _waits_for_jobs(info: JobInfo, around: Around) -> Account:
    wanted = {"succeeded": "to succeed", "failed": "to fail"}.get(info.depends_when, "to end")
    waits, lost, open_one = [], None, None
    for other in info.depends_on:
        status = around.others.get(other)
        if status is None:
            lost = lost or other
            waits.append(f"{other} {wanted}, which is unknown: it does not exist, or its result expired")
        elif not status.ended:
            open_one = open_one or other
            waits.append(f"{other} {wanted}, which is {status}")
    found = f"it waits for {', and for '.join(waits)}" if waits else "it will be queued soon"
    if lost is not None:
        return Account(found, f"run {lost}, or cancel this one: naq job cancel {info.job_id}")
    return Account(found, None if open_one is None else f"see that job: naq job show {open_one}")


DEAD = {
    DeadReason.KILLER: ("it was started too often without ending: it seems to crash its workers", 'executor="process"'),
    DeadReason.UNKNOWN_FUNCTION: (
        "no worker knew its function",
        "start a worker with the module that declares it",
    ),
    DeadReason.BAD_ARGUMENTS: ("its arguments do not match its function", "fix the schedule or the caller"),
    DeadReason.UNREADABLE: ("its record cannot be read", "upgrade the workers, if a newer naq wrote it"),
    DeadReason.UNWRITABLE: ("it ended, but the store refused the record of its end", "see the error"),
    DeadReason.DEPENDENCY: ("a job that it depends on did not end as required", "run that job again first"),
}


def _failed(info: JobInfo) -> Account:
    why = failure(info.error_type, info.error)
    again = f"naq job requeue {info.job_id}"
    if info.reason is None:
        return Account(f"it failed for good on {attempt_text(info)}: {why}", None)
    found, remedy = DEAD.get(DeadReason(info.reason), ("", ""))
    if not found:
        return Account(f"it failed for good on {attempt_text(info)}: {why}", f"fix that, then queue it again: {again}")
    return Account(f"{found}: {why}", f"{remedy}, then queue it again: {again}")


def _serving(queue: str, around: Around) -> list[WorkerInfo]:
    return [each for each in around.workers if queue in each.queues]


def _nobody_serves(queue: str, around: Around) -> str:
    if not around.workers:
        return "no worker runs"
    served = sorted({name for each in around.workers for name in each.queues})
    return f"no worker serves queue {queue!r} (those that run serve {', '.join(served)})"


def start_worker(queue: str) -> str:
    """The remedy when no worker serves a queue."""
    return "start a worker: naq worker MODULE:APP" + ("" if queue == "default" else f" --queue {queue}")


def counted(number: int, what: str) -> str:
    """``1 job``, ``2 jobs``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
