"""croniter where both mean the same, and each known difference to cronsim and croniter with its reason.

The list of differences is also in ``docs/concepts/schedules.md``.
"""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from croniter import CroniterBadCronError, croniter
from cronsim import CronSim, CronSimError
from hypothesis import strategies as st

from naq.timing.triggers import Cron
from naq.timing.zones import get_zone
from tests.timing.strategies import moments, quickly, thoroughly

slow = pytest.mark.slow

_minutes = st.sampled_from(["0", "5", "59", "*", "*/7", "1,31", "10-20", "10-50/9", "3/10", "*/59"])
_hours = st.sampled_from(["0", "23", "*", "*/5", "2,14", "9-17", "8-20/3", "4/7"])
_months = st.sampled_from(["*", "2", "FEB,DEC", "*/4", "JAN-JUN", "3-11/2", "5/3"])
_days = st.sampled_from(["1", "31", "29", "30,31", "1-7", "10-20/3", "5/9", "1,15"])
_weekdays = st.sampled_from(["0", "7", "MON", "MON-FRI", "1,3,5", "SAT,SUN", "5-7", "1-5/2"])
_last = st.sampled_from(["L", "1W", "15W", "28W", "8W"])
_nth = st.sampled_from(["5#1", "MON#3", "0#5", "2#2", "5L", "0L", "3L"])
_star = st.just("*")
_date_parts = st.one_of(
    st.tuples(_days, _months, _star),
    st.tuples(_star, _months, _weekdays),
    st.tuples(_days, _months, _weekdays),
    st.tuples(_last, _months, _star),
    st.tuples(_star, _months, _nth),
    st.tuples(_star, _months, _star),
)
_shared = st.tuples(_minutes, _hours, _date_parts).map(lambda parts: " ".join([parts[0], parts[1], *parts[2]]))


def for_croniter(expression: str) -> str:
    """The last Friday is ``5L`` here and ``L5`` there."""
    head, _, weekday = expression.rpartition(" ")
    return f"{head} L{weekday[:-1]}" if weekday.endswith("L") else expression


def check_croniter(expression: str, at: datetime, day_or: bool) -> None:
    trigger = Cron(expression, day_or=day_or)
    if trigger.check("cron"):
        return
    oracle = croniter(for_croniter(expression), at, day_or=day_or)
    found = trigger.next_after(at)
    for _ in range(2):
        if found is None or found > at + timedelta(days=365 * 45):
            return
        assert oracle.get_next(datetime) == found
        found = trigger.next_after(found)


test_agrees_with_croniter = quickly(_shared, moments, st.booleans())(check_croniter)
test_agrees_with_croniter_10000 = slow(thoroughly(_shared, moments, st.booleans())(check_croniter))


def ours(expression: str, at: datetime, zone: str = "UTC", count: int = 1) -> list[str]:
    found: list[str] = []
    local = get_zone(zone).info
    moment: datetime | None = at
    for _ in range(count):
        assert moment is not None
        moment = Cron(expression, zone).next_after(moment)
        assert moment is not None
        found.append(moment.astimezone(local).isoformat(timespec="minutes"))
    return found


def from_cronsim(expression: str, at: datetime, zone: str = "UTC", count: int = 1) -> list[str]:
    found = itertools.islice(CronSim(expression, at.astimezone(get_zone(zone).info)), count)
    return [moment.isoformat(timespec="minutes") for moment in found]


def from_croniter(expression: str, at: datetime, count: int = 1) -> list[str]:
    oracle = croniter(expression, at)
    return [oracle.get_next(datetime).isoformat(timespec="minutes") for _ in range(count)]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


JANUARY = utc("2026-01-01T00:00")


@pytest.mark.parametrize("expression", ["* * L/5 * *", "* * LW/2 * *"])
def test_difference_cronsim_ignores_a_step_after_l(expression: str) -> None:
    assert from_cronsim(expression, JANUARY)
    assert Cron(expression).check("cron") != []


@pytest.mark.parametrize(
    "expression", ["0 0 15W * *", "0 0 L-3 * *", "0 0 ? * MON", "0 0 * * FRIL", "0 0 * * SAT-SUN", "@daily"]
)
def test_difference_cronsim_does_not_read(expression: str) -> None:
    with pytest.raises(CronSimError):
        CronSim(expression, JANUARY)
    assert Cron(expression).check("cron") == []


def test_difference_cronsim_answers_with_the_past_when_asked_in_the_second_hour() -> None:
    second_half_past_two = utc("2026-10-25T01:30")
    assert from_cronsim("45 2 * * *", second_half_past_two, "Europe/Berlin") == ["2026-10-25T02:45+02:00"]
    assert ours("45 2 * * *", second_half_past_two, "Europe/Berlin") == ["2026-10-26T02:45+01:00"]


