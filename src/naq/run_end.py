"""What the end of a run does to its schedule's record: it frees the slot that the overlap policy counts. Pure.

The workers tell the ends of tracked runs (`naq.plan.Fire.tracked`), and failures, which are counted for every schedule.
"""

from __future__ import annotations

from datetime import datetime

from naq.job import JobStatus
from naq.schedule import Schedule, ScheduleStatus, after_end, aimed, settled

__all__ = ["run_ended"]


def run_ended(schedule: Schedule, job_id: str, outcome: JobStatus, now: datetime) -> Schedule | None:
    """The schedule after one of its runs ended ``now``; ``None`` when its record need not change.

    The run is no longer open. A nominal time that waited for it makes the schedule due at once; a fixed delay begins.
    A failure counts as an error, a run that missed its start deadline as missed. Telling an end twice is harmless for
    a run that succeeded; a failure that is told twice is counted twice.
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
