"""The nominal times that a pause took: they never fire, and the history says so when the schedule is resumed."""

from __future__ import annotations

from datetime import datetime

from naq.schedules.nominal import TICK
from naq.schedules.planning.decision import NonFire, NonFireReason
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.triggers import FixedDelay

__all__ = ["taken_by_pause"]


def taken_by_pause(before: Schedule, after: Schedule, now: datetime) -> NonFire | None:
    """Of a schedule that was paused ``before`` and resumed ``after``: what was due meanwhile and will not fire, those that
    waited for a run's end included; ``None`` when there is nothing."""
    if before.status is not ScheduleStatus.PAUSED:
        return None
    dropped = [instant for instant in before.buffered if instant not in after.buffered]
    count, first, last = _passed(before, after, now)
    if not (dropped or count):
        return None
    instants = [*dropped, *((first, last) if count else ())]
    return NonFire(NonFireReason.PAUSED, len(dropped) + count, min(instants), max(instants))


def _passed(before: Schedule, after: Schedule, now: datetime) -> tuple[int, datetime, datetime]:
    """How many nominal times passed that are not excluded, the first and the last of them."""
    first, following = before.next_nominal_at, after.next_nominal_at
    if first is None or first > now or (following is not None and following <= now):
        return 0, now, now  # nothing was due, or it is left to the plan, which tells it
    if isinstance(before.trigger, FixedDelay):
        return 1, first, first
    nominals = before.nominals
    last = max(first, nominals.previous(now + TICK) or first)
    excluded = nominals.count_excluded(first, last) if before.policy.exclude else 0
    return nominals.count(first, last) - excluded, first, last
