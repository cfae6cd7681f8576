""".ics files as Outlook, Exchange and others write them: what was dropped or read wrongly, each with the right value."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from naq.exceptions import InvalidSchedule
from naq.timing.calendars import Calendar, DayRange, EventRule, TimeRange
from naq.timing.exclusions import ExcludedCalendar, count_excluded
from naq.timing.ics import read_ics
from naq.timing.triggers import Cron
from naq.timing.windows_zones import CLDR_VERSION, WINDOWS_ZONES
from naq.timing.zones import check_zone

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def read(*events: str, head: str = "", tz: str = BERLIN, start: str = "") -> Calendar:
    body = "".join(f"BEGIN:VEVENT\n{event}\nEND:VEVENT\n" for event in events)
    text = f"{start}BEGIN:VCALENDAR\nVERSION:2.0\n{head}{body}END:VCALENDAR\n".replace("\n", "\r\n")
    return read_ics(text, tz=tz)


def days(calendar: Calendar, first: str, count: int, tz: str = BERLIN, hour: int = 12) -> list[int]:
    """Which of the days from ``first`` on, by their number from 0, are covered at that hour of UTC."""
    begin = utc(first) + timedelta(hours=hour)
    return [number for number in range(count) if calendar.covers(begin + timedelta(days=number), tz)]


# what was dropped


def test_a_holiday_that_ends_when_it_begins_is_that_day_every_year() -> None:
    """Many files of holidays have DTEND equal to DTSTART; schedules fired on these days."""
    calendar = read("DTSTART;VALUE=DATE:20201225\nDTEND;VALUE=DATE:20201225\nRRULE:FREQ=YEARLY")
    for year in (2020, 2026, 2031):
        assert days(calendar, f"{year}-12-24", 4) == [1]
    assert read("DTSTART;VALUE=DATE:20261225\nDTEND;VALUE=DATE:20261225").dates == (date(2026, 12, 25),)


def test_exdate_calls_off_an_rdate() -> None:
    calendar = read("DTSTART;VALUE=DATE:20260105\nRDATE;VALUE=DATE:20260301,20260401\nEXDATE;VALUE=DATE:20260301")
    assert calendar.dates == (date(2026, 1, 5), date(2026, 4, 1))
    ruled = read(
        "DTSTART:20260105T090000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=1\nRDATE:20260301T090000Z\nEXDATE:20260301T090000Z"
    )
    assert not ruled.covers(utc("2026-03-01T09:30"), BERLIN)


def test_exdate_calls_off_an_event_without_a_rule() -> None:
    assert read("DTSTART;VALUE=DATE:20260105\nEXDATE;VALUE=DATE:20260105") == Calendar("calendar")
    timed = read("DTSTART:20260105T090000Z\nDURATION:PT1H\nEXDATE;TZID=Europe/Berlin:20260105T100000")
    assert timed == Calendar("calendar")


def test_a_second_rrule_adds_its_days() -> None:
    """RFC 5545, 3.8.5: the recurrence set is the union of what the rules give."""
    calendar = read("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;BYDAY=MO\nRRULE:FREQ=WEEKLY;BYDAY=TH")
    assert days(calendar, "2026-01-05", 14) == [0, 3, 7, 10]


def test_an_all_day_until_does_not_reach_a_day_too_far() -> None:
    """An end in UTC that is midnight of the next day in Berlin: the last day is the one it names (3.3.10: a date)."""
    for until in ("20260107T230000Z", "20260107", "20260107T000000Z"):
        calendar = read(f"DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=DAILY;UNTIL={until}")
        assert days(calendar, "2026-01-04", 7) == [1, 2, 3]


def test_an_all_day_rule_ignores_times_of_day() -> None:
    """3.3.10: BYHOUR and its like must be ignored when DTSTART is a date."""
    calendar = read("DTSTART;VALUE=DATE:20260105\nRRULE:FREQ=WEEKLY;BYHOUR=9,17;BYMINUTE=0;BYSECOND=0")
    assert days(calendar, "2026-01-05", 8) == [0, 7]


def test_a_duration_in_hours_over_the_gap_is_elapsed_time() -> None:
    """3.3.6: hours are exact, days nominal. On 29 March 2026 the clocks of Berlin go from 02:00 to 03:00."""
    night = "DTSTART;TZID=Europe/Berlin:20260328T220000\n"
    once = read(f"{night}DURATION:PT8H")
    assert once.times == (TimeRange(utc("2026-03-28T21:00"), utc("2026-03-29T05:00")),)
    ruled = read(f"{night}DURATION:PT8H\nRRULE:FREQ=DAILY")
    for day, end in (("2026-03-28", "2026-03-29T05:00"), ("2026-10-24", "2026-10-25T04:00")):
        assert ruled.covers(utc(end) - timedelta(seconds=1), BERLIN), day
        assert not ruled.covers(utc(end), BERLIN)
    nominal = read(f"{night}DURATION:P1D")
    assert nominal.times == (TimeRange(utc("2026-03-28T21:00"), utc("2026-03-29T20:00")),)


def test_a_dtend_of_a_rule_is_an_exact_length() -> None:
    """3.8.5.3: "the same exact duration will apply to all the members of the generated recurrence set"."""
    calendar = read(
        "DTSTART;TZID=Europe/Berlin:20260105T220000\nDTEND;TZID=Europe/Berlin:20260106T060000\nRRULE:FREQ=DAILY"
    )
    assert calendar.covers(utc("2026-03-29T04:59:59"), BERLIN)
    assert not calendar.covers(utc("2026-03-29T05:00"), BERLIN)


def test_a_period_in_rdate_has_its_own_length() -> None:
    calendar = read(
        "DTSTART:20260105T090000Z\nDURATION:PT1H\nRDATE;VALUE=PERIOD:20260201T090000Z/PT3H,20260202T090000Z/20260202T110000Z"
    )
    assert calendar.times[1:] == (
        TimeRange(utc("2026-02-01T09:00"), utc("2026-02-01T12:00")),
        TimeRange(utc("2026-02-02T09:00"), utc("2026-02-02T11:00")),
    )


def test_an_exdate_without_a_time_calls_off_the_whole_day() -> None:
    calendar = read(
        "DTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY\nEXDATE;VALUE=DATE:20260107"
    )
    assert days(calendar, "2026-01-05", 4, hour=8) == [0, 1, 3]


# RANGE=THISANDFUTURE: RFC 5545, 3.2.13

SERIES = "UID:1\nDTSTART;TZID=Europe/Berlin:20260105T090000\nDURATION:PT1H\nRRULE:FREQ=WEEKLY;BYDAY=MO"


def test_a_change_of_all_that_follows_moves_them_all() -> None:
    later = "UID:1\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260119T090000\n"
    calendar = read(SERIES, f"{later}DTSTART;TZID=Europe/Berlin:20260120T140000\nDURATION:PT2H")
    mondays, tuesdays = ("2026-01-05T08:30", "2026-01-12T08:30"), ("2026-01-20T14:30", "2026-07-07T13:30")
    assert all(calendar.covers(utc(at), "UTC") for at in (*mondays, *tuesdays))
    for at in ("2026-01-19T08:30", "2026-01-26T08:30", "2026-01-13T13:30", "2026-01-13T14:30"):
        assert not calendar.covers(utc(at), "UTC")
    low, high = (int(utc(at).timestamp()) for at in ("2026-01-01", "2026-02-01"))
    spans = sorted(calendar.spans(low, high, "UTC"))
    begins = [datetime.fromtimestamp(begin, UTC).strftime("%d %H:%M") for begin, _ in spans]
    assert begins == ["05 08:00", "12 08:00", "20 13:00", "27 13:00"]


def test_a_cancellation_of_all_that_follows_ends_the_series() -> None:
    later = "UID:1\nSTATUS:CANCELLED\nRECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:20260119T090000\n"
    calendar = read(SERIES, f"{later}DTSTART;TZID=Europe/Berlin:20260119T090000")
    assert days(calendar, "2026-01-05", 28, hour=8) == [0, 7]


def test_two_changes_of_what_follows_come_one_after_the_other() -> None:
    def change(day: str, hour: str) -> str:
        which = f"RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Berlin:{day}T090000"
        return f"UID:1\n{which}\nDTSTART;TZID=Europe/Berlin:{day}T{hour}0000\nDURATION:PT1H"

    calendar = read(SERIES, change("20260202", "16"), change("20260119", "12"))
    for at in ("2026-01-12T08:30", "2026-01-19T11:30", "2026-01-26T11:30", "2026-02-02T15:30", "2026-06-01T14:30"):
        assert calendar.covers(utc(at), "UTC")
    assert not calendar.covers(utc("2026-02-02T11:30"), "UTC")


# zones of Windows


def test_a_zone_of_windows_is_known_by_its_name() -> None:
    """Unicode CLDR, supplemental/windowsZones: "W. Europe Standard Time" in territory 001 is Europe/Berlin."""
    calendar = read("DTSTART;TZID=W. Europe Standard Time:20260701T090000\nDURATION:PT1H")
    assert calendar.times == (TimeRange(utc("2026-07-01T07:00"), utc("2026-07-01T08:00")),)
    quoted = read('DTSTART;TZID="Pacific Standard Time":20260701T090000\nDURATION:PT1H')
    assert quoted.times[0].start == utc("2026-07-01T16:00")


def test_the_table_of_windows_zones_has_a_version_and_names_zones_that_exist() -> None:
    assert CLDR_VERSION == "48"
    assert len(WINDOWS_ZONES) == 142
    assert {
        name: WINDOWS_ZONES[name]
        for name in ("GMT Standard Time", "Eastern Standard Time", "India Standard Time", "Tokyo Standard Time", "UTC")
    } == {
        "GMT Standard Time": "Europe/London",
        "Eastern Standard Time": "America/New_York",
        "India Standard Time": "Asia/Calcutta",
        "Tokyo Standard Time": "Asia/Tokyo",
        "UTC": "Etc/UTC",
    }
    assert [name for name, zone in WINDOWS_ZONES.items() if check_zone(zone, "timezone")] == []


OWN_ZONE = """BEGIN:VTIMEZONE
TZID:{name}
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
"""


@pytest.mark.parametrize(
    "name", ["Customized Time Zone", "(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", "CE(S)T"]
)
def test_a_zone_that_the_file_defines_is_the_iana_zone_with_those_offsets(name: str) -> None:
    event = f'DTSTART;TZID="{name}":20260105T090000\nDURATION:PT1H\nRRULE:FREQ=DAILY'
    calendar = read(event, head=OWN_ZONE.format(name=name), tz="UTC")
    assert calendar.covers(utc("2026-01-10T08:00"), "UTC")
    assert calendar.covers(utc("2026-07-10T07:00"), "UTC")
    assert not calendar.covers(utc("2026-07-10T08:00"), "UTC")


def test_a_defined_zone_without_changes_is_one_with_that_offset() -> None:
    offsets = "DTSTART:16010101T000000\nTZOFFSETFROM:+0545\nTZOFFSETTO:+0545"
    head = f"BEGIN:VTIMEZONE\nTZID:Home\nBEGIN:STANDARD\n{offsets}\nEND:STANDARD\nEND:VTIMEZONE\n"
    calendar = read("DTSTART;TZID=Home:20260701T090000\nDURATION:PT1H", head=head)
    assert calendar.times[0].start == utc("2026-07-01T03:15")


def test_a_defined_zone_that_no_zone_follows_is_a_complaint() -> None:
    head = OWN_ZONE.format(name="Mars").replace("-1SU;BYMONTH=10", "2WE;BYMONTH=8")
    with pytest.raises(InvalidSchedule, match="rules that no zone of the IANA database follows"):
        read("DTSTART;TZID=Mars:20260701T090000\nDURATION:PT1H", head=head)


def test_names_with_a_path_and_locations_of_libical_are_understood() -> None:
    for name in ("/mozilla.org/20050126_1/Europe/Berlin", "/freeassociation.sourceforge.net/Tzfile/Europe/Berlin"):
        assert read(f"DTSTART;TZID={name}:20260701T090000\nDURATION:PT1H").times[0].start == utc("2026-07-01T07:00")
    head = "BEGIN:VTIMEZONE\nTZID:Home\nX-LIC-LOCATION:America/Lima\nEND:VTIMEZONE\n"
    assert read("DTSTART;TZID=Home:20260701T090000\nDURATION:PT1H", head=head).times[0].start == utc("2026-07-01T14:00")


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read("DTSTART;VALUE=DATE:20261225", start="\ufeff").dates == (date(2026, 12, 25),)


# what a calendar costs


def test_an_event_that_recurs_more_often_than_hourly_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="too often for an event"):
        read("DTSTART:20260105T090000Z\nDURATION:PT30S\nRRULE:FREQ=MINUTELY")
    hourly = read("DTSTART:20260105T090000Z\nDURATION:PT30M\nRRULE:FREQ=HOURLY")
    every_minute = Cron("* * * * *")
    exclusion = ExcludedCalendar(hourly, "UTC")
    start = utc("2026-06-01T00:00")
    assert count_excluded(every_minute, [exclusion], start, start + timedelta(days=1)) == 24 * 30


def test_overlapping_occurrences_are_counted_once_and_found_at_once() -> None:
    calendar = Calendar("x", rules=(EventRule("FREQ=DAILY", utc("2026-01-01").replace(tzinfo=None), timedelta(3000)),))
    assert calendar.covers(utc("2034-01-01"), "UTC")
    low, high = (int(utc(at).timestamp()) for at in ("2034-01-01", "2034-01-05"))
    assert len(list(calendar.spans(low, high, "UTC"))) <= 5


def test_days_of_several_are_still_a_range() -> None:
    assert read("DTSTART;VALUE=DATE:20261224\nDURATION:PT72H").ranges == (
        DayRange(date(2026, 12, 24), date(2026, 12, 26)),
    )
