#!/usr/bin/env bash
# x-wr-timezone: a weekly event moves by a day, and there is one more of it.
#
# Expected: to_standard() makes a calendar that needs no X-WR-TIMEZONE "for proper display": the same
#   instants, written in the zone of the calendar. Thursdays at 23:30 UTC, four times, are Fridays at 08:30
#   in Tokyo, four times.
# Seen: DTSTART is moved to Friday 08:30 in Tokyo, but BYDAY=TH stays as it is. Read again, the event is on
#   Friday, 2 January and then on Thursdays at 08:30: 24 hours before the instants of the original. The
#   first day is outside the rule now, so most readers show five instances.
# Hurts: every feed with UTC times and a zone far from UTC; recurring-ical-events uses it for each calendar
#   that it reads.
# Source: RFC 5545, 3.3.10: BYDAY is a weekday in the zone of DTSTART; the README of x-wr-timezone.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install x-wr-timezone==2.0.1 icalendar==7.3.2 python-dateutil==2.9.0.post0 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from importlib.metadata import version

import icalendar
import x_wr_timezone
from dateutil.rrule import rrulestr

print("x-wr-timezone", version("x-wr-timezone"), "with icalendar", version("icalendar"))
TEXT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
X-WR-TIMEZONE:Asia/Tokyo
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART:20260101T233000Z
DURATION:PT10M
RRULE:FREQ=WEEKLY;BYDAY=TH;COUNT=4
END:VEVENT
END:VCALENDAR
"""


def instants(calendar: icalendar.Calendar) -> list[datetime]:
    (event,) = calendar.walk("VEVENT")
    rule = event["RRULE"].to_ical().decode()
    times = {event.start, *rrulestr(rule, dtstart=event.start)}
    return sorted(time.astimezone(UTC) for time in times)


before = icalendar.Calendar.from_ical(TEXT.replace("\n", "\r\n"))
after = x_wr_timezone.to_standard(before)
(event,) = after.walk("VEVENT")
print("rule now:", event["DTSTART"].to_ical().decode(), event["RRULE"].to_ical().decode())
for name, calendar in (("before", before), ("after", after)):
    print(f"{name:6}:", *(f"{time:%a %d %H:%M}Z" for time in instants(calendar)))
print("expected: the same instants")
shared = set(instants(before)) & set(instants(after))
if len(shared) == 1 and len(instants(before)) == 4:
    print("seen: only the first instance is where it was")
else:
    raise SystemExit("no longer seen")
PY
