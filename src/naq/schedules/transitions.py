"""The state machine of a schedule: every change is a function from a record to the next one. Pure.

::

    ACTIVE  --pause-->  PAUSED  --resume-->  ACTIVE
    ACTIVE  --(once done, max_runs, end_at)-->  COMPLETED
    COMPLETED  --(update gives it a next run)-->  ACTIVE
    ACTIVE, PAUSED, COMPLETED  --cancel-->  CANCELLED          (final)
    any  --delete-->  gone

A function returns ``None`` where the change does not apply. The caller stores the result by compare-and-set on the
record's revision (`naq.schedules.repository`).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from naq.exceptions import InvalidSchedule
from naq.jobs.job import JobSpec
from naq.schedules.binding import Bound, bind, rebind, written
from naq.schedules.nominal import TICK, next_nominal
from naq.schedules.policy import First, Policy
from naq.schedules.record import DEFAULT_POLICY, Schedule, ScheduleStatus
from naq.timing.triggers import Once, Trigger

__all__ = [
    "after_end",
    "aimed",
    "aimed_again",
    "cancelled",
    "decided_ahead",
    "new_schedule",
    "paused",
    "replaced",
    "resumed",
    "settled",
    "skip_next",
    "updated",
]

MOST_SKIPPED = 1000
"""Nominal times that can be asked to be skipped at once."""


def aimed(schedule: Schedule, first: datetime | None, excluded_from: datetime | None = None) -> Schedule:
    """The schedule with its next nominal time: ``first``, or the next one not excluded; when nothing is left that may
    fire, it has none any more. `settled` follows.

    ``excluded_from`` is where a stretch of excluded nominal times that ends right before ``first`` began.
    """
    target = first
    if first is None:
        excluded_from = None
    elif schedule.policy.exclude and schedule.nominals.is_excluded(first):
        target = schedule.nominals.allowed_from(first)
        if target is None and (schedule.trigger.follows_runs or isinstance(schedule.trigger, Once)):
            target = first  # a plan says that it is excluded; what follows a fixed delay is known only then
        if target != first:
            excluded_from = None if target is None else excluded_from or first
    return schedule.evolve(next_nominal_at=target, excluded_from=excluded_from)


def settled(schedule: Schedule, now: datetime) -> Schedule:
    """An active schedule with its next run, from what it has to do and what it waits for; completed if neither."""
    exhausted = False
    if schedule.policy.max_runs is not None:
        room = max(schedule.policy.max_runs - schedule.runs, 0)
        exhausted = room == 0
        if len(schedule.buffered) >= room:
            surplus = len(schedule.buffered) - room
            schedule = aimed(schedule, None).evolve(
                buffered=schedule.buffered[:room], skipped=schedule.skipped + surplus
            )
    next_run_at: datetime | None = None
    if schedule.has_work:
        next_run_at = now
    elif schedule.next_nominal_at is not None:
        next_run_at = schedule.nominals.due_at(schedule.next_nominal_at)
    elif not (schedule.buffered or schedule.backfills or (schedule.waits_for_end and not exhausted)):
        return schedule.evolve(status=ScheduleStatus.COMPLETED, completed_at=now, next_run_at=None)
    return schedule.evolve(next_run_at=next_run_at)


def _first_after(schedule: Schedule, now: datetime) -> datetime | None:
    """The first nominal time of a schedule that is aimed ``now``, behind all that were decided already.

    A `Once` in the past keeps its instant: `naq.schedules.planning.plan` judges it by the catch-up window.
    """
    trigger, decided = schedule.trigger, schedule.decided_until
    if schedule.waits_for_end:
        return None
    first = next_nominal(trigger, schedule.policy, now if decided is None else max(now, decided))
    if first is None and trigger.follows_runs:
        return after_end(schedule, now)
    if first is None and isinstance(trigger, Once) and (decided is None or trigger.at > decided):
        return schedule.nominals.previous(now + TICK)
    return first


def after_end(schedule: Schedule, ended_at: datetime) -> datetime | None:
    """The nominal time that follows a run's end; ``None`` when it lies behind ``end_at``, or the ends of runs do not
    matter to the trigger."""
    decided, policy = schedule.decided_until, schedule.policy
    instant = schedule.trigger.after_run(ended_at if decided is None else max(ended_at, decided))
    if instant is None:
        return None
    if policy.start_at is not None:
        instant = max(instant, policy.start_at)
    return None if policy.end_at is not None and instant > policy.end_at else instant


def new_schedule(
    schedule_id: str, job: JobSpec, trigger: Trigger, policy: Policy, now: datetime, **more: Any
) -> Schedule:
    """A fresh active schedule that was created ``now``; its first nominal time is later than ``now``, or ``now`` itself
    with ``first=now``.

    A `Once` in the past keeps its instant as the first nominal time: the plan judges it by the catch-up window.
    """
    bound = bind(trigger, now)
    schedule = Schedule(
        schedule_id=schedule_id,
        job=job,
        trigger=bound.trigger,
        filled=bound.filled,
        policy=DEFAULT_POLICY if policy == DEFAULT_POLICY else policy,  # the same object: it is left out of the record
        created_at=now,
        **more,
    )
    first = _first_after(schedule, now)
    if policy.first is First.NOW and trigger.can_begin_now and (policy.start_at or now) <= now:
        first = now
    return settled(aimed(schedule, first), now)


def paused(schedule: Schedule, now: datetime, reason: str | None, actor: str | None) -> Schedule | None:
    """The schedule paused; ``None`` when it is not active."""
    if schedule.status is not ScheduleStatus.ACTIVE:
        return None
    return schedule.evolve(
        status=ScheduleStatus.PAUSED, paused_at=now, pause_reason=reason, paused_by=actor, next_run_at=None
    )


def resumed(schedule: Schedule, now: datetime, catch_up: bool = False) -> Schedule | None:
    """The schedule active again, its next run computed from ``now``; ``None`` when it is not paused.

    What was due while it was paused does not fire, and nominal times that waited for a run's end are skipped; with
    ``catch_up`` both are left to the plan, which goes by the catch-up window. When nothing is left, it is completed.
    """
    if schedule.status is not ScheduleStatus.PAUSED:
        return None
    active = schedule.evolve(status=ScheduleStatus.ACTIVE, resumed_at=now, pause_reason=None, paused_by=None)
    held = schedule.next_nominal_at
    if not catch_up:
        active = active.evolve(skipped=active.skipped + len(active.buffered), buffered=())
    if held is not None and (catch_up or held > now):
        return settled(aimed(active, held, active.excluded_from), now)
    following = _first_after(schedule, now)
    if following is not None and following <= now:
        following = None  # the one instant of a `Once` passed meanwhile
    return settled(aimed(active, following), now)


def cancelled(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule ended for good; a schedule that is cancelled already is returned as it is.

    Nothing fires any more, neither what waited nor a backfill; runs that are open go on.
    """
    if schedule.status is ScheduleStatus.CANCELLED:
        return schedule
    return aimed(schedule, None).evolve(
        status=ScheduleStatus.CANCELLED, cancelled_at=now, next_run_at=None, buffered=(), backfills=()
    )


