"""Exclusions and named calendars: what they cover, how they are written, and that counting agrees with asking."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from naq.exceptions import InvalidSchedule
from naq.schedules.forms.exclusions import exclusion_text, read_exclusions
from naq.timing import calendars
from naq.timing.calendars import Calendar, DayRange, EventRule, TimeRange, holiday_calendar, is_holiday
from naq.timing.exclusions import (
    ExcludedCalendar,
    ExcludedCron,
    ExcludedDates,
    ExcludedDays,
    ExcludedHolidays,
    ExcludedTime,
    Exclusion,
    count_excluded,
    excluded_by,
)
from naq.timing.triggers import Cron, Interval, Trigger

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


WORKS = Calendar(
    "works",
    dates=(date(2026, 5, 4),),
    ranges=(DayRange(date(2026, 8, 3), date(2026, 8, 14)),),
    times=(TimeRange(utc("2026-06-01T22:00"), utc("2026-06-02T02:00")),),
    rules=(
        EventRule("FREQ=YEARLY", wall("2020-12-24"), timedelta(days=3), (wall("2025-12-24"),)),
        EventRule("FREQ=WEEKLY;BYDAY=SA", wall("2026-01-03T22:00"), timedelta(hours=4), tz="America/New_York"),
    ),
)

# exclusion, an excluded instant, one that is not
TABLE: Sequence[tuple[Exclusion, str, str]] = [
    (ExcludedDates((date(2026, 12, 24),)), "2026-12-24T00:00", "2026-12-25T00:00"),
    (ExcludedDates((date(2026, 12, 24),)), "2026-12-24T23:59:59", "2026-12-23T23:59:59"),
    (ExcludedDates((date(2026, 12, 24),), BERLIN), "2026-12-23T23:00", "2026-12-24T23:00"),
    (ExcludedDates((date(2026, 12, 24), date(2026, 12, 31))), "2026-12-31T12:00", "2026-12-30T12:00"),
    (ExcludedDays(date(2026, 12, 24), date(2027, 1, 1)), "2027-01-01T23:59", "2027-01-02T00:00"),
    (ExcludedDays(date(2026, 12, 24), date(2026, 12, 24)), "2026-12-24T12:00", "2026-12-23T12:00"),
    (ExcludedTime(utc("2026-01-01T09:00"), utc("2026-01-01T10:00")), "2026-01-01T09:00", "2026-01-01T10:00"),
    (ExcludedCron("* 0-6 * * *"), "2026-01-01T06:59:59", "2026-01-01T07:00"),
    (ExcludedCron("* 0-6 * * *", BERLIN), "2026-07-01T22:00", "2026-07-01T05:00"),
    (ExcludedCron("* * * * SAT,SUN"), "2026-01-04T23:59:59.9", "2026-01-05T00:00"),
    (ExcludedCron("30 9 * * *"), "2026-01-01T09:30:59", "2026-01-01T09:31"),
    (ExcludedCron("0 30 9 * * *"), "2026-01-01T09:30:00.5", "2026-01-01T09:30:01"),
    (ExcludedCron("* * 13 * FRI", day_or=False), "2026-02-13T12:00", "2026-02-20T12:00"),
    (ExcludedCalendar(WORKS), "2026-05-04T12:00", "2026-05-05T12:00"),
    (ExcludedCalendar(WORKS), "2026-08-14T23:59", "2026-08-15T12:00"),
    (ExcludedCalendar(WORKS), "2026-06-02T01:59:59", "2026-06-02T02:00"),
    (ExcludedCalendar(WORKS), "2026-12-26T23:59:59", "2026-12-27T12:00"),
    (ExcludedCalendar(WORKS), "2024-12-24T00:00", "2025-12-24T12:00"),
    # Saturday 22:00 in New York is Sunday 03:00 in UTC.
    (ExcludedCalendar(WORKS), "2026-01-11T03:00", "2026-01-11T07:00"),
    (ExcludedHolidays("DE"), "2026-10-03T12:00", "2026-10-04T12:00"),
    (ExcludedHolidays("DE-BY"), "2026-01-06T12:00", "2026-01-07T12:00"),
    (ExcludedHolidays("us"), "2026-07-04T12:00", "2026-07-05T12:00"),
]


@pytest.mark.parametrize(("exclusion", "covered", "free"), TABLE, ids=lambda value: str(value))
def test_covers_and_leaves_free(exclusion: Exclusion, covered: str, free: str) -> None:
    assert exclusion.check("exclude") == []
    assert exclusion.excludes(utc(covered))
    assert not exclusion.excludes(utc(free))
    assert excluded_by([exclusion], utc(covered)) is exclusion
    assert excluded_by([exclusion], utc(free)) is None
    tick = timedelta(seconds=1)
    for text in (covered, free):
        at = utc(text).replace(microsecond=0)
        grid = Interval(timedelta(days=1000), at)
        assert count_excluded(grid, [exclusion], at - tick, at + tick) == exclusion.excludes(at)


@pytest.mark.parametrize("exclusion", [row[0] for row in TABLE], ids=str)
def test_survives_json(exclusion: Exclusion) -> None:
    again: Exclusion = msgspec.json.decode(msgspec.json.encode(exclusion), type=Exclusion)
    assert again == exclusion
    assert hash(again) == hash(exclusion)


MIXED: tuple[Exclusion, ...] = (
    ExcludedDates((date(2026, 3, 29), date(2026, 10, 25)), BERLIN),
    ExcludedDays(date(2026, 4, 1), date(2026, 4, 10), "America/St_Johns"),
    ExcludedTime(utc("2026-03-28T11:11:11"), utc("2026-03-28T12:12:12")),
    ExcludedCron("*/7 3 * * MON", "Australia/Lord_Howe"),
    ExcludedCron("10-20 * * * * TUE"),
    ExcludedCalendar(WORKS, "Asia/Beirut"),
    ExcludedHolidays("DE-BY", BERLIN),
)


@pytest.mark.parametrize(
    "trigger",
    [
        Cron("*/26 * * * *", BERLIN),
        Cron("30 2 * * *", BERLIN),
        Cron("7 */20 * * * *", "America/St_Johns"),
        Interval(timedelta(minutes=31, seconds=13, microseconds=7), utc("2026-01-01T00:00")),
    ],
    ids=str,
)
@pytest.mark.parametrize("start", ["2026-03-20T12:34:56.789", "2026-10-20T00:00", "2026-12-20T06:00"])
def test_counting_agrees_with_asking_each_instant(trigger: Trigger, start: str) -> None:
    after, until = utc(start), utc(start) + timedelta(days=14)
    expected = 0
    at = trigger.next_after(after)
    while at is not None and at <= until:
        expected += excluded_by(MIXED, at) is not None
        at = trigger.next_after(at)
    assert count_excluded(trigger, MIXED, after, until) == expected
    assert count_excluded(trigger, (), after, until) == 0
    assert count_excluded(trigger, MIXED, until, after) == 0


def test_a_long_outage_of_a_fine_schedule_is_counted_by_stretches() -> None:
    start = utc("2026-01-01T00:00")
    quiet = ExcludedCron("* 0-5 * * *")
    weekend = ExcludedCron("* * * * SAT,SUN")
    count = count_excluded(Cron("* * * * * *"), [quiet, weekend], start, start + timedelta(days=700))
    # 700 days from a Thursday are 100 weeks: 200 weekend days, and six hours on each of 500 others. Midnight at the
    # very start is not in the range, the one at its end (a Thursday, quiet) is.
    assert count == 200 * 86_400 + 500 * 6 * 3600


READ: Sequence[tuple[object, tuple[Exclusion, ...]]] = [
    (None, ()),
    ([], ()),
    ("2026-12-24", (ExcludedDates((date(2026, 12, 24),), BERLIN),)),
    (date(2026, 12, 24), (ExcludedDates((date(2026, 12, 24),), BERLIN),)),
    (["2026-12-31", "2026-12-24", "2026-12-31"], (ExcludedDates((date(2026, 12, 31), date(2026, 12, 24)), BERLIN),)),
    ("2026-12-24..2027-01-01", (ExcludedDays(date(2026, 12, 24), date(2027, 1, 1), BERLIN),)),
    ("2026-12-24 .. 2027-01-01", (ExcludedDays(date(2026, 12, 24), date(2027, 1, 1), BERLIN),)),
    ("2026-12-24T22:00..2026-12-25T02:00", (ExcludedTime(utc("2026-12-24T21:00"), utc("2026-12-25T01:00")),)),
    ("2026-12-24T22:00Z..2026-12-25T02:00Z", (ExcludedTime(utc("2026-12-24T22:00"), utc("2026-12-25T02:00")),)),
    ("* 0-6 * * *", (ExcludedCron("* 0-6 * * *", BERLIN),)),
    ("@hourly", (ExcludedCron("@hourly", BERLIN),)),
    ("holidays:DE-BY", (ExcludedHolidays("DE-BY", BERLIN),)),
    ("calendar:works", (ExcludedCalendar(WORKS, BERLIN),)),
    (WORKS, (ExcludedCalendar(WORKS, BERLIN),)),
    (ExcludedCron("* 0 * * *"), (ExcludedCron("* 0 * * *"),)),
]


@pytest.mark.parametrize(("written", "read"), READ)
def test_reads_what_users_write(written: object, read: tuple[Exclusion, ...]) -> None:
    found = read_exclusions(written, tz=BERLIN, calendars={"works": WORKS})
    assert found == read
    texts: list[str] = []
    for exclusion in found:
        text = exclusion_text(exclusion)
        texts.extend([text] if isinstance(text, str) else text)
    if all(getattr(exclusion, "tz", BERLIN) == BERLIN for exclusion in found):
        assert read_exclusions(texts, tz=BERLIN, calendars={"works": WORKS}) == found


REFUSED = [
    ("someday", "must be a date, range"),
    ("2026-02-30", "must be a date, range"),
    (5, "must be an exclusion"),
    ("2026-12-24..2026-12-01", "ends before it begins"),
    ("2026-12-24..noon", "must be a range of two dates or two times"),
    ("2026-12-24T10:00..2026-12-24T09:00", "ends before it begins"),
    ("2026-12-24T10:00:00.5..2026-12-24T11:00", "must be told to the second"),
    ("99 * * * *", "is not in 0-59"),
    ("* * 30 2 *", "matches nothing"),
    ("holidays:XX", "is no region"),
    ("holidays:DE-XX", "is no region"),
    ("calendar:nowhere", "names a calendar that is not known here (works)"),
    (Calendar("bad", rules=(EventRule("FREQ=DAILY;INTERVAL=0", wall("2026-01-01"), timedelta(1)),)), "INTERVAL"),
    (Calendar("bad", rules=(EventRule("FREQ=DAILY", wall("2026-01-01"), timedelta(1), (), "Gone"),)), "no time zone"),
]


@pytest.mark.parametrize(("written", "reason"), REFUSED)
def test_refused_naming_field_value_and_a_valid_example(written: object, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as raised:
        read_exclusions(["2026-01-01", written], "daily.exclude", calendars={"works": WORKS})
    (problem,) = raised.value.problems
    assert problem.field == "daily.exclude[1]"
    assert reason in problem.reason
    assert problem.example


def test_every_complaint_is_told_at_once() -> None:
    with pytest.raises(InvalidSchedule) as raised:
        read_exclusions(["x", "2026-01-01", "y"])
    assert [problem.field for problem in raised.value.problems] == ["exclude[0]", "exclude[2]"]


def test_an_unknown_zone_is_a_complaint_of_the_zone() -> None:
    with pytest.raises(InvalidSchedule, match="timezone = 'Gone/City'"):
        read_exclusions("2026-01-01", tz="Gone/City")


def test_holidays_can_be_written_out() -> None:
    calendar = holiday_calendar("DE-BY", [2026])
    assert calendar.name == "holidays:DE-BY"
    assert date(2026, 1, 6) in calendar
    assert date(2026, 1, 7) not in calendar
    assert all(day.year == 2026 for day in calendar.dates)
    assert is_holiday("DE-BY", date(2026, 1, 6))
    assert not is_holiday("DE", date(2026, 1, 6))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "holidays", None)
    calendars._holidays.cache_clear()
    with pytest.raises(InvalidSchedule, match=r"naq\[holidays\]"):
        is_holiday("FR", date(2026, 1, 1))


WORDS: Sequence[tuple[Exclusion, str]] = [
    (ExcludedDates((date(2026, 12, 24),), BERLIN), "not on 2026-12-24, Europe/Berlin"),
    (ExcludedDays(date(2026, 12, 24), date(2027, 1, 1)), "not from 2026-12-24 to 2027-01-01, UTC"),
    (ExcludedCron("* 0-6 * * *"), "not every minute of hours 0 to 6, UTC"),
    (ExcludedCron("x"), "not x, UTC"),
    (ExcludedCalendar(WORKS), "not on days of the calendar works, UTC"),
    (ExcludedHolidays("DE-BY"), "not on public holidays of DE-BY, UTC"),
]


@pytest.mark.parametrize(("exclusion", "words"), WORDS, ids=lambda value: str(value))
def test_says_in_plain_words(exclusion: Exclusion, words: str) -> None:
    assert str(exclusion) == words
