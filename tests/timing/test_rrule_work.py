"""What a recurrence rule costs, counted in lines of naq's own code that run, not in time.

A line takes a tenth of a microsecond or two, an operation on the bits of a day some microseconds: 50,000 lines are well
below the 50 ms that one plan may take. What a zone needs to know its changes is done once a process, and not counted.
"""

from __future__ import annotations

import random
import sys
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import FrameType
from typing import Any

import pytest

from naq.timing import rrule, rrule_parts
from naq.timing.rrule import RRule
from naq.timing.zones import get_zone

MOST_LINES = 50_000
MOST_AT_INPUT = 400_000
"""For the first look at a rule in a process: where COUNT ends is found once."""
START = datetime(2026, 1, 1)  # noqa: DTZ001
NOW = datetime(2026, 11, 27, 12, 0, 30, tzinfo=UTC)
YEAR = timedelta(days=400)
ALL_HOURS = ",".join(map(str, range(24)))
ALL_MINUTES = ",".join(map(str, range(60)))

NEVER = (
    "FREQ=MINUTELY;BYSECOND=0;BYSETPOS=2",
    "FREQ=MONTHLY;BYDAY=FR;BYSETPOS=6",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
    "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3;BYDAY=MO;BYSETPOS=1",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU",
    "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
    "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
    "FREQ=DAILY;INTERVAL=7;BYDAY=TU;COUNT=5",
    "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
    "FREQ=HOURLY;BYYEARDAY=1;BYMONTH=6",
    "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
    "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
    "FREQ=SECONDLY;INTERVAL=86400;BYMONTH=2;BYMONTHDAY=29;BYHOUR=1",
    "FREQ=SECONDLY;INTERVAL=10800;BYSECOND=1",
    "FREQ=MINUTELY;INTERVAL=1441;BYMONTH=2;BYMONTHDAY=30",
    "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=9",
)
DENSE_OR_RARE = (
    f"FREQ=DAILY;BYHOUR={ALL_HOURS};BYMINUTE={ALL_MINUTES};BYSECOND={ALL_MINUTES}",
    "FREQ=SECONDLY",
    "FREQ=SECONDLY;BYDAY=FR;BYMONTHDAY=13;BYHOUR=13;BYMINUTE=13;BYSECOND=13",
    "FREQ=SECONDLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYHOUR=0",
    "FREQ=SECONDLY;INTERVAL=61;BYHOUR=9;BYMINUTE=0;BYSECOND=0",
    "FREQ=SECONDLY;INTERVAL=86399;BYHOUR=23",
    "FREQ=MINUTELY;BYDAY=MO,TU,WE,TH,FR",
    "FREQ=MINUTELY;INTERVAL=7;BYDAY=MO,TU,WE,TH,FR;BYHOUR=9,10,11,12,13,14,15,16",
    "FREQ=MINUTELY;INTERVAL=1441;BYDAY=MO",
    "FREQ=HOURLY;INTERVAL=25;BYDAY=MO;BYHOUR=9",
    "FREQ=HOURLY;BYMINUTE=0,15,30,45;BYSETPOS=-1",
    f"FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYHOUR={ALL_HOURS};BYMINUTE={ALL_MINUTES}",
    "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TH",
    "FREQ=YEARLY;INTERVAL=97;BYYEARDAY=366",
    "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=" + ",".join(map(str, range(1, 261))),
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
    "FREQ=WEEKLY;INTERVAL=52;BYMONTH=2;BYDAY=MO,TU;BYSETPOS=2",
    "FREQ=DAILY;BYHOUR=9,10;BYDAY=MO;BYMONTH=1;COUNT=10000",
    "FREQ=WEEKLY;BYDAY=MO,TU;BYSETPOS=-1;COUNT=5000",
    "FREQ=HOURLY;INTERVAL=5;BYDAY=MO,TU,WE,TH,FR;COUNT=10000",
)


