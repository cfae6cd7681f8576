"""Laws that hold for every trigger at every moment, and oracles that know better than we do.

Each property runs on a hundred cases in the normal run and on ten thousand in the one that is marked ``slow``.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim, CronSimError
from dateutil import rrule as du
from dateutil.relativedelta import relativedelta
from hypothesis import strategies as st

from naq.timing.triggers import AnyOf, CalendarInterval, Cron, DstGap, DstOverlap, RRule, Trigger
from naq.timing.zones import get_zone
from tests.timing.strategies import (
    ahead_of,
    calendar_intervals,
    close_to_changes,
    dst_expressions,
    expressions,
    fractions,
    gaps,
    hourly_zones_and_moments,
    moments,
    overlaps,
    quickly,
    rrules,
    rules,
    shares,
    starts,
    thoroughly,
    triggers,
    unions,
    zones_and_moments,
)

slow = pytest.mark.slow
TICK = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)


def ahead(trigger: Trigger, at: datetime) -> Iterator[datetime]:
    """The instants later than ``at``, one after the other."""
    found = trigger.next_after(at)
    while found is not None:
        yield found
        found = trigger.next_after(found)


def laws(trigger: Trigger, at: datetime) -> None:
    """Strictly later, strictly increasing, true inverses, nothing in between, and counted exactly."""
    following = list(itertools.islice(ahead(trigger, at), 4))
    previous = trigger.previous(at)
    here = [at] if trigger.next_after(at - TICK) == at else []
    assert all(instant.tzinfo is UTC for instant in following)
    chain = [*([previous] if previous is not None else []), *here, *following]
    assert previous is None or previous < at
    assert all(instant > at for instant in following)
    for earlier, later in itertools.pairwise(chain):
        assert earlier < later
        assert trigger.next_after(earlier) == later
        assert trigger.previous(later) == earlier
        assert trigger.next_after(later - TICK) == later
        assert trigger.previous(earlier + TICK) == earlier
        assert trigger.count_between(earlier, later) == 1
        assert trigger.count_between(earlier, later - TICK) == 0
    if following:
        before = trigger.previous(following[0])
        assert before is None or before <= at
        assert trigger.count_between(at, following[-1]) == len(following)
        assert trigger.count_between(at - TICK, following[-1]) == len(following) + len(here)


def check_laws_anywhere(trigger: Trigger, at: datetime, fraction: timedelta) -> None:
    laws(trigger, at + fraction)


test_laws_hold_for_any_trigger_at_any_moment = quickly(triggers, moments, fractions)(check_laws_anywhere)
test_laws_hold_for_any_trigger_at_any_moment_10000 = slow(thoroughly(triggers, moments, fractions)(check_laws_anywhere))


def check_laws_near_changes(where: tuple[str, datetime], expression: str, gap: DstGap, overlap: DstOverlap) -> None:
    zone, at = where
    laws(Cron(expression, zone, dst_gap=gap, dst_overlap=overlap), at)


_near = (zones_and_moments, dst_expressions, gaps, overlaps)
test_laws_hold_near_changes_of_clocks = quickly(*_near)(check_laws_near_changes)
test_laws_hold_near_changes_of_clocks_10000 = slow(thoroughly(*_near)(check_laws_near_changes))


def check_laws_of_rrules(trigger: RRule, share: float) -> None:
    if trigger.check("rrule"):
        return
    start = trigger.dtstart
    assert start is not None
    laws(trigger, start.replace(tzinfo=UTC) + ahead_of(trigger.rrule, share))


_recurring = (rrules, shares)
test_laws_hold_for_rrules = quickly(*_recurring)(check_laws_of_rrules)
test_laws_hold_for_rrules_10000 = slow(thoroughly(*_recurring)(check_laws_of_rrules))


def wall_minutes(sim: CronSim, first: datetime, last: datetime) -> Iterator[datetime]:
    """The naive wall minutes in [first, last] that cronsim's reading of an expression names."""
    day = first.date()
    while day <= last.date():
        if day.month in sim.months and sim.match_day(day):
            for hour, minute in itertools.product(sorted(sim.hours), sorted(sim.minutes)):
                wall = datetime.combine(day, time(hour, minute))
                if first <= wall <= last:
                    yield wall
        day += timedelta(days=1)


