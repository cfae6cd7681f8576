"""How a run ends as its schedule's record has it. Pure.

`run_ended`: what the end of a run does to the record; it frees the slot that the overlap policy counts. Workers report
the ends of tracked runs (`naq.schedules.planning.plan.Fire.tracked`), and failures, which are counted for every schedule.

`superseded`: whether the record says that a run is to end, because a newer one takes its place.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import msgspec

from naq.jobs.job import JobStatus, QueuedJob
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import after_end, aimed, settled

__all__ = ["Superseded", "is_run_of", "run_ended", "run_taken", "superseded"]


class Superseded(StrEnum):
    """Why a run is to end."""

    GIVEN_UP = "the schedule has given this run up for a newer one (overlap policy)"
    ASKED_TO_STOP = "the schedule is due again and waits for this run to stop (overlap policy)"


def run_ended(schedule: Schedule, job_id: str, outcome: JobStatus, now: datetime) -> Schedule | None:
    """The schedule after one of its runs ended ``now``; ``None`` when its record need not change.

    The run is no longer open. A nominal time that waited for it makes the schedule due at once; a fixed delay begins.
    A failure counts as an error, a run that missed its start deadline as missed. Reporting an end twice is harmless for
    a run that succeeded; a failure that is reported twice is counted twice.
    """
    open_runs = tuple(run for run in schedule.open_runs if run.job_id != job_id)
    was_open = len(open_runs) < len(schedule.open_runs)
    failed = outcome is JobStatus.FAILED
    missed = outcome is JobStatus.MISSED
    if not (was_open or failed or missed):
        return None
    after = schedule.evolve(
        open_runs=open_runs, error_count=schedule.error_count + failed, missed=schedule.missed + missed
    )
    if not was_open or schedule.status not in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED):
        return after
    if not open_runs and after.next_nominal_at is None and (following := after_end(after, now)) is not None:
        after = aimed(after, following)
    return settled(after, now) if after.status is ScheduleStatus.ACTIVE else after


def is_run_of(schedule: Schedule, job_id: str, queue: str) -> bool:
    """Whether a job from this queue may end or fail as a run of the schedule: who may enqueue in another queue may not."""
    listed = next((run for run in schedule.open_runs if run.job_id == job_id), None)
    return queue == schedule.job.queue if listed is None else listed.queue in (None, queue)


def run_taken(schedule: Schedule, job_id: str) -> Schedule | None:
    """The schedule after a worker took one of its runs in time; ``None`` when it has no start deadline, or is noted already."""
    if not any(run.job_id == job_id and run.start_by is not None and not run.taken for run in schedule.open_runs):
        return None
    return schedule.evolve(
        open_runs=tuple(
            msgspec.structs.replace(run, taken=True) if run.job_id == job_id else run for run in schedule.open_runs
        )
    )


def superseded(schedule: Schedule, revision: int, run: QueuedJob) -> Superseded | None:
    """Why an attempt that has not ended is to end, as the schedule's record at ``revision`` says; ``None``: it may go on.

    It holds whichever of the later records is read, and whatever the policy is by then: a run is listed from its fire on,
    and once it is not, it never is again. Nothing is said of runs that are not tracked, from a record that is older than
    the fire (of a replica that lags, or from a backup), and from one of another life of the schedule. A run that is not
    listed may also have ended in the hands of another worker; the caller sees to that.
    """
    if not run.tracked or revision <= run.planned_from:
        return None
    if run.schedule_created_at not in (None, schedule.created_at):
        return None
    listed = next((each for each in schedule.open_runs if each.job_id == run.job_id), None)
    if listed is None:
        return Superseded.GIVEN_UP
    return Superseded.ASKED_TO_STOP if listed.asked_to_stop else None