def skip_next(schedule: Schedule, count: int) -> Schedule | None:
    """The schedule with its next ``count`` nominal times to be skipped, instead of what was to be skipped before.

    ``None`` when it has ended. Raises `InvalidSchedule` for a count that is not 0 to 1000.
    """
    if isinstance(count, bool) or not 0 <= count <= MOST_SKIPPED:
        raise InvalidSchedule.of("skip_next", count, f"must be 0 to {MOST_SKIPPED}", 2)
    if schedule.status not in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED):
        return None
    return schedule.evolve(skip_next=count)


CLOCK_SLACK = timedelta(seconds=5)
"""How far clocks may differ without anything being said about a record."""


def decided_ahead(schedule: Schedule, now: datetime) -> datetime | None:
    """The first nominal time to come that an active schedule will not fire, because a process whose clock was ahead
    decided about it before it came; ``None``: there is none, as far as the record shows."""
    held = schedule.next_nominal_at
    if schedule.status is not ScheduleStatus.ACTIVE or held is None:
        return None
    moments = (schedule.last_run_at, schedule.last_nominal_at, schedule.updated_at, schedule.created_at)
    if not any(moment is not None and moment > now + CLOCK_SLACK for moment in moments):
        return None
    following = next_nominal(schedule.trigger, schedule.policy, now)
    return following if following is not None and following < held else None


