"""Nothing due is dropped by an edit: what was due when a schedule is changed is decided by its old definition. Pure.

An active schedule whose timing or policy changes decides first about the nominal times up to that moment, exactly as it
would have without the edit. Those of a paused schedule, and of one that is cancelled, do not fire; they are recorded.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from naq.schedules.nominal import TICK
from naq.schedules.planning.decision import NonFire, NonFireReason, Plan
from naq.schedules.planning.plan import plan
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import settled

__all__ = ["decided_first", "is_same", "left_undecided", "needs_decision"]


def is_same(before: Schedule, after: Schedule) -> bool:
    """Whether a change leaves the record as it is: then nothing is written."""
    return after.evolve(updated_at=before.updated_at) == before


def needs_decision(before: Schedule, after: Schedule, now: datetime) -> bool:
    """Whether nominal times are due that have to be decided before the change is made."""
    if before.status is not ScheduleStatus.ACTIVE or after.status not in (
        ScheduleStatus.ACTIVE,
        ScheduleStatus.COMPLETED,
    ):
        return False
    due = before.next_nominal_at is not None and before.next_nominal_at <= now
    return due and any(
        getattr(before, name) != getattr(after, name) for name in ("trigger", "policy", "next_nominal_at")
    )


def decided_first(schedule: Schedule, now: datetime, queued_before: frozenset[datetime] = frozenset()) -> Plan:
    """A plan for what is due by ``now``, as if the jitter of the last nominal time were over; the schedule itself when
    nothing is left. As with `plan`, a long outage takes several."""
    planned = plan(schedule, now, queued_before)
    nominal = schedule.next_nominal_at
    if planned.schedule is not schedule or nominal is None or nominal > now:
        return planned
    policy = msgspec.structs.replace(schedule.policy, jitter=None, catch_up=None)
    planned = plan(schedule.evolve(policy=policy, next_run_at=now), now, queued_before)
    advanced = planned.schedule.evolve(policy=schedule.policy)
    if advanced.status is ScheduleStatus.ACTIVE:
        advanced = settled(advanced, now)
    return msgspec.structs.replace(planned, schedule=advanced)


def left_undecided(before: Schedule, after: Schedule, now: datetime) -> tuple[NonFire, ...]:
    """What passed while a schedule was paused, or before it was cancelled, and will not fire: those that waited for a
    run's end, the nominal times up to ``now``, and the excluded ones among them."""
    if before.status is ScheduleStatus.PAUSED:
        reason = NonFireReason.PAUSED
    elif after.status is ScheduleStatus.CANCELLED:
        reason = NonFireReason.ENDED
    else:
        return _excluded_before(before, after, now)
    dropped = [instant for instant in before.buffered if instant not in after.buffered]
    count, excluded, first, last = _passed(before, after, now)
    found = []
    if dropped or count:
        instants = [*dropped, *((first, last) if count else ())]
        found.append(NonFire(reason, len(dropped) + count, min(instants), max(instants)))
    if excluded:
        found.append(NonFire(NonFireReason.EXCLUDED, excluded, first, last))
    return tuple(found)


def _excluded_before(before: Schedule, after: Schedule, now: datetime) -> tuple[NonFire, ...]:
    """Of an active schedule that is aimed elsewhere: the excluded nominal times that passed and are not recorded yet."""
    first, following = before.excluded_from, after.excluded_from or after.next_nominal_at
    if first is None or first > now or following == first:
        return ()
    nominals = before.nominals
    last = max(first, nominals.previous(min(now + TICK, before.next_nominal_at or now + TICK)) or first)
    return (NonFire(NonFireReason.EXCLUDED, nominals.count(first, last), first, last),)


def _passed(before: Schedule, after: Schedule, now: datetime) -> tuple[int, int, datetime, datetime]:
    """How many nominal times passed that may fire, how many excluded ones, the first and the last of them."""
    first, following = before.excluded_from or before.next_nominal_at, after.excluded_from or after.next_nominal_at
    if first is None or first > now or (following is not None and following <= first):
        return 0, 0, now, now  # nothing was due, or it is left to the plan, which records it
    if before.trigger.follows_runs:
        return 1, 0, first, first
    nominals = before.nominals
    last = max(first, nominals.previous(now + TICK) or first)
    excluded = nominals.count_excluded(first, last) if before.policy.exclude else 0
    return nominals.count(first, last) - excluded, excluded, first, last
