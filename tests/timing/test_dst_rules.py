"""The rules for daylight saving, each with every change of clocks in `zone_facts`; the test's id names the rule.

Expected instants are computed from the facts (what the clocks showed, and the offsets), never by naq's own zones.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from naq.timing.triggers import (
    CalendarInterval,
    CalendarUnit,
    Cron,
    DstGap,
    DstMark,
    DstOverlap,
    RRule,
    Trigger,
    dst_gaps,
)
from naq.timing.zones import get_zone, resolve
from tests.timing.zone_facts import GAPS, OVERLAPS, Change

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)

Wall = datetime
Make = Callable[[Change], Trigger]

each_gap = pytest.mark.parametrize("change", GAPS, ids=str)
each_overlap = pytest.mark.parametrize("change", OVERLAPS, ids=str)


def upcoming(trigger: Trigger, after: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    at: datetime | None = after
    while at is not None and len(found) < count:
        at = trigger.next_after(at)
        if at is not None:
            found.append(at)
    return found


def earlier(trigger: Trigger, before: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    at: datetime | None = before
    while at is not None and len(found) < count:
        at = trigger.previous(at)
        if at is not None:
            found.append(at)
    return found


def daily(change: Change, at: Wall, gap: str = "shift", overlap: str = "first") -> Cron:
    return Cron(f"{at.minute} {at.hour} * * *", change.zone, dst_gap=DstGap(gap), dst_overlap=DstOverlap(overlap))


def daily_calendar(change: Change, at: Wall, gap: str = "shift", overlap: str = "first") -> CalendarInterval:
    start = (at - 40 * DAY).date()
    policy = (DstGap(gap), DstOverlap(overlap))
    return CalendarInterval(1, CalendarUnit.DAYS, at.time(), change.zone, start, None, *policy)


def daily_rrule(change: Change, at: Wall, gap: str = "shift", overlap: str = "first") -> RRule:
    return RRule("FREQ=DAILY", at - 40 * DAY, change.zone, DstGap(gap), DstOverlap(overlap))


@pytest.mark.parametrize("change", [*GAPS, *OVERLAPS], ids=str)
def test_the_zone_database_says_what_the_facts_say(change: Change) -> None:
    (found,) = get_zone(change.zone).transitions(change.at - DAY, change.at + DAY)
    assert (found.at, found.before, found.after) == (change.at, change.before, change.after)
    assert found.is_gap == (change.new > change.old)
    zone = get_zone(change.zone).info
    assert change.at.astimezone(zone).replace(tzinfo=None) == change.new
    assert (change.at - TICK).astimezone(zone).replace(tzinfo=None) == change.old - TICK


# Gaps: the clocks go forward.


@each_gap
def test_gap_shift_runs_a_fixed_time_once_at_the_first_valid_instant_after_it(change: Change) -> None:
    fires = upcoming(daily(change, change.middle), change.early(change.old) - MINUTE, 2)
    assert fires == [change.at, change.late(change.middle + DAY)]


@each_gap
def test_gap_skip_does_not_run_a_fixed_time_that_day(change: Change) -> None:
    fires = upcoming(daily(change, change.middle, gap="skip"), change.early(change.old) - MINUTE, 1)
    assert fires == [change.late(change.middle + DAY)]


@each_gap
def test_gap_shift_makes_several_times_in_it_one_fire(change: Change) -> None:
    first, second = change.old + MINUTE, change.new - MINUTE
    if first.hour != second.hour:
        trigger = Cron(f"{first.minute},{second.minute} {first.hour},{second.hour} * * *", change.zone)
    else:
        trigger = Cron(f"{first.minute},{second.minute} {first.hour} * * *", change.zone)
    assert trigger.next_after(change.at - TICK) == change.at
    following = trigger.next_after(change.at)
    assert following is not None
    assert following > change.at
    assert trigger.previous(following) == change.at


@each_gap
def test_gap_shift_holds_for_six_fields(change: Change) -> None:
    at = change.middle
    trigger = Cron(f"15 {at.minute} {at.hour} * * *", change.zone)
    expected = [change.at, change.late(at + DAY + timedelta(seconds=15))]
    assert upcoming(trigger, change.at - MINUTE, 2) == expected


@each_gap
def test_gap_shift_makes_every_second_of_a_minute_in_it_one_fire(change: Change) -> None:
    at = change.middle
    trigger = Cron(f"* {at.minute} {at.hour} * * *", change.zone)
    assert upcoming(trigger, change.at - MINUTE, 2) == [change.at, change.late(at + DAY)]


@each_gap
def test_gap_the_minute_before_it_and_the_minute_it_ends_are_ordinary(change: Change) -> None:
    last, first = change.old - MINUTE, change.new
    assert daily(change, last).next_after(change.early(last) - MINUTE) == change.early(last)
    assert daily(change, first).next_after(change.at - MINUTE) == change.at
    assert daily(change, last).mark(change.early(last)) is None
    assert daily(change, first).mark(change.at) is None


@each_gap
def test_gap_a_wildcard_job_follows_elapsed_time(change: Change) -> None:
    trigger = Cron("* * * * *", change.zone)
    assert upcoming(trigger, change.at - 2 * MINUTE, 4) == [change.at + k * MINUTE for k in (-1, 0, 1, 2)]
    assert trigger.count_between(change.at - DAY, change.at + DAY) == 2 * 24 * 60


@each_gap
def test_gap_an_hourly_wildcard_is_never_shifted(change: Change) -> None:
    minute = change.middle.minute
    last = change.old - MINUTE
    while last.minute != minute:
        last -= MINUTE
    first = change.new
    while first.minute != minute:
        first += MINUTE
    for policy in DstGap:
        trigger = Cron(f"{minute} * * * *", change.zone, dst_gap=policy)
        assert trigger.next_after(change.early(last)) == change.late(first)
        assert trigger.previous(change.late(first)) == change.early(last)


@each_gap
def test_gap_previous_is_the_mirror_of_next(change: Change) -> None:
    shifted, skipped = daily(change, change.middle), daily(change, change.middle, gap="skip")
    yesterday = change.early(change.middle - DAY)
    assert earlier(shifted, change.late(change.middle + DAY), 2) == [change.at, yesterday]
    assert skipped.previous(change.late(change.middle + DAY)) == yesterday


@each_gap
def test_gap_is_counted_once_or_not_at_all(change: Change) -> None:
    span = (change.early(change.middle - DAY), change.late(change.middle + DAY))
    assert daily(change, change.middle).count_between(*span) == 2
    assert daily(change, change.middle, gap="skip").count_between(*span) == 1


@each_gap
def test_gap_a_shifted_time_is_marked(change: Change) -> None:
    trigger = daily(change, change.middle)
    assert trigger.mark(change.at) is DstMark.SHIFTED
    assert trigger.mark(change.late(change.middle + DAY)) is None
    assert dst_gaps(trigger, change.at - DAY, change.at + DAY) == (change.at,)
    if change.length < DAY:
        assert dst_gaps(daily(change, change.new), change.at - DAY, change.at) == ()


@each_gap
@pytest.mark.parametrize("make", [daily_calendar, daily_rrule], ids=["calendar interval", "rrule"])
def test_gap_shift_and_skip_hold_for_every_wall_clock_kind(change: Change, make: Callable[..., Trigger]) -> None:
    start = change.early(change.old) - MINUTE
    assert upcoming(make(change, change.middle), start, 2) == [change.at, change.late(change.middle + DAY)]
    assert upcoming(make(change, change.middle, gap="skip"), start, 1) == [change.late(change.middle + DAY)]


@each_gap
def test_gap_a_wall_time_in_it_resolves_to_its_end_or_to_nothing(change: Change) -> None:
    assert resolve(change.middle, change.zone) == (change.at,)
    assert resolve(change.middle, change.zone, gap=DstGap.SKIP) == ()
    assert resolve(change.new, change.zone) == (change.at,)


# Overlaps: the clocks go back.


@each_overlap
def test_overlap_first_runs_a_fixed_time_at_the_first_occurrence_only(change: Change) -> None:
    fires = upcoming(daily(change, change.middle), change.early(change.new), 2)
    assert fires == [change.early(change.middle), change.late(change.middle + DAY)]


@each_overlap
def test_overlap_last_runs_a_fixed_time_at_the_second_occurrence_only(change: Change) -> None:
    fires = upcoming(daily(change, change.middle, overlap="last"), change.early(change.new), 2)
    assert fires == [change.late(change.middle), change.late(change.middle + DAY)]


@each_overlap
def test_overlap_both_runs_a_fixed_time_twice(change: Change) -> None:
    fires = upcoming(daily(change, change.middle, overlap="both"), change.early(change.new), 3)
    assert fires == [change.early(change.middle), change.late(change.middle), change.late(change.middle + DAY)]


@each_overlap
def test_overlap_asked_between_the_two_occurrences(change: Change) -> None:
    between = change.at
    assert daily(change, change.middle).next_after(between) == change.late(change.middle + DAY)
    assert daily(change, change.middle, overlap="last").next_after(between) == change.late(change.middle)
    assert daily(change, change.middle).previous(between) == change.early(change.middle)
    assert daily(change, change.middle, overlap="last").previous(between) == change.early(change.middle - DAY)


@each_overlap
def test_overlap_holds_for_six_fields(change: Change) -> None:
    at = change.middle + timedelta(seconds=15)
    for policy, expected in (
        (DstOverlap.FIRST, [change.early(at)]),
        (DstOverlap.LAST, [change.late(at)]),
        (DstOverlap.BOTH, [change.early(at), change.late(at)]),
    ):
        trigger = Cron(f"15 {at.minute} {at.hour} * * *", change.zone, dst_overlap=policy)
        assert upcoming(trigger, change.early(change.new), len(expected)) == expected


@each_overlap
def test_overlap_the_minute_before_it_and_the_minute_after_it_are_ordinary(change: Change) -> None:
    last, first = change.new - MINUTE, change.old
    assert upcoming(daily(change, last), change.early(last) - MINUTE, 1) == [change.early(last)]
    assert upcoming(daily(change, first), change.at - MINUTE, 1) == [change.late(first)]
    assert daily(change, last).mark(change.early(last)) is None
    assert daily(change, first).mark(change.late(first)) is None


@each_overlap
def test_overlap_a_wildcard_job_follows_elapsed_time(change: Change) -> None:
    trigger = Cron("* * * * *", change.zone)
    assert upcoming(trigger, change.at - 2 * MINUTE, 4) == [change.at + k * MINUTE for k in (-1, 0, 1, 2)]
    assert trigger.count_between(change.at - change.length, change.at + change.length) == 2 * (change.length // MINUTE)


@each_overlap
def test_overlap_an_hourly_wildcard_runs_at_both_occurrences_whatever_the_policy(change: Change) -> None:
    trigger = Cron(f"{change.middle.minute} * * * *", change.zone)
    fires = upcoming(trigger, change.early(change.middle) - MINUTE, 12)
    assert fires[0] == change.early(change.middle)
    assert change.late(change.middle) in fires


@each_overlap
def test_overlap_previous_is_the_mirror_of_next(change: Change) -> None:
    tomorrow = change.late(change.middle + DAY)
    yesterday = change.early(change.middle - DAY)
    both = daily(change, change.middle, overlap="both")
    assert earlier(daily(change, change.middle), tomorrow, 2) == [change.early(change.middle), yesterday]
    assert earlier(daily(change, change.middle, overlap="last"), tomorrow, 2) == [change.late(change.middle), yesterday]
    assert earlier(both, tomorrow, 3) == [change.late(change.middle), change.early(change.middle), yesterday]


@each_overlap
def test_overlap_is_counted_once_or_twice(change: Change) -> None:
    span = (change.early(change.middle - DAY), change.late(change.middle + DAY))
    assert daily(change, change.middle).count_between(*span) == 2
    assert daily(change, change.middle, overlap="last").count_between(*span) == 2
    assert daily(change, change.middle, overlap="both").count_between(*span) == 3


@each_overlap
def test_overlap_each_occurrence_is_marked(change: Change) -> None:
    both = daily(change, change.middle, overlap="both")
    assert both.mark(change.early(change.middle)) is DstMark.FIRST
    assert both.mark(change.late(change.middle)) is DstMark.SECOND
    assert both.mark(change.late(change.middle + DAY)) is None


@each_overlap
@pytest.mark.parametrize("make", [daily_calendar, daily_rrule], ids=["calendar interval", "rrule"])
def test_overlap_policies_hold_for_every_wall_clock_kind(change: Change, make: Callable[..., Trigger]) -> None:
    early, late = change.early(change.middle), change.late(change.middle)
    for policy, expected in (("first", [early]), ("last", [late]), ("both", [early, late])):
        trigger = make(change, change.middle, overlap=policy)
        assert upcoming(trigger, change.early(change.new), len(expected)) == expected


@each_overlap
def test_overlap_a_wall_time_in_it_resolves_by_the_policy(change: Change) -> None:
    early, late = change.early(change.middle), change.late(change.middle)
    assert resolve(change.middle, change.zone) == (early,)
    assert resolve(change.middle, change.zone, overlap=DstOverlap.LAST) == (late,)
    assert resolve(change.middle, change.zone, overlap=DstOverlap.BOTH) == (early, late)
