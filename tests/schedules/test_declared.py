"""Declared sets: reading the file's mapping, the difference to the store, and carrying it out."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import yaml

from naq.exceptions import InvalidSchedule
from naq.jobs.job import Job, JobSpec
from naq.schedules.declared import (
    Change,
    ChangeKind,
    Definition,
    changed,
    created,
    define,
    diff,
    render,
)
from naq.schedules.declared_file import read_definitions
from naq.schedules.planning.plan import plan
from naq.schedules.policy import Overlap, Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import cancelled, new_schedule, paused
from naq.timing.calendars import DayRange
from naq.timing.exclusions import ExcludedCalendar
from naq.timing.triggers import AnyOf, Cron, Interval, Once

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BERLIN = "Europe/Berlin"

YAML = """
schedules:
  daily-report:
    job: reports:send_daily
    schedule: {cron: "0 9 * * MON-FRI"}
    labels: {team: billing}
    note: asked for by accounting
  poll:
    job: {func: "feeds:poll", args: [eu, 3], queue: feeds}
    schedule: every 5m
  both:
    job: reports:send_daily
    schedule: ["0 9 * * *", {interval: 6h}]
    labels: {}
  rests:
    job: reports:send_daily
    schedule: {cron: "0 12 * * *", exclude: ["calendar:works"], overlap: allow_all}
defaults:
  schedule: {timezone: Europe/Berlin, overlap: skip}
  job: {retries: 3}
calendars:
  works: ["2026-12-24..2027-01-01", 2026-05-01]
