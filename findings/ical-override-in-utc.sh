#!/usr/bin/env bash
# ical (Python): an instance moved with a RECURRENCE-ID in UTC takes place at both times.
#
# Expected: RFC 5545 (3.8.4.4): the component with the RECURRENCE-ID replaces the instance at that time.
#   A weekly event on 23 March, 30 March and 6 April, with 30 March moved to the 31st, takes place three times.
# Seen: with times in a zone (TZID) or with dates it does. With all times in UTC the old instance stays:
#   30 March and 31 March, four times in all.
# Hurts: files from programs that write UTC only: whoever is reminded of each instance is reminded twice.
# Source: RFC 5545, 3.8.4.4.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install ical==14.3.1 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

from ical.calendar_stream import IcsCalendarStream

print("ical", version("ical"))
TEXT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
SUMMARY:weekly
DTSTART{0}
DTEND{1}
RRULE:FREQ=WEEKLY;COUNT=3
END:VEVENT
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
SUMMARY:moved
RECURRENCE-ID{2}
DTSTART{3}
DTEND{4}
END:VEVENT
END:VCALENDAR
"""


def days(*times: str) -> list[str]:
    calendar = IcsCalendarStream.calendar_from_ics(TEXT.format(*times).replace("\n", "\r\n"))
    return [f"{event.start:%m-%d} {event.summary}" for event in calendar.timeline]


dates = days(*(f";VALUE=DATE:2026{day}" for day in ("0323", "0324", "0330", "0331", "0401")))
times = ("0323T100000", "0323T110000", "0330T100000", "0331T120000", "0331T130000")
utc = days(*(f":2026{time}Z" for time in times))
print("with dates      :", *dates, sep="  ")
print("with UTC times  :", *utc, sep="  ")
print("expected in both: three instances, none on 03-30")
if len(dates) == 3 and len(utc) == 4 and "03-30 weekly" in utc:
    print("seen: the old and the new time")
else:
    raise SystemExit("no longer seen")
PY
