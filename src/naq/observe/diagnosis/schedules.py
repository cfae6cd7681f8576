"""Why a schedule does not fire, or why its last run failed, and what to do, in plain sentences. Pure.

The most urgent finding comes first. A schedule that fires and whose last run succeeded has no findings.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobStatus
from naq.jobs.records import JobInfo
from naq.observe.diagnosis.jobs import PATIENCE, Account, counted, failure, span
from naq.observe.diagnosis.listing import NO_LEADER, START_SCHEDULER
from naq.schedules.occurrences import Occurrence
from naq.schedules.planning.decision import NonFireReason
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.duration import duration_text
from naq.timing.triggers import Once

__all__ = ["MOST_OPEN", "OpenJob", "accounts_of_quarantined", "accounts_of_schedule", "non_fire"]


MOST_OPEN: Final = 20
"""How many open jobs of a schedule are checked, newest first."""


@dataclass(frozen=True, slots=True)
class OpenJob:
    """An open job of a schedule, with its finding."""

    info: JobInfo
    account: Account


_NON_FIRES: Final = {
    NonFireReason.TOO_LATE: (
        "no scheduler fired it within its catch-up window",
        "run it now: {backfill}; or widen the window: naq schedule update {id} --set catch_up=6h",
    ),
    NonFireReason.PAST_DEADLINE: (
        "it was not fired before its start deadline",
        "run it now: {backfill}; or lengthen it: naq schedule update {id} --set start_deadline=10m",
    ),
    NonFireReason.COALESCED: (
        "several times were due together, and only one of them fired (coalesce)",
        "run each of them: {backfill}; or let all fire next time: naq schedule update {id} --set coalesce=all",
    ),
    NonFireReason.TOO_MANY: (
        "more times were due together than the catch-up limit",
        "run them: {backfill}",
    ),
    NonFireReason.OVERLAP: (
        "the previous run had not finished (overlap={overlap})",
        "see how long it takes: naq schedule history {id}; or let it wait: naq schedule update {id} --set overlap=buffer_one",
    ),
    NonFireReason.EXCLUDED: ("this time is excluded", None),
    NonFireReason.SKIP_REQUESTED: ("it was skipped on request (naq schedule skip)", None),
    NonFireReason.PAUSED: (
        "the schedule was paused",
        "run the skipped times: {backfill}",
    ),
}


def accounts_of_quarantined(schedule_id: str, reason: str) -> tuple[Account, ...]:
    """The finding about a record that cannot be read."""
    remedy = f"repair the record, upgrade the schedulers if a newer naq wrote it, or remove it: naq schedule delete {schedule_id}"
    return (Account(f"its record cannot be used, so it does not fire: {reason}", remedy),)


def accounts_of_schedule(
    schedule: Schedule, past: Sequence[Occurrence], open_jobs: Sequence[OpenJob], leader: str | None, now: datetime
) -> tuple[Account, ...]:
    """The findings about a schedule ``now``. ``past``: its history, newest first; ``leader``: the leading instance."""
    return (
        *_standing(schedule, leader, now),
        *_waiting(schedule, open_jobs),
        *_last(schedule, past, open_jobs),
        *_coming(schedule, now),
    )


def non_fire(schedule: Schedule, record: HistoryRecord) -> Account | None:
    """The finding about a nominal time that did not fire; ``None`` for other records."""
    if record.outcome.fired or record.job_id is not None:
        return None
    try:
        found, remedy = _NON_FIRES[NonFireReason(record.reason or "")]
    except (ValueError, KeyError):
        return Account(f"the last time did not fire: {record.reason}")
    words = {
        "id": schedule.schedule_id,
        "overlap": str(schedule.policy.overlap),
        "backfill": f"naq schedule backfill {schedule.schedule_id} {_iso(record.nominal_at)} {_iso(_last_of(record))}",
    }
    which = "the last time" if record.count == 1 else f"the last {record.count} times"
    said = f"{which} did not fire: {found.format(**words)}"
    return Account(said, None if remedy is None else remedy.format(**words))


def _last_of(record: HistoryRecord) -> datetime | None:
    return record.until or record.nominal_at


def _iso(instant: datetime | None) -> str:
    return "" if instant is None else instant.isoformat().replace("+00:00", "Z")


def _standing(schedule: Schedule, leader: str | None, now: datetime) -> Iterator[Account]:
    name = schedule.schedule_id
    match schedule.status:
        case ScheduleStatus.CANCELLED:
            since = _ago(schedule.cancelled_at, now)
            remedy = f"cancelled is final: remove it (naq schedule delete {name}) and add it again"
            yield Account(f"it was cancelled{since}: it never fires again", remedy)
        case ScheduleStatus.COMPLETED:
            yield _completed(schedule, now)
        case ScheduleStatus.PAUSED:
            by = f" by {schedule.paused_by}" if schedule.paused_by else ""
            why = f": {schedule.pause_reason}" if schedule.pause_reason else ""
            yield Account(
                f"it was paused{_ago(schedule.paused_at, now)}{by}{why}{_passed(schedule, now)}",
                f"resume it: naq schedule resume {name} (with --catch-up for the times that were due meanwhile)",
            )
        case ScheduleStatus.ACTIVE:
            due_at = schedule.next_run_at
            if leader is None:
                yield Account(NO_LEADER + _passed(schedule, now), START_SCHEDULER)
            elif due_at is not None and now - due_at > PATIENCE:
                late = f"it has been due for {span(now - due_at)}, and the leader {leader} has not fired it"
                yield Account(late, "check that scheduler's log, and run naq doctor")


def _completed(schedule: Schedule, now: datetime) -> Account:
    name, policy, since = schedule.schedule_id, schedule.policy, _ago(schedule.completed_at, now)
    if policy.max_runs is not None and schedule.runs >= policy.max_runs:
        more = f"extend it: naq schedule update {name} --set max_runs={2 * policy.max_runs}"
        return Account(f"it ended{since}: it has had its {counted(policy.max_runs, 'run')} (max_runs)", more)
    if isinstance(schedule.trigger, Once):
        return Account(f"it ended{since}: its one time has passed", f"run it again: naq schedule trigger {name}")
    if policy.end_at is not None:
        more = f"extend it: naq schedule update {name} --set end_at=2030-12-31T00:00:00Z"
        return Account(
            f"it ended{since}: its last time before end_at ({policy.end_at:%Y-%m-%d %H:%M} UTC) passed", more
        )
    return Account(f"it ended{since}: it has no further time", f"give it one: naq schedule update {name} --cron ...")


def _waiting(schedule: Schedule, open_jobs: Sequence[OpenJob]) -> Iterator[Account]:
    """Waiting runs, one finding per reason; and runs that lost their worker."""
    reasons: dict[Account, int] = {}
    for each in open_jobs:
        stuck = each.info.status is JobStatus.RUNNING and each.account.remedy is not None
        if stuck or each.info.status is not JobStatus.RUNNING:
            reasons[each.account] = reasons.get(each.account, 0) + 1
    for account, count in reasons.items():
        number = f"{count} or more" if count >= MOST_OPEN else f"{count}"
        waits = "1 run of it waits" if count == 1 else f"{number} runs of it wait"
        yield Account(f"{waits}: {account.found}", account.remedy)
    if schedule.buffered and schedule.open_runs:
        waits = counted(len(schedule.buffered), "nominal time")
        yield Account(
            f"{waits} will fire when {schedule.open_runs[0].job_id} has ended (overlap={schedule.policy.overlap})"
        )


def _last(schedule: Schedule, past: Sequence[Occurrence], open_jobs: Sequence[OpenJob]) -> Iterator[Account]:
    """The result of its newest time, unless it succeeded or another one fired since."""
    if not past:
        return
    record = past[0].last
    begun = (each.info.nominal_at or each.info.enqueued_at for each in open_jobs)
    since = [at for at in (*begun, schedule.decided_until) if at is not None and at > past[0].when]
    if since and not record.outcome.fired:
        return
    match record.outcome:
        case RunOutcome.FAILED:
            tries = "" if record.attempt == 1 else f" after {record.attempt} attempts"
            why = failure(record.error_type, record.error)
            remedy = f"naq job show {record.job_id}; after fixing the cause: naq job requeue {record.job_id}"
            yield Account(f"the last run failed{tries}: {why}", remedy)
        case RunOutcome.CANCELLED:
            why = "" if record.reason in (None, "cancelled") else f": {record.reason}"
            yield Account(
                f"the last run was cancelled{why}", f"run it now: naq schedule trigger {schedule.schedule_id}"
            )
        case RunOutcome.ABANDONED:
            yield Account(f"the last run lost its worker {record.worker_id}; another worker starts it again")
        case RunOutcome.MISSED if record.job_id is not None:
            remedy = f"check the workers of queue {schedule.job.queue!r}: naq queue show {schedule.job.queue}"
            yield Account("the last run was not started before its start deadline", remedy)
        case RunOutcome.MISSED | RunOutcome.SKIPPED:
            account = non_fire(schedule, record)
            if account is not None:
                yield account


def _coming(schedule: Schedule, now: datetime) -> Iterator[Account]:
    """What keeps an active schedule from its next times."""
    if schedule.status is not ScheduleStatus.ACTIVE:
        return
    if schedule.skip_next:
        which = "its next time is" if schedule.skip_next == 1 else f"its next {schedule.skip_next} times are"
        remedy = f"undo: naq schedule skip {schedule.schedule_id} 0"
        yield Account(f"{which} to be skipped, on request", remedy)
    first = schedule.next_nominal_at
    if schedule.excluded_from is not None and first is not None and first > now:
        yield Account(f"all its times are excluded until {first:%Y-%m-%d %H:%M:%S} UTC")
    if schedule.waits_for_end:
        yield Account(f"its next time is known when {schedule.open_runs[0].job_id} has ended (fixed delay)")
    if schedule.last_run_at is None and first is not None and first > now:
        yield Account("it has not fired yet: its first time is in the future")


def _passed(schedule: Schedule, now: datetime) -> str:
    """How many nominal times passed since, for a schedule that does not fire."""
    first = schedule.next_nominal_at
    if first is None or first > now:
        return ""
    nominals = schedule.nominals
    last = nominals.previous(now)
    count = 1 if last is None or last <= first else nominals.count(first, last)
    return f"; {counted(count, 'time')} passed since" if count != 1 else "; one time passed since"


def _ago(instant: datetime | None, now: datetime) -> str:
    whole = 0 if instant is None else max(int((now - instant).total_seconds()), 0)
    return "" if instant is None else f" {duration_text(timedelta(seconds=whole))} ago"
