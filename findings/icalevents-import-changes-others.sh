#!/usr/bin/env bash
# icalevents: importing it moves the answers of another library by an hour.
#
# Expected: RFC 5545 (3.3.5): a local time that occurs twice is the first of the two. 02:30 on 25 October
#   2026 in Berlin is 02:30+02:00. recurring-ical-events answers that for a daily event, whatever other
#   modules the program imports.
# Seen: after "import icalevents.icalparser" the same call answers 02:30+01:00, an hour later: the import
#   switches icalendar, which both read with, from zoneinfo to pytz for the whole process, and pytz takes
#   the second of two times.
# Hurts: programs that have both among their packages: the answer depends on whether and when the other
#   module was imported, so a test and the service differ. Neither README tells of it.
# Source: RFC 5545, 3.3.5, form 3, "refers to the first occurrence"; 3.3.10 applies it to repeated events.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install icalevents==0.3.1 recurring-ical-events==3.8.2 icalendar==7.3.2 pytz==2026.6 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
cat > "$dir/ask.py" <<'PY'
import importlib
import sys

for name in sys.argv[1:]:
    importlib.import_module(name)
import icalendar
import recurring_ical_events

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
DTSTART;TZID=Europe/Berlin:20261024T023000
DURATION:PT10M
RRULE:FREQ=DAILY;COUNT=3
END:VEVENT
END:VCALENDAR
"""
calendar = icalendar.Calendar.from_ical(TEXT.replace("\n", "\r\n"))
print(recurring_ical_events.of(calendar).at((2026, 10, 25))[0].start)
PY
echo "icalevents 0.3.1, recurring-ical-events 3.8.2, icalendar 7.3.2, pytz 2026.6"
alone=$("$dir/venv/bin/python" "$dir/ask.py")
beside=$("$dir/venv/bin/python" "$dir/ask.py" icalevents.icalparser)
echo "without the import: $alone"
echo "with the import   : $beside (expected the same)"
if [ "$alone" = "2026-10-25 02:30:00+02:00" ] && [ "$beside" = "2026-10-25 02:30:00+01:00" ]; then
  echo "seen: one import, one hour"
else
  echo "no longer seen"
  exit 1
fi
