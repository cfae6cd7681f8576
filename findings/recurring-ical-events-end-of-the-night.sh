#!/usr/bin/env bash
# recurring-ical-events: a nightly event of eight hours takes seven when the clock goes forward.
#
# Expected: RFC 5545 (3.8.5.3): where the length of a repeated event is given by DTEND, the same exact
#   duration applies to every instance. Nightly from 22:00 to 06:00 is eight hours; in the night of 29 March
#   2026 in Berlin, 02:00 to 03:00 does not exist, and the instance ends at 07:00.
# Seen: it ends at 06:00, after seven hours. (That would be right for DURATION:P..., which is nominal; the
#   RFC sets the two against each other.)
# Hurts: duty rosters and billing by the hour; two programs that read one file disagree about who is on
#   duty between six and seven.
# Source: RFC 5545, 3.8.5.3, "the same exact duration will apply".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install recurring-ical-events==3.8.2 icalendar==7.3.2 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC
from importlib.metadata import version

import icalendar
import recurring_ical_events

print("recurring-ical-events", version("recurring-ical-events"), "with icalendar", version("icalendar"))
TEXT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example//EN
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART;TZID=Europe/Berlin:20260327T220000
DTEND;TZID=Europe/Berlin:20260328T060000
RRULE:FREQ=DAILY;COUNT=3
END:VEVENT
END:VCALENDAR
"""
calendar = icalendar.Calendar.from_ical(TEXT.replace("\n", "\r\n"))
hours = []
for event in sorted(recurring_ical_events.of(calendar).between((2026, 3, 1), (2026, 4, 30)), key=lambda e: e.start):
    hours.append((event.end.astimezone(UTC) - event.start.astimezone(UTC)).total_seconds() / 3600)
    print(event.start, "to", event.end, "=", hours[-1], "hours")
print("expected: 8 hours each")
if hours == [8, 7, 8]:
    print("seen: seven hours in the night of the change")
else:
    raise SystemExit("no longer seen")
PY
