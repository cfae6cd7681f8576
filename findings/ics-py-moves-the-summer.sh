#!/usr/bin/env bash
# ics (Python): reading and writing a file moves repeated events by an hour after the change of the clock.
#
# Expected: a file that is read and written again means the same. Thursdays at 10:00 in Berlin are 09:00 UTC
#   in winter and 08:00 UTC from 2 April 2026 on.
# Seen: DTSTART is written in UTC and the zone is dropped, while the RRULE is kept word by word. RFC 5545
#   expands the rule in the zone of DTSTART, now UTC: 09:00 UTC for ever, 11:00 in Berlin in summer. The
#   scale of the calendar comes out as "CALSCALE:GEORGIAN", a value that the RFC does not know.
# Hurts: programs that add an event to an existing file: all others are an hour late for half of the year.
# Source: RFC 5545, 3.8.2.4, 3.8.5.3 and 3.7.1; the README of ics promises to read and write RFC 5545.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install ics==0.7.3 icalendar==7.3.2 python-dateutil==2.9.0.post0 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC
from importlib.metadata import version

import icalendar
import ics
from dateutil.rrule import rrulestr

print("ics", version("ics"), "- read here with icalendar", version("icalendar"))
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
DTSTART;TZID=Europe/Berlin:20260326T100000
DTEND;TZID=Europe/Berlin:20260326T110000
RRULE:FREQ=WEEKLY;COUNT=3
END:VEVENT
END:VCALENDAR
"""


def instants(text: str) -> list[str]:
    (event,) = icalendar.Calendar.from_ical(text).walk("VEVENT")
    times = rrulestr(event["RRULE"].to_ical().decode(), dtstart=event.start)
    return [f"{time.astimezone(UTC):%F %H:%M}Z" for time in times]


source = TEXT.replace("\n", "\r\n")
written = ics.Calendar(source).serialize()
print(*(line for line in written.splitlines() if line.startswith(("CALSCALE", "DTSTART", "RRULE"))), sep="\n")
print("before:", *instants(source))
print("after :", *instants(written))
if [time[-6:] for time in instants(source)] == ["09:00Z", "08:00Z", "08:00Z"] and set(
    time[-6:] for time in instants(written)
) == {"09:00Z"}:
    print("seen: an hour late from 2 April on")
else:
    raise SystemExit("no longer seen")
PY