def test_difference_cronsim_loses_minutes_to_half_hour_shifts() -> None:
    # Lord Howe goes from 02:00 to 02:30; cronsim goes on in steps of an hour from the odd half.
    before = utc("2026-10-03T12:00")
    assert from_cronsim("* 4 * * *", before, "Australia/Lord_Howe") == ["2026-10-04T04:30+11:00"]
    assert ours("* 4 * * *", before, "Australia/Lord_Howe") == ["2026-10-04T04:00+11:00"]


def test_difference_cronsim_runs_a_wildcard_job_at_a_midnight_that_does_not_exist() -> None:
    before = utc("2023-09-30T12:00")
    assert from_cronsim("0 */4 1 * *", before, "America/Asuncion") == ["2023-10-01T00:00-04:00"]
    assert ours("0 */4 1 * *", before, "America/Asuncion") == ["2023-10-01T04:00-03:00"]


def test_difference_cronsim_rounds_the_end_of_an_odd_gap_up_to_a_minute() -> None:
    # Monrovia went from 00:00:00 to 00:44:30 in 1972.
    before = utc("1972-01-06T12:00")
    assert from_cronsim("20 0 * * *", before, "Africa/Monrovia") == ["1972-01-07T00:45+00:00"]
    found = Cron("20 0 * * *", "Africa/Monrovia").next_after(before)
    assert found == utc("1972-01-07T00:44:30")


def test_difference_cronsim_treats_six_fields_as_elapsed_time() -> None:
    before = utc("2026-03-29T00:00")
    assert from_cronsim("0 30 2 * * *", before, "Europe/Berlin") == ["2026-03-30T02:30+02:00"]
    assert ours("0 30 2 * * *", before, "Europe/Berlin") == ["2026-03-29T03:00+02:00"]


def test_difference_croniter_ors_a_stepped_star_in_a_day_field() -> None:
    assert from_croniter("0 0 */2 * MON", JANUARY, 2) == ["2026-01-03T00:00+00:00", "2026-01-05T00:00+00:00"]
    assert ours("0 0 */2 * MON", JANUARY, count=2) == ["2026-01-05T00:00+00:00", "2026-01-19T00:00+00:00"]


def test_difference_croniter_forgets_one_day_field_beside_nth_and_nearest_weekdays() -> None:
    assert from_croniter("0 0 13 * FRI#2", JANUARY, 2) == ["2026-01-09T00:00+00:00", "2026-02-13T00:00+00:00"]
    assert ours("0 0 13 * FRI#2", JANUARY, count=2) == ["2026-01-09T00:00+00:00", "2026-01-13T00:00+00:00"]
    assert from_croniter("0 0 15W * MON", JANUARY) == ["2026-01-15T00:00+00:00"]
    assert ours("0 0 15W * MON", JANUARY) == ["2026-01-05T00:00+00:00"]


def test_difference_croniter_moves_a_nearest_weekday_into_a_shorter_month() -> None:
    february = utc("2026-02-01T00:00")
    assert from_croniter("0 0 31W * *", february) == ["2026-02-27T00:00+00:00"]
    assert ours("0 0 31W * *", february) == ["2026-03-31T00:00+00:00"]


def test_difference_croniter_reads_an_equal_range_as_the_whole_field() -> None:
    assert from_croniter("10-10 * * * *", JANUARY) == ["2026-01-01T00:01+00:00"]
    assert ours("10-10 * * * *", JANUARY) == ["2026-01-01T00:10+00:00"]


def test_difference_croniter_reads_ranges_that_run_backwards() -> None:
    assert from_croniter("0 22-2 * * *", JANUARY) == ["2026-01-01T01:00+00:00"]
    assert Cron("0 22-2 * * *").check("cron") != []


def test_difference_croniter_puts_the_seconds_last() -> None:
    assert from_croniter("* * * * * 30", JANUARY) == ["2026-01-01T00:00+00:00"]
    assert ours("30 * * * * *", JANUARY) == ["2026-01-01T00:00+00:00"]


@pytest.mark.parametrize("expression", ["0 0 1W,15W * *", "0 0 * * 5#1,1", "0 0 L-3 * *", "0 0 LW * *", "0 0 * * FRIL"])
def test_difference_croniter_does_not_read(expression: str) -> None:
    with pytest.raises(CroniterBadCronError):
        croniter(expression, JANUARY)
    assert Cron(expression).check("cron") == []
