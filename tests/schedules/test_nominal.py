"""Passing over what is excluded: the same answer as walking, at a cost that does not depend on how fine an exclusion is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naq.schedules.nominal import Nominals
from naq.schedules.policy import Policy
from naq.timing.exclusions import ExcludedCron, ExcludedTime, Exclusion
from naq.timing.triggers import Cron, Interval, Trigger
from tests.timing.steps import MOST_CALLS, calls

T = datetime(2026, 3, 28, 22, 30, 7, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EVERY_MINUTE = Interval(MINUTE, anchor=T)


def nominals(trigger: Trigger, *exclusions: Exclusion) -> Nominals:
    return Nominals("s", trigger, Policy(exclude=exclusions))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("trigger", "exclusions", "first", "allowed"),
    [
        (Cron("0 * * * *"), [ExcludedCron("* 0-6 * * *")], "2026-03-29T00:00", "2026-03-29T07:00"),
        (Cron("0 * * * *"), [ExcludedCron("* * * * SAT,SUN")], "2026-03-28T23:00", "2026-03-30T00:00"),
        (
            Cron("*/5 * * * *"),
            [ExcludedCron("* * * * SAT,SUN"), ExcludedCron("*/2 * * * *"), ExcludedCron("* 0-6 * * MON")],
            "2026-03-28T23:00",
            "2026-03-30T07:05",
        ),
        (Cron("0 0 * * *"), [ExcludedTime(T, T + 30 * DAY)], "2026-03-29T00:00", "2026-04-28T00:00"),
    ],
)
def test_the_next_one_that_is_allowed(trigger: Trigger, exclusions: list[Exclusion], first: str, allowed: str) -> None:
    assert nominals(trigger, *exclusions).allowed_from(at(first)) == at(allowed)


fine = st.sampled_from(
    ["*/2 * * * *", "1-59/2 * * * *", "* 0-6 * * *", "* * * * SAT,SUN", "*/7 */2 * * *", "* 7 * * *"]
)
exclusions = st.lists(
    st.one_of(
        st.builds(ExcludedCron, fine, st.sampled_from(["UTC", "Europe/Berlin", "Australia/Lord_Howe"])),
        st.integers(0, 3000).map(lambda start: ExcludedTime(T + start * MINUTE, T + (start + 200) * MINUTE)),
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(exclusions, st.integers(0, 3000))
def test_passing_over_is_walking_but_faster(found: list[Exclusion], minutes: int) -> None:
    times = nominals(EVERY_MINUTE, *found)
    first = T + minutes * MINUTE
    onwards = (first + step * MINUTE for step in range(6000))
    backwards = (first - step * MINUTE for step in range(6000))
    next_one = next((moment for moment in onwards if not times.is_excluded(moment)), None)
    last_one = next((moment for moment in backwards if not times.is_excluded(moment)), None)
    if next_one is not None:
        assert times.allowed_from(first) == next_one
    if last_one is not None and last_one >= T:
        assert times.allowed_until(first, T) == last_one


def test_a_fine_exclusion_beside_a_coarse_one_costs_no_more_for_that() -> None:
    # Each month's first midnight is an even minute: nothing is ever allowed. It once took forty seconds to see that.
    times = nominals(Cron("0 0 1 * *"), ExcludedCron("* * * * SAT,SUN"), ExcludedCron("*/2 * * * *"))
    assert calls(lambda: times.allowed_from(at("2026-04-01T00:00"))) < MOST_CALLS
    assert times.allowed_from(at("2026-04-01T00:00")) is None
