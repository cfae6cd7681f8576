"""Nothing that a user may write makes one plan costly: counted in calls, and the answers are those of walking."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naq.schedules.nominal import Nominals
from naq.schedules.policy import Policy
from naq.timing.counting import Single
from naq.timing.exclusions import (
    ExcludedCron,
    ExcludedDates,
    ExcludedDays,
    ExcludedHolidays,
    ExcludedTime,
    Exclusion,
    counted_excluded,
    excluded_by,
)
from naq.timing.triggers import AnyOf, CalendarInterval, CalendarUnit, Cron, Interval, Once, RRule, Trigger
from tests.timing.steps import MOST_CALLS, calls

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
BERLIN = "Europe/Berlin"
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)
FAR_AWAY = ExcludedDays(date(2026, 11, 27), date(2999, 12, 31), BERLIN)
FOR_EVER = ExcludedDays(date(2026, 11, 27), date(9999, 12, 31), BERLIN)
HOURLY = tuple(Cron(f"{minute} * * * *", BERLIN) for minute in range(20))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "exclusions", "allowed"),
    [
        # Two to four seconds each, and the lease was lost: now midnight of 3000-01-01 in Berlin, in one step.
        (Cron("* * * * *", BERLIN), [FAR_AWAY], "2999-12-31T23:00"),
        (Cron("* * * * *", BERLIN), [FOR_EVER], None),
        (Cron("* * * * *", BERLIN), [ExcludedCron("* * * * *", BERLIN)], None),
        (Cron("0 0 * * *", BERLIN), [ExcludedCron("*/2 * * * *", BERLIN)], None),
        (Cron("0 9 * * *"), [ExcludedCron("* * 1-28 * *"), ExcludedCron("* * 30,31 * *")], "2026-11-29T09:00"),
        (AnyOf(HOURLY), [ExcludedCron("0-19 * * * *", BERLIN)], None),
        (AnyOf(HOURLY), [ExcludedCron("0-18 * * * *", BERLIN)], "2026-11-27T12:19"),
        # `holidays:DE` knows the years up to 2100; a schedule then fired for the first time in 2101.
        (Cron("0 9 25 12 *", BERLIN), [ExcludedHolidays("DE", BERLIN)], None),
        (Cron("0 9 24,25 12 *", BERLIN), [ExcludedHolidays("DE", BERLIN)], "2026-12-24T08:00"),
        # The search gave up after 500 excluded milliseconds.
        (Interval(MILLISECOND, NOW), [ExcludedCron("*/2 * * * * *")], "2026-11-27T12:00:01"),
        (Interval(MILLISECOND, NOW), [ExcludedCron("* 0-22 * * *")], "2026-11-27T23:00"),
        (Interval(1.5 * SECOND, NOW), [ExcludedCron("*/3 * * * * *")], "2026-11-27T12:00:01.5"),
    ],
    ids=str,
)
def test_passing_over_exclusions_is_right_and_costs_little(
    trigger: Trigger, exclusions: list[Exclusion], allowed: str | None
) -> None:
    nominals = Nominals("s", trigger, Policy(exclude=tuple(exclusions)))
    first = nominals.next_after(NOW - timedelta(microseconds=1))
    assert first is not None
    nominals.allowed_from(first)  # the zone's years are loaded once
    assert calls(lambda: nominals.allowed_from(first)) < MOST_CALLS
    assert nominals.allowed_from(first) == (None if allowed is None else instant(allowed))


@pytest.mark.parametrize(
    ("trigger", "days", "number"),
    [
        # 59 days of all even and all odd minutes, a fifth of them named twice: 102,239 was told.
        (AnyOf((Cron("*/2 * * * *"), Cron("1-59/2 * * * *"), Cron("*/5 * * * *", "Asia/Kolkata"))), 59, 59 * 1440),
        (AnyOf(HOURLY), 400, 400 * 24 * 20),
        (AnyOf((Cron("* * * * * *"), Interval(1.5 * SECOND, NOW - 900 * DAY))), 400, 400 * 86_400 * 4 // 3),
        (AnyOf((Cron("* * * * * *"), Interval(MILLISECOND, NOW - 900 * DAY))), 400, 400 * 86_400_000),
        (AnyOf((Interval(7 * MILLISECOND, NOW - 700 * DAY), Cron("* * * * *"))), 7, 86_400_000 + 7 * 1440 - 1440),
    ],
    ids=str,
)
def test_a_union_is_counted_exactly_and_at_once(trigger: AnyOf, days: int, number: int) -> None:
    found = trigger.counted(NOW - days * DAY, NOW)
    assert found.is_exact
    assert found.number == number
    assert calls(lambda: trigger.counted(NOW - days * DAY, NOW)) < MOST_CALLS


@pytest.mark.parametrize(
    ("trigger", "exclusions", "days", "number"),
    [
        # The leader was blocked for 10 s after 7 days, and for 53 s after 30.
        (Cron("* * * * * *"), [ExcludedCron("*/2 * * * * *")], 30, 30 * 43_200),
        (Cron("* * * * *"), [ExcludedCron("*/3 * * * *"), ExcludedCron("*/2 * * * *")], 400, 400 * 960),
        (Interval(MILLISECOND, NOW - 900 * DAY), [ExcludedCron("*/2 * * * * *")], 400, 400 * 43_200_000),
        (AnyOf(HOURLY), [ExcludedCron("0-9 * * * *", BERLIN), ExcludedDates((date(2026, 3, 4),))], 400, 96_000 + 240),
    ],
    ids=str,
)
def test_what_fine_exclusions_take_is_counted_exactly_and_at_once(
    trigger: Trigger, exclusions: list[Exclusion], days: int, number: int
) -> None:
    found = counted_excluded(trigger, exclusions, NOW - days * DAY, NOW)
    assert found.is_exact
    assert found.number == number
    assert calls(lambda: counted_excluded(trigger, exclusions, NOW - days * DAY, NOW)) < MOST_CALLS


def test_a_count_that_would_cost_too_much_is_an_upper_bound_and_says_so() -> None:
    union = AnyOf((Cron("*/2 * * * *"), Cron("*/3 * * * *")))
    found = union.counted(NOW - 40_000 * DAY, NOW)
    assert not found.is_exact
    assert 40_000 * 960 < found.number <= 40_000 * 1200
    assert calls(lambda: union.counted(NOW - 40_000 * DAY, NOW)) < MOST_CALLS
    assert not AnyOf((Interval(7 * MILLISECOND, NOW), Interval(11 * MILLISECOND, NOW))).counted(NOW, NOW + DAY).is_exact


zones = st.sampled_from(["UTC", BERLIN, "Australia/Lord_Howe", "Asia/Kolkata", "America/New_York"])
seconds = st.integers(1, 4 * 86_400).map(lambda number: number * SECOND)
fractions = st.integers(1, 40_000).map(lambda number: number * timedelta(microseconds=250_000))
singles: st.SearchStrategy[Single] = st.one_of(
    st.builds(
        Cron,
        st.sampled_from(
            [
                "*/7 * * * *",
                "30 2 * * *",
                "0 */3 * * *",
                "5,35 1-4 * * SUN",
                "0 0 L * *",
                "15 */20 * * * *",
                "59 23 * * *",
            ]
        ),
        zones,
        dst_gap=st.sampled_from(["shift", "skip"]),
        dst_overlap=st.sampled_from(["first", "last", "both"]),
    ),
    st.builds(Interval, st.one_of(seconds, fractions).filter(lambda p: p > 40 * SECOND), st.just(NOW - 300 * DAY)),
    st.builds(
        CalendarInterval,
        st.integers(1, 3),
        st.just(CalendarUnit.DAYS),
        st.just(datetime.min.time()),
        zones,
        st.just(date(2026, 1, 1)),
    ),
    st.builds(Once, st.sampled_from([NOW, instant("2026-03-29T01:00"), instant("2026-10-25T01:00:00.25")])),
    st.builds(RRule, st.just("FREQ=DAILY;BYHOUR=1,2;BYMINUTE=30"), st.just(datetime(2026, 1, 1)), zones),  # noqa: DTZ001
)
excluded: st.SearchStrategy[Exclusion] = st.one_of(
    st.builds(
        ExcludedCron,
        st.sampled_from(["*/2 * * * *", "* 0-2 * * *", "* * * * SUN", "0-29 * * * * *", "30 2 * * *", "* 1 25 10 *"]),
        zones,
    ),
    st.builds(ExcludedDates, st.just((date(2026, 3, 29), date(2026, 10, 25))), zones),
    st.builds(ExcludedDays, st.just(date(2026, 3, 28)), st.just(date(2026, 3, 30)), zones),
    st.just(ExcludedTime(instant("2026-10-25T00:11:12"), instant("2026-10-25T03:33:33"))),
    st.builds(ExcludedHolidays, st.sampled_from(["DE-BY", "US"]), zones),
)
starts = st.sampled_from(["2026-03-27T12:34:56.78", "2026-10-24T00:00", "2026-12-24T06:00", "2026-04-03T13:00"]).map(
    lambda text: datetime.fromisoformat(text).replace(tzinfo=UTC)
)


def walked(trigger: Trigger, after: datetime, until: datetime) -> list[datetime]:
    found = []
    at = trigger.next_after(after)
    while at is not None and at <= until:
        found.append(at)
        at = trigger.next_after(at)
    return found


@settings(max_examples=120, deadline=None, print_blob=True)
@given(st.lists(singles, min_size=1, max_size=3), st.lists(excluded, max_size=3), starts, st.integers(1, 60))
def test_counts_and_searches_are_those_of_walking(
    parts: list[Single], exclusions: list[Exclusion], after: datetime, hours: int
) -> None:
    trigger = AnyOf(tuple(parts))
    until = after + timedelta(hours=hours)
    instants = walked(trigger, after, until)
    assert trigger.counted(after, until) == (len(instants), True)
    taken = [at for at in instants if excluded_by(exclusions, at) is not None]
    assert counted_excluded(trigger, exclusions, after, until) == (len(taken), True)
    nominals = Nominals("s", trigger, Policy(exclude=tuple(exclusions)))
    left = [at for at in instants if at not in set(taken)]
    if instants and left:
        assert nominals.allowed_from(instants[0]) == left[0]
        assert nominals.allowed_until(instants[-1], instants[0]) == left[-1]
    elif instants:
        assert nominals.allowed_until(instants[-1], instants[0]) is None
