"""The laws of editing, over random definitions and edits (issue reports of people who run schedulers broke each of them).

*No-op*: storing an unchanged definition again, by any way, changes nothing.
*Nothing due is dropped*: what was due up to an edit is decided by the old definition, or recorded as not fired.
*Naive times*: a time without an offset is read in the schedule's zone, in every place that takes one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from naq.jobs.job import JobStatus
from naq.schedules.declared import ChangeKind, Definition, changed, created, diff
from naq.schedules.declared_file import read_definitions
from naq.schedules.forms.changes import read_changes
from naq.schedules.forms.specification import never_fires, parse_schedule, schedule_form
from naq.schedules.planning.before_edit import is_same
from naq.schedules.planning.plan import plan
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.run_end import run_ended
from naq.schedules.transitions import new_schedule, paused, replaced, resumed
from naq.timing.exclusions import ExcludedDates, ExcludedTime
from naq.timing.triggers import FixedDelay, Once
from naq.timing.zones import resolve
from tests.schedules.laws import JOB, Books, T, definitions, edited, forms, moves, read
from tests.timing.strategies import quickly, thoroughly

TICK = timedelta(microseconds=1)


def stored(definition: Definition) -> Schedule:
    return created(definition, "set", T)


def run(schedule: Schedule, now: datetime, books: Books | None = None) -> Schedule:
    """A scheduler that works, and workers that end each run at once."""
    for _ in range(300):
        planned = plan(schedule, now)
        if planned.schedule is schedule:
            break
        if books is not None:
            books.add([fire.nominal_at for fire in planned.fires], planned.non_fires)
        schedule = planned.schedule
        for each in schedule.open_runs:
            schedule = run_ended(schedule, each.job_id, JobStatus.COMPLETED, now) or schedule
    return schedule


Way = Callable[[Schedule, Definition, Any, datetime], Schedule | None]

WAYS: dict[str, Way] = {
    "deploy": lambda schedule, definition, form, now: changed(schedule, definition, now),
    "replace": lambda schedule, definition, form, now: replaced(
        schedule,
        new_schedule("s", JOB, definition.trigger, definition.policy, now, declared_in=schedule.declared_in),
        now,
    ),
    "update": lambda schedule, definition, form, now: read_changes({"schedule": form}, now).applied(schedule, now),
    "shown and stored": lambda schedule, definition, form, now: read_changes(
        {"schedule": schedule_form(schedule.trigger, schedule.policy)}, now
    ).applied(schedule, now),
}


def check_storing_the_same_again_changes_nothing(history: list[tuple[Any, timedelta, str]]) -> None:
    form, _, _ = history[0]
    now, schedule = T, stored(read(form))
    for form, far, way in history:
        now += far
        definition = read(form)
        if never_fires(definition.trigger.bound(now), definition.policy, now):
            continue  # the ways of people refuse it
        schedule, done = edited(schedule, WAYS[way](schedule, definition, form, now), now, Books())
        if not done:
            schedule, done = edited(schedule, WAYS[way](schedule, definition, form, now), now, Books())
        last = form if way != "shown and stored" else None
        now += far
        schedule = run(schedule, now)
        for name, again in WAYS.items():
            if last is None or schedule.status is not ScheduleStatus.ACTIVE:
                continue
            after = again(schedule, read(last), last, now)
            assert after is not None
            assert is_same(schedule, after), f"{name} of what is stored: {after}"
        if last is not None and schedule.status is ScheduleStatus.ACTIVE:
            assert [change.kind for change in diff([read(last)], [schedule], "set", now)] == [ChangeKind.KEEP]


histories = st.lists(st.tuples(forms, moves, st.sampled_from(sorted(WAYS))), min_size=1, max_size=5)
test_storing_the_same_again_changes_nothing = quickly(histories)(check_storing_the_same_again_changes_nothing)
test_storing_the_same_again_changes_nothing_thoroughly = pytest.mark.slow(
    thoroughly(histories)(check_storing_the_same_again_changes_nothing)
)


def test_what_would_never_fire_is_no_edit() -> None:
    """A daily rule without a start begins at the edit, here in the one hour that is excluded."""
    rule = {"rrule": "FREQ=DAILY", "timezone": "Europe/Berlin", "exclude": ["* 3 * * *"]}
    far = timedelta(days=1, seconds=3600)
    check_storing_the_same_again_changes_nothing([({"interval": "7m"}, far, "deploy"), (rule, far, "update")])


def passed(schedule: Schedule, now: datetime) -> int:
    """How many nominal times of the present definition are undecided and have passed."""
    first = schedule.excluded_from or schedule.next_nominal_at
    if first is None or first > now:
        return 0
    if isinstance(schedule.trigger, FixedDelay):
        return 1
    last = schedule.nominals.previous(now + TICK)
    return 1 if last is None or last < first else schedule.nominals.count(first, last)


edits = st.one_of(
    st.tuples(st.just("deploy"), definitions),
    st.tuples(st.just("pause"), st.none()),
    st.tuples(st.sampled_from(["resume", "resume and catch up"]), st.none()),
    st.tuples(st.just("run"), st.none()),
)


def change_of(schedule: Schedule, act: str, definition: Definition | None, now: datetime) -> Schedule | None:
    match act:
        case "deploy" if definition is not None:
            return changed(schedule, definition, now)
        case "pause":
            return paused(schedule, now, None, None)
        case _:
            return resumed(schedule, now, act == "resume and catch up")


def check_nothing_due_is_dropped(
    first: Definition, acts: list[tuple[tuple[str, Definition | None], timedelta]]
) -> None:
    """Before each edit the undecided times that passed are counted: afterwards they fired, were recorded, or are still
    held by the record."""
    schedule, now, books = stored(first), T, Books()
    for (act, definition), far in acts:
        now += far
        if act == "run":
            schedule = run(schedule, now, books)
            continue
        due, before, waiting = passed(schedule, now), books.total, len(schedule.buffered)
        held = schedule
        for _ in range(3):
            schedule, done = edited(schedule, change_of(schedule, act, definition, now), now, books)
            if done:
                break
        else:
            raise AssertionError("deciding first did not end")
        first_held = schedule.excluded_from or schedule.next_nominal_at
        kept = due if first_held is not None and first_held <= now else 0
        decided = books.total - before
        left = kept + len(schedule.buffered)
        unlimited = held.policy.max_runs is None
        assert decided + left >= due + waiting or not unlimited, f"{act}: {due} due, {decided} decided, {left} held"


plans = st.lists(st.tuples(edits, moves), min_size=1, max_size=6)
test_nothing_due_is_dropped_by_an_edit = quickly(definitions, plans)(check_nothing_due_is_dropped)
test_nothing_due_is_dropped_by_an_edit_thoroughly = pytest.mark.slow(
    thoroughly(definitions, plans)(check_nothing_due_is_dropped)
)


ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia")
walls = st.datetimes(datetime(2027, 1, 1), datetime(2035, 1, 1)).map(lambda wall: wall.replace(microsecond=0))  # noqa: DTZ001
zoned_triggers: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"cron": "0 9 * * *"},
        {"every": "day", "at": "09:00"},
        {"rrule": "FREQ=DAILY"},
        {"interval": "7m"},
        {"of": ["0 9 * * *", {"every": "2 days"}]},
        {"of": ["every 5m", "every 7m"]},
    ]
)


def check_naive_times_are_read_in_the_schedules_zone(zone: str, wall: datetime, form: dict[str, Any]) -> None:
    """In creation, in a whole new form, and in each key of an update."""
    at, text = resolve(wall, zone)[0], wall.isoformat()
    later = (wall + timedelta(days=1)).isoformat()
    zoned = {**form, "timezone": zone}
    once = parse_schedule({"run_at": text, "timezone": zone}, None)[0]
    assert once == Once(at)
    excluded = f"{text}..{later}"
    _, policy = parse_schedule({**zoned, "start_at": text, "end_at": text, "exclude": [excluded]}, None)
    assert (policy.start_at, policy.end_at) == (at, at)
    assert policy.exclude[0] == ExcludedTime(at, resolve(wall + timedelta(days=1), zone)[0])
    plain = new_schedule("s", JOB, *parse_schedule(zoned, None), T)
    for changes in (
        {"start_at": text},
        {"end_at": text},
        {"exclude": [excluded]},
        {"schedule": {**zoned, "end_at": text}},
    ):
        after = read_changes(changes, T).applied(plain, T)
        assert after is not None
        told = (after.policy.start_at, after.policy.end_at, *after.policy.exclude[:1])
        assert any(each == at or each == policy.exclude[0] for each in told), changes
        days = read_changes({"exclude": ["2030-12-24"]}, T).applied(plain, T)
        assert days is not None
        assert days.policy.exclude == (ExcludedDates((date(2030, 12, 24),), zone),)
    by_hand = read_changes({"next_run_at": text}, T).applied(plain, T)
    assert by_hand is not None
    assert by_hand.next_nominal_at == at
    file = {"schedules": {"s": {"job": "m:f", "schedule": text}}, "defaults": {"schedule": {"timezone": zone}}}
    assert read_definitions(file)[0].trigger == Once(at)


naive = (st.sampled_from(ZONES), walls, zoned_triggers)
test_a_naive_time_is_read_in_the_schedules_zone = quickly(*naive)(check_naive_times_are_read_in_the_schedules_zone)
test_a_naive_time_is_read_in_the_schedules_zone_thoroughly = pytest.mark.slow(
    thoroughly(*naive)(check_naive_times_are_read_in_the_schedules_zone)
)
