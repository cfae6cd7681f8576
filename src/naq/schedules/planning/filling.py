"""Backfills: the past nominal times of a range, fired by hand, a slice with each plan.

What is left of a range is a few fields of the schedule's record, so it does not depend on one leader: one
that dies in the middle loses and repeats nothing.
"""

from __future__ import annotations

from datetime import datetime

from naq.schedules.nominal import TICK
from naq.schedules.planning.decision import Fire
from naq.schedules.policy import Overlap
from naq.schedules.record import Backfill, OpenRun, Schedule
from naq.store.keys import backfill_job_id

__all__ = ["fill"]


def fill(schedule: Schedule, now: datetime, room: int) -> tuple[Schedule, tuple[Fire, ...]]:
    """Go on with the schedule's backfills, up to ``room`` fires; the record is not settled yet."""
    fires: list[Fire] = []
    left: list[Backfill] = []
    open_runs = list(schedule.open_runs)
    for backfill in schedule.backfills:
        sequential = backfill.overlap is not Overlap.ALLOW_ALL
        wanted = room - len(fires)
        if sequential:
            wanted = 0 if open_runs else min(wanted, 1)
        nominal_times, rest = _slice(schedule, backfill, wanted)
        for nominal in nominal_times:
            fires.append(_fire(schedule, backfill, nominal, sequential))
            if sequential:
                identity = backfill_job_id(schedule.schedule_id, backfill.backfill_id, nominal)
                open_runs.append(OpenRun(identity, nominal, now, queue=schedule.job.queue))
        if rest is not None:
            left.append(rest)
    if not schedule.backfills:
        return schedule, ()
    filled = schedule.evolve(
        backfills=tuple(left),
        open_runs=tuple(open_runs),
        manual_runs=schedule.manual_runs + len(fires),
        last_run_at=now if fires else schedule.last_run_at,
    )
    return filled, tuple(fires)


def _slice(schedule: Schedule, backfill: Backfill, wanted: int) -> tuple[list[datetime], Backfill | None]:
    """The next nominal times of the range that are not excluded, and the rest; ``None`` when there is no rest."""
    nominals = schedule.nominals
    taken: list[datetime] = []
    instant: datetime | None = nominals.next_after(backfill.next_at - TICK)
    while len(taken) < wanted and instant is not None and instant <= backfill.last_at:
        instant = nominals.allowed_from(instant)
        if instant is None or instant > backfill.last_at or nominals.is_excluded(instant):
            break
        taken.append(instant)
        instant = nominals.next_after(instant)
    if instant is None or instant > backfill.last_at:
        return taken, None
    rest = Backfill(backfill.backfill_id, instant, backfill.last_at, backfill.overlap, backfill.fired + len(taken))
    return taken, rest


def _fire(schedule: Schedule, backfill: Backfill, nominal: datetime, tracked: bool) -> Fire:
    nominals = schedule.nominals
    return Fire(
        nominal,
        nominals.previous(nominal),
        nominals.next_after(nominal),
        tracked=tracked,
        backfill_id=backfill.backfill_id,
    )
