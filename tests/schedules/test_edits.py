"""What users saw when they edited, deployed or declared schedules, with what they should have seen."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import Job, cron, every, once
from naq.exceptions import InvalidInput, InvalidSchedule
from naq.schedules.declared_file import read_definitions
from naq.schedules.forms.specification import after_end
from naq.testing import ManualScheduler
from naq.timing.exclusions import ExcludedDates

HOUR = timedelta(hours=1)
BERLIN = "Europe/Berlin"


@pytest.fixture
def scheduler() -> Iterator[ManualScheduler]:
    with ManualScheduler("2026-06-01T00:00:00Z") as made:
        yield made


def declared(form: Any, schedule_id: str = "x", **more: Any) -> dict[str, Any]:
    return {"schedules": {schedule_id: {"job": "shop:greet", "schedule": form}}, **more}


def sync(scheduler: ManualScheduler, form: Any, **more: Any) -> list[str]:
    """Deploy: the kinds of what was done."""
    changes = scheduler.call(scheduler.service.sync(read_definitions(declared(form, **more)), "shop"))
    return [str(change.kind) for change in changes]


def fired_at(scheduler: ManualScheduler) -> list[datetime]:
    return [job.nominal_at for job in scheduler.fired if job.nominal_at is not None]


def reasons(scheduler: ManualScheduler) -> list[tuple[str | None, int]]:
    return [(record.reason, record.count) for record in scheduler.history]


def down(scheduler: ManualScheduler) -> None:
    """The scheduler process is stopped; people go on editing."""
    scheduler.call(scheduler._partition.stop())


# --- fault 2: six deploys in 42 hours of an every("8h") fired nothing


@pytest.mark.parametrize(
    ("first", "then", "period"),
    [
        ("every 12h", "every 8h", 8),
        ("0 9 * * *", "every 8h", 8),
        (["every 12h", "0 9 * * MON"], ["every 8h", "0 9 * * MON"], 8),
        ({"every": "1 day"}, {"every": "2 days"}, 48),
        ({"every": "1 week"}, {"rrule": "FREQ=HOURLY;INTERVAL=8"}, 8),
    ],
    ids=["another period", "cron to every", "a part of a union", "calendar", "a rule without dtstart"],
)
def test_deploys_after_a_changed_period_do_not_start_the_grid_again(
    scheduler: ManualScheduler, first: Any, then: Any, period: int
) -> None:
    sync(scheduler, first)
    scheduler.advance("3h")
    assert sync(scheduler, then) == ["update"]
    scheduler.fired.clear()
    for _ in range(6):
        scheduler.advance("7h")
        assert sync(scheduler, then) == ["keep"], "nothing was changed, so there is nothing to do"
    expected = 42 // period
    assert len([at for at in fired_at(scheduler) if at.hour != 9]) >= expected


def test_a_part_of_a_union_that_did_not_change_keeps_its_grid(scheduler: ManualScheduler) -> None:
    sync(scheduler, ["every 8h", "0 9 * * MON"])
    scheduler.advance("3h")
    sync(scheduler, ["every 8h", "0 9 * * TUE"])
    scheduler.advance("6h")
    assert fired_at(scheduler) == [datetime(2026, 6, 1, 8, tzinfo=UTC)]


def test_an_unchanged_definition_writes_and_reports_nothing(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("8h"), schedule_id="x")
    entry = scheduler.store.peek("schedule.x")
    scheduler.events.clear()
    scheduler.advance("1h")
    scheduler.schedule("shop:greet", every("8h"), schedule_id="x", if_exists="replace")
    scheduler.update("x", schedule="every 8h")
    scheduler.update("x", interval="8h")
    assert scheduler.store.peek("schedule.x") == entry
    assert scheduler.events == []


def test_a_shown_schedule_can_be_stored_again_after_its_only_time_has_passed(scheduler: ManualScheduler) -> None:
    """``schedule_job(..., once(...), if_exists="replace")`` at each start was refused once the time had passed."""
    for _ in range(2):
        scheduler.schedule("shop:greet", "2026-06-01T01:00:00Z", schedule_id="x", if_exists="replace")
        scheduler.advance("5h")
    assert fired_at(scheduler) == [datetime(2026, 6, 1, 1, tzinfo=UTC)]
    with pytest.raises(InvalidSchedule, match="past"):
        scheduler.schedule("shop:greet", "2026-06-01T02:00:00Z", schedule_id="x", if_exists="replace")


# --- fault 5: an edit dropped what was due


@pytest.mark.parametrize(
    "edit",
    [
        {"cron": "0 9,17 * * *"},
        {"cron": "0 11 * * *", "timezone": BERLIN},
        {"schedule": {"cron": "0 9 * * *", "exclude": ["2026-06-01"]}},
        {"schedule": "every 1h"},
        {"end_at": "2026-06-01T08:00:00Z"},
        {"next_run_at": "2026-06-02T00:00:00Z"},
        {"catch_up": 0},
    ],
    ids=str,
)
def test_what_was_due_while_the_scheduler_was_down_fires_though_the_schedule_is_edited(
    scheduler: ManualScheduler, edit: dict[str, Any]
) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *"), schedule_id="x")
    down(scheduler)
    scheduler.advance("9h10m")
    assert scheduler.update("x", **edit)
    assert fired_at(scheduler) == [datetime(2026, 6, 1, 9, tzinfo=UTC)]
    assert scheduler.queued[0].spec.func == "shop:greet"


def test_what_is_too_late_when_the_schedule_is_edited_is_recorded(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *"), schedule_id="x")
    down(scheduler)
    scheduler.advance("30h")
    assert scheduler.update("x", cron="0 17 * * *")
    assert reasons(scheduler) == [("older than the catch-up window", 1)]
    entry = scheduler.get("x")
    assert entry is not None
    assert (entry["missed"], entry["runs"]) == (1, 0)


def test_a_fire_that_waits_for_its_jitter_is_not_dropped_by_an_edit(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *", jitter="50m", catch_up=0), schedule_id="x")
    scheduler.advance_to("2026-06-01T09:00:01Z")
    assert not scheduler.fired
    scheduler.update("x", cron="0 9,17 * * *")
    assert fired_at(scheduler) == [datetime(2026, 6, 1, 9, tzinfo=UTC)]


def test_paused_edited_and_resumed_with_catch_up_records_what_the_edit_took(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *"), schedule_id="x")
    scheduler.pause("x")
    scheduler.advance("10h")
    scheduler.update("x", cron="0 17 * * *")
    scheduler.resume("x", catch_up=True)
    scheduler.advance("1m")
    assert reasons(scheduler) == [("paused", 1)]


def test_excluded_times_that_passed_before_an_edit_are_recorded(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("1h", exclude=["* 1-5 * * *"]), schedule_id="x")
    scheduler.advance("3h30m")
    scheduler.update("x", interval="2h")
    assert reasons(scheduler) == [("excluded", 3)]


def test_what_was_due_when_a_schedule_is_cancelled_is_recorded(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *"), schedule_id="x")
    down(scheduler)
    scheduler.advance("10h")
    scheduler.cancel("x")
    assert not scheduler.fired
    assert reasons(scheduler) == [("the schedule has ended", 1)]


# --- faults 1, 6, 7: whose zone a wall time is read in


def form_of(scheduler: ManualScheduler) -> dict[str, Any]:
    entry = scheduler.get("x")
    assert entry is not None
    form: dict[str, Any] = entry["schedule"]
    return form


def test_an_update_of_the_expression_keeps_zone_and_policy(scheduler: ManualScheduler) -> None:
    """``naq schedule update ID --cron`` reset the zone to UTC and dropped every policy."""
    spec = cron("0 9 * * *", tz=BERLIN, jitter="30s", overlap="skip", exclude=["2026-12-24"])
    scheduler.schedule("shop:greet", spec, schedule_id="x")
    before = form_of(scheduler)
    scheduler.update("x", cron="30 7 * * *")
    assert form_of(scheduler) == {**before, "cron": "30 7 * * *"}


def test_the_zone_alone_can_be_changed(scheduler: ManualScheduler) -> None:
    spec = cron("0 9 * * *", tz=BERLIN, exclude=["2026-12-24"])
    scheduler.schedule("shop:greet", spec, schedule_id="x")
    scheduler.update("x", timezone="America/New_York")
    assert form_of(scheduler) == {
        "type": "cron",
        "cron": "0 9 * * *",
        "timezone": "America/New_York",
        "exclude": ["2026-12-24"],
    }
    assert fired_at(scheduler) == []
    scheduler.advance_to("2026-06-01T13:00:00Z")
    assert fired_at(scheduler) == [datetime(2026, 6, 1, 13, tzinfo=UTC)], "09:00 in New York"


@pytest.mark.parametrize(
    "form",
    [
        {"cron": "0 9 * * *", "timezone": BERLIN},
        {"every": "day", "at": "09:00", "timezone": BERLIN},
        {"rrule": "FREQ=DAILY", "timezone": BERLIN},
        {"interval": "1h", "timezone": BERLIN},
        {"of": ["0 9 * * *", "0 18 * * *"], "timezone": BERLIN},
        {"of": ["every 6h", "every 9h"], "timezone": BERLIN},
        {"run_at": "2026-12-01T09:00:00", "timezone": BERLIN},
    ],
    ids=str,
)
def test_days_and_times_of_an_update_are_those_of_the_schedules_zone(
    scheduler: ManualScheduler, form: dict[str, Any]
) -> None:
    """``update --set exclude=2026-12-24`` excluded a UTC day: of a schedule in Berlin the wrong 24 hours."""
    scheduler.schedule("shop:greet", form, schedule_id="x")
    scheduler.update("x", exclude="2026-12-24", end_at="2026-12-31T12:00:00")
    schedule = scheduler.call(scheduler.service.schedules.get("x"))
    assert schedule is not None
    assert schedule.policy.end_at == datetime(2026, 12, 31, 11, tzinfo=UTC)
    assert [exclusion.tz for exclusion in schedule.policy.exclude if isinstance(exclusion, ExcludedDates)] == [BERLIN]
    if "run_at" not in form:
        scheduler.update("x", next_run_at="2026-06-02T03:00:00")
        assert scheduler.advance_to("2026-06-02T01:00:00Z")[-1].nominal_at == datetime(2026, 6, 2, 1, tzinfo=UTC)


def test_the_zone_around_a_union_is_that_of_its_parts(scheduler: ManualScheduler) -> None:
    form = {"of": ["0 9 * * *", {"every": "day", "at": "18:00"}, {"cron": "0 12 * * *", "timezone": "UTC"}]}
    scheduler.schedule("shop:greet", {**form, "timezone": BERLIN}, schedule_id="x")
    scheduler.advance("1d")
    assert [at.hour for at in fired_at(scheduler)] == [7, 12, 16], "09:00 and 18:00 in Berlin, 12:00 in UTC"


@pytest.mark.parametrize(
    ("form", "hours"),
    [
        ("0 9 * * *", [7]),
        (["0 9 * * *", "0 18 * * *"], [7, 16]),
        ("2026-06-01T09:00", [7]),
        ("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", [7]),
        ({"cron": "0 9 * * *", "timezone": "UTC"}, [9]),
    ],
    ids=str,
)
def test_the_zone_of_a_files_defaults_holds_for_lists_and_for_text(
    scheduler: ManualScheduler, form: Any, hours: list[int]
) -> None:
    sync(scheduler, form, defaults={"schedule": {"timezone": BERLIN}})
    scheduler.advance("1d")
    assert [at.hour for at in fired_at(scheduler)] == hours


def test_times_in_a_files_calendars_are_those_of_the_schedules_zone(scheduler: ManualScheduler) -> None:
    form = {"cron": "0 * * * *", "timezone": BERLIN, "exclude": ["calendar:freeze"]}
    sync(scheduler, form, calendars={"freeze": ["2026-06-01T04:00..2026-06-01T22:30"]})
    scheduler.advance("22h30m")
    assert [at.hour for at in fired_at(scheduler)] == [1, 21, 22], "frozen from 02:00 to 20:30 in UTC"


def test_a_backfill_is_asked_for_in_the_schedules_zone(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", cron("0 9 * * *", tz=BERLIN), schedule_id="x")
    scheduler.advance("3d")
    scheduler.fired.clear()
    service = scheduler.service
    assert scheduler.call(service.backfill_schedule("x", "2026-06-02T09:00:00", "2026-06-02T09:00:00"))
    scheduler.settle()
    assert fired_at(scheduler) == [datetime(2026, 6, 2, 7, tzinfo=UTC)]


# --- issue 11, line 31; issue 12, fault 11


def test_a_trigger_by_hand_that_is_skipped_leaves_a_trace(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("1h", overlap="skip"), schedule_id="x")
    scheduler.advance("1h")
    scheduler.events.clear()
    assert scheduler.call(scheduler.service.trigger_schedule("x", overlap="skip", actor="ann")) is None
    entry = scheduler.get("x")
    assert entry is not None
    assert entry["skipped"] == 1
    assert reasons(scheduler) == [("the previous run was not finished", 1)]
    assert [(event.type, event.actor) for event in scheduler.events] == [("fire_skipped", "ann")]


def test_jitter_does_not_use_up_the_start_deadline(scheduler: ManualScheduler) -> None:
    """A start deadline shorter than the jitter missed 156 of 240 fires of a scheduler that was always up."""
    scheduler.schedule("shop:greet", every("1h", jitter="30m", start_deadline="5m"), schedule_id="x")
    scheduler.advance("240h30m")
    assert len(scheduler.fired) == 240
    schedule = scheduler.call(scheduler.service.schedules.get("x"))
    assert schedule is not None
    for job in scheduler.fired:
        assert job.nominal_at is not None
        assert job.start_by == schedule.nominals.due_at(job.nominal_at) + timedelta(minutes=5)


def test_a_backfill_can_be_stopped(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("1m"), schedule_id="x")
    scheduler.advance("2h")
    scheduler.pause("x")
    scheduler.fired.clear()
    begin, end = "2026-06-01T00:10:00Z", "2026-06-01T01:00:00Z"
    name = scheduler.call(scheduler.service.backfill_schedule("x", begin, end, overlap="buffer_all"))
    assert name is not None
    assert scheduler.call(scheduler.service.stop_backfill("x", name))
    assert not scheduler.call(scheduler.service.stop_backfill("x", name)), "it is stopped"
    scheduler.resume("x")
    scheduler.advance("1s")
    assert not scheduler.fired


# --- fault 8: a leader whose clock was ahead left schedules silent


def fired_ahead(scheduler: ManualScheduler) -> None:
    """An hourly schedule was fired by a clock that was ahead by a day, and is right again."""
    scheduler.schedule("shop:greet", every("1h"), schedule_id="x")
    scheduler.advance("1h")
    scheduler.clock.step_wall(86_400)
    scheduler.settle()
    scheduler.advance("1s")
    scheduler.clock.step_wall(-86_400)
    scheduler.fired.clear()


def test_a_schedule_that_a_wrong_clock_aimed_is_shown_and_can_be_aimed_again(scheduler: ManualScheduler) -> None:
    fired_ahead(scheduler)
    entry = scheduler.get("x")
    assert entry is not None
    assert entry["decided_ahead"] == datetime(2026, 6, 1, 2, tzinfo=UTC).timestamp(), "the first that it leaves out"
    scheduler.advance("3h")
    assert not scheduler.fired, "it is silent"
    assert scheduler.call(scheduler.service.aim_schedule("x"))
    scheduler.advance("3h")
    assert [at.hour for at in fired_at(scheduler)] == [5, 6, 7]
    entry = scheduler.get("x")
    assert entry is not None
    assert "decided_ahead" not in entry


def test_a_next_run_behind_a_fire_that_came_too_early_is_refused_with_the_true_reason(
    scheduler: ManualScheduler,
) -> None:
    fired_ahead(scheduler)
    with pytest.raises(InvalidSchedule, match="a scheduler's clock was ahead then; aim the schedule again first"):
        scheduler.update("x", next_run_at="2026-06-01T05:00:00Z")


# --- faults 12, 13, 14


@pytest.mark.parametrize("spec", [every("1h", first="now"), after_end("1h", first="now")], ids=["interval", "delay"])
def test_first_now_fires_at_the_creation_and_not_again_at_each_deploy(scheduler: ManualScheduler, spec: Any) -> None:
    for _ in range(3):
        scheduler.schedule("shop:greet", spec, schedule_id="x", if_exists="replace")
        scheduler.advance("10m")
    assert fired_at(scheduler) == [datetime(2026, 6, 1, tzinfo=UTC)]


def test_first_now_goes_on_by_its_grid(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", every("1h", first="now"), schedule_id="x")
    scheduler.advance("2h30m")
    assert [at.hour for at in fired_at(scheduler)] == [0, 1, 2]
    shown = form_of(scheduler)
    scheduler.update("x", schedule=shown)
    assert form_of(scheduler) == shown
    with pytest.raises(InvalidSchedule, match="interval and delay"):
        cron("0 9 * * *", first="now")


def test_a_one_time_schedule_that_has_fired_is_removed_after_a_week(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", once("2026-06-01T01:00:00Z"), schedule_id="gone")
    scheduler.schedule("shop:greet", once("2026-06-01T01:00:00Z", keep_finished="unlimited"), schedule_id="kept")
    sync(scheduler, "2026-06-01T01:00:00Z")
    scheduler.advance("2h")
    assert scheduler.get("gone") is not None
    scheduler.advance("8d")
    assert scheduler.get("gone") is None
    assert scheduler.get("kept") is not None
    assert sync(scheduler, "2026-06-01T01:00:00Z") == ["keep"], "what a set declares stays"


def test_what_is_removed_says_when_and_an_edit_keeps_it(scheduler: ManualScheduler) -> None:
    scheduler.schedule("shop:greet", once("2026-06-01T01:00:00Z"), schedule_id="gone")
    scheduler.schedule("shop:greet", once("2026-06-01T01:00:00Z"), schedule_id="again")
    scheduler.advance("2h")
    entry = scheduler.get("gone")
    assert entry is not None
    assert entry["removed_at"] == datetime(2026, 6, 8, 1, tzinfo=UTC).timestamp()
    scheduler.update("again", run_at="2026-07-01T00:00:00Z")
    scheduler.advance("8d")
    assert scheduler.get("gone") is None
    assert scheduler.get("again") is not None


@pytest.mark.parametrize("form", ["TZ=Europe/Berlin 0 9 * * *", {"cron": "CRON_TZ=Europe/Berlin 0 9 * * *"}], ids=str)
def test_a_zone_inside_of_an_expression_is_refused_with_where_it_belongs(form: Any) -> None:
    with ManualScheduler() as scheduler, pytest.raises(InvalidSchedule, match="the zone stands beside it, as timezone"):
        scheduler.schedule("shop:greet", form)


def test_localtime_is_not_a_zone(scheduler: ManualScheduler) -> None:
    with pytest.raises(InvalidSchedule, match="another zone on each machine"):
        scheduler.schedule("shop:greet", cron("0 9 * * *", tz="localtime"))


def test_a_one_time_schedule_that_is_made_again_does_not_count_the_job_of_the_one_before(
    scheduler: ManualScheduler,
) -> None:
    """The job that the first one fired is still queued under the same id."""
    once = {"type": "once", "run_at": scheduler.now + timedelta(minutes=1), "catch_up": "1d"}
    scheduler.schedule("shop:first", once, schedule_id="report")
    scheduler.advance("2m")
    assert scheduler.delete("report")
    scheduler.schedule("shop:second", once, schedule_id="report")
    scheduler.advance("1m")
    after = scheduler.get("report") or {}
    assert (after["status"], after["runs"], after["skipped"]) == ("completed", 0, 1)
    assert [job.spec.func for job in scheduler.queued] == ["shop:first"]
    assert [record.reason for record in scheduler.history] == [
        "its job is still queued, by an earlier schedule with this id"
    ]


def test_a_schedule_that_is_made_again_and_edited_does_not_count_the_job_of_the_one_before(
    scheduler: ManualScheduler,
) -> None:
    """The edit decides what is due, in the place of the scheduler."""
    once = {"type": "once", "run_at": scheduler.now + timedelta(minutes=1), "catch_up": "1d"}
    scheduler.schedule("shop:first", once, schedule_id="report")
    scheduler.advance("2m")
    assert scheduler.delete("report")

    async def make_and_edit() -> None:
        await scheduler.service.schedule_job("shop:second", {**once, "max_runs": 5}, schedule_id="report")
        await scheduler.service.update_schedule("report", run_at=scheduler.now + timedelta(hours=1))

    scheduler.call(make_and_edit())
    after = scheduler.get("report") or {}
    assert (after["status"], after["runs"], after["skipped"]) == ("active", 0, 1)
    scheduler.advance("1h")
    assert [job.spec.func for job in scheduler.queued] == ["shop:first", "shop:second"]


# --- another function, and everything else of the job was gone


def job_of(scheduler: ManualScheduler) -> dict[str, Any]:
    return dict((scheduler.get("x") or {})["job"])


def test_another_function_keeps_arguments_retries_and_timeout(scheduler: ManualScheduler) -> None:
    job = Job(func="shop:greet", args=["eu"], kwargs={"full": True}, retries=3, timeout=30, queue="mail")
    scheduler.schedule(job, every("1h"), schedule_id="x")
    before = job_of(scheduler)
    scheduler.update("x", job="shop:welcome")
    assert job_of(scheduler) == {**before, "func": "shop:welcome"}


def test_fields_of_the_job_change_alone(scheduler: ManualScheduler) -> None:
    scheduler.schedule(Job(func="shop:greet", args=["eu"], retries=3, timeout=30), every("1h"), schedule_id="x")
    before = job_of(scheduler)
    scheduler.update("x", args=["us", 2], retries=5, timeout=None)
    after = job_of(scheduler)
    assert (after["args"], after["retries"], after.get("timeout")) == (["us", 2], 5, None)
    scheduler.update("x", job={"func": "shop:greet", "retries": 3}, args=["eu"], timeout="30s", max_runs=9)
    assert job_of(scheduler) == before


def test_a_whole_job_replaces_all_of_it(scheduler: ManualScheduler) -> None:
    scheduler.schedule(Job(func="shop:greet", args=["eu"], retries=3), every("1h"), schedule_id="x")
    scheduler.update("x", job=Job(func="shop:welcome"))
    after = job_of(scheduler)
    assert (after["func"], after["args"], after.get("retries", 0)) == ("shop:welcome", [], 0)


def one_argument(region: str) -> str:
    return region


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"retries": -1}, r"job\.retries"),
        ({"retires": 3}, "did you mean 'retries'"),
        ({"job": {"retires": 3}}, r"job\.retires"),
        ({"job": "nope"}, r"job\.func"),
        ({"job": one_argument, "args": [1, 2]}, "one_argument"),
    ],
)
def test_changes_of_a_job_that_cannot_be_are_refused(
    scheduler: ManualScheduler, changes: dict[str, Any], complaint: str
) -> None:
    scheduler.schedule(Job(func="shop:greet", args=["eu"]), every("1h"), schedule_id="x")
    before = job_of(scheduler)
    with pytest.raises(InvalidInput, match=complaint):
        scheduler.update("x", **changes)
    assert job_of(scheduler) == before
