"""What is said of a schedule, case by case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobSpec, JobStatus
from naq.jobs.records import JobInfo
from naq.observe.diagnosis.jobs import Account
from naq.observe.diagnosis.schedules import OpenJob, accounts_of_schedule
from naq.schedules.occurrences import Occurrence
from naq.schedules.planning.decision import NonFireReason
from naq.schedules.policy import Overlap, Policy
from naq.schedules.record import OpenRun, Schedule
from naq.schedules.transitions import cancelled, new_schedule, paused
from naq.timing.triggers import FixedDelay, Interval, Once

T = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MADE = T - timedelta(minutes=90)


def made(trigger: Any = None, policy: Policy | None = None, **changes: Any) -> Schedule:
    fresh = new_schedule("x", JobSpec(func="shop:send"), trigger or Interval(HOUR), policy or Policy(), MADE)
    known: dict[str, Any] = {"next_nominal_at": T + HOUR / 2, "next_run_at": T + HOUR / 2, "last_run_at": T - HOUR / 2}
    return fresh.evolve(**{**known, **changes})


def record(outcome: RunOutcome, **more: Any) -> Occurrence:
    known: dict[str, Any] = {
        "schedule_id": "x",
        "outcome": outcome,
        "at": T,
        "job_id": "x/j",
        "nominal_at": T - HOUR / 2,
    }
    return Occurrence((HistoryRecord(**{**known, **more}),))


def non_fire(reason: NonFireReason, **more: Any) -> Occurrence:
    outcome = RunOutcome.MISSED if reason.is_missed else RunOutcome.SKIPPED
    return record(outcome, job_id=None, reason=str(reason), **more)


def open_job(status: JobStatus, found: str, remedy: str | None = None, **more: Any) -> OpenJob:
    return OpenJob(JobInfo(**{"job_id": "x/k", "status": status, "enqueued_at": T, **more}), Account(found, remedy))


PAUSED = paused(made(next_nominal_at=T - HOUR / 2), T - HOUR, "stock-taking [north]", "cli:ann")
assert PAUSED is not None
FAILED = record(RunOutcome.FAILED, attempt=3, error_type="ValueError", error="no stock")
QUEUED = open_job(JobStatus.QUEUED, "no worker runs", "start a worker")
RUNNING = open_job(JobStatus.RUNNING, "it has been running for 3s on w, attempt 1 of 1")
CATCH_UP = (
    "run it now: naq schedule backfill x 2030-01-01T10:30:00Z 2030-01-01T11:30:00Z; "
    "or widen the window: naq schedule update x --set catch_up=6h"
)


CASES: dict[str, tuple[Schedule, Sequence[Occurrence], Sequence[OpenJob], str | None, list[tuple[str, str | None]]]] = {
    "healthy": (made(), [record(RunOutcome.COMPLETED)], [], "s", []),
    "healthy, and it runs": (made(), [], [RUNNING], "s", []),
    "no scheduler leads": (
        made(next_nominal_at=T - HOUR / 2, next_run_at=T - HOUR / 2),
        [],
        [],
        None,
        [("no scheduler leads: nothing fires; one time passed since", "start a scheduler (naq scheduler)")],
    ),
    "the leader does not fire it": (
        made(next_nominal_at=T - HOUR / 2, next_run_at=T - HOUR / 2),
        [],
        [],
        "s",
        [
            (
                "it has been due for 30m, and the leader s has not fired it",
                "check that scheduler's log, and run naq doctor",
            )
        ],
    ),
    "paused": (
        PAUSED,
        [],
        [],
        "s",
        [
            (
                "it was paused 1h ago by cli:ann: stock-taking [north]; one time passed since",
                "resume it: naq schedule resume x (with --catch-up for the times that were due meanwhile)",
            )
        ],
    ),
    "cancelled": (
        cancelled(made(), T - HOUR),
        [],
        [],
        None,
        [
            (
                "it was cancelled 1h ago: it never fires again",
                "cancelled is final: remove it (naq schedule delete x) and add it again",
            )
        ],
    ),
    "all its runs": (
        made(policy=Policy(max_runs=2), status="completed", completed_at=T - HOUR, runs=2),
        [],
        [],
        "s",
        [
            (
                "it ended 1h ago: it has had its 2 runs (max_runs)",
                "extend it: naq schedule update x --set max_runs=4",
            )
        ],
    ),
    "its end": (
        made(policy=Policy(end_at=T), status="completed", completed_at=T),
        [],
        [],
        "s",
        [
            (
                "it ended 0s ago: its last time before end_at (2030-01-01 12:00 UTC) passed",
                "extend it: naq schedule update x --set end_at=2030-12-31T00:00:00Z",
            )
        ],
    ),
    "once": (
        made(Once(T), status="completed", completed_at=T - HOUR),
        [],
        [],
        "s",
        [("it ended 1h ago: its one time has passed", "run it again: naq schedule trigger x")],
    ),
    "runs that wait": (made(), [], [QUEUED, QUEUED], "s", [("2 runs of it wait: no worker runs", "start a worker")]),
    "more runs that wait than are looked at": (
        made(),
        [],
        [QUEUED] * 20,
        "s",
        [("20 or more runs of it wait: no worker runs", "start a worker")],
    ),
    "a run that lost its worker": (
        made(),
        [],
        [open_job(JobStatus.RUNNING, "its worker w gives no sign of life", "wait")],
        "s",
        [("1 run of it waits: its worker w gives no sign of life", "wait")],
    ),
    "nominal times that wait": (
        made(
            policy=Policy(overlap=Overlap.BUFFER_ALL),
            buffered=(T, T),
            open_runs=(OpenRun("x/k", T - HOUR, T - HOUR),),
        ),
        [],
        [RUNNING],
        "s",
        [("2 nominal times will fire when x/k has ended (overlap=buffer_all)", None)],
    ),
    "failed": (
        made(),
        [FAILED, record(RunOutcome.COMPLETED)],
        [],
        "s",
        [
            (
                "the last run failed after 3 attempts: ValueError: no stock",
                "naq job show x/j; after fixing the cause: naq job requeue x/j",
            )
        ],
    ),
    "failed once, and went well since": (made(), [record(RunOutcome.COMPLETED), FAILED], [], "s", []),
    "cancelled by hand": (
        made(),
        [record(RunOutcome.CANCELLED, reason="wrong month")],
        [],
        "s",
        [("the last run was cancelled: wrong month", "run it now: naq schedule trigger x")],
    ),
    "abandoned": (
        made(),
        [record(RunOutcome.ABANDONED, worker_id="w")],
        [],
        "s",
        [("the last run lost its worker w; another worker starts it again", None)],
    ),
    "not started in time": (
        made(),
        [record(RunOutcome.MISSED)],
        [],
        "s",
        [
            (
                "the last run was not started before its start deadline",
                "check the workers of queue 'default': naq queue show default",
            )
        ],
    ),
    "too late": (
        made(),
        [non_fire(NonFireReason.TOO_LATE, count=3, nominal_at=T - 3 * HOUR / 2, until=T - HOUR / 2)],
        [],
        "s",
        [("the last 3 times did not fire: no scheduler fired it within its catch-up window", CATCH_UP)],
    ),
    "too late, and it fired since": (
        made(),
        [non_fire(NonFireReason.TOO_LATE)],
        [open_job(JobStatus.RUNNING, "it runs", nominal_at=T)],
        "s",
        [],
    ),
    "coalesced, and others wait to fire": (
        made(policy=Policy(overlap=Overlap.BUFFER_ALL), buffered=(T,)),
        [non_fire(NonFireReason.COALESCED)],
        [],
        "s",
        [],
    ),
    "overlap": (
        made(policy=Policy(overlap=Overlap.SKIP)),
        [non_fire(NonFireReason.OVERLAP)],
        [],
        "s",
        [
            (
                "the last time did not fire: the previous run had not finished (overlap=skip)",
                "see how long it takes: naq schedule history x; or let it wait: naq schedule update x --set overlap=buffer_one",
            )
        ],
    ),
    "a reason of a newer naq": (
        made(),
        [record(RunOutcome.SKIPPED, job_id=None, reason="the moon was full")],
        [],
        "s",
        [("the last time did not fire: the moon was full", None)],
    ),
    "to be skipped": (
        made(skip_next=2),
        [],
        [],
        "s",
        [("its next 2 times are to be skipped, on request", "undo: naq schedule skip x 0")],
    ),
    "excluded until then": (
        made(excluded_from=T - HOUR),
        [],
        [],
        "s",
        [("all its times are excluded until 2030-01-01 12:30:00 UTC", None)],
    ),
    "a fixed delay": (
        made(FixedDelay(HOUR), next_nominal_at=None, next_run_at=None, open_runs=(OpenRun("x/k", T, T),)),
        [],
        [RUNNING],
        "s",
        [("its next time is known when x/k has ended (fixed delay)", None)],
    ),
    "never fired": (
        made(last_run_at=None),
        [],
        [],
        "s",
        [("it has not fired yet: its first time is in the future", None)],
    ),
    "the most pressing first": (
        made(skip_next=1),
        [FAILED],
        [QUEUED],
        None,
        [
            ("no scheduler leads: nothing fires", "start a scheduler (naq scheduler)"),
            ("1 run of it waits: no worker runs", "start a worker"),
            (
                "the last run failed after 3 attempts: ValueError: no stock",
                "naq job show x/j; after fixing the cause: naq job requeue x/j",
            ),
            ("its next time is to be skipped, on request", "undo: naq schedule skip x 0"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said(case: str) -> None:
    schedule, past, open_jobs, leader, wanted = CASES[case]
    found = accounts_of_schedule(schedule, past, open_jobs, leader, T)
    assert [(each.found, each.remedy) for each in found] == wanted


@pytest.mark.parametrize("reason", [each for each in NonFireReason if each not in ("the schedule has ended",)])
def test_every_reason_of_a_time_that_did_not_fire_is_said(reason: NonFireReason) -> None:
    (said,) = accounts_of_schedule(made(), [non_fire(reason)], [], "s", T)
    assert said.found.startswith("the last time did not fire: ")
    assert "{" not in said.found + (said.remedy or "")
