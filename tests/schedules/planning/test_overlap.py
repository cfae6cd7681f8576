"""A schedule is due while a run of it is open: each overlap policy as a scenario, and what the end of a run does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq.exceptions import InvalidSchedule
from naq.jobs.job import JobSpec, JobStatus
from naq.schedules.planning.manual import trigger_now
from naq.schedules.planning.overlap import BUFFER_LIMIT
from naq.schedules.planning.plan import NonFire, NonFireReason, Plan, plan
from naq.schedules.policy import Coalesce, Overlap, Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.run_end import run_ended, run_taken
from naq.schedules.transitions import cancelled, new_schedule, paused, resumed, updated
from naq.store.keys import job_id
from naq.timing.triggers import FixedDelay, Interval, Trigger

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
JOB = JobSpec(func="reports:send")
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DONE, FAILED = JobStatus.COMPLETED, JobStatus.FAILED


def at(minute: float) -> datetime:
    return T + minute * MINUTE


def made(overlap: Overlap, trigger: Trigger | None = None, **policy: object) -> Schedule:
    rules = Policy(overlap=overlap, **policy)  # type: ignore[arg-type]
    return new_schedule("s", JOB, trigger or Interval(MINUTE), rules, T)


def fired(planned: Plan) -> list[datetime]:
    return [fire.nominal_at for fire in planned.fires]


def ended(schedule: Schedule, nominal: datetime, now: datetime, outcome: JobStatus = DONE) -> Schedule:
    after = run_ended(schedule, job_id("s", nominal), outcome, now)
    assert after is not None
    return after


def test_allow_all_fires_all_the_same_and_keeps_no_open_runs() -> None:
    schedule = made(Overlap.ALLOW_ALL)
    for minute in (1, 2, 3):
        planned = plan(schedule, at(minute))
        assert fired(planned) == [at(minute)]
        assert not planned.fires[0].tracked
        schedule = planned.schedule
    assert schedule.open_runs == ()
    assert run_ended(schedule, job_id("s", at(1)), DONE, at(4)) is None


def test_what_waited_and_is_dropped_uses_up_no_runs() -> None:
    schedule = made(Overlap.BUFFER_ALL, max_runs=3, start_deadline=3 * MINUTE, catch_up=None)
    for minute in (1, 2, 3):
        schedule = plan(schedule, at(minute)).schedule
    assert (schedule.buffered, schedule.next_nominal_at) == ((at(2), at(3)), None), "one runs, two wait: that is three"
    planned = plan(ended(schedule, at(1), at(10)), at(10))
    assert fired(planned) == [at(10)]
    assert planned.schedule.missed == 8
    assert planned.schedule.status is ScheduleStatus.ACTIVE
    assert planned.schedule.next_nominal_at == at(11)


def test_skip_skips_until_the_run_has_ended() -> None:
    first = plan(made(Overlap.SKIP, max_runs=2), at(1))
    assert first.fires[0].tracked
    assert [run.job_id for run in first.schedule.open_runs] == [job_id("s", at(1))]
    second = plan(first.schedule, at(2))
    assert fired(second) == []
    assert second.non_fires == (NonFire(NonFireReason.OVERLAP, 1, at(2), at(2)),)
    assert (second.schedule.skipped, second.schedule.runs) == (1, 1)  # a skip does not consume max_runs
    free = ended(second.schedule, at(1), at(2.5))
    assert free.next_run_at == at(3)
    third = plan(free, at(3))
    assert fired(third) == [at(3)]
    assert third.schedule.status is ScheduleStatus.COMPLETED
    last = ended(third.schedule, at(3), at(4))
    assert last.open_runs == ()
    assert last.status is ScheduleStatus.COMPLETED


def test_buffer_one_keeps_the_first_and_skips_the_others() -> None:
    schedule = plan(made(Overlap.BUFFER_ONE), at(1)).schedule
    waiting = plan(schedule, at(2))
    assert (fired(waiting), waiting.non_fires, waiting.schedule.buffered) == ([], (), (at(2),))
    skipping = plan(waiting.schedule, at(3))
    assert skipping.schedule.buffered == (at(2),)
    assert [found.reason for found in skipping.non_fires] == [NonFireReason.OVERLAP]
    free = ended(skipping.schedule, at(1), at(3.5))
    assert free.next_run_at == at(3.5)  # due at once
    released = plan(free, at(3.5))
    assert fired(released) == [at(2)]
    assert released.schedule.buffered == ()
    assert released.schedule.next_run_at == at(4)
    assert [run.nominal_at for run in released.schedule.open_runs] == [at(2)]


def test_buffer_all_runs_one_after_the_other() -> None:
    schedule = made(Overlap.BUFFER_ALL)
    for minute in (1, 2, 3):
        schedule = plan(schedule, at(minute)).schedule
    assert schedule.buffered == (at(2), at(3))
    free = ended(schedule, at(1), at(3.2))
    released = plan(free, at(3.2))
    assert fired(released) == [at(2)]
    assert released.schedule.buffered == (at(3),)
    again = plan(ended(released.schedule, at(2), at(3.4)), at(3.4))
    assert fired(again) == [at(3)]
    assert again.schedule.next_run_at == at(4)


def test_buffer_all_is_capped() -> None:
    schedule = plan(made(Overlap.BUFFER_ALL), at(1)).schedule
    for minute in range(2, BUFFER_LIMIT + 5):
        planned = plan(schedule, at(minute))
        schedule = planned.schedule
    assert len(schedule.buffered) == BUFFER_LIMIT
    assert schedule.skipped == 3
    assert schedule.buffered[0] == at(2)


def test_cancel_other_asks_the_running_one_to_stop_and_waits_for_it() -> None:
    schedule = plan(made(Overlap.CANCEL_OTHER), at(1)).schedule
    asking = plan(schedule, at(2))
    assert asking.cancel_jobs == (job_id("s", at(1)),)
    assert (fired(asking), asking.terminate_jobs) == ([], ())
    assert asking.schedule.buffered == (at(2),)
    later = plan(asking.schedule, at(3))  # it has not stopped yet
    assert later.cancel_jobs == (job_id("s", at(1)),)
    assert later.schedule.buffered == (at(3),)
    assert later.non_fires == (NonFire(NonFireReason.OVERLAP, 1, at(2), at(2)),)
    stopped = ended(later.schedule, at(1), at(3.1), JobStatus.CANCELLED)
    assert stopped.error_count == 0
    released = plan(stopped, at(3.1))
    assert fired(released) == [at(3)]
    assert released.cancel_jobs == ()


def test_terminate_other_gives_the_running_one_up_and_fires_at_once() -> None:
    schedule = plan(made(Overlap.TERMINATE_OTHER), at(1)).schedule
    planned = plan(schedule, at(2))
    assert planned.terminate_jobs == (job_id("s", at(1)),)
    assert fired(planned) == [at(2)]
    assert [run.nominal_at for run in planned.schedule.open_runs] == [at(2)]
    assert run_ended(planned.schedule, job_id("s", at(1)), JobStatus.CANCELLED, at(3)) is None
    assert planned.schedule.error_count == 0


@pytest.mark.parametrize(
    ("overlap", "fires", "buffered", "skipped"),
    [
        (Overlap.ALLOW_ALL, [1, 2, 3], [], 0),
        (Overlap.SKIP, [1], [], 2),
        (Overlap.BUFFER_ONE, [1], [2], 1),
        (Overlap.BUFFER_ALL, [1], [2, 3], 0),
        (Overlap.CANCEL_OTHER, [1], [3], 1),
        (Overlap.TERMINATE_OTHER, [3], [], 2),
    ],
)
def test_a_catch_up_of_all_obeys_the_overlap_policy(
    overlap: Overlap, fires: list[int], buffered: list[int], skipped: int
) -> None:
    planned = plan(made(overlap, coalesce=Coalesce.ALL), at(3))
    assert fired(planned) == [at(minute) for minute in fires]
    assert planned.schedule.buffered == tuple(at(minute) for minute in buffered)
    assert planned.schedule.skipped == skipped
    assert planned.schedule.runs == len(fires)
    assert planned.terminate_jobs == ()


def test_what_waits_counts_for_max_runs_when_it_fires() -> None:
    schedule = made(Overlap.BUFFER_ALL, max_runs=2)
    schedule = plan(plan(schedule, at(1)).schedule, at(2)).schedule
    assert (schedule.runs, schedule.buffered) == (1, (at(2),))
    assert (schedule.status, schedule.next_run_at) == (ScheduleStatus.ACTIVE, None)  # only the end of the run matters
    released = plan(ended(schedule, at(1), at(5)), at(5))
    assert fired(released) == [at(2)]
    assert released.schedule.status is ScheduleStatus.COMPLETED


def test_what_waited_beyond_its_start_deadline_is_missed() -> None:
    schedule = made(Overlap.BUFFER_ALL, start_deadline=2 * MINUTE)
    schedule = plan(plan(schedule, at(1)).schedule, at(2)).schedule
    released = plan(ended(schedule, at(1), at(4.5)), at(4.5))
    reasons = {found.reason: found.count for found in released.non_fires}
    assert reasons[NonFireReason.PAST_DEADLINE] == 1
    assert at(2) not in fired(released)


def test_what_waits_is_not_older_than_the_catch_up_window() -> None:
    schedule = made(Overlap.BUFFER_ONE, Interval(HOUR), catch_up=timedelta(0))
    schedule = plan(plan(schedule, T + HOUR).schedule, T + 2 * HOUR).schedule
    assert fired(plan(ended(schedule, T + HOUR, T + 2.9 * HOUR), T + 2.9 * HOUR)) == [T + 2 * HOUR]


# --- the end of a run


def test_a_failed_run_is_counted_whether_tracked_or_not() -> None:
    tracked = ended(plan(made(Overlap.SKIP), at(1)).schedule, at(1), at(2), FAILED)
    assert (tracked.error_count, tracked.open_runs) == (1, ())
    untracked = ended(plan(made(Overlap.ALLOW_ALL), at(1)).schedule, at(1), at(2), FAILED)
    assert untracked.error_count == 1
    assert untracked.next_run_at == at(2)


def test_a_run_that_missed_its_start_deadline_is_counted_as_missed_and_frees_the_slot() -> None:
    after = ended(plan(made(Overlap.SKIP), at(1)).schedule, at(1), at(2), JobStatus.MISSED)
    assert (after.missed, after.error_count, after.open_runs) == (1, 0, ())


def test_a_run_that_failed_frees_the_slot() -> None:
    schedule = plan(plan(made(Overlap.BUFFER_ONE), at(1)).schedule, at(2)).schedule
    after = run_ended(schedule, job_id("s", at(1)), FAILED, at(2.5))
    assert after is not None
    assert (after.error_count, after.next_run_at) == (1, at(2.5))


def test_an_unknown_run_that_succeeded_changes_nothing() -> None:
    assert run_ended(made(Overlap.SKIP), "s/other", DONE, at(1)) is None


def test_a_run_that_ends_while_paused_wakes_nothing_up() -> None:
    schedule = plan(plan(made(Overlap.BUFFER_ONE), at(1)).schedule, at(2)).schedule
    halted = paused(schedule, at(2.1), None, None)
    assert halted is not None
    after = ended(halted, at(1), at(2.2))
    assert (after.status, after.next_run_at, after.open_runs) == (ScheduleStatus.PAUSED, None, ())
    quiet = resumed(after, at(9.5))
    assert quiet is not None
    assert (quiet.buffered, quiet.skipped, quiet.next_run_at) == ((), 1, at(10))
    caught_up = resumed(after, at(9.5), catch_up=True)
    assert caught_up is not None
    assert fired(plan(caught_up, at(9.5))) == [at(2)]


def test_a_run_that_ends_after_the_cancel_is_only_taken_off_the_list() -> None:
    schedule = cancelled(plan(plan(made(Overlap.BUFFER_ONE), at(1)).schedule, at(2)).schedule, at(2.5))
    after = ended(schedule, at(1), at(3))
    assert (after.status, after.open_runs, after.buffered, after.next_run_at) == (
        ScheduleStatus.CANCELLED,
        (),
        (),
        None,
    )


def test_a_changed_policy_applies_to_what_waits_already() -> None:
    schedule = made(Overlap.BUFFER_ALL)
    for minute in (1, 2, 3):
        schedule = plan(schedule, at(minute)).schedule
    changed = updated(schedule, at(3.1), policy=Policy(overlap=Overlap.ALLOW_ALL))
    assert changed is not None
    assert changed.next_run_at == at(3.1)
    assert fired(plan(changed, at(3.1))) == [at(2), at(3)]


# --- fixed delay


def test_a_fixed_delay_begins_at_the_end_of_the_run() -> None:
    schedule = made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE))
    assert schedule.next_run_at == at(5)
    planned = plan(schedule, at(5))
    assert fired(planned) == [at(5)]
    assert planned.fires[0].tracked
    assert (planned.schedule.status, planned.schedule.next_run_at) == (ScheduleStatus.ACTIVE, None)
    after = ended(planned.schedule, at(5), at(17))
    assert after.next_run_at == at(22)
    assert fired(plan(after, at(22))) == [at(22)]


@pytest.mark.parametrize("outcome", [FAILED, JobStatus.MISSED, JobStatus.CANCELLED])
def test_a_fixed_delay_goes_on_after_every_kind_of_end(outcome: JobStatus) -> None:
    schedule = plan(made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE)), at(5)).schedule
    assert ended(schedule, at(5), at(6), outcome).next_run_at == at(11)


def test_a_fixed_delay_that_is_too_late_goes_on_from_now() -> None:
    schedule = made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE), catch_up=timedelta(0))
    planned = plan(schedule, at(60))
    assert fired(planned) == []
    assert planned.schedule.missed == 1
    assert planned.schedule.next_run_at == at(65)


def test_a_fixed_delay_with_max_runs_completes_with_its_last_fire() -> None:
    schedule = made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE), max_runs=1)
    assert plan(schedule, at(5)).schedule.status is ScheduleStatus.COMPLETED


def test_a_fixed_delay_ends_with_its_window() -> None:
    schedule = made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE), end_at=at(10))
    after = ended(plan(schedule, at(5)).schedule, at(5), at(7))
    assert (after.status, after.next_run_at) == (ScheduleStatus.COMPLETED, None)


def test_a_paused_fixed_delay_is_computed_anew_on_resume() -> None:
    schedule = plan(made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE)), at(5)).schedule
    halted = paused(schedule, at(6), None, None)
    assert halted is not None
    after = ended(halted, at(5), at(7))
    back = resumed(after, at(30))
    assert back is not None and back.next_run_at == at(35)
    early = resumed(after, at(8))
    assert early is not None and early.next_run_at == at(12)
    open_still = resumed(halted, at(30))
    assert open_still is not None and open_still.next_run_at is None
    assert ended(open_still, at(5), at(31)).next_run_at == at(36)


# --- by hand


def test_trigger_now_stands_beside_the_plan() -> None:
    schedule = made(Overlap.ALLOW_ALL, max_runs=1)
    once, twice = trigger_now(schedule, at(0.5)), trigger_now(trigger_now(schedule, at(0.5)).schedule, at(0.5))
    assert once.fires[0].nominal_at == at(0.5)
    assert once.fires[0].next_at == at(1)
    assert twice.schedule.manual_runs == 2
    assert (twice.schedule.runs, twice.schedule.next_run_at) == (0, at(1))
    assert fired(plan(twice.schedule, at(1))) == [at(1)]


def test_trigger_now_on_a_tracked_schedule_is_seen_by_the_next_fire() -> None:
    planned = trigger_now(made(Overlap.SKIP), at(0.5), job_id="s/manual-1")
    assert planned.fires[0].tracked
    assert fired(plan(planned.schedule, at(1))) == []
    free = run_ended(planned.schedule, "s/manual-1", DONE, at(0.7))
    assert free is not None
    assert fired(plan(free, at(1))) == [at(1)]


def test_trigger_now_may_ask_for_its_own_overlap() -> None:
    schedule = plan(made(Overlap.SKIP), at(1)).schedule
    assert len(trigger_now(schedule, at(1.5)).fires) == 1
    skipped = trigger_now(schedule, at(1.5), overlap=Overlap.SKIP)
    assert (skipped.fires, skipped.schedule.skipped) == ((), 1)
    forced = trigger_now(schedule, at(1.5), "s/manual-1", Overlap.TERMINATE_OTHER)
    assert forced.terminate_jobs == (job_id("s", at(1)),)
    assert [run.job_id for run in forced.schedule.open_runs] == ["s/manual-1"]
    with pytest.raises(InvalidSchedule, match="cannot wait"):
        trigger_now(schedule, at(1.5), overlap=Overlap.BUFFER_ONE)


def test_trigger_now_that_gives_up_a_fixed_delays_run_lets_it_go_on() -> None:
    schedule = plan(made(Overlap.ALLOW_ALL, FixedDelay(5 * MINUTE)), at(5)).schedule
    forced = trigger_now(schedule, at(6), overlap=Overlap.TERMINATE_OTHER)
    assert forced.schedule.next_run_at == at(11)


@pytest.mark.parametrize("status", ["paused", "completed"])
def test_trigger_now_works_on_a_schedule_that_is_not_active(status: str) -> None:
    schedule = made(Overlap.ALLOW_ALL).evolve(status=ScheduleStatus(status), next_run_at=None)
    planned = trigger_now(schedule, at(1))
    assert len(planned.fires) == 1
    assert planned.schedule.status == status


def test_trigger_now_on_a_cancelled_schedule_says_why_not() -> None:
    schedule = cancelled(made(Overlap.ALLOW_ALL), at(0.5))
    planned = trigger_now(schedule, at(1))
    assert planned.schedule is schedule
    assert [found.reason for found in planned.non_fires] == [NonFireReason.ENDED]


def test_a_run_that_no_worker_took_by_its_deadline_holds_no_place() -> None:
    schedule = plan(made(Overlap.SKIP, start_deadline=MINUTE / 2), at(1)).schedule
    assert schedule.open_runs[0].start_by == at(1.5)
    assert fired(plan(schedule, at(2))) == [at(2)]
    late = run_ended(plan(schedule, at(2)).schedule, job_id("s", at(1)), JobStatus.MISSED, at(2.1))
    assert late is not None
    assert (late.missed, [run.nominal_at for run in late.open_runs]) == (1, [at(2)])


def test_a_run_that_a_worker_took_in_time_holds_its_place_past_the_deadline() -> None:
    schedule = plan(made(Overlap.SKIP, start_deadline=MINUTE / 2), at(1)).schedule
    taken = run_taken(schedule, job_id("s", at(1)))
    assert taken is not None
    assert run_taken(taken, job_id("s", at(1))) is None
    planned = plan(taken, at(2))
    assert (fired(planned), planned.schedule.skipped) == ([], 1)


def test_a_trigger_by_hand_does_not_see_a_run_that_expired() -> None:
    schedule = plan(made(Overlap.SKIP, start_deadline=MINUTE / 2), at(1)).schedule
    assert not trigger_now(schedule, at(1.4), "s/by-hand", Overlap.SKIP).fires
    assert trigger_now(schedule, at(1.6), "s/by-hand", Overlap.SKIP).fires


@pytest.mark.parametrize("overlap", [Overlap.BUFFER_ONE, Overlap.CANCEL_OTHER])
def test_what_waits_for_a_run_that_expired_fires_with_the_next_time(overlap: Overlap) -> None:
    schedule = plan(made(overlap, start_deadline=1.5 * MINUTE), at(1)).schedule
    schedule = plan(schedule, at(2)).schedule
    assert list(schedule.buffered) == [at(2)]
    assert fired(plan(schedule, at(3))) == [at(2)]