"""


def definitions() -> dict[str, Definition]:
    return {each.schedule_id: each for each in read_definitions(yaml.safe_load(YAML))}


def test_a_file_is_read() -> None:
    read = definitions()
    assert list(read) == ["daily-report", "poll", "both", "rests"]
    report = read["daily-report"]
    assert report.trigger == Cron("0 9 * * MON-FRI", BERLIN)
    assert report.policy == Policy(overlap=Overlap.SKIP)
    assert (report.job.func, report.job.retries) == ("reports:send_daily", 3)
    assert (report.labels, report.note) == ({"team": "billing"}, "asked for by accounting")
    assert read["poll"].trigger == Interval(timedelta(minutes=5))
    assert (read["poll"].job.queue, bytes(read["poll"].job.args)) == ("feeds", b'["eu",3]')
    assert isinstance(read["both"].trigger, AnyOf)
    (exclusion,) = read["rests"].policy.exclude
    assert isinstance(exclusion, ExcludedCalendar)
    assert exclusion.tz == BERLIN
    assert exclusion.calendar.dates == (date(2026, 5, 1),)
    assert exclusion.calendar.ranges == (DayRange(date(2026, 12, 24), date(2027, 1, 1)),)


def test_toml_does_as_well() -> None:
    text = '[schedules.nightly]\njob = "m:f"\nschedule = "30 2 * * *"\n[defaults.schedule]\ntimezone = "Europe/Berlin"'
    (definition,) = read_definitions(tomllib.loads(text))
    assert definition.trigger == Cron("30 2 * * *", BERLIN)


@pytest.mark.parametrize(
    ("form", "fields"),
    [
        ({}, ["schedules"]),
        ({"schedules": 5}, ["schedules"]),
        ({"schedules": {}, "schedule": {}}, ["schedule"]),
        ({"schedules": {"x": 5}}, ["schedules.x"]),
        ({"schedules": {"x": {}}}, ["schedules.x.job", "schedules.x.schedule"]),
        ({"schedules": {"a b": {"job": "m:f", "schedule": "every 5m"}}}, ["schedules.a b.id"]),
        ({"schedules": {"x": {"job": "m", "schedule": "every x"}}}, ["schedules.x.job.func", "schedules.x.schedule"]),
        (
            {"schedules": {"x": {"job": {"fun": "m:f"}, "schedule": "@daily"}}},
            ["schedules.x.job.fun", "schedules.x.job.func"],
        ),
        ({"schedules": {"x": {"job": "m:f", "schedule": "@daily", "lables": {}}}}, ["schedules.x.lables"]),
        ({"schedules": {"x": {"job": "m:f", "schedule": "@daily", "labels": {"a": 1}}}}, ["schedules.x.labels"]),
        ({"schedules": {}, "calendars": {"w": ["* * * * *"]}}, ["calendars.w"]),
        ({"schedules": {}, "calendars": {"w": ["soon"]}}, ["calendars.w[0]"]),
        ({"schedules": {}, "defaults": {"jobs": {}}}, ["defaults.jobs"]),
        (
            {
                "schedules": {
                    "x": {"job": "m", "schedule": {"cron": "x"}},
                    "y": {"job": "m:f", "schedule": {"cron": "y"}},
                }
            },
            ["schedules.x.job.func", "schedules.x.schedule.cron", "schedules.y.schedule.cron"],
        ),
    ],
)
def test_a_wrong_file_is_refused_with_every_complaint(form: Any, fields: list[str]) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        read_definitions(form)
    assert sorted(problem.field for problem in refused.value.problems) == sorted(fields)


def by_id(changes: tuple[Change, ...]) -> dict[str, str]:
    return {change.schedule_id: str(change.kind) for change in changes}


def stored(definition: Definition, set_name: str | None = "app") -> Schedule:
    return created(definition, "app", T).evolve(declared_in=set_name)


@pytest.mark.parametrize(
    ("schedule", "field", "remedy"),
    [
        ("{every: 1 day, at: 10:30}", "at", "write '10:30'"),
        ("{every: 1 day, at: 10:30:05}", "at", "write '10:30:05'"),
        ("{cron: '0 9 * * *', start_at: 23:59}", "start_at", "write '23:59'; a time needs a day, too"),
        ("{cron: '0 9 * * *', end_at: 23:59:59}", "end_at", "write '23:59:59'"),
        ("{run_at: 10:30}", "run_at", "write '10:30'"),
    ],
)
def test_a_time_without_quotes_in_yaml_is_refused_with_the_remedy(schedule: str, field: str, remedy: str) -> None:
    form = yaml.safe_load(f"schedules: {{a: {{job: 'shop:greet', schedule: {schedule}}}}}")
    with pytest.raises(InvalidSchedule) as refused:
        read_definitions(form)
    (problem,) = refused.value.problems
    assert problem.field == f"schedules.a.schedule.{field}"
    assert "as YAML reads a time of day without quotes" in problem.reason
    assert remedy in problem.reason


def test_a_time_in_quotes_is_read() -> None:
    form = yaml.safe_load("schedules: {a: {job: 'shop:greet', schedule: {every: 1 day, at: '10:30'}}}")
    (definition,) = read_definitions(form)
    assert "10:30" in str(definition.trigger)


def test_an_empty_store_gets_all_of_them() -> None:
    changes = diff(definitions().values(), (), "app", T)
    assert {change.kind for change in changes} == {ChangeKind.CREATE}
    assert render(changes).splitlines()[-1] == "4 to create"
    assert "+ create poll: feeds:poll every 5m" in render(changes)


def test_synchronised_twice_is_nothing_to_do() -> None:
    existing = [stored(each) for each in definitions().values()]
    later = [plan(each, T + DAY).schedule for each in existing]
    for schedules in (existing, later):
        changes = diff(definitions().values(), schedules, "app", T + 30 * DAY)
        assert {change.kind for change in changes} == {ChangeKind.KEEP}
        assert render(changes) == "4 to keep"


def test_what_differs_is_told_field_by_field() -> None:
    before = define("x", Job(func="m:f", queue="a"), {"cron": "0 9 * * *", "max_runs": 5}, note="old")
    after = define("x", Job(func="m:f", queue="b"), {"cron": "0 10 * * *", "jitter": 30}, labels={"team": "x"})
    (change,) = diff([after], [stored(before)], "app", T)
    assert change.kind is ChangeKind.UPDATE
    assert str(change).splitlines() == [
        "~ update x",
        "    job.queue: 'a' -> 'b'",
        "    labels.team: (none) -> 'x'",
        "    note: 'old' -> (none)",
        "    schedule.cron: '0 9 * * *' -> '0 10 * * *'",
        "    schedule.jitter: (none) -> 30",
        "    schedule.max_runs: 5 -> (none)",
    ]


def test_only_the_set_itself_is_pruned() -> None:
    one, other = define("one", Job(func="m:f"), "every 1h"), define("other", Job(func="m:f"), "every 1h")
    by_hand = stored(define("hand", Job(func="m:f"), "every 1h"), None)
    foreign = stored(define("foreign", Job(func="m:f"), "every 1h"), "another")
    existing = [stored(one), stored(other), by_hand, foreign]
    assert by_id(diff([one], existing, "app", T)) == {"one": "keep", "other": "remove"}
    assert by_id(diff([one], existing, "app", T, prune=False)) == {"one": "keep", "other": "keep"}
    assert "declared no more" in render(diff([one], existing, "app", T, prune=False))


@pytest.mark.parametrize(("owner", "says"), [(None, "made by hand"), ("another", "declared in 'another'")])
def test_schedules_of_others_are_never_touched(owner: str | None, says: str) -> None:
    definition = define("x", Job(func="m:f"), "every 1h")
    (change,) = diff([definition], [stored(definition, owner)], "app", T)
    assert change.kind is ChangeKind.REFUSE
    assert change.reason is not None and says in change.reason


def test_what_was_cancelled_is_not_revived() -> None:
    definition = define("x", Job(func="m:f"), "every 1h")
    (change,) = diff([definition], [cancelled(stored(definition), T)], "app", T)
    assert change.kind is ChangeKind.REFUSE


def test_a_declared_once_stays_valid_after_its_time() -> None:
    definition = define("x", Job(func="m:f"), {"run_at": "2026-11-24T12:00:00Z"})
    assert definition.trigger == Once(T + HOUR)
    done = plan(stored(definition), T + HOUR).schedule
    assert done.status is ScheduleStatus.COMPLETED
    assert by_id(diff([definition], [done], "app", T + DAY)) == {"x": "keep"}
    (change,) = diff([definition], [], "app", T + DAY)
    assert change.kind is ChangeKind.REFUSE
    assert change.reason is not None and "in the past" in change.reason


def test_an_id_is_declared_once() -> None:
    definition = define("x", Job(func="m:f"), "every 1h")
    with pytest.raises(InvalidSchedule, match="declared twice"):
        diff([definition, definition], [], "app", T)


def test_carrying_it_out_keeps_history_and_pause() -> None:
    before = define("x", Job(func="m:f"), "every 1h")
    schedule = plan(stored(before), T + HOUR).schedule
    halted = paused(schedule, T + HOUR, "why", "who")
    assert halted is not None
    after = changed(halted, define("x", Job(func="m:g"), "every 1h", labels={"a": "b"}), T + 90 * timedelta(minutes=1))
    assert after is not None
    assert (after.status, after.runs, after.job.func, after.declared_in) == (ScheduleStatus.PAUSED, 1, "m:g", "app")
    assert after.trigger == schedule.trigger
    assert (
        diff([define("x", Job(func="m:g"), "every 1h", labels={"a": "b"})], [after], "app", T)[0].kind
        is ChangeKind.KEEP
    )


def test_a_schedule_made_by_new_schedule_with_another_job_is_an_update() -> None:
    schedule = new_schedule("x", JobSpec(func="m:f", retries=2), Interval(HOUR), Policy(), T, declared_in="app")
    (change,) = diff([define("x", Job(func="m:f"), "every 1h")], [schedule], "app", T)
    assert [str(each) for each in change.fields] == ["job.retries: 2 -> (none)"]