def aimed_again(schedule: Schedule, now: datetime) -> Schedule | None:
    """An active schedule with its next run computed from ``now``, whatever was decided about times to come; ``None``
    when it is not active. A nominal time that was fired too early fires again when it comes."""
    if schedule.status is not ScheduleStatus.ACTIVE:
        return None
    last, ran = schedule.last_nominal_at, schedule.last_run_at
    again = schedule.evolve(
        last_nominal_at=None if last is not None and last > now else last,
        last_run_at=None if ran is None else min(ran, now),
        buffered=tuple(nominal for nominal in schedule.buffered if nominal <= now),
    )
    return settled(aimed(again, _first_after(again, now)), now)


EDITABLE = frozenset({"job", "trigger", "policy", "next_run_at", "labels", "note", "declared_in"})


def updated(schedule: Schedule, now: datetime, **changes: Any) -> Schedule | None:
    """The schedule with some fields changed in place; ``None`` when it is cancelled.

    The next run is computed from ``now`` only if the trigger, its window or its exclusions changed.
    ``next_run_at`` sets the next nominal time by hand, once. A completed schedule that gets something to do again
    becomes active. Fields: ``job, trigger, policy, next_run_at, labels, note, declared_in``; others are a `TypeError`.
    """
    if unknown := changes.keys() - EDITABLE:
        raise TypeError(f"these fields cannot be updated: {', '.join(sorted(unknown))}")
    if schedule.status is ScheduleStatus.CANCELLED:
        return None
    by_hand = changes.pop("next_run_at", None)
    if "trigger" in changes:
        bound = rebind(Bound(schedule.trigger, schedule.filled), changes["trigger"], now)
        changes |= {"trigger": bound.trigger, "filled": bound.filled}
    after = schedule.evolve(updated_at=now, **changes)
    revived = schedule.status is ScheduleStatus.COMPLETED and _limits(after) != _limits(schedule)
    if by_hand is not None:
        _check_by_hand(schedule, by_hand, now)
        after = aimed(after.evolve(excluded_from=None), by_hand)
    elif _timing(after) != _timing(schedule) or revived:
        after = aimed(after, _first_after(after, now))
    if after.status is ScheduleStatus.COMPLETED and (by_hand is not None or revived):
        after = after.evolve(status=ScheduleStatus.ACTIVE, completed_at=None)
    return settled(after, now) if after.status is ScheduleStatus.ACTIVE else after


def replaced(old: Schedule, new: Schedule, now: datetime) -> Schedule | None:
    """``old`` with the definition of ``new``, as ``if_exists=replace`` asks; ``None`` when ``old`` is cancelled.

    History and counters stay, and the next run too unless the timing changed: an interval without an anchor of its own
    that is the same as before keeps its grid.
    """
    return updated(
        old,
        now,
        job=new.job,
        trigger=written(new.trigger, new.filled),
        policy=new.policy,
        labels=new.labels,
        note=new.note,
        declared_in=new.declared_in,
    )


def _timing(schedule: Schedule) -> tuple[object, ...]:
    policy = schedule.policy
    return schedule.trigger, policy.start_at, policy.end_at, policy.exclude


def _limits(schedule: Schedule) -> tuple[object, ...]:
    return *_timing(schedule), schedule.policy.max_runs


def _check_by_hand(schedule: Schedule, by_hand: datetime, now: datetime) -> None:
    decided = schedule.decided_until
    if by_hand <= now:
        raise InvalidSchedule.of("next_run_at", by_hand.isoformat(), "must lie in the future", "2030-01-31T09:00:00Z")
    if decided is not None and by_hand <= decided:
        reason = f"must be later than the last fire, whose nominal time was {decided.isoformat()}"
        if decided > now:
            reason += ": a scheduler's clock was ahead then; aim the schedule again first"
        raise InvalidSchedule.of("next_run_at", by_hand.isoformat(), reason, "2030-01-31T09:00:00Z")
