"""Fires that somebody asks for: one now, or a range of the past. Pure.

Neither counts for ``max_runs``, and neither moves the schedule's next run.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.schedules.nominal import TICK
from naq.schedules.planning.decision import Fire, NonFire, NonFireReason, Plan
from naq.schedules.policy import Overlap
from naq.schedules.record import Backfill, OpenRun, Schedule, ScheduleStatus
from naq.schedules.transitions import after_end, aimed, settled

__all__ = ["BACKFILL_LIMIT", "backfill", "backfill_stopped", "count_backfill", "trigger_now"]

BACKFILL_LIMIT: Final = 10_000
"""Nominal times in one backfill at most."""

BACKFILLS_AT_ONCE: Final = 4
"""Backfills of one schedule that may be under way."""

_EXAMPLE = "'2030-01-31T09:00:00Z'"


def trigger_now(
    schedule: Schedule, now: datetime, job_id: str | None = None, overlap: Overlap = Overlap.ALLOW_ALL
) -> Plan:
    """One fire beside the schedule's plan, at any status but cancelled: asked for twice, it happens twice.

    The caller makes the job's id (`naq.store.keys.manual_job_id`). Given here, the run is listed as open if the schedule
    tracks its runs, so that the scheduled fires see it. The caller decides about runs that are open: ``allow_all``,
    ``skip`` (then it does not fire, and the plan says so) or ``terminate_other``; others raise `InvalidSchedule`.
    """
    if overlap not in (Overlap.ALLOW_ALL, Overlap.SKIP, Overlap.TERMINATE_OTHER):
        reason = "a fire by hand cannot wait: allow_all, skip or terminate_other"
        raise InvalidSchedule.of("overlap", str(overlap), reason, "skip")
    if schedule.status is ScheduleStatus.CANCELLED:
        return Plan(schedule, non_fires=(NonFire(NonFireReason.ENDED, 1, now, now),))
    if overlap is Overlap.SKIP and not all(run.is_expired(now) for run in schedule.open_runs):
        skipped = schedule.evolve(skipped=schedule.skipped + 1)
        return Plan(skipped, non_fires=(NonFire(NonFireReason.OVERLAP, 1, now, now),))
    open_runs = schedule.open_runs
    terminated: tuple[str, ...] = ()
    if overlap is Overlap.TERMINATE_OTHER:
        terminated = tuple(run.job_id for run in open_runs)
        open_runs = ()
    tracked = schedule.is_tracked and job_id is not None
    deadline = schedule.policy.start_deadline
    start_by = None if deadline is None else now + deadline
    if tracked and job_id is not None:
        open_runs = (*open_runs, OpenRun(job_id, now, now, start_by=start_by, queue=schedule.job.queue))
    after = schedule.evolve(manual_runs=schedule.manual_runs + 1, last_run_at=now, open_runs=open_runs)
    if terminated and after.status is ScheduleStatus.ACTIVE:
        if after.next_nominal_at is None and not open_runs:
            after = aimed(after, after_end(after, now))
        after = settled(after, now)
    fire = Fire(now, schedule.last_nominal_at, schedule.next_nominal_at, start_by=start_by, tracked=tracked)
    return Plan(after, (fire,), terminate_jobs=terminated)


def count_backfill(schedule: Schedule, first: datetime, last: datetime) -> int:
    """How many fires a backfill of the nominal times from ``first`` to ``last``, both included, would be."""
    nominals = schedule.nominals
    start = nominals.next_after(first - TICK)
    end = nominals.previous(last + TICK)
    if start is None or end is None or start > end:
        return 0
    return nominals.count(start, end) - nominals.count_excluded(start, end)


def backfill(
    schedule: Schedule,
    backfill_id: str,
    first: datetime,
    last: datetime,
    now: datetime,
    overlap: Overlap = Overlap.ALLOW_ALL,
) -> Schedule | None:
    """The schedule with a backfill of the nominal times from ``first`` to ``last``, both included, to be worked off by
    `naq.schedules.planning.plan.plan`, a slice with each plan; ``None`` when it has ended. Excluded nominal times stay excluded.

    ``overlap``: ``allow_all``, or ``buffer_all`` for one after the other. A paused schedule goes on with it when it is
    resumed. Asked for again with the same id, nothing changes. Raises `InvalidSchedule` for a range that is empty, too
    long, or not wholly in the past.
    """
    if schedule.status not in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED):
        return None
    if any(known.backfill_id == backfill_id for known in schedule.backfills):
        return schedule
    problems = _range_problems(schedule, first, last, now, overlap)
    if problems:
        raise InvalidSchedule(*problems)
    more = Backfill(backfill_id, first, last, overlap)
    after = schedule.evolve(backfills=(*schedule.backfills, more))
    return settled(after, now) if after.status is ScheduleStatus.ACTIVE else after


def backfill_stopped(schedule: Schedule, backfill_id: str, now: datetime) -> Schedule | None:
    """The schedule without what is left of a backfill; ``None`` when there is no such backfill under way."""
    left = tuple(known for known in schedule.backfills if known.backfill_id != backfill_id)
    if len(left) == len(schedule.backfills):
        return None
    after = schedule.evolve(backfills=left)
    return settled(after, now) if after.status is ScheduleStatus.ACTIVE else after


def _range_problems(
    schedule: Schedule, first: datetime, last: datetime, now: datetime, overlap: Overlap
) -> list[Problem]:
    problems = []
    undecided = schedule.next_nominal_at
    if schedule.trigger.follows_runs:
        problems.append(Problem("backfill", shown(str(schedule.trigger)), "has no nominal times in the past"))
    if len(schedule.backfills) >= BACKFILLS_AT_ONCE:
        reason = f"there are {BACKFILLS_AT_ONCE} under way already; wait for one, or stop it"
        problems.append(Problem("backfill", shown(schedule.schedule_id), reason, advice="backfill one range at a time"))
    if overlap not in (Overlap.ALLOW_ALL, Overlap.BUFFER_ALL):
        reason = "must be allow_all, or buffer_all for one after the other"
        problems.append(Problem("overlap", shown(str(overlap)), reason, "'buffer_all'"))
    if last < first:
        problems.append(Problem("last", shown(last.isoformat()), "lies before the first one", _EXAMPLE))
    elif last > now or (undecided is not None and last >= undecided):
        reason = "the range must lie in the past, before the schedule's next run"
        problems.append(Problem("last", shown(last.isoformat()), reason, shown(now.isoformat(timespec="seconds"))))
    elif not problems:
        count = count_backfill(schedule, first, last)
        text = shown(f"{first.isoformat()}..{last.isoformat()}")
        if count == 0:
            problems.append(
                Problem("range", text, "the schedule has no nominal time in it", advice="give a longer range")
            )
        if count > BACKFILL_LIMIT:
            reason = f"has {count} nominal times; {BACKFILL_LIMIT} are the most at once"
            problems.append(Problem("range", text, reason, advice="give a shorter range"))
    return problems
