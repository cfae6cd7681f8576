"""The record of a schedule and its state machine: what each change does, and where it does not apply."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.exceptions import InvalidSchedule
from naq.jobs.job import JobSpec, JobStatus
from naq.schedules.binding import written
from naq.schedules.forms.entry import to_dict
from naq.schedules.planning.manual import BACKFILL_LIMIT, backfill, backfill_stopped, count_backfill
from naq.schedules.planning.plan import FIRES_AT_ONCE, NonFireReason, plan
from naq.schedules.policy import Coalesce, Overlap, Policy
from naq.schedules.preview import preview, previous_times
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.run_end import run_ended
from naq.schedules.transitions import cancelled, new_schedule, paused, replaced, resumed, skip_next, updated
from naq.store.codec import decode, encode
from naq.store.keys import backfill_job_id
from naq.timing.exclusions import ExcludedCron
from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    CalendarUnit,
    Cron,
    FixedDelay,
    Interval,
    Once,
    RRule,
    Trigger,
)

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
JOB = JobSpec(func="reports:send")
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACTIVE, PAUSED, COMPLETED, CANCELLED = ScheduleStatus


def made(trigger: Trigger | None = None, policy: Policy | None = None, **more: Any) -> Schedule:
    return new_schedule("s", JOB, trigger or Interval(HOUR), policy or Policy(), T, **more)


def present(schedule: Schedule | None) -> Schedule:
    assert schedule is not None
    return schedule


# --- the record


def test_the_record_of_an_interval_is_small() -> None:
    schedule = new_schedule("k3j5h2g8f9d7s6a1q4w0", JobSpec(func="reports:send"), Interval(MINUTE), Policy(), T)
    assert len(encode(schedule)) <= 350
    fired = plan(schedule.evolve(change_id="0123456789ab"), T + MINUTE + timedelta(microseconds=2345)).schedule
    assert len(encode(fired)) <= 400


def test_a_record_survives_the_store() -> None:
    trigger = AnyOf((Cron("0 9 * * *", "Europe/Berlin"), CalendarInterval(2, CalendarUnit.MONTHS)))
    schedule = made(trigger, Policy(overlap=Overlap.BUFFER_ONE, exclude=(ExcludedCron("* 0-6 * * *"),), catch_up=None))
    schedule = plan(plan(schedule, T + DAY).schedule, T + 2 * DAY).schedule
    assert schedule.open_runs and schedule.buffered
    assert decode(Schedule, "schedule.s", encode(schedule)) == schedule


def test_a_record_of_the_first_version_is_still_read() -> None:
    record = {
        "schedule_id": "old",
        "job": {"func": "reports:send"},
        "trigger": {"type": "cron", "expression": "0 9 * * *"},
        "created_at": "2026-11-24T11:00:00Z",
        "next_nominal_at": "2026-11-25T09:00:00Z",
        "next_run_at": "2026-11-25T09:00:00Z",
        "policy": {"max_runs": 3},
        "a_field_of_the_future": 1,
    }
    schedule = decode(Schedule, "schedule.old", json.dumps(record).encode())
    assert len(plan(schedule, datetime(2026, 11, 25, 9, tzinfo=UTC)).fires) == 1


def test_a_paused_record_of_the_first_version_resumes() -> None:
    """It did not keep the nominal time that was next."""
    schedule = present(paused(made(), T, None, None)).evolve(next_nominal_at=None)
    assert present(resumed(schedule, T + 90 * MINUTE)).next_run_at == T + 2 * HOUR


# --- pause, resume, cancel


def test_pause_takes_a_reason_and_a_name() -> None:
    schedule = present(paused(made(), T + MINUTE, "maintenance", "ada"))
    assert (schedule.status, schedule.paused_at) == (PAUSED, T + MINUTE)
    assert (schedule.pause_reason, schedule.paused_by, schedule.next_run_at) == ("maintenance", "ada", None)
    assert plan(schedule, T + DAY).schedule is schedule


@pytest.mark.parametrize(
    ("trigger", "paused_for", "next_run"),
    [
        (Interval(HOUR), 10 * MINUTE, T + HOUR),
        (Interval(HOUR), HOUR, T + 2 * HOUR),
        (Interval(HOUR), 400 * DAY, T + 400 * DAY + HOUR),
        (Cron("0 9 * * *"), 90 * MINUTE, datetime(2026, 11, 25, 9, tzinfo=UTC)),
        (Cron("0 9 * * *"), 3 * DAY, datetime(2026, 11, 28, 9, tzinfo=UTC)),
    ],
)
def test_resume_computes_the_next_run_from_now(trigger: Trigger, paused_for: timedelta, next_run: datetime) -> None:
    schedule = present(resumed(present(paused(made(trigger), T, None, None)), T + paused_for))
    assert (schedule.status, schedule.next_run_at, schedule.resumed_at) == (ACTIVE, next_run, T + paused_for)
    assert (schedule.pause_reason, schedule.missed) == (None, 0)


def test_resume_with_catch_up_fires_what_was_due() -> None:
    schedule = present(resumed(present(paused(made(), T, None, None)), T + 150 * MINUTE, catch_up=True))
    planned = plan(schedule, T + 150 * MINUTE)
    assert [fire.nominal_at for fire in planned.fires] == [T + 2 * HOUR]
    assert planned.schedule.missed == 1


@pytest.mark.parametrize(("catch_up", "fires"), [(False, 0), (True, 1)])
def test_a_single_time_that_passed_while_paused_fires_only_if_asked_for(catch_up: bool, fires: int) -> None:
    """Within the catch-up window it fired in any case, for a `Once` in the past keeps its instant where it is created."""
    halted = present(paused(made(Once(T + MINUTE)), T, None, None))
    schedule = present(resumed(halted, T + 2 * MINUTE, catch_up))
    assert schedule.status is (ACTIVE if catch_up else COMPLETED)
    assert len(plan(schedule, T + 2 * MINUTE).fires) == fires


def test_resume_after_the_clock_stepped_back_repeats_nothing() -> None:
    schedule = plan(made(), T + HOUR).schedule
    back = present(resumed(present(paused(schedule, T + HOUR, None, None)), T - DAY))
    assert back.next_run_at == T + 2 * HOUR


@pytest.mark.parametrize("trigger", [Once(T + HOUR), Interval(HOUR)])
def test_resume_with_nothing_left_completes(trigger: Trigger) -> None:
    schedule = made(trigger, Policy(end_at=T + 2 * HOUR, catch_up=timedelta(0)))
    halted = present(paused(schedule, T, None, None))
    done = present(resumed(halted, T + 3 * HOUR))
    assert (done.status, done.next_run_at, done.completed_at) == (COMPLETED, None, T + 3 * HOUR)


@pytest.mark.parametrize(
    ("status", "may_pause", "may_resume", "may_update", "may_skip"),
    [
        (ACTIVE, True, False, True, True),
        (PAUSED, False, True, True, True),
        (COMPLETED, False, False, True, False),
        (CANCELLED, False, False, False, False),
    ],
)
def test_where_changes_apply(
    status: ScheduleStatus, may_pause: bool, may_resume: bool, may_update: bool, may_skip: bool
) -> None:
    schedule = made().evolve(status=status)
    assert (paused(schedule, T, None, None) is not None) == may_pause
    assert (resumed(schedule, T) is not None) == may_resume
    assert (updated(schedule, T, note="x") is not None) == may_update
    assert (skip_next(schedule, 2) is not None) == may_skip
    assert cancelled(schedule, T).status is CANCELLED


def test_cancel_is_final() -> None:
    schedule = cancelled(made(), T + MINUTE)
    assert (schedule.cancelled_at, schedule.next_run_at, schedule.next_nominal_at) == (T + MINUTE, None, None)
    assert cancelled(schedule, T + HOUR) is schedule
    assert plan(schedule, T + DAY).schedule is schedule
    assert replaced(schedule, made(), T) is None


@pytest.mark.parametrize("count", [-1, 1001, True])
def test_skip_next_is_bounded(count: int) -> None:
    with pytest.raises(InvalidSchedule, match="0 to 1000"):
        skip_next(made(), count)


# --- update and replace


@pytest.mark.parametrize(
    "changes",
    [
        {"job": JobSpec(func="reports:other")},
        {"policy": Policy(max_runs=5, coalesce=Coalesce.ALL, catch_up=None, start_deadline=MINUTE)},
        {"labels": {"team": "x"}, "note": "y", "declared_in": "z"},
        {"trigger": Interval(HOUR)},
        {"trigger": Interval(HOUR, T)},
    ],
)
def test_an_update_that_is_not_about_timing_keeps_the_next_run(changes: dict[str, Any]) -> None:
    schedule = plan(made(), T + HOUR).schedule
    after = present(updated(schedule, T + 100 * MINUTE, **changes))
    assert (after.next_run_at, after.next_nominal_at) == (T + 2 * HOUR, T + 2 * HOUR)
    assert (after.runs, after.created_at, after.updated_at) == (1, T, T + 100 * MINUTE)
    for name, value in changes.items():
        assert getattr(after, name) == (schedule.trigger if name == "trigger" else value)


@pytest.mark.parametrize(
    ("changes", "next_run"),
    [
        ({"trigger": Interval(10 * MINUTE)}, T + 110 * MINUTE),
        ({"trigger": Interval(10 * MINUTE, T + 5 * MINUTE)}, T + 105 * MINUTE),
        ({"trigger": Cron("0 9 * * *")}, datetime(2026, 11, 25, 9, tzinfo=UTC)),
        ({"trigger": Once(T + DAY)}, T + DAY),
        ({"trigger": FixedDelay(5 * MINUTE)}, T + 105 * MINUTE),
        ({"policy": Policy(start_at=T + DAY)}, T + DAY),
        ({"policy": Policy(exclude=(ExcludedCron("* 13 * * *"),))}, T + 3 * HOUR),
        ({"next_run_at": T + 101 * MINUTE}, T + 101 * MINUTE),
    ],
)
def test_an_update_of_the_timing_computes_the_next_run_from_now(changes: dict[str, Any], next_run: datetime) -> None:
    schedule = plan(made(), T + HOUR).schedule
    after = present(updated(schedule, T + 100 * MINUTE, **changes))
    assert (after.next_run_at, after.runs) == (next_run, 1)


def test_a_jitter_that_is_added_moves_the_due_time_and_not_the_nominal_time() -> None:
    after = present(updated(made(), T, policy=Policy(jitter=10 * MINUTE)))
    assert after.next_nominal_at == T + HOUR
    assert after.next_run_at == after.nominals.due_at(T + HOUR) != T + HOUR


def test_a_next_run_set_by_hand_is_one_fire_beside_the_grid() -> None:
    schedule = present(updated(made(), T, next_run_at=T + 7 * MINUTE))
    first = plan(schedule, T + 7 * MINUTE)
    assert [fire.nominal_at for fire in first.fires] == [T + 7 * MINUTE]
    assert first.schedule.next_run_at == T + HOUR
    late = plan(schedule, T + 3 * HOUR)
    assert late.schedule.missed + len(late.fires) == 4


@pytest.mark.parametrize("when", [T, T - MINUTE, T + 30 * MINUTE])
def test_a_next_run_cannot_be_set_to_the_past(when: datetime) -> None:
    schedule = plan(made(), T + HOUR).schedule
    with pytest.raises(InvalidSchedule, match="must lie in the future"):
        updated(schedule, T + 40 * MINUTE, next_run_at=when)


def test_a_completed_schedule_that_gets_more_to_do_is_active_again() -> None:
    done = plan(made(policy=Policy(max_runs=1)), T + HOUR).schedule
    assert done.status is COMPLETED
    more = present(updated(done, T + 90 * MINUTE, policy=Policy(max_runs=2)))
    assert (more.status, more.next_run_at, more.completed_at) == (ACTIVE, T + 2 * HOUR, None)
    same = present(updated(done, T + 90 * MINUTE, note="x"))
    assert (same.status, same.completed_at) == (COMPLETED, T + HOUR)
    again = present(updated(plan(made(Once(T + HOUR)), T + HOUR).schedule, T + 2 * HOUR, trigger=Once(T + DAY)))
    assert (again.status, again.next_run_at) == (ACTIVE, T + DAY)


def test_a_lowered_limit_completes() -> None:
    schedule = plan(plan(made(), T + HOUR).schedule, T + 2 * HOUR).schedule
    after = present(updated(schedule, T + 2 * HOUR, policy=Policy(max_runs=2)))
    assert (after.status, after.next_run_at) == (COMPLETED, None)


def test_an_update_while_paused_stays_paused() -> None:
    halted = present(paused(made(), T, None, None))
    after = present(updated(halted, T + MINUTE, trigger=Interval(10 * MINUTE)))
    assert (after.status, after.next_run_at) == (PAUSED, None)
    assert present(resumed(after, T + 2 * MINUTE)).next_run_at == T + 11 * MINUTE


def test_an_update_of_an_unknown_field_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(TypeError, match="runs"):
        updated(made(), T, runs=0)


@pytest.mark.parametrize(
    "trigger",
    [
        Interval(HOUR),
        Interval(HOUR, T - DAY),
        FixedDelay(HOUR),
        Cron("0 9 * * *"),
        CalendarInterval(2, CalendarUnit.MONTHS),
        RRule("FREQ=DAILY"),
        AnyOf((Interval(HOUR), Cron("0 9 * * *"))),
    ],
    ids=str,
)
def test_replace_with_the_same_timing_keeps_the_next_run(trigger: Trigger) -> None:
    old = made(trigger)
    old = plan(old, old.next_run_at or T).schedule
    new = new_schedule("s", JobSpec(func="reports:new"), trigger, Policy(max_runs=9), T + 30 * DAY)
    after = present(replaced(old, new, T + 30 * DAY))
    assert (after.trigger, after.next_run_at, after.runs) == (old.trigger, old.next_run_at, old.runs)
    assert (after.created_at, after.job.func, after.policy.max_runs) == (T, "reports:new", 9)
    assert written(old.trigger, old.filled) == trigger


def test_replace_with_another_timing_computes_the_next_run() -> None:
    now = T + 90 * MINUTE
    after = present(
        replaced(plan(made(), T + HOUR).schedule, new_schedule("s", JOB, Interval(MINUTE), Policy(), now), now)
    )
    assert (after.next_run_at, after.runs) == (now + MINUTE, 1)


# --- what the facade shows


def test_to_dict_has_what_the_contract_asks_for() -> None:
    entry = to_dict(made(labels={"team": "x"}))
    assert entry["schedule"] == {"type": "interval", "interval": 3600, "anchor": T.timestamp()}
    assert entry["job"] == {"func": "reports:send", "args": [], "kwargs": {}, "queue": "default"}
    assert entry["created_at"] == T.timestamp()
    assert entry["next_run_at"] == T.timestamp() + 3600
    assert (entry["status"], entry["runs"], entry["max_runs"], entry["error_count"]) == ("active", 0, -1, 0)
    assert entry["last_run_at"] is None
    assert entry["labels"] == {"team": "x"}
    assert not {"paused_at", "resumed_at", "cancelled_at", "completed_at"} & entry.keys()
    json.dumps(entry)


def test_to_dict_shows_the_times_of_actions_after_them() -> None:
    halted = present(paused(made(policy=Policy(max_runs=7)), T + MINUTE, "why", "who"))
    entry = to_dict(halted)
    assert (entry["status"], entry["paused_at"], entry["pause_reason"]) == ("paused", T.timestamp() + 60, "why")
    assert (entry["next_run_at"], entry["next_nominal_at"], entry["max_runs"]) == (None, None, 7)
    assert to_dict(present(resumed(halted, T + HOUR)))["resumed_at"] == T.timestamp() + 3600
    assert to_dict(cancelled(halted, T + HOUR))["cancelled_at"] == T.timestamp() + 3600
    assert to_dict(plan(made(Once(T + HOUR)), T + HOUR).schedule)["completed_at"] == T.timestamp() + 3600


# --- backfills


def filled(schedule: Schedule, now: datetime) -> tuple[Schedule, list[str], list[int]]:
    identities: list[str] = []
    sizes: list[int] = []
    while schedule.backfills and schedule.next_run_at is not None and schedule.next_run_at <= now:
        planned = plan(schedule, now)
        sizes.append(len(planned.fires))
        for fire in planned.fires:
            if fire.backfill_id is not None:
                identities.append(backfill_job_id("s", fire.backfill_id, fire.nominal_at))
        schedule = planned.schedule
    return schedule, identities, sizes


def test_a_backfill_fires_a_range_slice_by_slice() -> None:
    schedule = made(Cron("* * * * *"), Policy(max_runs=5))
    begun = present(backfill(schedule, "b1", T - 4 * HOUR, T - MINUTE, T))
    assert begun.next_run_at == T
    after, identities, sizes = filled(begun, T)
    assert sizes == [100, 100, 40]
    assert len(set(identities)) == 240
    assert (after.runs, after.manual_runs, after.backfills) == (0, 240, ())
    assert after.next_run_at == schedule.next_run_at


def test_a_backfill_resumes_after_a_crash_without_repeating() -> None:
    begun = present(backfill(made(Cron("* * * * *")), "b1", T - 4 * HOUR, T - MINUTE, T))
    first = plan(begun, T)
    assert len(first.fires) == FIRES_AT_ONCE
    stored = decode(Schedule, "schedule.s", encode(first.schedule))
    assert len(encode(stored)) - len(encode(made(Cron("* * * * *")))) < 250
    _, identities, _ = filled(stored, T + SECOND)
    assert len(identities) == 140


def test_a_backfill_one_after_the_other() -> None:
    begun = present(backfill(made(Cron("0 * * * *")), "b1", T - 3 * HOUR, T - HOUR, T, Overlap.BUFFER_ALL))
    seen = []
    schedule, now = begun, T
    for _ in range(3):
        planned = plan(schedule, now)
        (fire,) = planned.fires
        assert fire.tracked
        assert planned.schedule.next_run_at == T + HOUR
        assert plan(planned.schedule, now).fires == ()
        seen.append(fire.nominal_at)
        now += MINUTE
        identity = backfill_job_id("s", "b1", fire.nominal_at)
        schedule = present(run_ended(planned.schedule, identity, JobStatus.COMPLETED, now))
    assert seen == [T - 3 * HOUR, T - 2 * HOUR, T - HOUR]
    assert (schedule.backfills, schedule.open_runs) == ((), ())


def test_a_backfill_leaves_out_what_is_excluded() -> None:
    schedule = made(Cron("0 * * * *"), Policy(exclude=(ExcludedCron("* 0-6 * * *"),)))
    assert count_backfill(schedule, T - DAY, T - HOUR) == 17
    _, identities, _ = filled(present(backfill(schedule, "b1", T - DAY, T - HOUR, T)), T)
    assert len(identities) == 17


def test_scheduled_fires_go_before_a_backfill() -> None:
    begun = present(backfill(made(Cron("* * * * *")), "b1", T - 4 * HOUR, T - MINUTE, T))
    planned = plan(begun, T + MINUTE)
    assert planned.fires[0].backfill_id is None
    assert planned.fires[0].nominal_at == T + MINUTE
    assert len(planned.fires) == FIRES_AT_ONCE
    assert planned.schedule.runs == 1


def test_a_backfill_of_a_paused_schedule_waits() -> None:
    halted = present(paused(made(Cron("* * * * *")), T, None, None))
    begun = present(backfill(halted, "b1", T - HOUR, T - MINUTE, T))
    assert begun.next_run_at is None
    back = present(resumed(begun, T + DAY))
    assert len(plan(back, T + DAY).fires) == 60


def test_a_backfill_asked_for_twice_is_one() -> None:
    begun = present(backfill(made(Cron("* * * * *")), "b1", T - HOUR, T - MINUTE, T))
    assert backfill(begun, "b1", T - HOUR, T - MINUTE, T) is begun


def test_a_backfill_can_be_stopped() -> None:
    begun = present(backfill(made(Cron("* * * * *")), "b1", T - HOUR, T - MINUTE, T))
    stopped = present(backfill_stopped(begun, "b1", T))
    assert (stopped.backfills, stopped.next_run_at) == ((), T + MINUTE)
    assert backfill_stopped(stopped, "b1", T) is None


def test_a_schedule_that_ran_out_ends_after_its_backfill() -> None:
    begun = present(backfill(made(Cron("* * * * *"), Policy(max_runs=1)), "b1", T - 3 * HOUR, T - MINUTE, T))
    planned = plan(begun, T + MINUTE)
    assert planned.schedule.status is ACTIVE
    assert plan(planned.schedule, T + MINUTE).schedule.status is COMPLETED


@pytest.mark.parametrize(
    ("trigger", "first", "last", "overlap", "says"),
    [
        (Cron("* * * * *"), T, T - HOUR, Overlap.ALLOW_ALL, "before the first"),
        (Cron("* * * * *"), T - HOUR, T + HOUR, Overlap.ALLOW_ALL, "must lie in the past"),
        (Cron("* * * * * *"), T - DAY, T - HOUR, Overlap.ALLOW_ALL, f"{BACKFILL_LIMIT} are the most"),
        (Cron("0 9 1 * *"), T - DAY, T - HOUR, Overlap.ALLOW_ALL, "no nominal time in it"),
        (Interval(HOUR), T - DAY, T - HOUR, Overlap.ALLOW_ALL, "no nominal time in it"),
        (Cron("* * * * *"), T - HOUR, T - MINUTE, Overlap.SKIP, "buffer_all"),
        (FixedDelay(HOUR), T - HOUR, T - MINUTE, Overlap.ALLOW_ALL, "has no nominal times in the past"),
    ],
)
def test_a_wrong_backfill_is_refused(
    trigger: Trigger, first: datetime, last: datetime, overlap: Overlap, says: str
) -> None:
    with pytest.raises(InvalidSchedule, match=says):
        backfill(made(trigger), "b1", first, last, T, overlap)


@pytest.mark.parametrize("status", [COMPLETED, CANCELLED])
def test_a_backfill_of_a_schedule_that_ended_does_not_apply(status: ScheduleStatus) -> None:
    assert backfill(made(Cron("* * * * *")).evolve(status=status), "b1", T - HOUR, T, T) is None


def test_only_a_few_backfills_at_once() -> None:
    schedule = made(Cron("* * * * *"))
    for number in range(4):
        schedule = present(backfill(schedule, f"b{number}", T - HOUR, T - MINUTE, T))
    with pytest.raises(InvalidSchedule, match="under way already"):
        backfill(schedule, "b5", T - HOUR, T - MINUTE, T)


# --- preview


def test_preview_tells_what_will_not_fire_and_why() -> None:
    policy = Policy(exclude=(ExcludedCron("* * * * SAT,SUN"),), max_runs=4)
    schedule = made(Cron("0 9 * * *"), policy).evolve(skip_next=1)
    assert [(f"{each.nominal_at:%a %d}", each.reason) for each in preview(schedule, T, 10)] == [
        ("Wed 25", NonFireReason.SKIP_REQUESTED),
        ("Thu 26", None),
        ("Fri 27", None),
        ("Sat 28", NonFireReason.EXCLUDED),
        ("Sun 29", NonFireReason.EXCLUDED),
        ("Mon 30", None),
        ("Tue 01", None),
    ]
    assert len(preview(schedule, T, 3)) == 3


def test_preview_shows_when_each_is_due() -> None:
    schedule = made(policy=Policy(jitter=10 * MINUTE))
    assert [each.due_at for each in preview(schedule, T, 3)] == [
        schedule.nominals.due_at(T + number * HOUR) for number in (1, 2, 3)
    ]


def test_preview_begins_with_what_was_passed_over() -> None:
    schedule = made(Interval(HOUR), Policy(exclude=(ExcludedCron("* 12-14 * * *"),)))
    assert schedule.next_run_at == T + 4 * HOUR
    assert [each.reason for each in preview(schedule, T, 4)] == [NonFireReason.EXCLUDED] * 3 + [None]


def test_preview_shows_no_excluded_time_that_has_passed() -> None:
    schedule = made(Interval(HOUR), Policy(exclude=(ExcludedCron("* 12-14 * * *"),)))
    coming = preview(schedule, T + 90 * MINUTE, 3)
    assert [(each.nominal_at, each.reason) for each in coming] == [
        (T + 2 * HOUR, NonFireReason.EXCLUDED),
        (T + 3 * HOUR, NonFireReason.EXCLUDED),
        (T + 4 * HOUR, None),
    ]
    late = preview(schedule, T + 5 * HOUR, 2)
    assert [each.nominal_at for each in late] == [T + 4 * HOUR, T + 6 * HOUR], "overdue, and the next one to come"


def test_preview_of_schedules_that_do_not_fire() -> None:
    halted = present(paused(made(), T, None, None))
    assert [(each.nominal_at, each.reason) for each in preview(halted, T + 90 * MINUTE, 2)] == [
        (T + 2 * HOUR, NonFireReason.PAUSED),
        (T + 3 * HOUR, NonFireReason.PAUSED),
    ]
    assert preview(cancelled(made(), T), T, 5) == ()
    assert preview(plan(made(FixedDelay(HOUR)), T + HOUR).schedule, T + HOUR, 5) == ()
    assert len(preview(made(Once(T + HOUR)), T, 5)) == 1


def test_the_last_nominal_times() -> None:
    schedule = made(Cron("0 9 * * *"), Policy(start_at=datetime(2026, 11, 22, tzinfo=UTC)))
    assert [f"{at:%d}" for at in previous_times(schedule, T, 10)] == ["24", "23", "22"]
    assert previous_times(made(), T + 3 * HOUR, 2) == (T + 3 * HOUR, T + 2 * HOUR)
