"""What the properties of time are tried on: expressions, zones, moments near changes of clocks, and triggers.

Moments lean towards changes of clocks, since that is where time is hard. Terms of cron expressions come from pools that
are the same on every run; hypothesis picks, and shrinks, by position in them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

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
    Trigger,
)
from naq.timing.zones import get_zone

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
FAST = settings(max_examples=100, deadline=None, print_blob=True, database=None, suppress_health_check=_QUIET)
PARTS = 10
"""So many tests share the ten thousand cases of a property, so that none comes near the time limit on a busy machine."""
MANY = settings(FAST, max_examples=400 // PARTS)
"""One part; for the tests marked ``slow``; like the fast one, a failure prints what to add to run it again."""
CASES = 25
"""Cases in one example of `MANY`: hypothesis is three times as fast with 400 times 25 cases as with 10,000 times one."""

Body = Callable[..., None]


def quickly(*strategies: st.SearchStrategy[Any]) -> Callable[[Body], Body]:
    """The property on a hundred cases."""
    return lambda body: FAST(given(*strategies)(body))


def thoroughly(*strategies: st.SearchStrategy[Any]) -> Callable[[Body], Body]:
    """The property on ten thousand cases, in parts that are tests of their own."""

    def decorate(body: Body) -> Body:
        def each(part: int, cases: list[tuple[Any, ...]]) -> None:
            for case in cases:
                note(f"part {part}, case: {case}")
                body(*case)

        cases = st.lists(st.tuples(*strategies), min_size=CASES, max_size=CASES)
        decorated: Body = pytest.mark.parametrize("part", range(PARTS))(MANY(given(cases=cases)(each)))
        return decorated

    return decorate


ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut"),
    *("America/Asuncion", "America/St_Johns", "Africa/Casablanca", "Antarctica/Troll", "America/Havana"),
    *("Asia/Kathmandu", "Asia/Gaza", "Europe/London", "America/Caracas", "Asia/Pyongyang"),
)
HOURLY_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Europe/London", "Australia/Sydney", "Asia/Kolkata")
"""Zones whose clocks have only been changed by whole hours, and not at midnight, since 1980."""

YEARS = (datetime(1970, 1, 2, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
SECONDS = int((YEARS[1] - YEARS[0]).total_seconds())

zones = st.sampled_from(ZONES)
gaps = st.sampled_from(list(DstGap))
overlaps = st.sampled_from(list(DstOverlap))


def near_changes(zone: str, since: datetime = YEARS[0]) -> st.SearchStrategy[datetime]:
    """Moments from ``since`` to 2100, two out of three within two days of a change of the zone's clocks."""
    anywhere = st.integers(0, SECONDS).map(lambda second: max(YEARS[0] + timedelta(seconds=second), since))
    changes = [change.at for change in get_zone(zone).transitions(max(since, YEARS[0]), YEARS[1])]
    if not changes:
        return anywhere
    offsets = st.integers(-2 * 86_400, 86_400)
    near = st.tuples(st.sampled_from(changes), offsets).map(lambda pair: pair[0] + timedelta(seconds=pair[1]))
    return st.one_of(anywhere, near, near)


_BY_ZONE = {zone: near_changes(zone) for zone in ZONES}
zones_and_moments = zones.flatmap(lambda zone: st.tuples(st.just(zone), _BY_ZONE[zone]))
_CLOSE_OFFSETS = st.integers(-5 * 3600, 2 * 3600)
_CLOSE = {
    zone: st.tuples(st.sampled_from([change.at for change in changes]), _CLOSE_OFFSETS).map(
        lambda pair: pair[0] + timedelta(seconds=pair[1])
    )
    for zone in ZONES
    if (changes := get_zone(zone).transitions(*YEARS))
}
close_to_changes = st.sampled_from(sorted(_CLOSE)).flatmap(lambda zone: st.tuples(st.just(zone), _CLOSE[zone]))
"""Zones with changes, and moments from five hours before one to two hours after it."""
_HOURLY = {zone: near_changes(zone, datetime(1980, 1, 2, tzinfo=UTC)) for zone in HOURLY_ZONES}
hourly_zones_and_moments = st.sampled_from(HOURLY_ZONES).flatmap(lambda zone: st.tuples(st.just(zone), _HOURLY[zone]))
moments = st.integers(0, SECONDS).map(lambda second: YEARS[0] + timedelta(seconds=second))
fractions = st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(microseconds=999_999)])

_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    3: ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    4: ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}


def _number(pick: random.Random, index: int) -> str:
    if index in _NAMES and pick.random() < 0.3:
        return pick.choice(_NAMES[index])
    return str(pick.randint(*_RANGES[index]))


def _term(pick: random.Random, index: int) -> str:
    """One term that cronsim reads."""
    kind = pick.random()
    low, high = sorted((pick.randint(*_RANGES[index]), pick.randint(*_RANGES[index])))
    if kind < 0.2:
        return "*"
    if kind < 0.35:
        return f"*/{pick.randint(1, _RANGES[index][1] + 2)}"
    if kind < 0.45:
        return f"{_number(pick, index)}/{pick.randint(1, 20)}"
    if kind < 0.65:
        return f"{low}-{high}" + (f"/{pick.randint(1, 9)}" if pick.random() < 0.4 else "")
    if kind < 0.8 and index == 2:
        return pick.choice(("L", "LW"))
    if kind < 0.8 and index == 4:
        return pick.choice((f"{pick.randint(0, 7)}L", f"{_number(pick, 4)}#{pick.randint(1, 5)}"))
    return _number(pick, index)


