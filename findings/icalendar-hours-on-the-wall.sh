#!/usr/bin/env bash
# icalendar (Python): hours are counted on the clock on the wall, not as time that passes.
#
# Expected: RFC 5545 (3.3.6) has two kinds of duration: weeks and days are nominal (the same time of
#   another day), hours, minutes and seconds are exact. In Berlin the clock goes from 02:00 to 03:00 on
#   29 March 2026. An event from noon on the 28th with DURATION:PT24H ends at 13:00 on the 29th, and an
#   alarm two hours before 04:00 on the 29th is at 01:00.
# Seen: the event ends at noon, after 23 hours, as if P1D were written. The alarm is at 02:00+01:00: one
#   hour before, at a time that no clock shows.
# Hurts: on-call shifts and maintenance windows written in hours are an hour short or long in two nights
#   of the year; reminders come late.
# Source: RFC 5545, 3.3.6, "nominal durations" and "accurate durations".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install icalendar==7.3.2 tzdata==2026.6 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from importlib.metadata import version

from icalendar import Alarms, Calendar

print("icalendar", version("icalendar"))
ZONE = """BEGIN:VTIMEZONE
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
"""


def event(start: str, *lines: str):
    body = "\n".join((f"DTSTART;TZID=Europe/Berlin:{start}", *lines))
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//example//EN\n{ZONE}BEGIN:VEVENT\nUID:1\n"
    text += f"DTSTAMP:20260101T000000Z\n{body}\nEND:VEVENT\nEND:VCALENDAR\n"
    (found,) = Calendar.from_ical(text.replace("\n", "\r\n")).walk("VEVENT")
    return found


shift = event("20260328T120000", "DURATION:PT24H")
alarm = ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:x", "TRIGGER:-PT2H", "END:VALARM")
(reminder,) = Alarms(event("20260329T040000", "DURATION:PT1H", *alarm)).times
print("noon on the 28th + PT24H: expected 2026-03-29 13:00:00+02:00, seen", shift.end)
print("04:00 on the 29th - PT2H: expected 2026-03-29 01:00:00+01:00, seen", reminder.trigger)
seen = (str(shift.end), str(reminder.trigger))
if seen == ("2026-03-29 12:00:00+02:00", "2026-03-29 02:00:00+01:00"):
    print("seen: 24 hours are a day of 23 hours, two hours before are one")
else:
    raise SystemExit("no longer seen")
PY
