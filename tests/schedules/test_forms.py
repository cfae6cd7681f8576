"""Schedules as users write them: what each form means, and what is said about the others."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import naq.schedules.forms.options as typed
import naq.schedules.forms.specification as forms
from naq.exceptions import InvalidSchedule
from naq.jobs.job import JobSpec
from naq.schedules.forms.changes import CHANGE_KEYS
from naq.schedules.forms.specification import Spec, parse_changed, parse_policy, parse_schedule, schedule_form
from naq.schedules.forms.triggers import FORMS, TRIGGER_KEYS, TRIGGER_TYPES
from naq.schedules.policy import Coalesce, Overlap, Policy
from naq.schedules.transitions import new_schedule
from naq.timing.exclusions import ExcludedCron, ExcludedDates, ExcludedDays, ExcludedTime
from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    CalendarUnit,
    Cron,
    DstGap,
    DstOverlap,
    FixedDelay,
    Interval,
    Once,
    RRule,
)

NOW = datetime(2026, 11, 24, 11, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = "Europe/Berlin"

TRIGGERS: list[tuple[Any, Any]] = [
    ({"type": "once", "run_at": NEXT_YEAR}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": "2027-01-01T00:00:00Z"}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": "2027-01-01T01:00:00+01:00"}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": NEXT_YEAR.timestamp()}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": int(NEXT_YEAR.timestamp())}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": "2027-01-01"}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": date(2027, 1, 1)}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": datetime(2027, 1, 1)}, Once(NEXT_YEAR)),  # noqa: DTZ001
    ({"type": "once", "run_at": "2027-01-01T01:00", "timezone": BERLIN}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": datetime(2027, 1, 1, 1, tzinfo=ZoneInfo(BERLIN))}, Once(NEXT_YEAR)),
    (
        {"type": "once", "run_at": "2027-03-28T02:30", "timezone": BERLIN},  # the clock skips it
        Once(datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ),
    ({"run_at": NEXT_YEAR}, Once(NEXT_YEAR)),
    ({"type": "once", "run_at": NOW - HOUR}, Once(NOW - HOUR)),
    ({"type": "once", "run_at": NOW - 9 * HOUR, "catch_up": None}, Once(NOW - 9 * HOUR)),
    ({"type": "interval", "interval": 3600}, Interval(HOUR)),
    ({"type": "interval", "interval": 0.5}, Interval(timedelta(milliseconds=500))),
    ({"type": "interval", "interval": HOUR}, Interval(HOUR)),
    ({"type": "interval", "interval": "1h"}, Interval(HOUR)),
    ({"type": "INTERVAL", "interval": "60m"}, Interval(HOUR)),
    ({"interval": "1h", "anchor": "epoch"}, Interval(HOUR, EPOCH)),
    ({"interval": "1h", "anchor": "creation"}, Interval(HOUR)),
    ({"interval": "1h", "anchor": None}, Interval(HOUR)),
    ({"interval": "1h", "anchor": NEXT_YEAR}, Interval(HOUR, NEXT_YEAR)),
    ({"interval": "1h", "anchor": "2027-01-01T01:00", "timezone": BERLIN}, Interval(HOUR, NEXT_YEAR)),
    ({"type": "fixed_delay", "delay": "5m"}, FixedDelay(timedelta(minutes=5))),
    ({"type": "fixed-delay", "delay": 300, "first_at": NEXT_YEAR}, FixedDelay(timedelta(minutes=5), NEXT_YEAR)),
    ({"delay": "5m"}, FixedDelay(timedelta(minutes=5))),
    ({"type": "cron", "cron": "0 9 * * 1-5"}, Cron("0 9 * * 1-5")),
    ({"type": "cron", "cron": "0 9 * * MON-FRI", "timezone": BERLIN}, Cron("0 9 * * MON-FRI", BERLIN)),
    ({"cron": "0 9 * * *", "timezone": ZoneInfo(BERLIN)}, Cron("0 9 * * *", BERLIN)),
    ({"cron": "*/5 * * * * *"}, Cron("*/5 * * * * *")),
    ({"cron": "@daily"}, Cron("@daily")),
    ({"cron": "0 9 13 * 5", "day_or": False}, Cron("0 9 13 * 5", day_or=False)),
    (
        {"cron": "30 2 * * *", "dst_gap": "skip", "dst_overlap": "both"},
        Cron("30 2 * * *", dst_gap=DstGap.SKIP, dst_overlap=DstOverlap.BOTH),
    ),
    (
        {"type": "calendar", "every": 2, "unit": "months", "day": 31, "at": "09:00", "timezone": BERLIN},
        CalendarInterval(2, CalendarUnit.MONTHS, time(9), BERLIN, day=31),
    ),
    ({"type": "calendar", "every": "2 months"}, CalendarInterval(2, CalendarUnit.MONTHS)),
    ({"every": "10 days", "at": time(7, 30)}, CalendarInterval(10, CalendarUnit.DAYS, time(7, 30))),
    ({"every": "week", "start": "2026-11-30"}, CalendarInterval(1, CalendarUnit.WEEKS, start=date(2026, 11, 30))),
    ({"every": "year", "start": date(2028, 2, 29)}, CalendarInterval(1, CalendarUnit.YEARS, start=date(2028, 2, 29))),
    ({"type": "rrule", "rrule": "FREQ=WEEKLY;BYDAY=MO"}, RRule("FREQ=WEEKLY;BYDAY=MO")),
    (
        {"rrule": "FREQ=DAILY", "dtstart": "2026-11-30T09:00", "timezone": BERLIN},
        RRule("FREQ=DAILY", datetime(2026, 11, 30, 9), BERLIN),  # noqa: DTZ001
    ),
    (
        {"type": "several", "of": [{"cron": "0 9 * * *"}, "every 6h"]},
        AnyOf((Cron("0 9 * * *"), Interval(6 * HOUR))),
    ),
    ([{"cron": "0 9 * * *"}, {"interval": "6h"}], AnyOf((Cron("0 9 * * *"), Interval(6 * HOUR)))),
    ("every 5m", Interval(timedelta(minutes=5))),
    ("every 5 minutes", Interval(timedelta(minutes=5))),
    ("every hour", Interval(HOUR)),
    ("every 2 months", CalendarInterval(2, CalendarUnit.MONTHS)),
    ("0 9 * * MON-FRI", Cron("0 9 * * MON-FRI")),
    ("@hourly", Cron("@hourly")),
    ("2027-01-01T00:00:00Z", Once(NEXT_YEAR)),
    ("FREQ=DAILY", RRule("FREQ=DAILY")),
    (Interval(HOUR), Interval(HOUR)),
    (Spec(Cron("0 9 * * *")), Cron("0 9 * * *")),
]


@pytest.mark.parametrize(("form", "trigger"), TRIGGERS, ids=lambda value: str(value)[:60])
def test_a_form_means_this_trigger(form: Any, trigger: Any) -> None:
    assert parse_schedule(form, NOW)[0] == trigger


@pytest.mark.parametrize(("form", "trigger"), TRIGGERS, ids=lambda value: str(value)[:60])
def test_what_the_facade_shows_is_read_as_the_same_schedule(form: Any, trigger: Any) -> None:
    policy = parse_schedule(form, NOW)[1]
    bound = trigger.bound(NOW)
    assert parse_schedule(schedule_form(bound, policy), NOW) == (bound, policy)


POLICIES: list[tuple[dict[str, Any], Policy]] = [
    ({}, Policy()),
    ({"max_runs": 10}, Policy(max_runs=10)),
    ({"max_runs": -1}, Policy()),
    ({"max_runs": None}, Policy()),
    ({"max_runs": "unlimited"}, Policy()),
    ({"start_at": "2027-01-01T00:00:00Z"}, Policy(start_at=NEXT_YEAR)),
    ({"start_at": NEXT_YEAR.timestamp()}, Policy(start_at=NEXT_YEAR)),
    ({"end_at": NEXT_YEAR}, Policy(end_at=NEXT_YEAR)),
    ({"end_at": "2027-01-01T01:00", "timezone": BERLIN}, Policy(end_at=NEXT_YEAR, tz=BERLIN)),
    ({"start_at": NEXT_YEAR, "end_at": NEXT_YEAR}, Policy(start_at=NEXT_YEAR, end_at=NEXT_YEAR)),
    ({"catch_up": 0}, Policy(catch_up=timedelta(0))),
    ({"catch_up": False}, Policy(catch_up=timedelta(0))),
    ({"catch_up": "2h"}, Policy(catch_up=2 * HOUR)),
    ({"catch_up": None}, Policy(catch_up=None)),
    ({"catch_up": "unlimited"}, Policy(catch_up=None)),
    ({"coalesce": "all"}, Policy(coalesce=Coalesce.ALL)),
    ({"coalesce": Coalesce.EARLIEST}, Policy(coalesce=Coalesce.EARLIEST)),
    ({"start_deadline": "10m"}, Policy(start_deadline=timedelta(minutes=10))),
    ({"jitter": 30}, Policy(jitter=timedelta(seconds=30))),
    ({"jitter": 0}, Policy()),
    ({"jitter": None}, Policy()),
    ({"overlap": "SKIP"}, Policy(overlap=Overlap.SKIP)),
    ({"exclude": "2026-12-24"}, Policy(exclude=(ExcludedDates((date(2026, 12, 24),)),))),
    (
        {"exclude": ["2026-12-24..2027-01-01", "* 0-6 * * *"], "timezone": BERLIN},
        Policy(
            exclude=(ExcludedDays(date(2026, 12, 24), date(2027, 1, 1), BERLIN), ExcludedCron("* 0-6 * * *", BERLIN)),
            tz=BERLIN,
        ),
    ),
    ({"exclude": ExcludedTime(NOW, NOW + HOUR)}, Policy(exclude=(ExcludedTime(NOW, NOW + HOUR),))),
    (
        {"exclude": {"type": "cron", "expression": "* 0-6 * * *", "tz": BERLIN}},
        Policy(exclude=(ExcludedCron("* 0-6 * * *", BERLIN),)),
    ),
    ({"exclude": None}, Policy()),
]


@pytest.mark.parametrize(("keys", "policy"), POLICIES, ids=lambda value: str(value)[:60])
def test_policy_keys_go_with_every_kind(keys: dict[str, Any], policy: Policy) -> None:
    assert parse_schedule({"type": "interval", "interval": 60, **keys}, NOW)[1] == policy
    assert parse_schedule(schedule_form(Interval(HOUR, NOW), policy), NOW)[1] == policy


WRONG: list[tuple[Any, list[str], str]] = [
    ({}, ["schedule.type"], "once, interval, fixed_delay, cron"),
    ({"type": "intervall", "interval": 5}, ["schedule.type", "schedule.interval"], "did you mean 'interval'?"),
    ({"type": 7}, ["schedule.type"], "must be one of"),
    ({"type": "once"}, ["schedule.run_at"], "must be given"),
    ({"type": "once", "run_at": "soon"}, ["schedule.run_at"], "is no time"),
    ({"type": "once", "run_at": True}, ["schedule.run_at"], "is no time"),
    ({"type": "once", "run_at": float("nan")}, ["schedule.run_at"], "is no time"),
    ({"type": "once", "run_at": 1e18}, ["schedule.run_at"], "is no time"),
    ({"type": "once", "run_at": "1901-01-01"}, ["schedule.run_at"], "years 1970 and 2200"),
    ({"type": "once", "run_at": NOW - 2 * HOUR}, ["schedule.run_at"], "in the past"),
    ({"type": "once", "run_at": NOW - HOUR, "catch_up": "30m"}, ["schedule.run_at"], "in the past"),
    ({"type": "once", "run_at": NEXT_YEAR, "end_at": NOW}, ["schedule.run_at"], "behind end_at"),
    ({"type": "once", "run_at": NEXT_YEAR, "start_at": NEXT_YEAR + HOUR}, ["schedule.run_at"], "before start_at"),
    ({"type": "interval"}, ["schedule.interval"], "must be given"),
    ({"type": "interval", "interval": 0}, ["schedule.interval"], "more than zero"),
    ({"type": "interval", "interval": -5}, ["schedule.interval"], "more than zero"),
    ({"type": "interval", "interval": 1e-6}, ["schedule.interval"], "a millisecond or more"),
    ({"type": "interval", "interval": "often"}, ["schedule.interval"], "is no duration"),
    ({"type": "interval", "interval": True}, ["schedule.interval"], "is no duration"),
    ({"type": "interval", "interval": 60, "anchor": "noon"}, ["schedule.anchor"], "is no time"),
    ({"type": "cron"}, ["schedule.cron"], "must be given"),
    ({"type": "cron", "cron": 5}, ["schedule.cron"], "must be text"),
    ({"type": "cron", "cron": ""}, ["schedule.cron"], "must be text"),
    ({"type": "cron", "cron": "61 * * * *"}, ["schedule.cron"], "0-59"),
    ({"type": "cron", "cron": "0 0 30 2 *"}, ["schedule.cron"], "can never fire"),
    ({"type": "cron", "cron": "* * * * *", "timezone": "Europe/Berln"}, ["schedule.timezone"], "Europe/Berlin"),
    ({"type": "cron", "cron": "* * * * *", "day_or": "yes"}, ["schedule.day_or"], "true or false"),
    ({"type": "cron", "cron": "* * * * *", "dst_gap": "jump"}, ["schedule.dst_gap"], "shift, skip"),
    ({"type": "cron", "cron": "* * * * *", "interval": 5}, ["schedule.interval"], "does not go with"),
    ({"type": "calendar", "every": 2}, ["schedule.unit"], "days, weeks, months, years"),
    ({"type": "calendar", "every": "2 moons"}, ["schedule.every"], "must be a number of days"),
    ({"type": "calendar", "every": "2 days", "at": "9 o'clock"}, ["schedule.at"], "must be a time of day"),
    ({"type": "calendar", "every": "2 days", "start": "monday"}, ["schedule.start"], "must be a date"),
    ({"type": "calendar", "every": "2 months", "day": 32}, ["schedule.day"], "1 to 31"),
    ({"type": "rrule", "rrule": "FREQ=NEVER"}, ["schedule.rrule"], "is no recurrence rule"),
    ({"type": "several", "of": []}, ["schedule.of"], "must be a list"),
    (
        {"type": "several", "of": [{"cron": "x"}, {"interval": 0}]},
        ["schedule.of[0].cron", "schedule.of[1].interval"],
        "",
    ),
    ([{"cron": "x"}, 5], ["schedule[0].cron", "schedule[1]"], "must be a schedule"),
    ([{"delay": "5m"}], ["schedule[0]"], "cannot be one of several"),
    ([{"cron": "* * * * *", "jitter": 5}], ["schedule[0].jitter"], "there is no such key"),
    ({"interval": 60, "max_runs": 0}, ["schedule.max_runs"], "1 or more"),
    ({"interval": 60, "max_runs": 2.5}, ["schedule.max_runs"], "whole number"),
    ({"interval": 60, "max_runs": True}, ["schedule.max_runs"], "whole number"),
    ({"interval": 60, "max_run": 5}, ["schedule.max_run"], "did you mean 'max_runs'?"),
    ({"interval": 60, "colour": 5}, ["schedule.colour"], "there is no such key"),
    ({"interval": 60, "coalesce": "lates"}, ["schedule.coalesce"], "did you mean 'latest'?"),
    ({"interval": 60, "overlap": "kill"}, ["schedule.overlap"], "terminate_other"),
    ({"interval": 60, "jitter": -1}, ["schedule.jitter"], "not be negative"),
    ({"interval": 60, "start_deadline": 0}, ["schedule.start_deadline"], "more than zero"),
    ({"interval": 60, "catch_up": "x"}, ["schedule.catch_up"], "is no duration"),
    ({"interval": 60, "start_at": NEXT_YEAR, "end_at": NOW}, ["schedule.end_at"], "before start_at"),
    ({"interval": 60, "end_at": NOW - HOUR}, ["schedule.end_at"], "no instant of the schedule is left"),
    ({"cron": "0 9 24 12 *", "exclude": "* * 24 12 *"}, ["schedule.exclude"], "leave no instant"),
    ({"interval": 60, "exclude": "never"}, ["schedule.exclude[0]"], "must be a date"),
    ({"interval": 60, "exclude": "calendar:works"}, ["schedule.exclude[0]"], "not known here"),
    (7, ["schedule"], "must be a schedule"),
    ("sometimes", ["schedule"], "must be a schedule"),
    ("every now", ["schedule"], "is no duration"),
    ("61 * * * *", ["schedule"], "0-59"),
    (Interval(timedelta(0)), ["schedule"], "more than zero"),
    (
        {"type": "cron", "cron": "x", "timezone": "Mars/Base", "max_run": 3, "jitter": "x", "coalesce": "no"},
        ["schedule.timezone", "schedule.cron", "schedule.coalesce", "schedule.jitter", "schedule.max_run"],
        "",
    ),
]


@pytest.mark.parametrize(("form", "fields", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_a_wrong_form_is_refused_with_every_complaint(form: Any, fields: list[str], says: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        parse_schedule(form, NOW)
    assert sorted(problem.field for problem in refused.value.problems) == sorted(fields)
    assert says in str(refused.value)
    assert all((problem.example or problem.advice) and problem.reason for problem in refused.value.problems)


def test_constructors_make_triggers_with_their_policy() -> None:
    assert forms.every("10s") == Spec(Interval(timedelta(seconds=10)))
    assert forms.every(HOUR, anchor="epoch", max_runs=3) == Spec(Interval(HOUR, EPOCH), Policy(max_runs=3))
    assert forms.once(NEXT_YEAR) == Spec(Once(NEXT_YEAR))
    assert forms.once("2027-01-01T01:00", tz=BERLIN) == Spec(Once(NEXT_YEAR), Policy(tz=BERLIN))
    assert forms.after_end("5m") == Spec(FixedDelay(timedelta(minutes=5)))
    assert forms.cron("0 9 * * MON-FRI", tz=BERLIN, jitter="30s", max_runs=5) == Spec(
        Cron("0 9 * * MON-FRI", BERLIN), Policy(jitter=timedelta(seconds=30), max_runs=5)
    )
    assert forms.cron("30 2 * * *", dst_gap="skip").trigger == Cron("30 2 * * *", dst_gap=DstGap.SKIP)
    assert forms.calendar("2 months", at="09:00", day=31).trigger == CalendarInterval(
        2, CalendarUnit.MONTHS, time(9), day=31
    )
    assert forms.rrule("FREQ=DAILY", tz=BERLIN).trigger == RRule("FREQ=DAILY", None, BERLIN)
    assert forms.any_of(forms.cron("0 9 * * *"), "every 6h", overlap="skip") == Spec(
        AnyOf((Cron("0 9 * * *"), Interval(6 * HOUR))), Policy(overlap=Overlap.SKIP)
    )


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: forms.every("often"), "interval"),
        (lambda: forms.cron("x"), "cron"),
        (lambda: forms.cron("* * * * *", tz="Nowhere"), "timezone"),
        (lambda: forms.cron("* * * * *", max_run=5), "max_run"),  # type: ignore[call-arg]
        (lambda: forms.once("soon"), "run_at"),
        (lambda: forms.after_end(-1), "delay"),
        (lambda: forms.calendar("moon"), "every"),
        (lambda: forms.any_of(), "of"),
    ],
)
def test_constructors_refuse_at_once(build: Any, field: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        build()
    assert [problem.field for problem in refused.value.problems] == [field]


def test_parse_policy_lays_keys_over_a_policy() -> None:
    base = Policy(max_runs=5, jitter=HOUR)
    assert parse_policy({"jitter": None, "overlap": "skip"}, base=base) == Policy(max_runs=5, overlap=Overlap.SKIP)
    assert parse_policy({"max_runs": -1}, base=base) == Policy(jitter=HOUR)
    with pytest.raises(InvalidSchedule, match="interval"):
        parse_policy({"interval": 5})


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("every 1h", {"interval": 60}, {"interval": 60}),
        ({"interval": "1h", "anchor": "epoch"}, {"interval": 60}, {"interval": 60, "anchor": "epoch"}),
        ({"interval": "1h", "max_runs": 5}, {"cron": "0 9 * * *"}, {"cron": "0 9 * * *", "max_runs": 5}),
        (
            {"cron": "0 9 * * *", "timezone": BERLIN, "dst_gap": "skip"},
            {"cron": "0 8 * * *"},
            {"cron": "0 8 * * *", "timezone": BERLIN, "dst_gap": "skip"},
        ),
        ({"cron": "0 9 * * *"}, {"timezone": BERLIN}, {"cron": "0 9 * * *", "timezone": BERLIN}),
        (
            {"cron": "0 9 * * *", "timezone": BERLIN},
            {"run_at": "2027-01-01T01:00"},
            {"run_at": "2027-01-01T01:00", "timezone": BERLIN},
        ),
    ],
)
def test_some_keys_of_a_schedule_are_changed(before: Any, changes: dict[str, Any], after: Any) -> None:
    trigger, policy = parse_schedule(before, NOW)
    schedule = new_schedule("s", JobSpec(func="m:f"), trigger, policy, NOW)
    assert parse_changed(schedule, changes) == parse_schedule(after, NOW)


def test_every_key_that_is_read_has_a_type_for_checkers() -> None:
    kinds = (typed.OnceForm, typed.IntervalForm, typed.DelayForm, typed.CronForm, typed.CalendarForm, typed.RuleForm)
    known = {key for kind in (*kinds, typed.SeveralForm) for key in kind.__annotations__}
    assert set(TRIGGER_KEYS) - known == set()


def test_every_kind_of_trigger_has_its_form_and_its_key() -> None:
    assert {form.trigger for form in FORMS} == set(TRIGGER_TYPES)
    assert len({form.trigger.key for form in FORMS}) == len({form.name for form in FORMS}) == len(FORMS)


def test_a_checker_knows_each_key_that_a_change_may_have() -> None:
    assert set(typed.ScheduleChanges.__annotations__) == set(CHANGE_KEYS)


def test_a_schedule_changes_to_each_kind_of_trigger() -> None:
    """What a checker takes, the run time takes too: also the keys of kinds that the schedule does not have."""
    schedule = new_schedule("a", JobSpec(func="m:f"), Interval(HOUR), Policy(), NOW)
    changes: list[typed.ScheduleChanges] = [
        {"rrule": "FREQ=DAILY", "exdate": "2026-12-24T09:00:00", "rdate": [datetime(2026, 12, 26, 9)]},  # noqa: DTZ001
        {"every": "2 months", "day": 31, "at": "09:00"},
        {"every": 2, "unit": "weeks", "start": "2026-12-01"},
        {"of": [{"cron": "0 9 * * *"}, "every 6h"]},
        {"delay": "5m", "first_at": NEXT_YEAR},
        {"cron": "0 0 1 * MON", "day_or": False, "dst_gap": "skip"},
        {"interval": 60, "anchor": EPOCH},
    ]
    for change in changes:
        trigger, _ = parse_changed(schedule, change)
        assert trigger != schedule.trigger
