"""Writes ``corpus.json``: 500 legal triggers, also such as nobody in his senses would write, always the same ones.

``python -m tests.timing.make_corpus`` after a change here.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec

from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    CalendarUnit,
    Cron,
    DstGap,
    DstOverlap,
    Interval,
    Once,
    RRule,
    Trigger,
)

SEED = 20261127
SIZE = 500
CORPUS = Path(__file__).with_name("corpus.json")
START = datetime(2025, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca")
DAYS = ("*", "*", "1", "31", "L", "LW", "L-3", "15W", "1-7", "*/9", "29", "13")
MONTHS = ("*", "*", "*", "2", "JAN,JUL", "*/5", "12")
WEEKDAYS = ("*", "*", "*", "MON-FRI", "SUN", "5#5", "FRIL", "*/3", "2#1")
FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
BY_PARTS = (
    "",
    "",
    ";BYDAY=MO,TU,WE,TH,FR",
    ";BYMONTH=2",
    ";BYHOUR=9",
    ";BYMINUTE=0,30",
    ";BYSECOND=59",
    ";BYMONTH=1,6;BYDAY=SU",
)


def _span(pick: random.Random, size: int) -> str:
    """A field of the clock."""
    low = pick.randrange(size)
    return pick.choice(
        ("*", f"*/{pick.randint(2, 29)}", str(low), f"{low}-{size - 1}", f"{low},{pick.randrange(size)}", f"{low}/7")
    )


def _cron(pick: random.Random) -> Cron:
    clock = [_span(pick, 60), _span(pick, 24)]
    if pick.random() < 0.3:
        clock.insert(0, _span(pick, 60))
    text = " ".join((*clock, pick.choice(DAYS), pick.choice(MONTHS), pick.choice(WEEKDAYS)))
    gap, overlap = pick.choice(list(DstGap)), pick.choice(list(DstOverlap))
    return Cron(text, pick.choice(ZONES), pick.random() < 0.8, gap, overlap)


def _interval(pick: random.Random) -> Interval:
    unit = pick.choice((timedelta(milliseconds=1), timedelta(seconds=0.25), timedelta(seconds=1), timedelta(minutes=7)))
    return Interval(pick.randint(1, 5000) * unit, START + timedelta(seconds=pick.randrange(10**7)))


def _calendar(pick: random.Random) -> CalendarInterval:
    at = time(pick.randrange(24), pick.randrange(60))
    start = date(2020, 1, 1) + timedelta(days=pick.randrange(2000))
    return CalendarInterval(pick.randint(1, 20), pick.choice(list(CalendarUnit)), at, pick.choice(ZONES), start)


def _rrule(pick: random.Random) -> RRule:
    rule = f"FREQ={pick.choice(FREQUENCIES)};INTERVAL={pick.choice((1, 1, 2, 3, 24, 97))}{pick.choice(BY_PARTS)}"
    start = datetime(2024, 1, 1) + timedelta(seconds=pick.randrange(10**8))  # noqa: DTZ001 - a wall time
    return RRule(rule, start, pick.choice(ZONES))


def _single(pick: random.Random) -> Trigger:
    return pick.choices((_cron, _interval, _calendar, _rrule), (8, 2, 2, 3))[0](pick)


def triggers() -> list[Trigger]:
    """The corpus, made anew."""
    pick = random.Random(SEED)
    found: list[Trigger] = [Once(START + timedelta(days=600))]
    while len(found) < SIZE:
        trigger = (
            AnyOf(tuple(_single(pick) for _ in range(pick.randint(2, 20)))) if pick.random() < 0.2 else _single(pick)
        )
        if not trigger.check("trigger"):
            found.append(trigger)
    return found


if __name__ == "__main__":
    lines = (msgspec.json.encode(trigger).decode() for trigger in triggers())
    CORPUS.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
