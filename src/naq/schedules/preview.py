"""The next and the last nominal times of a schedule, with the reason for those that will not fire. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from naq.schedules.nominal import TICK
from naq.schedules.planning.decision import NonFireReason
from naq.schedules.record import Schedule, ScheduleStatus

__all__ = ["Upcoming", "preview", "previous_times"]


@dataclass(frozen=True, slots=True)
class Upcoming:
    """One nominal time to come."""

    nominal_at: datetime
    due_at: datetime
    """When it is to be enqueued: the nominal time plus its jitter."""
    reason: NonFireReason | None = None
    """Why it will not fire, as far as is known now; ``None``: it will."""


def preview(schedule: Schedule, now: datetime, count: int) -> tuple[Upcoming, ...]:
    """The next ``count`` nominal times, those that will not fire among them; fewer when the schedule ends before.

    A paused schedule shows what it would have from ``now`` on. One that waits for a run's end has none yet. Of those that
    are overdue only the first is shown.
    """
    upcoming: list[Upcoming] = []
    limit = schedule.policy.max_runs
    runs = schedule.runs + len(schedule.buffered)
    to_skip = schedule.skip_next
    instant = _first(schedule, now)
    nominals = schedule.nominals
    while instant is not None and len(upcoming) < count and (limit is None or runs < limit):
        reason: NonFireReason | None = None
        if nominals.is_excluded(instant):
            reason = NonFireReason.EXCLUDED
        elif schedule.status is ScheduleStatus.PAUSED:
            reason = NonFireReason.PAUSED
        elif to_skip:
            reason = NonFireReason.SKIP_REQUESTED
            to_skip -= 1
        else:
            runs += 1
        upcoming.append(Upcoming(instant, nominals.due_at(instant), reason))
        instant = nominals.next_after(max(instant, now))
    return tuple(upcoming)


def previous_times(schedule: Schedule, now: datetime, count: int) -> tuple[datetime, ...]:
    """The last ``count`` nominal times up to ``now``, the newest first, whether or not they fired."""
    times: list[datetime] = []
    instant = schedule.nominals.previous(now + TICK)
    while instant is not None and len(times) < count:
        times.append(instant)
        instant = schedule.nominals.previous(instant)
    return tuple(times)


def _first(schedule: Schedule, now: datetime) -> datetime | None:
    held = schedule.next_nominal_at
    if schedule.status is ScheduleStatus.ACTIVE:
        excluded_from = schedule.excluded_from
        if excluded_from is None or held is None:
            return held
        # Of the excluded stretch before the next fire, what has passed is left out.
        coming = excluded_from if excluded_from > now else schedule.nominals.next_after(now)
        return held if coming is None else min(coming, held)
    if schedule.status is ScheduleStatus.PAUSED:
        return held if held is not None and held > now else schedule.nominals.next_after(now)
    return None