def lines_of(act: Callable[[], object]) -> int:
    """How many lines of `naq.timing` run in ``act``."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        if "naq/timing/" not in frame.f_code.co_filename or frame.f_code.co_filename.endswith("zones.py"):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def forget() -> None:
    """As in a process that never saw the rule."""
    rrule._clock.cache_clear()
    rrule_parts.parse_rule.cache_clear()


@pytest.fixture(scope="module", params=["UTC", "Europe/Berlin"])
def zone(request: pytest.FixtureRequest) -> str:
    """A zone whose changes are known for as long as a search may look."""
    name = str(request.param)
    get_zone(name).transitions(datetime(2025, 1, 1, tzinfo=UTC), datetime(2069, 1, 1, tzinfo=UTC))
    return name


@pytest.mark.parametrize("rule", NEVER)
def test_a_rule_that_never_fires_is_refused_at_once(rule: str, zone: str) -> None:
    forget()
    trigger = RRule(rule, START, zone)
    assert lines_of(lambda: trigger.check("rrule")) < MOST_LINES
    if zone == "UTC":
        assert trigger.check("rrule") != []


@pytest.mark.parametrize("rule", DENSE_OR_RARE, ids=lambda rule: rule[:60])
def test_no_act_of_a_plan_costs_more_than_the_limit(rule: str, zone: str) -> None:
    trigger = RRule(rule, START, zone)
    acts: list[Callable[[], object]] = [
        lambda: trigger.next_after(NOW),
        lambda: trigger.previous(NOW),
        lambda: trigger.count_between(NOW - YEAR, NOW),
    ]
    forget()
    assert lines_of(lambda: trigger.check("rrule")) < (MOST_AT_INPUT if "COUNT" in rule else MOST_LINES)
    for act in acts:
        if "COUNT" not in rule:
            forget()
        assert lines_of(act) < MOST_LINES
    assert trigger.check("rrule") == []


def test_a_years_count_does_not_depend_on_how_often_the_rule_fires(zone: str) -> None:
    """The counts of 400 days, known by multiplication: 285 weekdays from 24 October 2025 to 27 November 2026."""
    cases = {
        "FREQ=SECONDLY": 34_560_000,
        "FREQ=MINUTELY;BYDAY=MO,TU,WE,TH,FR,SA,SU": 576_000,
        "FREQ=HOURLY": 9_600,
    }
    for rule, expected in cases.items():
        trigger = RRule(rule, datetime(2020, 1, 1), zone)  # noqa: DTZ001
        trigger.next_after(NOW)
        found: list[int] = []
        assert lines_of(lambda it=trigger, out=found: out.append(it.count_between(NOW - YEAR, NOW))) < 5_000  # type: ignore[misc]
        assert found == [expected]


def test_all_times_of_a_day_take_little_memory() -> None:
    """They took 1 GB."""
    forget()
    trigger = RRule(DENSE_OR_RARE[0], START)
    tracemalloc.start()
    try:
        assert trigger.next_after(NOW) == NOW + timedelta(seconds=1)
        assert trigger.count_between(NOW, NOW + timedelta(days=1)) == 86_400
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")


def any_rule(pick: random.Random) -> str:
    """Some rule, be it legal or not."""

    def some(low: int, high: int, most: int) -> str:
        return ",".join(str(pick.randint(low, high)) for _ in range(pick.randint(1, most)))

    parts = [f"FREQ={pick.choice(FREQUENCIES)}", f"INTERVAL={pick.choice((1, 2, 7, 53, 97, 1441, 86399, 99999999))}"]
    for name, low, high, most in (
        *(("BYMONTH", 1, 12, 2), ("BYMONTHDAY", -31, 31, 3), ("BYYEARDAY", -366, 366, 3), ("BYWEEKNO", -53, 53, 2)),
        *(("BYHOUR", 0, 23, 2), ("BYMINUTE", 0, 59, 2), ("BYSECOND", 0, 59, 2), ("BYSETPOS", -9, 9, 2)),
        ("COUNT", 1, 10_000, 1),
    ):
        if pick.random() < 0.25:
            parts.append(f"{name}={some(low, high, most)}")
    if pick.random() < 0.4:
        parts.append(f"BYDAY={','.join(pick.sample(('MO', '1TU', 'WE', '-1FR', 'SA', 'SU'), pick.randint(1, 3)))}")
    return ";".join(parts)


@pytest.mark.parametrize(
    "size", [300, *(pytest.param(250, marks=pytest.mark.slow, id=f"250-part{part}") for part in range(4))]
)
def test_no_random_rule_costs_more_than_the_limit(size: int, zone: str) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    pick = random.Random(seed)
    legal = 0
    for _ in range(size):
        rule = any_rule(pick)
        forget()
        trigger = RRule(rule, START + timedelta(seconds=pick.randint(0, 10**7)), zone)
        assert lines_of(lambda it=trigger: it.check("rrule")) < MOST_AT_INPUT, rule  # type: ignore[misc]
        if trigger.check("rrule"):
            continue
        legal += 1
        assert lines_of(lambda it=trigger: it.next_after(NOW)) < MOST_LINES, rule  # type: ignore[misc]
        assert lines_of(lambda it=trigger: it.count_between(NOW - YEAR, NOW)) < MOST_LINES, rule  # type: ignore[misc]
    assert legal > size // 50
