"""The kinds of trigger other than cron: expected instants, what `bound` fills in, complaints, words and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from naq.exceptions import InvalidSchedule
from naq.timing.triggers import (
    AnyOf,
    CalendarInterval,
    CalendarUnit,
    Cron,
    DstGap,
    DstMark,
    DstOverlap,
    FixedDelay,
    Interval,
    Once,
    RRule,
    Trigger,
    dst_gaps,
    dst_mark,
)
from naq.timing.zones import EPOCH

DAYS, WEEKS, MONTHS, YEARS = CalendarUnit
TICK = timedelta(microseconds=1)
BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def every(text: str) -> Interval:
    """``90s from 2026-01-01``"""
    seconds, _, anchor = text.partition("s from ")
    return Interval(timedelta(seconds=float(seconds)), utc(anchor))


def monthly(step: int, start: str, day: int | None = None, unit: CalendarUnit = MONTHS) -> CalendarInterval:
    return CalendarInterval(step, unit, time(9), "UTC", date.fromisoformat(start), day)


def rule(text: str, start: str = "2026-01-01T09:00") -> RRule:
    return RRule(text, datetime.fromisoformat(start))


# trigger, asked after, the next instants (all of them when followed by "end")
TABLE: Sequence[tuple[Trigger, str, str]] = [
    # once
    (Once(utc("2026-01-01T09:00")), "2026-01-01T08:59:59", "2026-01-01T09:00 end"),
    (Once(utc("2026-01-01T09:00")), "2026-01-01T09:00", "end"),
    # interval: the anchor's grid, never drifting
    (every("90s from 2026-01-01T00:00"), "2025-06-01T00:00", "2026-01-01T00:00 2026-01-01T00:01:30"),
    (every("90s from 2026-01-01T00:00"), "2026-01-01T00:00", "2026-01-01T00:01:30 2026-01-01T00:03"),
    (every("90s from 2026-01-01T00:00"), "2026-01-01T00:02", "2026-01-01T00:03 2026-01-01T00:04:30"),
    (every("0.25s from 2026-01-01T00:00"), "2026-01-01T00:00:00.3", "2026-01-01T00:00:00.5 2026-01-01T00:00:00.75"),
    (every("86400s from 1970-01-01T00:00"), "2026-01-01T00:00:01", "2026-01-02T00:00 2026-01-03T00:00"),
    (every("604800s from 1970-01-01T00:00"), "2026-01-01T00:00", "2026-01-08T00:00 2026-01-15T00:00"),
    (every("7s from 2026-01-01T00:00"), "2027-02-05T00:00", "2027-02-05T00:00:01 2027-02-05T00:00:08"),
    # fixed delay: one instant, then the end of the run decides
    (FixedDelay(timedelta(minutes=5), utc("2026-01-01T00:05")), "2026-01-01T00:00", "2026-01-01T00:05 end"),
    (FixedDelay(timedelta(minutes=5), utc("2026-01-01T00:05")), "2026-01-01T00:05", "end"),
    # calendar interval: days and weeks
    (monthly(1, "2026-01-01", unit=DAYS), "2026-01-01T09:00", "2026-01-02T09:00 2026-01-03T09:00"),
    (monthly(10, "2026-01-01", unit=DAYS), "2026-01-01T09:00", "2026-01-11T09:00 2026-01-21T09:00 2026-01-31T09:00"),
    (monthly(10, "2026-01-01", unit=DAYS), "2027-01-01T00:00", "2027-01-06T09:00 2027-01-16T09:00"),
    (monthly(2, "2026-01-05", unit=WEEKS), "2026-01-01T00:00", "2026-01-05T09:00 2026-01-19T09:00"),
    (monthly(1, "2026-01-05", unit=WEEKS), "2025-01-01T00:00", "2026-01-05T09:00 2026-01-12T09:00"),
    # months: the last day when the month is shorter, and the full day again after it
    (
        monthly(2, "2025-12-31"),
        "2026-01-01T00:00",
        "2026-02-28T09:00 2026-04-30T09:00 2026-06-30T09:00 2026-08-31T09:00",
    ),
    (
        monthly(1, "2026-01-31"),
        "2026-01-01T00:00",
        "2026-01-31T09:00 2026-02-28T09:00 2026-03-31T09:00 2026-04-30T09:00",
    ),
    (monthly(1, "2028-01-30"), "2028-01-30T09:00", "2028-02-29T09:00 2028-03-30T09:00"),
    (monthly(3, "2026-01-15"), "2026-01-15T09:00", "2026-04-15T09:00 2026-07-15T09:00 2026-10-15T09:00"),
    (monthly(5, "2026-01-01"), "2026-01-01T09:00", "2026-06-01T09:00 2026-11-01T09:00 2027-04-01T09:00"),
    (monthly(1, "2026-02-10", 31), "2026-02-01T00:00", "2026-02-28T09:00 2026-03-31T09:00 2026-04-30T09:00"),
    (monthly(1, "2026-01-15", 1), "2026-01-01T00:00", "2026-02-01T09:00 2026-03-01T09:00"),
    (monthly(2, "2026-01-15", 1), "2026-01-01T00:00", "2026-03-01T09:00 2026-05-01T09:00"),
    # years
    (
        monthly(1, "2024-02-29", unit=YEARS),
        "2024-03-01T00:00",
        "2025-02-28T09:00 2026-02-28T09:00 2027-02-28T09:00 2028-02-29T09:00",
    ),
    (monthly(4, "2024-02-29", unit=YEARS), "2024-03-01T00:00", "2028-02-29T09:00 2032-02-29T09:00"),
    (monthly(1, "2026-07-04", unit=YEARS), "2026-07-04T09:00", "2027-07-04T09:00"),
    (monthly(100, "1970-07-04", unit=YEARS), "2026-07-04T09:00", "2070-07-04T09:00 2170-07-04T09:00"),
    # rrule
    (rule("FREQ=DAILY"), "2026-01-01T00:00", "2026-01-01T09:00 2026-01-02T09:00"),
    (rule("RRULE:FREQ=DAILY;INTERVAL=3"), "2026-01-02T00:00", "2026-01-04T09:00 2026-01-07T09:00"),
    (rule("FREQ=DAILY;COUNT=3"), "2026-01-01T09:00", "2026-01-02T09:00 2026-01-03T09:00 end"),
    (rule("FREQ=DAILY;UNTIL=20260103T090000"), "2026-01-01T09:00", "2026-01-02T09:00 2026-01-03T09:00 end"),
    (rule("FREQ=DAILY;UNTIL=20260103T085959Z"), "2026-01-01T09:00", "2026-01-02T09:00 end"),
    (rule("FREQ=DAILY;UNTIL=20260103"), "2026-01-01T09:00", "2026-01-02T09:00 end"),
    (rule("freq=daily;byhour=9,18"), "2026-01-01T09:00", "2026-01-01T18:00 2026-01-02T09:00"),
    (rule("FREQ=WEEKLY"), "2026-01-01T09:00", "2026-01-08T09:00 2026-01-15T09:00"),
    (
        rule("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR"),
        "2026-01-01T09:00",
        "2026-01-02T09:00 2026-01-12T09:00 2026-01-16T09:00",
    ),
    (
        rule("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU"),
        "2026-01-01T09:00",
        "2026-01-11T09:00 2026-01-12T09:00 2026-01-25T09:00",
    ),
    (rule("FREQ=MONTHLY", "2026-01-31T09:00"), "2026-01-31T09:00", "2026-03-31T09:00 2026-05-31T09:00"),
    (rule("FREQ=MONTHLY;BYMONTHDAY=-1"), "2026-01-01T09:00", "2026-01-31T09:00 2026-02-28T09:00 2026-03-31T09:00"),
    (rule("FREQ=MONTHLY;BYDAY=2TU"), "2026-01-01T09:00", "2026-01-13T09:00 2026-02-10T09:00"),
    (rule("FREQ=MONTHLY;BYDAY=-1FR"), "2026-01-01T09:00", "2026-01-30T09:00 2026-02-27T09:00"),
    (
        rule("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
        "2026-01-01T09:00",
        "2026-01-30T09:00 2026-02-27T09:00 2026-03-31T09:00",
    ),
    (rule("FREQ=YEARLY"), "2026-01-01T09:00", "2027-01-01T09:00"),
    (rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"), "2026-01-01T09:00", "2028-02-29T09:00 2032-02-29T09:00"),
    (rule("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO"), "2026-01-01T09:00", "2027-01-04T09:00 2028-01-03T09:00"),
    (rule("FREQ=YEARLY;BYDAY=4TH;BYMONTH=11"), "2026-01-01T09:00", "2026-11-26T09:00 2027-11-25T09:00"),
    (rule("FREQ=HOURLY;INTERVAL=6"), "2026-03-01T00:00", "2026-03-01T03:00 2026-03-01T09:00 2026-03-01T15:00"),
    (
        rule("FREQ=HOURLY;BYHOUR=9,10;BYDAY=SA"),
        "2026-01-01T00:00",
        "2026-01-03T09:00 2026-01-03T10:00 2026-01-10T09:00",
    ),
    (rule("FREQ=MINUTELY;INTERVAL=90"), "2026-01-01T09:00", "2026-01-01T10:30 2026-01-01T12:00"),
    (rule("FREQ=SECONDLY;INTERVAL=10"), "2027-01-01T00:00:01", "2027-01-01T00:00:10 2027-01-01T00:00:20"),
    # several: the union, equal instants once
    (
        AnyOf((Cron("0 9 * * *"), Cron("0 18 * * *"))),
        "2026-01-01T00:00",
        "2026-01-01T09:00 2026-01-01T18:00 2026-01-02T09:00",
    ),
    (
        AnyOf((Cron("0 */6 * * *"), Cron("0 */4 * * *"))),
        "2026-01-01T00:00",
        "2026-01-01T04:00 2026-01-01T06:00 2026-01-01T08:00 2026-01-01T12:00",
    ),
    (
        AnyOf((Once(utc("2026-01-05T00:00")), Once(utc("2026-01-03T00:00")))),
        "2026-01-01T00:00",
        "2026-01-03T00:00 2026-01-05T00:00 end",
    ),
    (
        AnyOf((every("3600s from 2026-01-01T00:00"), Cron("30 0 * * *"))),
        "2026-01-01T00:00",
        "2026-01-01T00:30 2026-01-01T01:00",
    ),
]


@pytest.mark.parametrize(("trigger", "after", "expected"), TABLE, ids=lambda value: str(value))
def test_next_instants(trigger: Trigger, after: str, expected: str) -> None:
    assert trigger.check("field") == []
    at = utc(after)
    found: datetime | None
    for text in expected.split():
        found = trigger.next_after(at)
        if text == "end":
            assert found is None
            return
        assert found == utc(text)
        assert trigger.previous(found + TICK) == found
        assert trigger.count_between(at, found) == 1
        assert trigger.count_between(at, found - TICK) == 0
        assert trigger.mark(found) is None
        at = found


@pytest.mark.parametrize("trigger", [row[0] for row in TABLE], ids=str)
def test_survives_json_compares_and_hashes(trigger: Trigger) -> None:
    encoded = msgspec.json.encode(trigger)
    again: Trigger = msgspec.json.decode(encoded, type=Trigger)
    assert again == trigger
    assert hash(again) == hash(trigger)
    assert str(again) == str(trigger)
    assert b'"type":' in encoded


def test_json_is_small() -> None:
    encoded = msgspec.json.encode(Cron("0 9 * * *", BERLIN))
    assert encoded == b'{"type":"cron","expression":"0 9 * * *","tz":"Europe/Berlin"}'
    assert msgspec.json.encode(Cron("0 9 * * *")) == b'{"type":"cron","expression":"0 9 * * *"}'
    odd = Cron("0 9 * * *", dst_gap=DstGap.SKIP, dst_overlap=DstOverlap.BOTH)
    assert msgspec.json.decode(msgspec.json.encode(odd), type=Trigger) == odd
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"type":"cron","expression":"0 9 * * *","dst_gap":"maybe"}', type=Trigger)


CREATED = utc("2026-03-31T22:30:15.25")


@pytest.mark.parametrize(
    ("trigger", "bound"),
    [
        (Once(CREATED), Once(CREATED)),
        (Interval(timedelta(hours=1)), Interval(timedelta(hours=1), CREATED)),
        (Interval(timedelta(hours=1), EPOCH), Interval(timedelta(hours=1), EPOCH)),
        (FixedDelay(timedelta(hours=1)), FixedDelay(timedelta(hours=1), CREATED + timedelta(hours=1))),
        (Cron("0 9 * * *"), Cron("0 9 * * *")),
        # In Berlin it is 00:30 on the first of April.
        (CalendarInterval(1, DAYS, tz=BERLIN), CalendarInterval(1, DAYS, tz=BERLIN, start=date(2026, 4, 1))),
        (RRule("FREQ=DAILY", tz=BERLIN), RRule("FREQ=DAILY", datetime(2026, 4, 1, 0, 30, 15), BERLIN)),  # noqa: DTZ001
    ],
    ids=str,
)
def test_bound_fills_in_what_is_open_and_nothing_else(trigger: Trigger, bound: Trigger) -> None:
    assert trigger.bound(CREATED) == bound
    assert bound.bound(CREATED + timedelta(days=99)) is bound
    both = AnyOf((trigger, bound)).bound(CREATED)
    assert both == AnyOf((bound, bound))
    assert both.bound(CREATED) is both


@pytest.mark.parametrize(
    "trigger",
    [Interval(timedelta(1)), CalendarInterval(1, DAYS), RRule("FREQ=DAILY")],
    ids=["interval", "days", "rrule"],
)
def test_an_open_trigger_cannot_be_asked(trigger: Trigger) -> None:
    for ask in (trigger.next_after, trigger.previous, lambda at: trigger.count_between(at, at)):
        with pytest.raises(InvalidSchedule, match="use bound"):
            ask(CREATED)


def test_the_first_instant_of_a_bound_interval_is_one_period_after_the_creation() -> None:
    assert Interval(timedelta(hours=1)).bound(CREATED).next_after(CREATED) == CREATED + timedelta(hours=1)


def test_a_fixed_delay_goes_on_from_the_end_of_the_run() -> None:
    ended = utc("2026-01-01T12:34:56")
    assert FixedDelay(timedelta(minutes=5)).after_run(ended) == utc("2026-01-01T12:39:56")


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(seconds=-1)], ids=str)
def test_a_period_that_is_not_above_zero_is_refused_and_never_loops(gap: timedelta) -> None:
    for trigger in (Interval(gap, CREATED), FixedDelay(gap)):
        (problem,) = trigger.check("interval")
        assert (problem.field, problem.reason) == ("interval", "must be more than zero")
    for ask in (Interval(gap, CREATED).next_after, Interval(gap, CREATED).previous):
        with pytest.raises(InvalidSchedule):
            ask(CREATED)


REFUSED: Sequence[tuple[Trigger, str, str]] = [
    (Once(datetime(2026, 1, 1)), "at", "has no time zone"),  # noqa: DTZ001
    (CalendarInterval(0, DAYS), "at", "must be 1 or more"),
    (CalendarInterval(1, CalendarUnit.DAYS, day=3), "day", "must be 1 to 31, for months or years"),
    (CalendarInterval(1, CalendarUnit.MONTHS, day=32), "day", "must be 1 to 31"),
    (CalendarInterval(1, DAYS, time(9, 0, 0, 5)), "at", "must be a plain wall time"),
    (CalendarInterval(1, DAYS, tz="Nowhere/City"), "timezone", "is no time zone"),
    (RRule("FREQ=DAILY", tz="Nowhere/City"), "timezone", "is no time zone"),
    (RRule(""), "at", "must be one recurrence rule"),
    (RRule("BYDAY=MO"), "at", "has no FREQ"),
    (RRule("FREQ=FORTNIGHTLY"), "at", "is no recurrence rule"),
    (RRule("FREQ=DAILY;INTERVAL=0"), "at", "INTERVAL"),
    (RRule("FREQ=DAILY;INTERVAL=+0"), "at", "INTERVAL"),
    (RRule("FREQ=DAILY;INTERVAL=-1"), "at", "INTERVAL"),
    (RRule("FREQ=DAILY;BYHOUR=25"), "at", "is no recurrence rule"),
    (RRule("FREQ=DAILY;BYDAY=XX"), "at", "is no recurrence rule"),
    (RRule("FREQ=DAILY;UNTIL=tomorrow"), "at", "UNTIL is no date"),
    (RRule("FREQ=DAILY;COUNT=3;UNTIL=20300101"), "at", "has both COUNT and UNTIL"),
    (RRule("FREQ=DAILY;COUNT=0"), "at", "COUNT"),
    (RRule("FREQ=DAILY;COUNT=99999999"), "at", "use max_runs"),
    (RRule("FREQ=DAILY;SPEED=3"), "at", "unknown parameter"),
    (RRule("DTSTART:20260101T090000\nRRULE:FREQ=DAILY"), "at", "the start goes into dtstart"),
    (RRule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), "at", "can never fire"),
    (RRule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), "at", "can never fire"),
    (RRule("FREQ=MONTHLY;INTERVAL=12;BYMONTH=3", datetime(2026, 1, 1)), "at", "can never fire"),  # noqa: DTZ001
    (RRule("FREQ=DAILY;UNTIL=20200101", datetime(2026, 1, 1)), "at", "can never fire"),  # noqa: DTZ001
    (RRule("FREQ=HOURLY;INTERVAL=24;BYHOUR=5", datetime(2026, 1, 1)), "at", "can never fire"),  # noqa: DTZ001
    (RRule("FREQ=MINUTELY;INTERVAL=1440;BYHOUR=5", datetime(2026, 1, 1)), "at", "can never fire"),  # noqa: DTZ001
]


@pytest.mark.parametrize(("trigger", "field", "reason"), REFUSED)
def test_refused_naming_field_value_and_a_valid_example(trigger: Trigger, field: str, reason: str) -> None:
    problems = trigger.check("at")
    assert problems[0].field == field
    assert reason in problems[0].reason
    assert problems[0].value
    assert problems[0].example


def test_a_union_names_the_part_that_is_wrong() -> None:
    (problem,) = AnyOf((Cron("0 9 * * *"), Interval(timedelta(0)))).check("schedule")
    assert problem.field == "schedule[1].interval"
    assert AnyOf(()).check("schedule")[0].reason == "needs at least one trigger"


WORDS: Sequence[tuple[Trigger, str]] = [
    (Once(utc("2026-01-01T09:00")), "once at 2026-01-01 09:00:00 UTC"),
    (Interval(timedelta(hours=1, minutes=30)), "every 1h30m"),
    (FixedDelay(timedelta(minutes=5)), "5m after the end of each run"),
    (monthly(2, "2025-12-31"), "every 2 months on the 31st (or the last day) at 09:00, UTC, from 2025-12-31"),
    (monthly(1, "2026-01-05", unit=WEEKS), "every week on Monday at 09:00, UTC, from 2026-01-05"),
    (monthly(1, "2026-07-04", unit=YEARS), "every year on 4 July at 09:00, UTC, from 2026-07-04"),
    (CalendarInterval(10, DAYS, time(9, 30, 15), BERLIN), "every 10 days at 09:30:15, Europe/Berlin"),
    (rule("FREQ=DAILY"), "every day at 09:00, UTC, from 2026-01-01 09:00"),
    (rule("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"), "every 2 weeks on Monday at 09:00, UTC, from 2026-01-01 09:00"),
    (
        rule("FREQ=MONTHLY;BYDAY=-1FR;COUNT=5"),
        "every month on the last Friday at 09:00 5 times, UTC, from 2026-01-01 09:00",
    ),
    (rule("FREQ=MONTHLY"), "every month on the 1st at 09:00, UTC, from 2026-01-01 09:00"),
    (rule("FREQ=HOURLY;INTERVAL=6"), "every 6 hours, UTC, from 2026-01-01 09:00"),
    (AnyOf((Cron("0 9 * * *"), Interval(timedelta(hours=6)))), "at 09:00, UTC; or every 6h"),
]


@pytest.mark.parametrize(("trigger", "words"), WORDS, ids=lambda value: value if isinstance(value, str) else "")
def test_says_in_plain_words(trigger: Trigger, words: str) -> None:
    assert str(trigger) == words


def test_rrule_takes_an_aware_start_to_the_wall_clock() -> None:
    aware = RRule("FREQ=DAILY", utc("2026-01-01T08:00"), BERLIN)
    naive = RRule("FREQ=DAILY", datetime(2026, 1, 1, 9), BERLIN)  # noqa: DTZ001
    summer = utc("2026-07-01T00:00")
    assert aware.next_after(summer) == naive.next_after(summer) == utc("2026-07-01T07:00")


def test_rrule_until_in_utc_is_taken_to_the_wall_clock() -> None:
    trigger = RRule("FREQ=DAILY;UNTIL=20260702T070000Z", datetime(2026, 7, 1, 9), BERLIN)  # noqa: DTZ001
    assert trigger.next_after(utc("2026-07-01T07:00")) == utc("2026-07-02T07:00")
    assert trigger.next_after(utc("2026-07-02T07:00")) is None


def test_rrule_by_the_hour_follows_elapsed_time_over_a_change() -> None:
    trigger = RRule("FREQ=HOURLY", datetime(2026, 1, 1), BERLIN)  # noqa: DTZ001
    for change in ("2026-03-29T01:00", "2026-10-25T01:00"):
        at = utc(change) - timedelta(hours=3)
        assert trigger.count_between(at, at + timedelta(hours=6)) == 6


def test_elapsed_time_ignores_the_clocks() -> None:
    trigger = Interval(timedelta(hours=24), datetime(2026, 3, 28, 2, 30, tzinfo=ZoneInfo(BERLIN)))
    found = trigger.next_after(utc("2026-03-28T12:00"))
    assert found is not None
    assert found.astimezone(ZoneInfo(BERLIN)).isoformat() == "2026-03-29T03:30:00+02:00"
    assert dst_mark(trigger, found) is None
    assert dst_gaps(trigger, utc("2026-01-01T00:00"), utc("2027-01-01T00:00")) == ()


def test_a_union_marks_a_fire_only_when_no_part_is_there_by_itself() -> None:
    gap_end = utc("2026-03-29T01:00")
    shifted = Cron("30 2 * * *", BERLIN)
    assert dst_mark(AnyOf((shifted, Once(utc("2026-01-01T00:00")))), gap_end) is DstMark.SHIFTED
    assert dst_mark(AnyOf((shifted, Once(gap_end))), gap_end) is None
    assert dst_gaps(AnyOf((shifted, Cron("0 3 * * *", BERLIN))), gap_end - timedelta(1), gap_end) == (gap_end,)


def test_counts_of_a_union_are_of_different_instants() -> None:
    start, end = utc("2026-01-01T00:00"), utc("2027-02-05T00:00")
    fine, coarse = Cron("* * * * * *"), Cron("0 */6 * * *", BERLIN)
    assert AnyOf((fine, coarse, fine)).count_between(start, end) == fine.count_between(start, end) == 34_560_000
    assert AnyOf((Interval(timedelta(days=1), start), Cron("0 12 * * *"))).count_between(start, end) == 800


def test_counts_by_arithmetic() -> None:
    start = utc("2026-01-01T00:00")
    fine = Interval(timedelta(milliseconds=1), start)
    assert fine.count_between(start, start + timedelta(days=400)) == 400 * 86_400_000
    assert fine.count_between(start - timedelta(days=9), start) == 1
    assert fine.count_between(start, start - timedelta(days=9)) == 0
    assert rule("FREQ=SECONDLY", "2026-01-01T00:00").count_between(start, start + timedelta(days=400)) == 34_560_000


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (Cron("* * * * * *"), 1.0),
        (every("1.5s from 2020-01-01T00:00"), 4 / 3),
        (every("0.4s from 2020-01-01T00:00"), 3.0),
    ],
)
def test_years_of_a_dense_union_are_counted_in_a_moment_and_nearly_exactly(other: Trigger, expected: float) -> None:
    """``expected`` instants a second. Walked through one by one they would hold up everything for minutes."""
    seconds = 6 * 365 * 86_400
    start = utc("2020-01-01T00:00")
    union = AnyOf((every("1s from 2020-01-01T00:00"), other))
    assert union.count_between(start, start + timedelta(seconds=seconds)) == pytest.approx(expected * seconds, rel=1e-3)
    assert union.count_between(start, start + timedelta(seconds=1500)) == round(1500 * expected)


def test_empty_years_before_the_first_instant_cost_a_union_no_exactness() -> None:
    """Thirty years before both begin used up the count's steps, and the instants that they share were counted twice."""
    start = date(2000, 1, 1)
    days, weeks = (CalendarInterval(1, unit, time(0), "UTC", start) for unit in (CalendarUnit.DAYS, CalendarUnit.WEEKS))
    long_before = datetime(1970, 1, 2, tzinfo=UTC)
    assert AnyOf((days, weeks)).count_between(long_before, datetime(2000, 3, 4, tzinfo=UTC)) == 64
