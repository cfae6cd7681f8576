"""What users of recurrence rules saw go wrong, each with the right value and where it is from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from naq.exceptions import InvalidSchedule
from naq.schedules.forms.specification import parse_schedule, schedule_form
from naq.schedules.policy import Policy
from naq.timing.rrule_parts import parse_rule
from naq.timing.rrule_text import read_recurrence
from naq.timing.triggers import DstOverlap, RRule, Trigger
from naq.timing.zones import get_zone

BERLIN = "Europe/Berlin"


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def local(trigger: Trigger, count: int, after: str = "2000-01-01", zone: str = "UTC") -> list[str]:
    """The next instants on the clock of ``zone``, to the minute; to the second where there is one."""
    found: list[str] = []
    at: datetime | None = utc(after)
    while at is not None and len(found) < count and (at := trigger.next_after(at)) is not None:
        shown = at.astimezone(get_zone(zone).info)
        found.append(f"{shown:%Y-%m-%d %H:%M:%S}" if shown.second else f"{shown:%Y-%m-%d %H:%M}")
    return found


# (a) a date as dtstart: YAML and TOML give one for 2026-07-01


def test_a_date_as_dtstart_is_midnight_in_the_schedules_zone() -> None:
    form = {"rrule": "FREQ=DAILY", "dtstart": date(2026, 7, 1), "timezone": BERLIN}
    trigger, _ = parse_schedule(form, utc("2026-06-01T00:00"))
    assert local(trigger, 2, zone=BERLIN) == ["2026-07-01 00:00", "2026-07-02 00:00"]
    assert trigger.next_after(utc("2026-06-01T00:00")) == utc("2026-06-30T22:00")
    text = {"rrule": "FREQ=DAILY", "dtstart": "2026-07-01", "timezone": BERLIN}
    assert parse_schedule(text, utc("2026-06-01T00:00"))[0] == trigger


# (b) HOURLY, MINUTELY and SECONDLY are elapsed time: RFC 5545 3.3.10 "an interval of a second, a minute, an hour"


def test_every_24_hours_from_0230_does_not_leave_out_the_day_after_the_gap() -> None:
    """On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00."""
    trigger = RRule("FREQ=HOURLY;INTERVAL=24", wall("2026-03-28T02:30"), BERLIN)
    assert local(trigger, 3, zone=BERLIN) == ["2026-03-28 02:30", "2026-03-29 03:30", "2026-03-30 03:30"]


@pytest.mark.parametrize(
    ("rule", "seconds"),
    [("FREQ=HOURLY;INTERVAL=5", 18_000), ("FREQ=MINUTELY;INTERVAL=7", 420), ("FREQ=SECONDLY;INTERVAL=3601", 3601)],
)
@pytest.mark.parametrize("zone", [BERLIN, "Australia/Lord_Howe", "America/New_York"])
def test_rules_by_the_hour_are_evenly_apart_over_every_change_of_the_clocks(rule: str, seconds: int, zone: str) -> None:
    trigger = RRule(rule, wall("2026-03-01T00:00"), zone)
    for around in ("2026-03-07T20:00", "2026-03-28T20:00", "2026-04-04T10:00", "2026-10-24T20:00", "2026-10-31T20:00"):
        at = utc(around)
        found = []
        for _ in range(40):
            following = trigger.next_after(at)
            assert following is not None
            found.append(following)
            at = following
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(seconds=seconds)}


@pytest.mark.parametrize(("start", "change"), [("2026-03-28T20:00", "gap"), ("2026-10-24T20:00", "overlap")])
def test_count_of_hours_over_a_change_is_not_off_by_one(start: str, change: str) -> None:
    """Twelve hours after the first: ten elapsed periods of 72 minutes are counted, whatever the clocks show."""
    trigger = RRule("FREQ=MINUTELY;INTERVAL=72;COUNT=11", wall(start), BERLIN)
    first = trigger.next_after(utc("2026-01-01T00:00"))
    assert first is not None
    assert trigger.count_between(first - timedelta(1), first + timedelta(9)) == 11
    assert trigger.previous(utc("2027-01-01T00:00")) == first + timedelta(hours=12)


def test_until_in_utc_is_exact_in_the_hour_that_comes_twice() -> None:
    """02:30 comes at 00:30Z and at 01:30Z on 25 October 2026 in Berlin: 3.3.10 "UNTIL ... inclusive"."""
    by_hour = RRule("FREQ=HOURLY;INTERVAL=1;UNTIL=20261025T003000Z", wall("2026-10-24T20:30"), BERLIN)
    assert by_hour.previous(utc("2027-01-01T00:00")) == utc("2026-10-25T00:30")
    minutes = RRule("FREQ=MINUTELY;INTERVAL=10;UNTIL=20261025T011000Z", wall("2026-10-25T00:00"), BERLIN)
    assert minutes.previous(utc("2027-01-01T00:00")) == utc("2026-10-25T01:10")
    # A rule by the day at 02:50 is due at 00:50Z: within, though the wall clock shows 02:15 at the end.
    by_day = RRule("FREQ=DAILY;UNTIL=20261025T011500Z", wall("2026-10-20T02:50"), BERLIN)
    assert by_day.previous(utc("2027-01-01T00:00")) == utc("2026-10-25T00:50")
    both = RRule("FREQ=DAILY;UNTIL=20261025T011500Z", wall("2026-10-20T02:50"), BERLIN, dst_overlap=DstOverlap.BOTH)
    assert both.previous(utc("2027-01-01T00:00")) == utc("2026-10-25T00:50")
    late = RRule("FREQ=DAILY;UNTIL=20261025T011500Z", wall("2026-10-20T02:50"), BERLIN, dst_overlap=DstOverlap.LAST)
    assert late.previous(utc("2027-01-01T00:00")) == utc("2026-10-24T00:50")


# (c) rules that never fire are refused (how much work that takes: test_rrule_work.py)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MINUTELY;BYSECOND=0;BYSETPOS=2",
        "FREQ=SECONDLY;BYSECOND=0;BYSETPOS=2",
        "FREQ=MONTHLY;BYDAY=FR;BYSETPOS=6",
        "FREQ=YEARLY;BYDAY=53MO;BYMONTH=2",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6",
        "FREQ=HOURLY;BYYEARDAY=1;BYMONTH=6",
        "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
        "FREQ=SECONDLY;INTERVAL=86400;BYMONTH=2;BYMONTHDAY=29;BYHOUR=1",
        "FREQ=YEARLY;INTERVAL=100;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU",
    ],
)
def test_a_rule_that_never_fires_is_refused(rule: str) -> None:
    """From Thursday, 1 January 2026, at midnight UTC."""
    (problem,) = RRule(rule, wall("2026-01-01T00:00")).check("rrule")
    assert "can never fire" in problem.reason


def test_every_ten_quintillion_days_is_refused() -> None:
    for form in ({"every": 10**19, "unit": "days"}, {"interval": timedelta.max}, {"delay": timedelta.max}):
        with pytest.raises(InvalidSchedule):
            parse_schedule(form, utc("2026-01-01T00:00"))


# (d) what was read wrongly


def test_plain_and_numbered_weekdays_are_a_union() -> None:
    """3.3.10: BYDAY is a list of days, each with a number or not. June 2026 begins on a Monday."""
    trigger = RRule("FREQ=MONTHLY;BYDAY=WE,1TU", wall("2026-06-01T09:00"))
    assert local(trigger, 5) == [f"2026-06-{day:02} 09:00" for day in (2, 3, 10, 17, 24)]


def test_byweekno_alone_means_the_weekday_of_the_start() -> None:
    """3.3.10: what a rule does not name is taken from DTSTART; 7 January 2026 is a Wednesday."""
    trigger = RRule("FREQ=YEARLY;BYWEEKNO=20", wall("2026-01-07T09:00"))
    assert local(trigger, 3) == ["2026-05-13 09:00", "2027-05-19 09:00", "2028-05-17 09:00"]


def test_weekly_positions_count_in_the_whole_first_week() -> None:
    """From a Wednesday on: the first working day of that week was its Monday, so the week has none left."""
    trigger = RRule("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", wall("2026-01-07T09:00"))
    assert local(trigger, 2) == ["2026-01-12 09:00", "2026-01-19 09:00"]
    last = RRule("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", wall("2026-01-07T09:00"))
    assert local(last, 2) == ["2026-01-08 09:00", "2026-01-15 09:00"]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=5",
        "FREQ=DAILY;INTERVAL=7;BYDAY=TU",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=DAILY;UNTIL=19690101T000000Z",
    ],
)
def test_a_rule_without_dtstart_is_not_judged_by_1970(rule: str) -> None:
    """Each fires from some start; whether it does from its creation is asked when it is created."""
    assert RRule(rule).check("rrule") == []
    good = {"rrule": "FREQ=MONTHLY;INTERVAL=12;BYMONTH=3"}
    assert parse_schedule(good, utc("2026-03-05T09:00"))[0] == RRule("FREQ=MONTHLY;INTERVAL=12;BYMONTH=3")
    with pytest.raises(InvalidSchedule, match="never fires"):
        parse_schedule(good, utc("2026-04-05T09:00"))


# (e) whatever is written, the answer is a complaint (random texts: test_rrule_oracles.py)


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=MONTHLY;BYDAY=20MO",
        "FREQ=YEARLY;BYEASTER=400",
        "FREQ=DAILY;COUNT=" + "9" * 5_000,
        "FREQ=DAILY;INTERVAL=" + "9" * 5_000,
        "FREQ=DAILY;BYHOUR=" + "9" * 4_900,
        "FREQ=DAILY;UNTIL=" + "9" * 5_000,
        "FREQ=DAILY;UNTIL=20260230",
        "FREQ=DAILY;BYHOUR=\N{ARABIC-INDIC DIGIT NINE}",
        "FREQ=DAILY;;BYHOUR=9",
        "=;=",
        "FREQ",
    ],
    ids=lambda rule: rule[:30],
)
def test_an_unreadable_rule_is_a_complaint_and_no_other_error(rule: str) -> None:
    (problem,) = RRule(rule, wall("2026-01-01T09:00")).check("rrule")
    assert problem.reason
    assert str(RRule(rule))


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "UTC"])
@pytest.mark.parametrize("start", ["0001-01-01T00:00", "0001-01-01T23:00", "9999-12-31T23:59", "1599-12-31T00:00"])
@pytest.mark.parametrize("frequency", ["YEARLY", "HOURLY"])
def test_a_start_at_the_rims_of_time_is_a_complaint(zone: str, start: str, frequency: str) -> None:
    trigger = RRule(f"FREQ={frequency}", wall(start), zone)
    (problem,) = trigger.check("rrule")
    assert "between the years 1600 and 2200" in problem.reason
    with pytest.raises(InvalidSchedule):
        trigger.next_after(utc("2026-01-01T00:00"))


@pytest.mark.parametrize("until", ["00010101T000000", "99991231T235959", "99991231T235959Z", "00010101"])
@pytest.mark.parametrize("frequency", ["YEARLY", "HOURLY", "DAILY"])
def test_an_end_at_the_rims_of_time_is_no_error(until: str, frequency: str) -> None:
    trigger = RRule(f"FREQ={frequency};UNTIL={until}", wall("2026-01-01T09:00"), "America/New_York")
    ends = until.startswith("0001")
    assert (trigger.check("rrule") != []) == ends
    assert (trigger.next_after(utc("2026-06-01T00:00")) is None) == ends


@pytest.mark.parametrize("key", ["catch_up", "start_deadline", "jitter"])
def test_a_longest_timedelta_is_refused_when_it_is_asked_for_not_when_it_is_needed(key: str) -> None:
    with pytest.raises(InvalidSchedule, match="at most 100 years"):
        parse_schedule({"cron": "0 9 * * *", key: timedelta.max}, utc("2026-01-01T00:00"))


def test_a_policy_made_as_a_value_is_looked_at_as_well() -> None:
    from naq.schedules.forms.specification import Spec, cron

    spec = Spec(cron("0 9 * * *").trigger, Policy(catch_up=timedelta.max))
    with pytest.raises(InvalidSchedule, match="catch_up"):
        parse_schedule(spec, utc("2026-01-01T00:00"))


# (g) the order of parts


def test_the_parts_of_a_rule_come_in_any_order() -> None:
    text = parse_schedule("INTERVAL=2;FREQ=WEEKLY;BYDAY=MO", utc("2026-01-01T00:00"))[0]
    assert text == RRule("INTERVAL=2;FREQ=WEEKLY;BYDAY=MO")
    assert parse_rule("INTERVAL=2;FREQ=WEEKLY;BYDAY=MO") == parse_rule("rrule:FREQ=weekly;byday=mo;interval=2")


# Also: what RFC 5545, 3.3.10, forbids

FORBIDDEN: Sequence[tuple[str, str]] = [
    ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY takes 1 to 31"),
    ("FREQ=DAILY;BYMONTHDAY=32", "BYMONTHDAY takes 1 to 31"),
    ("FREQ=YEARLY;BYYEARDAY=0", "BYYEARDAY takes 1 to 366"),
    ("FREQ=YEARLY;BYWEEKNO=54", "BYWEEKNO takes 1 to 53"),
    ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH takes 1 to 12"),
    ("FREQ=DAILY;BYDAY=MO;BYSETPOS=0", "BYSETPOS takes 1 to 366"),
    ("FREQ=DAILY;BYSECOND=61", "BYSECOND takes 0 to 60"),
    ("FREQ=DAILY;BYMINUTE=60", "BYMINUTE takes 0 to 59"),
    ("FREQ=WEEKLY;BYDAY=1MO", "a number in BYDAY with FREQ=WEEKLY"),
    ("FREQ=DAILY;BYDAY=-1FR", "a number in BYDAY with FREQ=DAILY"),
    ("FREQ=HOURLY;BYDAY=-1FR", "a number in BYDAY with FREQ=HOURLY"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "a number in BYDAY beside BYWEEKNO"),
    ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY takes"),
    ("FREQ=WEEKLY;BYMONTHDAY=13", "BYMONTHDAY with FREQ=WEEKLY"),
    ("FREQ=MONTHLY;BYWEEKNO=20", "BYWEEKNO with FREQ=MONTHLY"),
    ("FREQ=DAILY;BYWEEKNO=20", "BYWEEKNO with FREQ=DAILY"),
    ("FREQ=DAILY;BYYEARDAY=100", "BYYEARDAY with FREQ=DAILY"),
    ("FREQ=WEEKLY;BYYEARDAY=100", "BYYEARDAY with FREQ=WEEKLY"),
    ("FREQ=MONTHLY;BYYEARDAY=100", "BYYEARDAY with FREQ=MONTHLY"),
    ("FREQ=MONTHLY;BYSETPOS=-1", "BYSETPOS alone"),
    ("FREQ=MINUTELY;BYSETPOS=2", "BYSETPOS alone"),
    ("FREQ=DAILY;FREQ=WEEKLY", "names FREQ twice"),
    ("FREQ=DAILY;BYHOUR=9;BYHOUR=18", "names BYHOUR twice"),
    ("FREQ=DAILY;COUNT=3;UNTIL=20300101", "both COUNT and UNTIL"),
    ("FREQ=MONTHLY;SKIP=BACKWARD", "SKIP without RSCALE"),
    ("FREQ=MONTHLY;RSCALE=CHINESE", "RSCALE other than GREGORIAN"),
    ("FREQ=DAILY;RSCALE=GREGORIAN;SKIP=FORWARD", "SKIP with FREQ=DAILY"),
    ("FREQ=YEARLY;BYEASTER=1", "unknown parameter"),
    ("FREQ=DAILY;BYWEEKDAY=MO", "weekdays are BYDAY"),
    ("FREQ=WEEKLY;WKST=MONDAY", "WKST is one of MO"),
]


@pytest.mark.parametrize(("rule", "reason"), FORBIDDEN)
def test_what_the_rfc_forbids_is_refused_with_its_rule(rule: str, reason: str) -> None:
    (problem,) = RRule(rule, wall("2026-01-01T09:00")).check("schedule.rrule")
    assert problem.field == "schedule.rrule"
    assert reason in problem.reason


# Also: a described time says what fires

WORDS: Sequence[tuple[str, str, str]] = [
    ("FREQ=DAILY;BYHOUR=9", "2026-01-01T10:00:56", "every day at 09:00:56, UTC, from 2026-01-01 10:00:56"),
    ("FREQ=DAILY", "2026-01-01T09:17:05", "every day at 09:17:05, UTC, from 2026-01-01 09:17:05"),
    ("FREQ=DAILY;BYSECOND=0,30", "2026-01-01T09:00", "every day at 09:00:00 and 09:00:30, UTC, from 2026-01-01 09:00"),
    (
        "FREQ=DAILY;BYHOUR=8,12,16;BYMINUTE=0,30",
        "2026-01-01T09:00:07",
        "every day at second 7 of minutes 0 and 30 of hours 8, 12 and 16, UTC, from 2026-01-01 09:00:07",
    ),
    (
        "FREQ=HOURLY;BYHOUR=9,10;BYMINUTE=0,30",
        "2026-01-01T09:00",
        "every hour at minutes 0 and 30 in hours 9 and 10, UTC, from 2026-01-01 09:00",
    ),
    ("FREQ=MINUTELY;BYSECOND=15", "2026-01-01T09:00", "every minute at second 15, UTC, from 2026-01-01 09:00"),
    (
        "FREQ=MONTHLY;BYDAY=MO,FR;BYSETPOS=-1",
        "2026-01-01T09:00",
        "every month on the last of Monday and Friday at 09:00, UTC, from 2026-01-01 09:00",
    ),
    (
        "FREQ=DAILY;BYHOUR=9,18;BYSETPOS=1",
        "2026-01-01T09:00",
        "every day at 09:00 and 18:00 (only the 1st time of each day), UTC, from 2026-01-01 09:00",
    ),
    (
        "FREQ=YEARLY;BYWEEKNO=20",
        "2026-01-01T09:00",
        "every year in the 20th week of the year on Thursday at 09:00, UTC, from 2026-01-01 09:00",
    ),
    (
        "FREQ=MONTHLY;RSCALE=GREGORIAN;SKIP=BACKWARD",
        "2026-01-31T09:00",
        "every month on the 31st (or the last day in a month without) at 09:00, UTC, from 2026-01-31 09:00",
    ),
    (
        "FREQ=DAILY;UNTIL=20260105T080000Z",
        "2026-01-01T09:00",
        "every day at 09:00 until 2026-01-05 08:00 UTC, UTC, from 2026-01-01 09:00",
    ),
]


@pytest.mark.parametrize(("rule", "start", "words"), WORDS)
def test_a_described_time_says_what_fires(rule: str, start: str, words: str) -> None:
    assert str(RRule(rule, wall(start))) == words


def test_a_rule_without_dtstart_says_what_comes_from_its_creation() -> None:
    assert str(RRule("FREQ=DAILY;BYHOUR=9")) == "every day at hour 9, minute and second as it starts, UTC"
    bound = RRule("FREQ=DAILY;BYHOUR=9").bound(utc("2026-01-01T10:00:56"))
    assert str(bound) == "every day at 09:00:56, UTC, from 2026-01-01 10:00:56"
    assert bound.next_after(utc("2026-01-01T10:00:56")) == utc("2026-01-02T09:00:56")


# 14: whole texts

TEXT = """DTSTART;TZID=Europe/Berlin:20260105T090000
RRULE:FREQ=WEEKLY;BYDAY=MO
EXDATE;TZID=Europe/Berlin:20260112T090000,20260119T090000
RDATE;TZID=Europe/Berlin:20260113T093000
"""


def test_the_text_of_a_calendar_is_read_with_its_start_its_zone_and_its_exceptions() -> None:
    trigger, _ = parse_schedule(TEXT, utc("2026-01-01T00:00"))
    assert trigger.check("rrule") == []
    expected = ["2026-01-05 09:00", "2026-01-13 09:30", "2026-01-26 09:00", "2026-02-02 09:00"]
    assert local(trigger, 4, zone=BERLIN) == expected
    assert str(trigger) == (
        "every week on Monday at 09:00, and 1 more time, without 2 times, Europe/Berlin, from 2026-01-05 09:00"
    )
    assert trigger.count_between(utc("2026-01-01T00:00"), utc("2026-02-03T00:00")) == 4
    assert trigger.previous(utc("2026-01-26T00:00")) == utc("2026-01-13T08:30")


def test_the_text_of_a_calendar_survives_its_form_and_its_record() -> None:
    trigger, policy = parse_schedule({"rrule": TEXT}, utc("2026-01-01T00:00"))
    assert parse_schedule(schedule_form(trigger, policy), None) == (trigger, policy)


def test_exdate_and_rdate_are_keys_as_well() -> None:
    form = {
        "rrule": "FREQ=DAILY",
        "dtstart": "2026-01-05T09:00",
        "timezone": BERLIN,
        "exdate": "2026-01-06T09:00",
        "rdate": [wall("2026-01-06T17:00"), "2026-01-06T12:00:00Z"],
    }
    trigger, _ = parse_schedule(form, utc("2026-01-01T00:00"))
    expected = ["2026-01-05 09:00", "2026-01-06 13:00", "2026-01-06 17:00", "2026-01-07 09:00"]
    assert local(trigger, 4, zone=BERLIN) == expected


def test_an_exdate_without_a_time_calls_off_the_day() -> None:
    text = "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;BYHOUR=9,18\nEXDATE;VALUE=DATE:20260106"
    assert local(read_recurrence(text), 3) == ["2026-01-05 09:00", "2026-01-05 18:00", "2026-01-07 09:00"]


def test_rdate_is_not_counted_and_not_ended_by_until() -> None:
    text = "DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY;COUNT=2\nRDATE:20260301T090000Z,20260105T090000Z"
    assert local(read_recurrence(text), 9) == ["2026-01-05 09:00", "2026-01-06 09:00", "2026-03-01 09:00"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nRRULE:FREQ=WEEKLY", "must have one RRULE"),
        ("DTSTART:20260105T090000Z", "must have one RRULE"),
        ("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nEXRULE:FREQ=WEEKLY", "EXRULE"),
        ("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nSUMMARY:x", "has a line 'SUMMARY'"),
        ("DTSTART;TZID=Klingon:20260105T090000\nRRULE:FREQ=DAILY", "'Klingon' is no time zone"),
        ("DTSTART:20260230T090000Z\nRRULE:FREQ=DAILY", "is no date or time"),
        ("DTSTART:20260105T090000Z\nRRULE:FREQ=DAILY\nEXDATE:never", "EXDATE 'never' is no date or time"),
    ],
)
def test_a_text_of_a_calendar_that_cannot_be_read_says_why(text: str, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as raised:
        parse_schedule(text, utc("2026-01-01T00:00"))
    assert reason in raised.value.problems[0].reason


def test_a_zone_beside_another_one_in_the_text_is_a_complaint() -> None:
    with pytest.raises(InvalidSchedule, match="another zone than that of DTSTART"):
        parse_schedule({"rrule": TEXT, "timezone": "Asia/Tokyo"}, utc("2026-01-01T00:00"))
    floating = {"rrule": "DTSTART:20260105T090000\nRRULE:FREQ=DAILY", "timezone": "Asia/Tokyo"}
    assert local(parse_schedule(floating, utc("2026-01-01T00:00"))[0], 1) == ["2026-01-05 00:00"]


def test_skip_of_rfc_7529_moves_a_day_that_the_month_does_not_have() -> None:
    """RFC 7529, 4.1 and the example of its section 5: monthly on the 31st, at the month's end."""
    back = RRule("RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=BACKWARD", wall("2014-01-31T00:00"))
    assert [at[:10] for at in local(back, 5)] == ["2014-01-31", "2014-02-28", "2014-03-31", "2014-04-30", "2014-05-31"]
    ahead = RRule("RSCALE=GREGORIAN;FREQ=MONTHLY;SKIP=FORWARD;COUNT=4", wall("2014-01-31T00:00"))
    assert [at[:10] for at in local(ahead, 9)] == ["2014-01-31", "2014-03-01", "2014-03-31", "2014-05-01"]
    leap = RRule("RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=FORWARD", wall("2012-02-29T00:00"))
    assert [at[:10] for at in local(leap, 3)] == ["2012-02-29", "2013-03-01", "2014-03-01"]
    omitted = RRule("RSCALE=GREGORIAN;FREQ=YEARLY;SKIP=OMIT", wall("2012-02-29T00:00"))
    assert [at[:10] for at in local(omitted, 2)] == ["2012-02-29", "2016-02-29"]