def _field(pick: random.Random, index: int) -> str:
    if pick.random() < 0.25:
        return "*"
    return ",".join(_term(pick, index) for _ in range(pick.choice((1, 1, 1, 2, 3))))


def _pool(index: int, size: int) -> list[str]:
    pick = random.Random(f"cron field {index}")
    return list(dict.fromkeys(_field(pick, index) for _ in range(size)))


_POOLS = [st.sampled_from(_pool(index, 600)) for index in range(5)]
expressions = st.tuples(*_POOLS).map(" ".join)
"""Five fields, everything cronsim reads."""

_OURS = st.sampled_from(["?", "15W", "1W", "31W", "L-3", "1W,15W,L", "*", "13", "1-7"])
_SECONDS = st.sampled_from(["0", "*", "*/20", "15,45", "59", "10-12"])
six_fields = st.tuples(_SECONDS, *_POOLS).map(" ".join)
own_expressions = st.tuples(_POOLS[0], _POOLS[1], _OURS, _POOLS[3], _POOLS[4]).map(" ".join)
any_expressions = st.one_of(expressions, six_fields, own_expressions)

_MINUTES = st.sampled_from(["0", "30", "59", "1", "0,30", "15,45", "*/15", "*", "7"])
_HOURS = st.sampled_from(["0", "1", "2", "3", "23", "1,2", "0-3", "*", "*/2", "22-23"])
dst_expressions = st.tuples(_MINUTES, _HOURS, st.just("* * *")).map(" ".join)
"""Expressions for which changes of clocks matter."""

crons = st.builds(Cron, st.one_of(any_expressions, dst_expressions), zones, st.booleans(), gaps, overlaps).filter(
    lambda trigger: not trigger.check("cron")
)
dates = st.dates(date(1970, 1, 1), date(2099, 12, 31))
_PERIODS = st.tuples(st.integers(1, 10**7), st.sampled_from([timedelta(microseconds=1), timedelta(seconds=1)]))
intervals = st.builds(Interval, _PERIODS.map(lambda pair: pair[0] * pair[1]), moments)
calendar_intervals = st.builds(
    CalendarInterval,
    st.integers(1, 40),
    st.sampled_from(list(CalendarUnit)),
    st.tuples(st.integers(0, 23), st.integers(0, 59)).map(lambda pair: time(*pair)),
    zones,
    dates,
    st.just(None),
    gaps,
    overlaps,
)
_FREQUENCIES = st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"])
_PARTS = st.lists(
    st.sampled_from(
        [
            *("BYDAY=MO", "BYDAY=MO,WE,SU", "BYMONTH=3", "BYMONTH=1,6,12", "BYMONTHDAY=-1", "BYMONTHDAY=1,15,31"),
            *("BYHOUR=2", "BYHOUR=1,2,3", "BYMINUTE=0,30", "WKST=SU", "BYSETPOS=-1", "BYSETPOS=1,2"),
        ]
    ),
    max_size=3,
    unique_by=lambda part: part.split("=")[0],
)
rules = st.tuples(_FREQUENCIES, st.integers(1, 5), _PARTS).map(
    lambda parts: ";".join([f"FREQ={parts[0]}", f"INTERVAL={parts[1]}", *parts[2]])
)
_AHEAD = {
    "YEARLY": timedelta(days=365 * 30),
    "MONTHLY": timedelta(days=30 * 60),
    "WEEKLY": timedelta(days=7 * 60),
    "DAILY": timedelta(days=130),
    "HOURLY": timedelta(hours=250),
    "MINUTELY": timedelta(minutes=600),
}


def ahead_of(rule: str, share: float) -> timedelta:
    """A distance from the start of a rule: from a little before it to some pages after it."""
    return timedelta(seconds=int((share - 0.02) * _AHEAD[rule.split(";")[0].removeprefix("FREQ=")].total_seconds()))


shares = st.integers(0, 10_000).map(lambda part: part / 10_000)
starts = st.tuples(dates, st.integers(0, 23), st.integers(0, 59)).map(
    lambda parts: datetime.combine(parts[0], time(parts[1], parts[2]))
)
rrules = st.builds(RRule, rules, starts, zones, gaps, overlaps)
onces = st.builds(Once, moments)
delays = st.builds(FixedDelay, st.just(timedelta(minutes=5)), moments)
triggers: st.SearchStrategy[Trigger] = st.one_of(crons, crons, intervals, calendar_intervals, onces, delays)
_PARTS_OF_UNIONS = st.one_of(crons, calendar_intervals, onces)
unions = st.lists(_PARTS_OF_UNIONS, min_size=1, max_size=3).map(lambda parts: AnyOf(tuple(parts)))
