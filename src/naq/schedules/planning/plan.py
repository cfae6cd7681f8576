"""What is decided when a schedule is due: ``plan(schedule, now) -> Plan``. Pure: no clock, no store.

The plan is a value: the advanced record, the fires to enqueue, the nominal times that do not fire with their reason,
and the jobs to end. `naq.scheduler.firing` carries it out in one transaction that is conditional on the record's revision,
so a plan made from an old record is refused and made again.

A plan goes through these steps (the rules: ``docs/concepts/policies.md``):

1. nominal times that waited for a run's end are released (`naq.schedules.planning.overlap`);
2. of those that are due by now, the ones to fire are chosen (`naq.schedules.planning.catch_up`);
3. the overlap policy says which of them fire now, wait, or are skipped;
4. a backfill goes on with what room is left (`naq.schedules.planning.filling`);
5. the record is aimed at the first nominal time that nothing was decided about.

Nearly all plans are those of a schedule with one nominal time due and no special policy: they take a short way.
"""

from __future__ import annotations

from datetime import datetime

from naq.schedules.nominal import next_nominal
from naq.schedules.planning.catch_up import Selection, Tally, is_past_deadline, select
from naq.schedules.planning.decision import (
    CATCH_UP_LIMIT,
    FIRES_AT_ONCE,
    ON_TIME,
    Fire,
    NonFire,
    NonFireReason,
    Plan,
)
from naq.schedules.planning.filling import fill
from naq.schedules.planning.overlap import Admission, admit
from naq.schedules.policy import Overlap
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import after_end, aimed, settled

__all__ = ["CATCH_UP_LIMIT", "FIRES_AT_ONCE", "ON_TIME", "Fire", "NonFire", "NonFireReason", "Plan", "plan"]


_NONE: frozenset[datetime] = frozenset()


def plan(schedule: Schedule, now: datetime, queued_before: frozenset[datetime] = _NONE) -> Plan:
    """Decide what a schedule does at ``now``; a schedule that is not due yet is returned unchanged, with no fires.

    ``queued_before``: nominal times of which a job is queued that an earlier schedule with this id fired; they do not fire.
    Planning the planned schedule again at the same time does nothing, unless more is due than fits into one plan.
    """
    due_at = schedule.next_run_at
    if due_at is None or due_at > now or schedule.status is not ScheduleStatus.ACTIVE:
        return Plan(schedule)
    one = None if queued_before else _plan_one(schedule, now)
    return one or _plan_any(schedule, now, queued_before)


def _plan_one(schedule: Schedule, now: datetime) -> Plan | None:
    """The plan of a schedule with one nominal time due, on time, and no policy that needs a thought; else ``None``."""
    policy, nominal = schedule.policy, schedule.next_nominal_at
    if (
        nominal is None
        or policy.overlap is not Overlap.ALLOW_ALL
        or policy.jitter is not None
        or policy.exclude
        or (policy.catch_up is not None and now - nominal > policy.catch_up)
        or policy.start_deadline is not None
        or schedule.skip_next
        or schedule.buffered
        or schedule.backfills
        or schedule.trigger.follows_runs
    ):
        return None
    upcoming = next_nominal(schedule.trigger, policy, nominal)
    if upcoming is not None and upcoming <= now:
        return None
    fire = Fire(nominal, schedule.last_nominal_at, upcoming)
    runs = schedule.runs + 1
    if upcoming is None or (policy.max_runs is not None and runs >= policy.max_runs):
        ended = schedule.evolve(
            runs=runs,
            last_run_at=now,
            last_nominal_at=nominal,
            next_nominal_at=None,
            next_run_at=None,
            status=ScheduleStatus.COMPLETED,
            completed_at=now,
        )
        return Plan(ended, (fire,))
    advanced = schedule.evolve(
        runs=runs, last_run_at=now, last_nominal_at=nominal, next_nominal_at=upcoming, next_run_at=upcoming
    )
    return Plan(advanced, (fire,))


def _plan_any(schedule: Schedule, now: datetime, queued_before: frozenset[datetime]) -> Plan:
    """The plan of any due schedule."""
    tally = Tally(schedule.nominals, bool(schedule.policy.exclude))
    schedule = _without_expired(schedule, now)
    released = _released(schedule, now, tally)
    schedule = _with_room_again(schedule, released)
    selection = _selected(schedule, now, tally, queued_before)
    waiting = () if released is not None else schedule.buffered
    admission = admit(schedule, schedule.open_runs, waiting, (*(released or ()), *selection.chosen), now)
    for nominal in admission.skipped:
        tally.add(NonFireReason.OVERLAP, nominal, nominal, 1)
    advanced, non_fires = _advanced(schedule, now, selection, admission, tally)
    advanced, more = fill(advanced, now, FIRES_AT_ONCE - len(admission.fires))
    advanced = settled(advanced, now)
    fires = _fires(schedule, advanced, admission)
    return Plan(advanced, (*fires, *more), non_fires, admission.cancel_jobs, admission.terminate_jobs)


