"""What holds for every plan, whatever the schedule and however the clock jumps."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naq.jobs.job import JobSpec, JobStatus
from naq.schedules.planning.plan import FIRES_AT_ONCE, Plan, plan
from naq.schedules.policy import Coalesce, Overlap, Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.run_end import run_ended
from naq.schedules.transitions import new_schedule, paused, resumed
from naq.timing.exclusions import ExcludedCron, ExcludedDates, ExcludedTime, Exclusion
from naq.timing.triggers import AnyOf, Cron, Interval, Trigger
from tests.timing.strategies import quickly, thoroughly

T = datetime(2026, 3, 28, 22, 30, 7, tzinfo=UTC)
JOB = JobSpec(func="reports:send")
HOUR = timedelta(hours=1)

triggers: st.SearchStrategy[Trigger] = st.one_of(
    st.sampled_from([0.25, 1, 7, 60, 3600, 86_400]).map(lambda seconds: Interval(timedelta(seconds=seconds))),
    st.sampled_from(["* * * * * *", "*/7 * * * *", "30 2 * * *", "0 9 * * MON-FRI", "0 0 1 * *"]).map(
        lambda expression: Cron(expression, "Europe/Berlin")
    ),
    st.just(AnyOf((Interval(timedelta(minutes=10)), Cron("*/15 * * * *")))),
)
exclusions: st.SearchStrategy[Exclusion] = st.one_of(
    st.just(ExcludedCron("* 0-6 * * *", "Europe/Berlin")),
    st.just(ExcludedCron("* * * * SAT,SUN")),
    st.just(ExcludedDates((date(2026, 3, 29), date(2026, 3, 31)))),
    st.just(ExcludedTime(T + HOUR, T + 30 * HOUR)),
    st.just(ExcludedCron("*/2 * * * *")),
)
policies = st.builds(
    Policy,
    start_at=st.sampled_from([None, None, T + timedelta(minutes=90)]),
    end_at=st.sampled_from([None, None, T + timedelta(days=3)]),
    max_runs=st.sampled_from([None, None, 1, 5, 150]),
    catch_up=st.sampled_from([timedelta(0), timedelta(minutes=5), HOUR, None]),
    coalesce=st.sampled_from(list(Coalesce)),
    start_deadline=st.sampled_from([None, None, timedelta(minutes=3)]),
    jitter=st.sampled_from([None, None, timedelta(seconds=3), timedelta(minutes=20)]),
    overlap=st.sampled_from(list(Overlap)),
    exclude=st.lists(exclusions, max_size=2).map(tuple),
)
steps = st.lists(
    st.one_of(
        st.sampled_from([0.0, 0.3, 1.0, 61.0, 3600.0, 3661.5, 90_000.0, -1.0, -4000.0]),
        st.floats(-5000, 200_000, allow_nan=False),
    ),
    max_size=12,
)


def total(planned: Plan) -> int:
    return len(planned.fires) + sum(found.count for found in planned.non_fires)


def pending(schedule: Schedule) -> int:
    """Nominal times that were passed over as excluded and not told yet."""
    if schedule.excluded_from is None or schedule.next_nominal_at is None:
        return 0
    last = schedule.nominals.previous(schedule.next_nominal_at)
    return 0 if last is None or last < schedule.excluded_from else schedule.nominals.count(schedule.excluded_from, last)


@settings(max_examples=400, deadline=None)
@given(triggers, policies, steps, st.integers(0, 3))
def test_every_nominal_time_is_accounted_for_once_and_fires_at_most_once(
    trigger: Trigger, policy: Policy, moves: list[float], to_skip: int
) -> None:
    schedule = new_schedule("s", JOB, trigger, policy, T, skip_next=to_skip)
    nominals, now, latest, accounted = schedule.nominals, T, T, 0
    fired: list[datetime] = []
    for move in moves:
        now += timedelta(seconds=move)
        latest = max(latest, now)  # what waited for a run's end was due by a clock that was set back since
        before = schedule
        planned = plan(schedule, now)
        schedule = planned.schedule
        accounted += total(planned)
        assert len(planned.fires) <= FIRES_AT_ONCE
        for fire in planned.fires:
            assert fire.nominal_at <= latest
            assert not nominals.is_excluded(fire.nominal_at)
            assert nominals.previous(fire.nominal_at + timedelta(microseconds=1)) == fire.nominal_at
            if policy.start_deadline is not None:
                assert nominals.due_at(fire.nominal_at) + policy.start_deadline >= now
        fired += [fire.nominal_at for fire in planned.fires]
        assert schedule.runs == len(fired)
        assert policy.max_runs is None or schedule.runs <= policy.max_runs
        if not planned.fires and before.next_run_at is not None and before.next_run_at > now:
            assert schedule is before
        if len(planned.fires) < FIRES_AT_ONCE and schedule.next_run_at is not None and not policy.exclude:
            assert schedule.next_run_at > now or policy.coalesce is Coalesce.ALL
        if schedule.open_runs and move > 60:
            for run in schedule.open_runs:
                schedule = run_ended(schedule, run.job_id, JobStatus.COMPLETED, now) or schedule
    assert fired == sorted(set(fired)), "a nominal time fired twice, or out of order"
    assert schedule.missed + schedule.skipped + schedule.runs == accounted
    ran_out = policy.max_runs is not None and schedule.runs + len(schedule.buffered) >= policy.max_runs
    if schedule.status is ScheduleStatus.ACTIVE and schedule.next_nominal_at is not None and not ran_out:
        first = nominals.next_after(T)
        assert first is not None
        decided = nominals.count(first, schedule.next_nominal_at) - 1
        assert accounted + pending(schedule) + len(schedule.buffered) == decided


def check_a_plan_is_idempotent(trigger: Trigger, policy: Policy, periods: float) -> None:
    schedule = new_schedule("s", JOB, trigger, policy, T)
    first = schedule.nominals.next_after(T) or T
    period = (schedule.nominals.next_after(first) or first + HOUR) - first
    now = T + min(period * periods, timedelta(days=400))
    for _ in range(200):
        planned = plan(schedule, now)
        schedule = planned.schedule
        if schedule.next_run_at is None or schedule.next_run_at > now:
            break
    again = plan(schedule, now)
    assert again.schedule is schedule
    assert again.fires == ()
    assert again.non_fires == ()
    assert plan(schedule, now - timedelta(days=1)).fires == ()


outages = st.floats(0, 300)
test_a_plan_is_idempotent = quickly(triggers, policies, outages)(check_a_plan_is_idempotent)
test_a_plan_is_idempotent_10000 = pytest.mark.timeout(900)(
    pytest.mark.slow(thoroughly(triggers, policies, outages)(check_a_plan_is_idempotent))
)


@settings(max_examples=300, deadline=None)
@given(triggers, policies, st.floats(0, 200_000), st.floats(0, 200_000), st.floats(-4000, 200_000))
def test_resume_never_fires_what_was_due_while_paused(
    trigger: Trigger, policy: Policy, run_for: float, pause_for: float, then: float
) -> None:
    schedule = plan(new_schedule("s", JOB, trigger, policy, T), T + timedelta(seconds=run_for)).schedule
    paused_at = T + timedelta(seconds=run_for)
    halted = paused(schedule, paused_at, None, None)
    if halted is None:
        return
    assert plan(halted, paused_at + timedelta(days=900)).schedule is halted
    resumed_at = paused_at + timedelta(seconds=pause_for)
    active = resumed(halted, resumed_at)
    assert active is not None
    assert active.next_run_at is None or active.next_run_at > resumed_at
    planned = plan(active, resumed_at + timedelta(seconds=then))
    assert all(fire.nominal_at > resumed_at for fire in planned.fires)


@settings(max_examples=200, deadline=None)
@given(
    triggers, st.sampled_from([1, 30, 3600, 100_000]), st.text("abc-_0123", min_size=1, max_size=20), st.integers(0, 9)
)
def test_jitter_keeps_the_order_and_is_the_same_for_everybody(
    trigger: Trigger, seconds: int, schedule_id: str, steps_on: int
) -> None:
    policy = Policy(jitter=timedelta(seconds=seconds))
    nominals = new_schedule(schedule_id, JOB, trigger, policy, T).nominals
    nominal = nominals.next_after(T)
    for _ in range(steps_on):
        assert nominal is not None
        following = nominals.next_after(nominal)
        due = nominals.due_at(nominal)
        assert nominal <= due <= nominal + timedelta(seconds=seconds)
        assert following is None or due < following
        assert due == new_schedule(schedule_id, JOB, trigger.bound(T), policy, T).nominals.due_at(nominal)
        nominal = following
