"""Reading iCalendar files: events of every shape, and complaints that name the event."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from naq.exceptions import InvalidSchedule
from naq.timing.calendars import Calendar, DayRange, EventRule, TimeRange
from naq.timing.ics import read_ics

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def ics(*events: str, head: str = "") -> str:
    body = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    return f"BEGIN:VCALENDAR\nVERSION:2.0\n{head}{body}END:VCALENDAR\n".replace("\n", "\r\n")


def read(*events: str) -> Calendar:
    return read_ics(ics(*events), tz=BERLIN)


def test_a_day() -> None:
    assert read("DTSTART;VALUE=DATE:20261224").dates == (date(2026, 12, 24),)
    assert read("DTSTART:20261224").dates == (date(2026, 12, 24),)
    assert read("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261225").dates == (date(2026, 12, 24),)


def test_days() -> None:
    days = DayRange(date(2026, 12, 24), date(2026, 12, 26))
    assert read("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227").ranges == (days,)
    assert read("DTSTART;VALUE=DATE:20261224\nDURATION:P3D").ranges == (days,)


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        ("DTSTART:20260701T090000Z\nDTEND:20260701T100000Z", "2026-07-01T09:00", "2026-07-01T10:00"),
        ("DTSTART:20260701T090000\nDTEND:20260701T100000", "2026-07-01T07:00", "2026-07-01T08:00"),
        ("DTSTART;TZID=America/New_York:20260701T090000\nDURATION:PT1H30M", "2026-07-01T13:00", "2026-07-01T14:30"),
        ('DTSTART;TZID="America/New_York":20260701T090000\nDURATION:P1W', "2026-07-01T13:00", "2026-07-08T13:00"),
        ("DTSTART;TZID=America/Lima:20260701T080000\nDTEND:20260701T140000Z", "2026-07-01T13:00", "2026-07-01T14:00"),
        ("DTSTART:20260701T090000Z\nDTEND;TZID=America/Lima:20260701T080000", "2026-07-01T09:00", "2026-07-01T13:00"),
    ],
)
def test_a_span_of_time(lines: str, start: str, end: str) -> None:
    assert read(lines).times == (TimeRange(utc(start), utc(end)),)


def test_a_moment_covers_nothing() -> None:
    assert read("DTSTART:20260701T090000Z") == Calendar("calendar")


def test_recurring_days_with_called_off_ones() -> None:
    calendar = read("DTSTART:20201224\nDTEND:20201227\nRRULE:FREQ=YEARLY\nEXDATE;VALUE=DATE:20251224")
    assert calendar.rules == (EventRule("FREQ=YEARLY", wall("2020-12-24"), timedelta(days=3), (wall("2025-12-24"),)),)
    assert calendar.covers(utc("2026-12-26T12:00"), BERLIN)
    assert not calendar.covers(utc("2025-12-24T12:00"), BERLIN)
    assert not calendar.covers(utc("2019-12-24T12:00"), BERLIN)


def test_recurring_times_with_a_moved_one() -> None:
    calendar = read(
        "UID:1\nDTSTART;TZID=Europe/Berlin:20260105T220000\nDTEND;TZID=Europe/Berlin:20260106T020000\nRRULE:FREQ=WEEKLY",
        "UID:1\nRECURRENCE-ID;TZID=Europe/Berlin:20260112T220000\nDTSTART:20260113T210000Z\nDURATION:PT1H",
    )
    assert calendar.covers(utc("2026-01-05T21:00"), "UTC")
    assert calendar.covers(utc("2026-01-06T00:59:59"), "UTC")
    assert not calendar.covers(utc("2026-01-06T01:00"), "UTC")
    assert not calendar.covers(utc("2026-01-12T21:30"), "UTC")
    assert calendar.covers(utc("2026-01-13T21:30"), "UTC")
    # In summer, 22:00 in Berlin is 20:00 in UTC.
    assert calendar.covers(utc("2026-07-06T20:00"), "UTC")


def test_called_off_times_may_be_in_another_zone_and_several_on_a_line() -> None:
    off = "EXDATE:20260106T080000Z,20260107T080000Z"
    calendar = read(f"DTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY\n{off}")
    covered = [calendar.covers(utc(f"2026-01-{day:02}T08:30"), "UTC") for day in (5, 6, 7, 8)]
    assert covered == [True, False, False, True]


def test_added_dates() -> None:
    calendar = read("DTSTART;VALUE=DATE:20260105\nRDATE;VALUE=DATE:20260301,20260401")
    assert calendar.dates == (date(2026, 1, 5), date(2026, 3, 1), date(2026, 4, 1))


def test_cancelled_events_alarms_and_other_components_are_passed_over() -> None:
    text = ics(
        "STATUS:CANCELLED\nDTSTART:20260101",
        "DTSTART:20260102\nBEGIN:VALARM\nDTSTART:19990101\nTRIGGER:-PT15M\nEND:VALARM",
        head="BEGIN:VTIMEZONE\nTZID:X\nBEGIN:STANDARD\nDTSTART:19701025T030000\nEND:STANDARD\nEND:VTIMEZONE\n",
    )
    assert read_ics(text).dates == (date(2026, 1, 2),)


def test_names_and_folded_lines() -> None:
    text = ics("SUMMARY:A long\n  name\nDTST\n ART:20260102", head="X-WR-CALNAME:Works coun\n cil\n")
    assert read_ics(text) == Calendar("Works council", dates=(date(2026, 1, 2),))
    assert read_ics(text, name="mine").name == "mine"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("SUMMARY:Gala", "it has no DTSTART"),
        ("SUMMARY:Gala\nDTSTART:tomorrow", "DTSTART 'tomorrow' is no date or time"),
        ("SUMMARY:Gala\nDTSTART:20260230", "day is out of range"),
        ("SUMMARY:Gala\nDTSTART:20260101\nDURATION:soon", "'soon' is no duration"),
        ("SUMMARY:Gala\nDTSTART:20260102\nDTEND:20260101", "it ends before it begins"),
        ("SUMMARY:Gala\nDTSTART;TZID=Klingon:20260102T090000\nDURATION:PT1H", "DTSTART: 'Klingon' is no time zone"),
        ("SUMMARY:Gala\nDTSTART:20260102\nDTEND:99991231T999999", "DTEND"),
    ],
)
def test_an_event_that_cannot_be_read_is_named(event: str, reason: str) -> None:
    with pytest.raises(InvalidSchedule) as raised:
        read_ics(ics("DTSTART:20260101", event), field="calendars.works")
    (problem,) = raised.value.problems
    assert problem.field == "calendars.works"
    assert problem.value == "'Gala'"
    assert reason in problem.reason or "must be in" in problem.reason


def test_a_rule_that_cannot_be_read_is_a_complaint() -> None:
    with pytest.raises(InvalidSchedule, match="is no recurrence rule"):
        read("DTSTART:20260101\nRRULE:FREQ=SOMETIMES")


def test_what_is_no_calendar_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="is no iCalendar text"):
        read_ics("<html>")


HOURS = "DTSTART;TZID=Europe/Berlin:20261025T000000\nDURATION:PT30M\nRRULE:FREQ=HOURLY;COUNT=6\nUID:1"


def begun(calendar: Calendar) -> list[str]:
    """The hours in UTC, from 22:00 on 24 October 2026, that are covered; the clocks of Berlin go back at 01:00."""
    first = utc("2026-10-24T22:15")
    hours = (first + timedelta(hours=hour) for hour in range(7))
    return [f"{hour:%H}" for hour in hours if calendar.covers(hour, "UTC")]


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ("EXDATE:20261025T000000Z", "22 23 01 02 03"),
        ("EXDATE:20261025T010000Z", "22 23 00 02 03"),
        ("EXDATE;TZID=Africa/Lagos:20261025T020000", "22 23 00 02 03"),
        ("EXDATE;TZID=Europe/Berlin:20261025T020000", "22 23 01 02 03"),
    ],
)
def test_an_exdate_in_utc_calls_off_the_pass_of_an_overlap_that_it_names(off: str, left: str) -> None:
    assert begun(read(f"{HOURS}\n{off}")) == left.split()


def test_a_recurrence_id_in_utc_moves_the_pass_of_an_overlap_that_it_names() -> None:
    assert begun(read(HOURS, "UID:1\nRECURRENCE-ID:20261025T010000Z\nDTSTART:20261025T040000Z\nDURATION:PT30M")) == (
        ["22", "23", "00", "02", "03", "04"]
    )


def test_a_change_of_all_that_follows_begins_at_the_pass_of_an_overlap_that_it_names() -> None:
    change = "UID:1\nSTATUS:CANCELLED\nRECURRENCE-ID;RANGE=THISANDFUTURE:20261025T010000Z\nDTSTART:20261025T010000Z"
    assert begun(read(HOURS, change)) == ["22", "23", "00"]


def test_an_exdate_of_the_other_pass_calls_off_no_time_of_a_daily_event() -> None:
    daily = "DTSTART;TZID=Europe/Berlin:20261020T023000\nDURATION:PT10M\nRRULE:FREQ=DAILY\nEXDATE:20261025T"
    for text, is_left in (("003000Z", False), ("013000Z", True)):
        assert read(daily + text).covers(utc("2026-10-25T00:35"), "UTC") == is_left


@pytest.mark.parametrize("at", ["2026-10-25T00:30", "2026-10-25T01:30"])
def test_an_rdate_in_utc_is_the_instant_it_says_in_an_overlap(at: str) -> None:
    event = "DTSTART;TZID=Europe/Berlin:20261020T090000\nDURATION:PT10M"
    written = f"{utc(at):%Y%m%dT%H%M%SZ}"
    added = TimeRange(utc(at), utc(at) + timedelta(minutes=10))
    assert added in read(f"{event}\nRDATE:{written}").times
    assert added in read(f"{event}\nRDATE;VALUE=PERIOD:{written}/PT10M").times
    assert added not in read(f"{event}\nRDATE:{written}\nEXDATE:{written}").times
    other = utc("2026-10-25T02:00") - timedelta(minutes=30) if at.endswith("00:30") else utc("2026-10-25T00:30")
    assert added in read(f"{event}\nRDATE:{written}\nEXDATE:{other:%Y%m%dT%H%M%SZ}").times


def version(day: int, *lines: str) -> str:
    return "\n".join(["UID:1", f"DTSTART;VALUE=DATE:202612{day:02}", *lines])


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("older", "newer", "left"),
    [
        (version(1, "SEQUENCE:2"), version(2, "SEQUENCE:10"), [2]),
        (version(1), version(2, "SEQUENCE:1"), [2]),
        (version(1, "DTSTAMP:20260102T000000Z"), version(2, "DTSTAMP:20260101T000000Z", "SEQUENCE:1"), [2]),
        (version(1, "DTSTAMP:20260101T000000Z"), version(2, "DTSTAMP:20260101T000001Z"), [2]),
        (version(1, "SEQUENCE:1"), version(1, "SEQUENCE:2", "STATUS:CANCELLED"), []),
        (version(1, "SEQUENCE:1", "STATUS:CANCELLED"), version(1, "SEQUENCE:2"), [1]),
        (version(1, "RRULE:FREQ=DAILY;COUNT=3"), version(5, "SEQUENCE:1"), [5]),
        (version(1), version(2), [1, 2]),
        (version(1, "SEQUENCE:1"), version(2, "SEQUENCE:0").replace("UID:1", "UID:2"), [1, 2]),
    ],
)
def test_of_the_versions_of_an_event_the_newest_counts(
    older: str, newer: str, left: list[int], *, turned: bool
) -> None:
    calendar = read(*((newer, older) if turned else (older, newer)))
    days = (date(2026, 12, day) for day in range(1, 9))
    assert [day.day for day in days if calendar.covers(utc(f"{day}T12:00"), BERLIN)] == left


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("older", "newer", "left"),
    [
        (version(6, "SEQUENCE:1"), version(7, "SEQUENCE:2"), [1, 3, 7]),
        (version(6, "SEQUENCE:1"), version(6, "SEQUENCE:2", "STATUS:CANCELLED"), [1, 3]),
        (version(6, "SEQUENCE:1", "STATUS:CANCELLED"), version(6, "SEQUENCE:2"), [1, 3, 6]),
    ],
)
def test_of_the_versions_of_an_occurrence_the_newest_counts(
    older: str, newer: str, left: list[int], *, turned: bool
) -> None:
    which = "RECURRENCE-ID;VALUE=DATE:20261202"
    both = [f"{older}\n{which}", f"{newer}\n{which}"]
    calendar = read(version(1, "RRULE:FREQ=DAILY;COUNT=3"), *(both[::-1] if turned else both))
    days = (date(2026, 12, day) for day in range(1, 9))
    assert [day.day for day in days if calendar.covers(utc(f"{day}T12:00"), BERLIN)] == left


def test_a_cancelled_series_takes_what_stands_in_for_its_occurrences_with_it() -> None:
    moved = version(6, "RECURRENCE-ID;VALUE=DATE:20261202", "SEQUENCE:1")
    series = version(1, "RRULE:FREQ=DAILY;COUNT=3")
    assert read(series, moved, version(1, "SEQUENCE:2", "STATUS:CANCELLED")) == Calendar("calendar")
    again = moved.replace("SEQUENCE:1", "SEQUENCE:3")
    assert read(series, again, version(1, "SEQUENCE:2", "STATUS:CANCELLED")).dates == (date(2026, 12, 6),)


def cancelling(*events: str) -> str:
    return ics(*events).replace("BEGIN:VCALENDAR", "BEGIN:VCALENDAR\nMETHOD:CANCEL", 1)


def test_a_file_that_cancels_events_excludes_no_days() -> None:
    """Outlook sends METHOD:CANCEL, and does not always set STATUS."""
    assert not read_ics(cancelling("UID:1\nDTSTART:20261224")).dates


def test_an_object_that_cancels_takes_back_what_another_one_of_the_file_says() -> None:
    told = ics("UID:1\nSEQUENCE:0\nDTSTART:20261224", "UID:2\nSEQUENCE:0\nDTSTART:20261225")
    found = read_ics(told + "\n" + cancelling("UID:1\nSEQUENCE:1\nDTSTART:20261224"))
    assert found.dates == (date(2026, 12, 25),)
    again = read_ics(cancelling("UID:1\nSEQUENCE:1\nDTSTART:20261224") + "\n" + told)
    assert again.dates == (date(2026, 12, 25),), "METHOD holds for its own object"


def test_a_cancelled_occurrence_of_a_series_is_left_out() -> None:
    series = ics("UID:1\nDTSTART:20261224\nRRULE:FREQ=DAILY;COUNT=3")
    found = read_ics(series + "\n" + cancelling("UID:1\nRECURRENCE-ID:20261225\nDTSTART:20261225"))
    assert [found.covers(utc(f"2026-12-{day}T12:00"), "UTC") for day in (24, 25, 26)] == [True, False, True]