def _without_expired(schedule: Schedule, now: datetime) -> Schedule:
    """The schedule without the open runs that no worker took in time: they hold no place. The worker that takes such a job
    records that it was missed."""
    if not any(run.is_expired(now) for run in schedule.open_runs):
        return schedule
    return schedule.evolve(open_runs=tuple(run for run in schedule.open_runs if not run.is_expired(now)))


def _released(schedule: Schedule, now: datetime, tally: Tally) -> tuple[datetime, ...] | None:
    """The nominal times that wait no longer; ``None`` when those that wait, if any, go on waiting."""
    if not schedule.buffered or (schedule.open_runs and schedule.policy.overlap is not Overlap.ALLOW_ALL):
        return None
    released = []
    for nominal in schedule.buffered:
        if is_past_deadline(schedule, nominal, now):
            tally.add(NonFireReason.PAST_DEADLINE, nominal, nominal, 1)
        else:
            released.append(nominal)
    return tuple(released)


def _with_room_again(schedule: Schedule, released: tuple[datetime, ...] | None) -> Schedule:
    """What waited may have used up ``max_runs``; when some of it is dropped, the schedule goes on behind it."""
    if released is None or len(released) == len(schedule.buffered) or schedule.next_nominal_at is not None:
        return schedule
    if schedule.trigger.follows_runs:
        return schedule
    return aimed(schedule, next_nominal(schedule.trigger, schedule.policy, schedule.buffered[-1]))


def _selected(schedule: Schedule, now: datetime, tally: Tally, queued_before: frozenset[datetime]) -> Selection:
    first = schedule.next_nominal_at
    if first is None or schedule.nominals.due_at(first) > now:
        return Selection((), first, 0)
    selection = select(schedule, schedule.nominals, first, now, tally)
    for nominal in queued_before.intersection(selection.chosen):
        tally.add(NonFireReason.QUEUED_BEFORE, nominal, nominal, 1)
    left = tuple(nominal for nominal in selection.chosen if nominal not in queued_before)
    selection = Selection(left, selection.upcoming, selection.requested)
    if selection.upcoming is None and not selection.chosen:
        # Nothing of a fixed delay runs now whose end could be waited for.
        return Selection((), after_end(schedule, now), selection.requested)
    return selection


def _advanced(
    schedule: Schedule, now: datetime, selection: Selection, admission: Admission, tally: Tally
) -> tuple[Schedule, tuple[NonFire, ...]]:
    """The record after the decision, not settled yet, and what is to be recorded as not fired."""
    excluded_from = schedule.excluded_from
    looked = selection.upcoming != schedule.next_nominal_at
    if looked and excluded_from is not None:
        _tell_passed(schedule, excluded_from, tally)
    non_fires = tally.result()
    held = None if looked else excluded_from
    only_excluded = looked and not selection.chosen and not selection.requested
    if only_excluded and [found.reason for found in non_fires] == [NonFireReason.EXCLUDED] and selection.upcoming:
        # They are recorded together with the excluded ones that follow.
        held, non_fires = non_fires[0].first_at, ()
    missed = sum(found.count for found in non_fires if found.reason.is_missed)
    skipped = sum(found.count for found in non_fires if not found.reason.is_missed)
    fires = admission.fires
    advanced = schedule.evolve(
        runs=schedule.runs + len(fires),
        missed=schedule.missed + missed,
        skipped=schedule.skipped + skipped,
        skip_next=schedule.skip_next - selection.requested,
        open_runs=tuple(admission.open_runs),
        buffered=tuple(admission.buffered),
        last_run_at=now if fires else schedule.last_run_at,
        last_nominal_at=fires[-1] if fires else schedule.last_nominal_at,
    )
    return aimed(advanced, selection.upcoming, held), non_fires


def _tell_passed(schedule: Schedule, excluded_from: datetime, tally: Tally) -> None:
    """Record the excluded nominal times that the schedule passed over on its way to the one that is due."""
    nominals, first = schedule.nominals, schedule.next_nominal_at
    last = None if first is None else nominals.previous(first)
    if last is not None and last >= excluded_from:
        tally.add(NonFireReason.EXCLUDED, excluded_from, last, nominals.count(excluded_from, last))


def _fires(schedule: Schedule, advanced: Schedule, admission: Admission) -> tuple[Fire, ...]:
    nominals = admission.fires
    if not nominals:
        return ()
    befores = (schedule.last_nominal_at, *nominals[:-1])
    afters = (*nominals[1:], advanced.next_nominal_at)
    deadline = schedule.policy.start_deadline
    return tuple(
        Fire(
            nominal,
            before,
            after,
            start_by=None if deadline is None else schedule.nominals.due_at(nominal) + deadline,
            tracked=schedule.is_tracked,
        )
        for nominal, before, after in zip(nominals, befores, afters, strict=True)
    )