def gap_end(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The first instant of (low, high] with another offset than ``low``."""
    offset = low.astimezone(zone).utcoffset()
    while high - low > SECOND:
        middle = low + (high - low) // (2 * SECOND) * SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return high


Span = tuple[datetime, datetime]


def by_hand(expression: str, name: str, gap: DstGap, overlap: DstOverlap, span: Span) -> list[datetime]:
    """Every instant in ``span``, from each wall minute and what zoneinfo says of it.

    Of naq only the zone database is used, which may be newer than the system's.
    """
    zone, sim = get_zone(name).info, CronSim(expression, datetime(2026, 1, 1))  # noqa: DTZ001
    is_fixed = not any(field.startswith("*") for field in expression.split()[:2])
    margin = timedelta(hours=25 if name == "Pacific/Apia" else 3)
    around = [at.astimezone(zone).replace(tzinfo=None) for at in (span[0] - margin, span[1] + margin)]
    found = set()
    for wall in wall_minutes(sim, *around):
        first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        if first.astimezone(zone).replace(tzinfo=None) != wall:
            if is_fixed and gap == DstGap.SHIFT:
                found.add(gap_end(second - timedelta(seconds=1), first, zone))
        elif first == second or not is_fixed:
            found.update((first, second))
        else:
            found.update({"first": (first,), "last": (second,), "both": (first, second)}[overlap])
    return sorted(at for at in found if span[0] < at <= span[1])


def check_by_hand(where: tuple[str, datetime], expression: str, gap: DstGap, overlap: DstOverlap) -> None:
    zone, at = where
    end = at + timedelta(hours=6)
    trigger = Cron(expression, zone, dst_gap=gap, dst_overlap=overlap)
    expected = by_hand(expression, zone, gap, overlap, (at, end))
    assert list(itertools.takewhile(lambda found: found <= end, ahead(trigger, at))) == expected
    assert trigger.count_between(at, end) == len(expected)


_by_hand = (close_to_changes, dst_expressions, gaps, overlaps)
test_only_existing_wall_times_and_ends_of_gaps = quickly(*_by_hand)(check_by_hand)
test_only_existing_wall_times_and_ends_of_gaps_10000 = slow(thoroughly(*_by_hand)(check_by_hand))


def check_cronsim(where: tuple[str, datetime], expression: str) -> None:
    zone, at = where
    fixed = not any(field.startswith("*") for field in expression.split()[:2])
    if fixed and at.astimezone(get_zone(zone).info).fold:
        # cronsim starts from the wall clock and would answer with an instant before the one it was asked about.
        return
    try:
        oracle = CronSim(expression, at.astimezone(get_zone(zone).info))
    except CronSimError:
        assert Cron(expression, zone).check("cron") != []
        return
    trigger = Cron(expression, zone)
    for found in itertools.islice(ahead(trigger, at), 3):
        assert next(oracle).astimezone(UTC) == found


test_agrees_with_cronsim = quickly(hourly_zones_and_moments, expressions)(check_cronsim)
test_agrees_with_cronsim_10000 = slow(thoroughly(hourly_zones_and_moments, expressions)(check_cronsim))


def check_union(union: AnyOf, at: datetime) -> None:
    merged = heapq.merge(*(itertools.islice(ahead(part, at), 8) for part in union.triggers))
    expected = [instant for instant, _ in itertools.groupby(merged)][:8]
    assert list(itertools.islice(ahead(union, at), len(expected))) == expected
    laws(union, at)


test_a_union_is_the_merge_of_its_parts = quickly(unions, moments)(check_union)
test_a_union_is_the_merge_of_its_parts_10000 = slow(thoroughly(unions, moments)(check_union))


def check_dateutil(rule: str, start: datetime, share: float) -> None:
    trigger = RRule(rule, start)
    # In the first week dateutil counts BYSETPOS from the start on, not from the week's first day.
    if trigger.check("rrule") or ("WEEKLY" in rule and "BYSETPOS" in rule):
        return
    oracle = du.rrulestr(rule, dtstart=start)
    wall = start + ahead_of(rule, share)
    following = oracle.after(wall)
    previous = oracle.before(wall)
    at = wall.replace(tzinfo=UTC)
    assert trigger.next_after(at) == (following and following.replace(tzinfo=UTC))
    assert trigger.previous(at) == (previous and previous.replace(tzinfo=UTC))
    end = wall + timedelta(days=3)
    between = [found for found in oracle.between(wall, end, inc=True) if found > wall]
    assert trigger.count_between(at, end.replace(tzinfo=UTC)) == len(between)


_rules = (rules, starts, shares)
test_rrule_is_what_dateutil_says_from_the_start = quickly(*_rules)(check_dateutil)
test_rrule_is_what_dateutil_says_from_the_start_10000 = slow(thoroughly(*_rules)(check_dateutil))


def check_calendar(trigger: CalendarInterval, step: int) -> None:
    start = trigger.start
    assert start is not None
    known = CalendarInterval(trigger.every, trigger.unit, trigger.at, start=start)
    steps = (relativedelta(**{trigger.unit.value: (step + index) * trigger.every}) for index in range(3))  # type: ignore[arg-type]
    expected = [datetime.combine(start + delta, trigger.at, UTC) for delta in steps]
    found = list(itertools.islice(ahead(known, expected[0] - SECOND), 3))
    assert found == expected
    assert known.previous(expected[1]) == expected[0]
    assert known.count_between(datetime.combine(start, trigger.at, UTC) - SECOND, expected[2]) == step + 3


_steps = (calendar_intervals, st.integers(0, 100))
test_a_calendar_interval_is_the_start_plus_whole_steps = quickly(*_steps)(check_calendar)
test_a_calendar_interval_is_the_start_plus_whole_steps_10000 = slow(thoroughly(*_steps)(check_calendar))
