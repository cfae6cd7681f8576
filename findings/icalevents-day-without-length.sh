#!/usr/bin/env bash
# icalevents: an event of a whole day has no length when its end is not written.
#
# Expected: RFC 5545 (3.6.1): an event with a date as DTSTART and neither DTEND nor DURATION lasts one day.
# Seen: it ends where it begins. The same event with DTEND on the next day lasts its 24 hours.
# Hurts: "is this a holiday now?" is never true for such events, and holiday feeds often leave DTEND out.
#   icalendar, which icalevents reads with, has the right end in event.end.
# Source: RFC 5545, 3.6.1, the last paragraph of the description.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install icalevents==0.3.1 icalendar==7.3.2 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

from icalendar import Calendar
from icalevents.icalparser import parse_events

print("icalevents", version("icalevents"), "with icalendar", version("icalendar"))


def text(*event: str) -> str:
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", "UID:1")
    return "\r\n".join((*head, "DTSTAMP:20260101T000000Z", *event, "END:VEVENT", "END:VCALENDAR", ""))


def length(source: str) -> timedelta:
    (event,) = parse_events(source, datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 3, tzinfo=UTC))
    return event.end - event.start


short = text("DTSTART;VALUE=DATE:20260501")
full = text("DTSTART;VALUE=DATE:20260501", "DTEND;VALUE=DATE:20260502")
(event,) = Calendar.from_ical(short).walk("VEVENT")
print("with DTEND   :", length(full))
print("without DTEND:", length(short), "(expected 1 day, 0:00:00; icalendar:", event.end - event.start, ")")
if length(full) == timedelta(days=1) and length(short) == timedelta(0):
    print("seen: the day has no length")
else:
    raise SystemExit("no longer seen")
PY
