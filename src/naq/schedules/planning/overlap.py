"""What the overlap policy makes of the nominal times that are to fire while a run may still be open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from naq.schedules.policy import Overlap
from naq.schedules.record import OpenRun, Schedule
from naq.store.keys import job_id

__all__ = ["BUFFER_LIMIT", "Admission", "admit"]

BUFFER_LIMIT: Final = 100
"""Nominal times that ``overlap=buffer_all`` keeps waiting at most; more are skipped."""


@dataclass(slots=True)
class Admission:
    """Where each nominal time goes, and what becomes of the runs that are open."""

    open_runs: list[OpenRun]
    buffered: list[datetime]
    fires: list[datetime] = field(default_factory=list)
    skipped: list[datetime] = field(default_factory=list)
    cancel_jobs: tuple[str, ...] = ()
    terminate_jobs: tuple[str, ...] = ()


def admit(
    schedule: Schedule,
    open_runs: Sequence[OpenRun],
    buffered: Sequence[datetime],
    chosen: Sequence[datetime],
    now: datetime,
) -> Admission:
    """Apply the schedule's overlap policy to the nominal times ``chosen``, the oldest first.

    Where ``max_runs`` is reached by those that fire and those that wait, the schedule ends, and the others are none of
    its nominal times any more.
    """
    limit = schedule.policy.max_runs
    admission = Admission(list(open_runs), list(buffered))
    for nominal in chosen:
        if limit is not None and schedule.runs + len(admission.fires) + len(admission.buffered) >= limit:
            break
        if schedule.policy.overlap is Overlap.ALLOW_ALL:
            admission.fires.append(nominal)
        elif not admission.open_runs and not admission.buffered:
            _fire(admission, schedule, nominal, now)
        else:
            _collide(admission, schedule, nominal, now)
    if schedule.policy.overlap is Overlap.ALLOW_ALL and schedule.is_tracked:
        admission.open_runs += [_open_run(schedule, nominal, now) for nominal in admission.fires]
    return admission


def _collide(admission: Admission, schedule: Schedule, nominal: datetime, now: datetime) -> None:
    """One nominal time is due while a run is open, or others wait."""
    match schedule.policy.overlap:
        case Overlap.BUFFER_ONE if not admission.buffered:
            admission.buffered.append(nominal)
        case Overlap.BUFFER_ALL if len(admission.buffered) < BUFFER_LIMIT:
            admission.buffered.append(nominal)
        case Overlap.CANCEL_OTHER:
            # The newest takes the place of one that waits already: it would have cancelled that one, too.
            admission.skipped += admission.buffered
            admission.buffered = [nominal]
            admission.cancel_jobs = tuple(run.job_id for run in admission.open_runs)
            admission.open_runs = [msgspec.structs.replace(run, asked_to_stop=True) for run in admission.open_runs]
        case Overlap.TERMINATE_OTHER:
            planned_now = set(admission.fires)
            admission.skipped += admission.fires
            admission.terminate_jobs += tuple(
                run.job_id for run in admission.open_runs if run.nominal_at not in planned_now
            )
            admission.fires.clear()
            admission.open_runs.clear()
            admission.skipped += admission.buffered
            admission.buffered.clear()
            _fire(admission, schedule, nominal, now)
        case _:
            admission.skipped.append(nominal)


def _fire(admission: Admission, schedule: Schedule, nominal: datetime, now: datetime) -> None:
    admission.fires.append(nominal)
    admission.open_runs.append(_open_run(schedule, nominal, now))


def _open_run(schedule: Schedule, nominal: datetime, now: datetime) -> OpenRun:
    deadline = schedule.policy.start_deadline
    start_by = None if deadline is None else schedule.nominals.due_at(nominal) + deadline
    return OpenRun(job_id(schedule.schedule_id, nominal), nominal, now, start_by=start_by, queue=schedule.job.queue)
