"""What a schedule does after an outage: the matrix of outage, catch-up window and coalescing, with exact counts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from naq.jobs.job import JobSpec
from naq.schedules.planning.plan import CATCH_UP_LIMIT, FIRES_AT_ONCE, ON_TIME, Fire, NonFire, NonFireReason, plan
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import new_schedule
from naq.timing.exclusions import ExcludedCron, ExcludedDates
from naq.timing.triggers import AnyOf, Cron, Interval, Once, Trigger

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
JOB = JobSpec(func="reports:send")
NONE = timedelta(0)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LATE = timedelta(milliseconds=5)
"""What even a scheduler in good health needs."""
LATEST, EARLIEST, ALL = Coalesce.LATEST, Coalesce.EARLIEST, Coalesce.ALL
MINUTELY = Interval(MINUTE)
SECONDLY = Cron("* * * * * *", "Europe/Berlin")
TOO_LATE, COALESCED, TOO_MANY = NonFireReason.TOO_LATE, NonFireReason.COALESCED, NonFireReason.TOO_MANY


def made(trigger: Trigger, policy: Policy) -> Schedule:
    return new_schedule("s", JOB, trigger, policy, T)


def drained(schedule: Schedule, now: datetime) -> tuple[Schedule, list[Fire], dict[NonFireReason, int]]:
    """Everything that is due, plan by plan."""
    fires: list[Fire] = []
    counts: dict[NonFireReason, int] = {}
    while schedule.next_run_at is not None and schedule.next_run_at <= now:
        planned = plan(schedule, now)
        assert planned.schedule is not schedule
        assert len(planned.fires) <= FIRES_AT_ONCE
        fires += planned.fires
        for found in planned.non_fires:
            counts[found.reason] = counts.get(found.reason, 0) + found.count
        schedule = planned.schedule
    return schedule, fires, counts


# trigger, outage, window, coalesce -> fires, too late, coalesced, too many
MATRIX = [
    (MINUTELY, NONE, NONE, LATEST, 1, 0, 0, 0),
    (MINUTELY, NONE, NONE, EARLIEST, 1, 0, 0, 0),
    (MINUTELY, NONE, NONE, ALL, 1, 0, 0, 0),
    (MINUTELY, NONE, HOUR, LATEST, 1, 0, 0, 0),
    (MINUTELY, NONE, HOUR, EARLIEST, 1, 0, 0, 0),
    (MINUTELY, NONE, HOUR, ALL, 1, 0, 0, 0),
    (MINUTELY, NONE, None, LATEST, 1, 0, 0, 0),
    (MINUTELY, NONE, None, EARLIEST, 1, 0, 0, 0),
    (MINUTELY, NONE, None, ALL, 1, 0, 0, 0),
    (MINUTELY, MINUTE, NONE, LATEST, 1, 1, 0, 0),
    (MINUTELY, MINUTE, NONE, EARLIEST, 1, 1, 0, 0),
    (MINUTELY, MINUTE, NONE, ALL, 1, 1, 0, 0),
    (MINUTELY, MINUTE, HOUR, LATEST, 1, 0, 1, 0),
    (MINUTELY, MINUTE, HOUR, EARLIEST, 1, 0, 1, 0),
    (MINUTELY, MINUTE, HOUR, ALL, 2, 0, 0, 0),
    (MINUTELY, MINUTE, None, LATEST, 1, 0, 1, 0),
    (MINUTELY, MINUTE, None, EARLIEST, 1, 0, 1, 0),
    (MINUTELY, MINUTE, None, ALL, 2, 0, 0, 0),
    (MINUTELY, 2 * HOUR, NONE, LATEST, 1, 120, 0, 0),
    (MINUTELY, 2 * HOUR, NONE, EARLIEST, 1, 120, 0, 0),
    (MINUTELY, 2 * HOUR, NONE, ALL, 1, 120, 0, 0),
    (MINUTELY, 2 * HOUR, HOUR, LATEST, 1, 61, 59, 0),
    (MINUTELY, 2 * HOUR, HOUR, EARLIEST, 1, 61, 59, 0),
    (MINUTELY, 2 * HOUR, HOUR, ALL, 60, 61, 0, 0),
    (MINUTELY, 2 * HOUR, None, LATEST, 1, 0, 120, 0),
    (MINUTELY, 2 * HOUR, None, EARLIEST, 1, 0, 120, 0),
    (MINUTELY, 2 * HOUR, None, ALL, 121, 0, 0, 0),
    (MINUTELY, 400 * DAY, NONE, LATEST, 1, 576_000, 0, 0),
    (MINUTELY, 400 * DAY, NONE, EARLIEST, 1, 576_000, 0, 0),
    (MINUTELY, 400 * DAY, NONE, ALL, 1, 576_000, 0, 0),
    (MINUTELY, 400 * DAY, HOUR, LATEST, 1, 575_941, 59, 0),
    (MINUTELY, 400 * DAY, HOUR, EARLIEST, 1, 575_941, 59, 0),
    (MINUTELY, 400 * DAY, HOUR, ALL, 60, 575_941, 0, 0),
    (MINUTELY, 400 * DAY, None, LATEST, 1, 0, 576_000, 0),
    (MINUTELY, 400 * DAY, None, EARLIEST, 1, 0, 576_000, 0),
    (MINUTELY, 400 * DAY, None, ALL, 10_000, 0, 0, 566_001),
    (SECONDLY, NONE, NONE, LATEST, 1, 0, 0, 0),
    (SECONDLY, SECOND, HOUR, LATEST, 1, 0, 1, 0),
    (SECONDLY, 2 * HOUR, NONE, LATEST, 1, 7199, 1, 0),
    (SECONDLY, 2 * HOUR, HOUR, LATEST, 1, 3601, 3599, 0),
    (SECONDLY, 2 * HOUR, HOUR, ALL, 3600, 3601, 0, 0),
    (SECONDLY, 400 * DAY, NONE, LATEST, 1, 34_559_999, 1, 0),
    (SECONDLY, 400 * DAY, NONE, EARLIEST, 1, 34_559_999, 1, 0),
    (SECONDLY, 400 * DAY, NONE, ALL, 2, 34_559_999, 0, 0),
    (SECONDLY, 400 * DAY, HOUR, LATEST, 1, 34_556_401, 3599, 0),
    (SECONDLY, 400 * DAY, HOUR, EARLIEST, 1, 34_556_401, 3599, 0),
    (SECONDLY, 400 * DAY, HOUR, ALL, 3600, 34_556_401, 0, 0),
    (SECONDLY, 400 * DAY, None, LATEST, 1, 0, 34_560_000, 0),
    (SECONDLY, 400 * DAY, None, EARLIEST, 1, 0, 34_560_000, 0),
    (SECONDLY, 400 * DAY, None, ALL, 10_000, 0, 0, 34_550_001),
]


@pytest.mark.parametrize(("trigger", "outage", "window", "coalesce", "fired", "late", "merged", "many"), MATRIX)
def test_catch_up_matrix(
    trigger: Trigger,
    outage: timedelta,
    window: timedelta | None,
    coalesce: Coalesce,
    fired: int,
    late: int,
    merged: int,
    many: int,
) -> None:
    schedule = made(trigger, Policy(catch_up=window, coalesce=coalesce))
    first = schedule.next_nominal_at
    assert first is not None
    now = first + outage + LATE
    after, fires, counts = drained(schedule, now)
    assert (len(fires), counts) == (
        fired,
        {reason: n for reason, n in ((TOO_LATE, late), (COALESCED, merged), (TOO_MANY, many)) if n},
    )
    assert after.runs == fired
    assert after.missed == late + merged + many
    newest = now - LATE
    oldest = first + (late + many) * (MINUTE if trigger is MINUTELY else SECOND)
    if coalesce is LATEST:
        assert [fire.nominal_at for fire in fires] == [newest]
    elif coalesce is EARLIEST:
        assert [fire.nominal_at for fire in fires] == [oldest]
    else:
        assert [fires[0].nominal_at, fires[-1].nominal_at] == [oldest, newest]
    assert after.next_nominal_at == after.next_run_at == schedule.nominals.next_after(now)
    assert after.last_run_at == now


def test_a_catch_up_of_five_thousand_resumes_where_a_crash_left_it() -> None:
    """A crash is a plan that was never written: the next leader plans from the record that was."""
    schedule = made(SECONDLY, Policy(catch_up=None, coalesce=ALL))
    now = T + 5000 * SECOND + LATE
    seen: list[datetime] = []
    turn = 0
    while schedule.next_run_at is not None and schedule.next_run_at <= now:
        planned = plan(schedule, now)
        turn += 1
        if turn % 3 == 0:
            continue  # this one died before its commit
        seen += [fire.nominal_at for fire in planned.fires]
        schedule = planned.schedule
    assert seen == [T + number * SECOND for number in range(1, 5001)]


def test_fires_know_their_neighbours() -> None:
    schedule = made(MINUTELY, Policy(catch_up=None, coalesce=ALL))
    first = plan(schedule, T + 2 * MINUTE)
    assert first.fires == (
        Fire(T + MINUTE, None, T + 2 * MINUTE),
        Fire(T + 2 * MINUTE, T + MINUTE, T + 3 * MINUTE),
    )
    second = plan(first.schedule, T + 3 * MINUTE)
    assert second.fires == (Fire(T + 3 * MINUTE, T + 2 * MINUTE, T + 4 * MINUTE),)


def test_a_schedule_that_is_not_due_is_returned_as_it_is() -> None:
    schedule = made(MINUTELY, Policy())
    assert plan(schedule, T + MINUTE - LATE).schedule is schedule


def test_the_wall_clock_steps_back() -> None:
    schedule = plan(made(MINUTELY, Policy()), T + 5 * MINUTE).schedule
    for back in (SECOND, MINUTE, HOUR, DAY):
        planned = plan(schedule, T + 5 * MINUTE - back)
        assert planned.schedule is schedule
        assert planned.fires == ()
    assert [fire.nominal_at for fire in plan(schedule, T + 6 * MINUTE).fires] == [T + 6 * MINUTE]


@pytest.mark.parametrize(
    ("late", "fires"),
    [(NONE, 1), (SECOND, 1), (ON_TIME, 1), (ON_TIME + timedelta(microseconds=1), 0), (MINUTE, 0)],
)
def test_zero_means_on_time_and_that_is_two_seconds(late: timedelta, fires: int) -> None:
    planned = plan(made(Interval(HOUR), Policy(catch_up=NONE)), T + HOUR + late)
    assert len(planned.fires) == fires
    assert planned.schedule.missed == 1 - fires
    assert planned.schedule.next_nominal_at == T + 2 * HOUR


@pytest.mark.parametrize(("late", "fires"), [(HOUR, 1), (HOUR + timedelta(microseconds=1), 0)])
def test_the_edge_of_the_window_is_inside(late: timedelta, fires: int) -> None:
    assert len(plan(made(Interval(DAY), Policy(catch_up=HOUR)), T + DAY + late).fires) == fires


@pytest.mark.parametrize(
    ("window", "late", "status", "fires"),
    [(HOUR, HOUR, "completed", 1), (HOUR, 2 * HOUR, "completed", 0), (None, 999 * DAY, "completed", 1)],
)
def test_once(window: timedelta | None, late: timedelta, status: str, fires: int) -> None:
    schedule = made(Once(T + HOUR), Policy(catch_up=window))
    planned = plan(schedule, T + HOUR + late)
    assert planned.schedule.status == status
    assert planned.schedule.completed_at == T + HOUR + late
    assert planned.schedule.next_run_at is None
    assert (len(planned.fires), planned.schedule.missed) == (fires, 1 - fires)


def test_once_in_the_past_fires_by_the_catch_up_window() -> None:
    schedule = made(Once(T - 30 * MINUTE), Policy())
    assert schedule.next_run_at == T - 30 * MINUTE
    assert [fire.nominal_at for fire in plan(schedule, T).fires] == [T - 30 * MINUTE]


# --- windows and limits


def test_start_at_and_end_at_are_inclusive() -> None:
    schedule = made(MINUTELY, Policy(start_at=T + 2 * MINUTE, end_at=T + 4 * MINUTE, catch_up=None, coalesce=ALL))
    planned = plan(schedule, T + HOUR)
    assert [fire.nominal_at for fire in planned.fires] == [T + 2 * MINUTE, T + 3 * MINUTE, T + 4 * MINUTE]
    assert planned.schedule.status is ScheduleStatus.COMPLETED


@pytest.mark.parametrize(("coalesce", "fires"), [(LATEST, 1), (EARLIEST, 1), (ALL, 3)])
def test_max_runs_counts_fires(coalesce: Coalesce, fires: int) -> None:
    schedule = made(MINUTELY, Policy(max_runs=3, catch_up=None, coalesce=coalesce))
    planned = plan(schedule, T + 10 * MINUTE)
    assert planned.schedule.runs == len(planned.fires) == fires
    assert (planned.schedule.status is ScheduleStatus.COMPLETED) == (fires == 3)
    assert planned.fires[-1].next_at == (None if fires == 3 else T + 11 * MINUTE)


def test_misses_do_not_consume_max_runs() -> None:
    schedule = made(MINUTELY, Policy(max_runs=2, catch_up=NONE))
    schedule = plan(schedule, T + 90.5 * MINUTE).schedule
    assert (schedule.runs, schedule.missed, schedule.status) == (0, 90, ScheduleStatus.ACTIVE)


@pytest.mark.parametrize(("late", "fires"), [(NONE, 1), (5 * MINUTE, 1), (5 * MINUTE + LATE, 0)])
def test_start_deadline(late: timedelta, fires: int) -> None:
    schedule = made(Interval(HOUR), Policy(start_deadline=5 * MINUTE, catch_up=None))
    planned = plan(schedule, T + HOUR + late)
    if fires:
        assert planned.fires[0].start_by == T + HOUR + 5 * MINUTE
    else:
        assert planned.non_fires == (NonFire(NonFireReason.PAST_DEADLINE, 1, T + HOUR, T + HOUR),)
        assert planned.schedule.missed == 1


def test_start_deadline_cuts_a_long_catch_up() -> None:
    schedule = made(MINUTELY, Policy(start_deadline=5 * MINUTE, catch_up=None, coalesce=ALL))
    planned = plan(schedule, T + 60 * MINUTE)
    assert [fire.nominal_at for fire in planned.fires] == [T + number * MINUTE for number in range(55, 61)]
    assert [(found.reason, found.count) for found in planned.non_fires] == [(NonFireReason.PAST_DEADLINE, 54)]


# --- jitter


def test_a_fire_is_due_at_its_nominal_time_plus_jitter() -> None:
    schedule = made(Interval(HOUR), Policy(jitter=10 * MINUTE))
    nominal, due = schedule.next_nominal_at, schedule.next_run_at
    assert nominal == T + HOUR
    assert due is not None and nominal < due <= nominal + 10 * MINUTE
    assert plan(schedule, due - timedelta(microseconds=1)).schedule is schedule
    planned = plan(schedule, due)
    assert [fire.nominal_at for fire in planned.fires] == [nominal]
    assert planned.schedule.next_nominal_at == T + 2 * HOUR
    assert planned.schedule.next_run_at == schedule.nominals.due_at(T + 2 * HOUR)


def test_jitter_is_spread_over_its_whole_range() -> None:
    nominals = [
        made(Interval(HOUR), Policy(jitter=MINUTE)).nominals.due_at(T + number * HOUR) for number in range(1, 400)
    ]
    delays = [(due - T) % HOUR for due in nominals]
    assert len(set(delays)) == len(delays)
    assert min(delays) < 5 * SECOND and max(delays) > 55 * SECOND
    assert 25 * SECOND < sum(delays, NONE) / len(delays) < 35 * SECOND


def test_jitter_does_not_make_a_fire_late() -> None:
    schedule = made(Interval(DAY), Policy(jitter=20 * HOUR, catch_up=NONE))
    for _ in range(20):
        assert schedule.next_run_at is not None
        planned = plan(schedule, schedule.next_run_at + LATE)
        assert len(planned.fires) == 1
        schedule = planned.schedule


# --- exclusions


def test_excluded_nominal_times_are_recorded_as_one() -> None:
    weekend = ExcludedCron("* * * * SAT,SUN")
    schedule = made(Cron("0 9 * * *"), Policy(exclude=(weekend,)))  # T is a Tuesday
    for day in range(1, 4):
        schedule = plan(schedule, T.replace(hour=9) + day * DAY).schedule
    friday = T.replace(hour=9) + 3 * DAY
    assert schedule.last_nominal_at == friday
    assert schedule.next_run_at == friday + 3 * DAY
    assert schedule.excluded_from == friday + DAY
    planned = plan(schedule, friday + 3 * DAY)
    assert [fire.nominal_at for fire in planned.fires] == [friday + 3 * DAY]
    assert planned.non_fires == (NonFire(NonFireReason.EXCLUDED, 2, friday + DAY, friday + 2 * DAY),)
    assert planned.schedule.skipped == 2
    assert planned.schedule.excluded_from is None


def test_a_long_exclusion_of_a_dense_schedule_is_passed_over_at_once() -> None:
    days = tuple(date(2026, 11, 25) + number * DAY for number in range(300))
    schedule = made(SECONDLY, Policy(exclude=(ExcludedDates(days),)))
    planned = plan(schedule, T + 13 * HOUR)
    assert planned.schedule.next_nominal_at == datetime(2027, 9, 21, tzinfo=UTC)
    then = plan(planned.schedule, datetime(2027, 9, 21, tzinfo=UTC))
    assert [(found.reason, found.count) for found in then.non_fires] == [(NonFireReason.EXCLUDED, 300 * 86_400 - 1)]


def test_a_schedule_that_is_excluded_for_ever_neither_fires_nor_spins() -> None:
    schedule = made(Interval(2 * MINUTE, T), Policy(exclude=(ExcludedCron("*/2 * * * *"),)))
    wakes = 0
    now = T
    while schedule.next_run_at is not None and schedule.next_run_at < T + 3 * DAY:
        now = schedule.next_run_at
        planned = plan(schedule, now)
        assert planned.fires == () and planned.non_fires == ()
        schedule = planned.schedule
        wakes += 1
    assert wakes < 10
    assert schedule.status is ScheduleStatus.COMPLETED, "it never fires again, and says so"


@pytest.mark.parametrize(
    ("coalesce", "fired", "counts"),
    [
        (LATEST, ["2026-11-27T09"], {NonFireReason.COALESCED: 2, NonFireReason.EXCLUDED: 2}),
        (EARLIEST, ["2026-11-25T09"], {NonFireReason.COALESCED: 2, NonFireReason.EXCLUDED: 2}),
        (ALL, ["2026-11-25T09", "2026-11-26T09", "2026-11-27T09"], {NonFireReason.EXCLUDED: 2}),
    ],
)
def test_an_outage_over_an_exclusion(coalesce: Coalesce, fired: list[str], counts: dict[NonFireReason, int]) -> None:
    policy = Policy(catch_up=None, coalesce=coalesce, exclude=(ExcludedCron("* * * * SAT,SUN"),))
    _, fires, found = drained(made(Cron("0 9 * * *"), policy), datetime(2026, 11, 30, 8, tzinfo=UTC))
    assert [f"{fire.nominal_at:%Y-%m-%dT%H}" for fire in fires] == fired
    if coalesce is LATEST:
        assert found == counts
    else:
        assert found[NonFireReason.EXCLUDED] == 2


def test_excluded_ones_are_not_counted_as_missed() -> None:
    policy = Policy(exclude=(ExcludedCron("* * * * SAT,SUN"),))
    planned = plan(made(Cron("0 9 * * *"), policy), datetime(2026, 11, 30, 9, tzinfo=UTC))
    assert planned.schedule.missed == 3  # Wednesday to Friday
    assert planned.schedule.skipped == 2  # Saturday and Sunday
    assert len(planned.fires) == 1


def test_a_once_that_is_excluded_completes_without_a_fire() -> None:
    schedule = made(Once(T + HOUR), Policy(exclude=(ExcludedDates((T.date(),)),)))
    planned = plan(schedule, T + HOUR)
    assert planned.fires == ()
    assert [found.reason for found in planned.non_fires] == [NonFireReason.EXCLUDED]
    assert planned.schedule.status is ScheduleStatus.COMPLETED


def test_equal_instants_of_several_triggers_are_one_fire() -> None:
    trigger = AnyOf((Cron("0 * * * *"), Cron("*/30 * * * *")))
    _, fires, _ = drained(made(trigger, Policy(catch_up=None, coalesce=ALL)), T + 2 * HOUR)
    assert [fire.nominal_at for fire in fires] == [T + number * 30 * MINUTE for number in range(1, 5)]


# --- skipping on request


@pytest.mark.parametrize(("to_skip", "skipped", "left"), [(1, 1, 0), (2, 2, 0), (5, 3, 2)])
def test_skip_next(to_skip: int, skipped: int, left: int) -> None:
    schedule = made(MINUTELY, Policy(catch_up=None, coalesce=ALL)).evolve(skip_next=to_skip)
    after, fires, counts = drained(schedule, T + 3 * MINUTE)
    assert counts == {NonFireReason.SKIP_REQUESTED: skipped}
    assert len(fires) == 3 - skipped
    assert (after.skip_next, after.skipped, after.runs) == (left, skipped, 3 - skipped)


def test_skipping_does_not_consume_max_runs() -> None:
    schedule = made(MINUTELY, Policy(max_runs=1)).evolve(skip_next=1)
    schedule = plan(schedule, T + MINUTE).schedule
    assert schedule.status is ScheduleStatus.ACTIVE
    planned = plan(schedule, T + 2 * MINUTE)
    assert [fire.nominal_at for fire in planned.fires] == [T + 2 * MINUTE]
    assert planned.schedule.status is ScheduleStatus.COMPLETED


def test_the_cap_is_what_the_documentation_says() -> None:
    assert CATCH_UP_LIMIT == 10_000
    assert FIRES_AT_ONCE == 100
