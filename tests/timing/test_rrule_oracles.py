"""The recurrence rules against oracles: the RFC's table by hand, python-dateutil where it is right, and random texts.

Each property runs on some dozens of cases in the normal run and on thousands in the one that is marked ``slow``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from dateutil import rrule as du

from naq.exceptions import InvalidSchedule
from naq.timing.ics import read_ics
from naq.timing.rrule_text import is_recurrence, read_recurrence
from naq.timing.triggers import RRule, Trigger
from naq.timing.zones import get_zone
from tests.timing.rrule_by_hand import NAMES, instants_by_hours, walls_by_days

SECOND = timedelta(seconds=1)
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "Asia/Gaza",
    "Africa/Casablanca",
    "Asia/Kathmandu",
)
CHANGES = ("2026-03-28", "2026-10-24", "2026-03-07", "2026-10-31", "2026-02-14", "2026-03-21")
STEPS = {
    "HOURLY": (1, 2, 3, 5, 6, 7, 23, 24, 25, 36, 48),
    "MINUTELY": (1, 5, 7, 15, 45, 60, 90, 97, 1440, 1441),
    "SECONDLY": (601, 900, 3600, 3601, 7200, 86399, 86400, 86401),
}


def sized(few: int, many: int) -> pytest.MarkDecorator:
    """So many cases, and so many more in the slow run: in ten parts, each with a seed of its own, so that none is long."""
    parts = [pytest.param(many // 10, marks=pytest.mark.slow, id=f"{many // 10}-part{part}") for part in range(10)]
    return pytest.mark.parametrize("size", [few, *parts])


def seeded() -> random.Random:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    return random.Random(seed)


def numbers(pick: random.Random, low: int, high: int, most: int, *, signed: bool = False) -> str:
    found = {pick.randint(low, high) * (pick.choice((1, -1)) if signed else 1) for _ in range(pick.randint(1, most))}
    return ",".join(map(str, sorted(found)))


def rule_by_days(pick: random.Random) -> str:
    """A legal rule by the day or a longer period."""
    frequency = pick.choice(("YEARLY", "MONTHLY", "WEEKLY", "DAILY"))
    parts = [f"FREQ={frequency}"]
    if pick.random() < 0.6:
        parts.append(f"INTERVAL={pick.choice((1, 2, 3, 4, 5, 7, 12, 13))}")
    if pick.random() < 0.4:
        parts.append(f"BYMONTH={numbers(pick, 1, 12, 4)}")
    has_weeks = frequency == "YEARLY" and pick.random() < 0.3
    if has_weeks:
        rims = ("1", "53", "52,53", "-1", "1,-1", "-52", "-53")
        parts.append(f"BYWEEKNO={pick.choice((numbers(pick, 1, 53, 3, signed=True), *rims))}")
    if frequency == "YEARLY" and pick.random() < 0.2:
        parts.append(f"BYYEARDAY={numbers(pick, 1, 366, 10, signed=True)}")
    if frequency != "WEEKLY" and pick.random() < 0.4:
        parts.append(f"BYMONTHDAY={numbers(pick, 1, 31, 8, signed=True)}")
    if pick.random() < 0.6:
        places = ("", "", "1", "2", "5", "-1", "-2", "-5", "20", "-20")
        numbered = frequency in ("YEARLY", "MONTHLY") and not has_weeks
        days = {(pick.choice(places) if numbered else "") + pick.choice(NAMES) for _ in range(pick.randint(1, 5))}
        parts.append(f"BYDAY={','.join(sorted(days))}")
    return with_times(pick, parts)


def with_times(pick: random.Random, parts: list[str]) -> str:
    if pick.random() < 0.3:
        parts.append(f"WKST={pick.choice(NAMES)}")
    for name, high, chance in (("BYHOUR", 23, 0.3), ("BYMINUTE", 59, 0.3), ("BYSECOND", 60, 0.2)):
        if pick.random() < chance:
            parts.append(f"{name}={numbers(pick, 0, high, 3)}")
    if pick.random() < 0.4 and any(part.startswith("BY") for part in parts):
        parts.append(f"BYSETPOS={numbers(pick, 1, 8, 3, signed=True)}")
    pick.shuffle(parts)
    return ";".join(parts)


def rule_by_hours(pick: random.Random) -> tuple[str, bool]:
    """A legal rule by the hour or finer, and whether an oracle that looks at each second must look at few days."""
    frequency = pick.choice(("HOURLY", "HOURLY", "MINUTELY", "SECONDLY"))
    parts = [f"FREQ={frequency}", f"INTERVAL={pick.choice(STEPS[frequency])}"]
    for name, low, high, most, chance in (
        ("BYMONTH", 1, 12, 6, 0.2),
        ("BYYEARDAY", 1, 366, 20, 0.1),
        ("BYMONTHDAY", 1, 31, 8, 0.1),
        ("BYHOUR", 0, 23, 8, 0.4),
        ("BYMINUTE", 0, 59, 20 if frequency == "SECONDLY" else 4, 0.3),
        ("BYSECOND", 0, 60, 2, 0.0 if frequency == "SECONDLY" else 0.2),
    ):
        if pick.random() < chance:
            parts.append(f"{name}={numbers(pick, low, high, most, signed=name in ('BYYEARDAY', 'BYMONTHDAY'))}")
    if pick.random() < 0.3:
        parts.append(f"BYDAY={','.join(sorted({pick.choice(NAMES) for _ in range(4)}))}")
    if pick.random() < 0.3 and any(part.startswith("BY") for part in parts):
        parts.append(f"BYSETPOS={numbers(pick, 1, 3, 3, signed=True)}")
    finer = {"HOURLY": ("BYMINUTE", "BYSECOND", "BYSETPOS"), "MINUTELY": ("BYSECOND", "BYSETPOS"), "SECONDLY": ()}
    return ";".join(parts), frequency == "MINUTELY" or any(part.split("=")[0] in finer[frequency] for part in parts)


def ahead(trigger: Trigger, after: datetime, until: datetime) -> Iterator[datetime]:
    at = trigger.next_after(after)
    while at is not None and at <= until:
        yield at
        at = trigger.next_after(at)


def check_all(trigger: Trigger, begin: datetime, end: datetime, expected: list[datetime], pick: random.Random) -> None:
    """The next ones, the ones before, and the counts between are those that are expected."""
    case = f"{trigger!r} from {begin}"
    assert list(islice(ahead(trigger, begin - SECOND, end), len(expected) + 1)) == expected, case
    back: list[datetime] = []
    at = trigger.previous(end + SECOND)
    while at is not None and len(back) <= len(expected):
        back.append(at)
        at = trigger.previous(at)
    assert back[::-1] == expected, case
    span = int((end - begin).total_seconds())
    for _ in range(4):
        low, high = sorted(begin + timedelta(seconds=pick.randint(-span // 9, span)) for _ in range(2))
        assert trigger.count_between(low, high) == sum(low < at <= high for at in expected), case


@sized(60, 2_000)
def test_rules_by_the_day_are_what_the_table_of_the_rfc_says(size: int) -> None:
    pick = seeded()
    found = 0
    for _ in range(size):
        start = datetime(1990, 1, 1) + timedelta(seconds=pick.randrange(86_400 * 14_600))  # noqa: DTZ001
        text, end = rule_by_days(pick), start + timedelta(days=pick.choice((200, 500, 1200)))
        expected = [at.replace(tzinfo=UTC) for at in walls_by_days(text, start, end)]
        check_all(RRule(text, start), start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), expected, pick)
        found += bool(expected)
    assert found > size // 3


@sized(25, 1_000)
def test_rules_by_the_hour_are_what_elapsed_time_and_the_wall_clock_say(size: int) -> None:
    pick = seeded()
    found = 0
    for _ in range(size):
        text, is_slow = rule_by_hours(pick)
        name = pick.choice(ZONES)
        zone = get_zone(name).info  # of the same database: the system's may be another one than that of the package
        start = datetime.fromisoformat(pick.choice(CHANGES)) + timedelta(minutes=pick.randrange(1500))
        start += timedelta(seconds=pick.choice((0, 0, 15)))
        begin = start.replace(tzinfo=zone).astimezone(UTC)
        if begin.astimezone(zone).replace(tzinfo=None) != start:
            continue
        end = begin + timedelta(days=2 if is_slow else 30)
        expected = instants_by_hours(text, start, zone, end)
        check_all(RRule(text, start, name), begin, end, expected, pick)
        found += bool(expected)
    assert found > size // 4


@sized(20, 1_000)
def test_the_end_by_count_is_the_last_of_so_many(size: int) -> None:
    pick = seeded()
    for _ in range(size):
        start = datetime(2020, 1, 1) + timedelta(seconds=pick.randrange(86_400 * 3_000))  # noqa: DTZ001
        text = rule_by_days(pick)
        end = start + timedelta(days=1_500)
        walls = walls_by_days(text, start, end)
        if not walls:
            continue
        count = pick.randint(1, min(len(walls), 10_000))
        expected = [at.replace(tzinfo=UTC) for at in walls[:count]]
        trigger = RRule(f"{text};COUNT={count}", start)
        check_all(trigger, start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), expected, pick)
        assert trigger.next_after(expected[-1]) is None


def dateutil_is_right(text: str) -> bool:
    """Known to be otherwise: mixed BYDAY, numbers no month has (IndexError), BYWEEKNO without BYDAY, weeks at the rims of
    a year, the first week of BYSETPOS, and second 60."""
    parts = dict(part.split("=") for part in text.split(";"))
    days = parts.get("BYDAY", "").split(",")
    mixed = len({len(day) > 2 for day in days}) > 1
    beyond = any(abs(int(day[:-2] or 0)) > 5 for day in days if day) and (
        parts["FREQ"] == "MONTHLY" or "BYMONTH" in parts
    )
    weeks = "BYWEEKNO" in parts and (
        "BYDAY" not in parts or any(week in parts["BYWEEKNO"].split(",") for week in ("52", "53", "-52", "-53"))
    )
    first_week = parts["FREQ"] == "WEEKLY" and "BYSETPOS" in parts
    return not (mixed or beyond or weeks or first_week or "60" in parts.get("BYSECOND", ""))


@sized(100, 5_000)
def test_dateutil_says_the_same_where_it_is_right(size: int) -> None:
    pick = seeded()
    compared = 0
    while compared < size:
        text = rule_by_days(pick)
        start = datetime(1990, 1, 1) + timedelta(seconds=pick.randrange(86_400 * 14_600))  # noqa: DTZ001
        trigger = RRule(text, start)
        if not dateutil_is_right(text) or trigger.check("rrule"):
            continue
        compared += 1
        until = start + timedelta(days=3_000)
        rule = du.rrulestr(f"{text};UNTIL={until:%Y%m%dT%H%M%S}", dtstart=start)
        expected = [at.replace(tzinfo=UTC) for at in islice(rule, 5)]
        found = list(islice(ahead(trigger, start.replace(tzinfo=UTC) - SECOND, until.replace(tzinfo=UTC)), 5))
        assert found == expected, f"{text} from {start}"


WORDS = (
    *("FREQ=DAILY", "FREQ", "=", ";", ":", "\n", "\r\n ", ",", "BYDAY=", "MO", "-1", "53", "0", "9" * 30, "BYHOUR=25"),
    *("DTSTART", ";TZID=", "Europe/Berlin", "\x00", "\N{ARABIC-INDIC DIGIT ONE}", "20260230", "T", "Z", "UNTIL="),
    *("COUNT=", "INTERVAL=", "RRULE:", "EXDATE:", "RDATE;VALUE=PERIOD:", "20260101T090000", "/PT1H", "BYSETPOS=1"),
    *("BEGIN:VEVENT\n", "END:VEVENT\n", "BEGIN:VTIMEZONE\n", "END:VTIMEZONE\n", "DURATION:P", "DTEND:", "UID:1\n"),
    *("RECURRENCE-ID;RANGE=THISANDFUTURE:", "99991231T235959Z", "00010101", "FREQ=SECONDLY;", "BYEASTER=400", "\ufeff"),
)


def texts(pick: random.Random) -> str:
    """Words put together at random, a rule with a letter changed, or letters."""
    kind = pick.randrange(3)
    if kind == 0:
        return "".join(pick.choice(WORDS) for _ in range(pick.randint(1, 12)))
    text = pick.choice((rule_by_days(pick), f"DTSTART:20260105T090000Z\nRRULE:{rule_by_days(pick)}\nEXDATE:20260106"))
    if kind == 1:
        place = pick.randrange(len(text))
        return (
            text[:place]
            + pick.choice(("", "9", "-", ";", "=", ",", "Z", "\n", chr(pick.randrange(1, 4096))))
            + text[place + 1 :]
        )
    return "".join(
        chr(pick.choice((pick.randrange(32, 127), pick.randrange(1, 0x2FFF)))) for _ in range(pick.randint(0, 40))
    )


@sized(2_000, 40_000)
def test_whatever_is_written_the_answer_is_a_rule_or_a_complaint(size: int) -> None:
    pick = seeded()
    for _ in range(size):
        text = texts(pick)
        is_recurrence(text)
        try:
            trigger = read_recurrence(text, pick.choice((None, "America/New_York")))
        except InvalidSchedule as error:
            assert error.problems[0].reason
            continue
        assert str(trigger)
        if not trigger.check("rrule") and trigger.dtstart is not None:
            trigger.next_after(datetime(2026, 6, 1, tzinfo=UTC))


@sized(1_500, 20_000)
def test_whatever_is_in_a_file_the_answer_is_a_calendar_or_a_complaint(size: int) -> None:
    pick = seeded()
    for _ in range(size):
        lines = "\n".join(texts(pick) for _ in range(pick.randint(1, 3)))
        event = pick.choice(("", "DTSTART:20260105T090000Z\n", "DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY\n"))
        text = f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{event}{lines}\nEND:VEVENT\nEND:VCALENDAR\n"
        try:
            calendar = read_ics(text, tz=pick.choice(("UTC", "America/New_York")))
        except InvalidSchedule as error:
            assert error.problems[0].reason
            continue
        calendar.covers(datetime(2026, 6, 1, tzinfo=UTC), "Asia/Tokyo")
        list(islice(calendar.spans(1_770_000_000, 1_770_100_000, "Europe/Berlin"), 100))
