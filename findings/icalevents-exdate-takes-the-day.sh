#!/usr/bin/env bash
# icalevents: one excluded time takes every other instance of that day with it.
#
# Expected: EXDATE with a time excludes the instance at that time (RFC 5545, 3.8.5.1). Of an event at
#   10:00 and 14:00 on two days, without 14:00 on the first day, three instances remain.
# Seen: two remain: 10:00 of the first day is gone, too. Times are compared by their date only. With a
#   zone it goes wrong by a day as well: 00:30 in Berlin is 23:30 UTC of the day before, and an EXDATE in
#   UTC takes the instances of both dates.
# Hurts: events more than once a day, and calendars whose EXDATEs are in UTC: runs go missing.
# Source: RFC 5545, 3.8.5.1.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" -q --disable-pip-version-check install icalevents==0.3.1 icalendar==7.3.2 2> "$dir/log" || { cat "$dir/log"; exit 1; }
"$dir/venv/bin/python" - <<'PY'
from datetime import UTC, datetime
from importlib.metadata import version

from icalevents.icalparser import parse_events

print("icalevents", version("icalevents"), "with icalendar", version("icalendar"))


def times(*event: str) -> list[str]:
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", "UID:1")
    text = "\r\n".join((*head, "DTSTAMP:20260101T000000Z", *event, "END:VEVENT", "END:VCALENDAR", ""))
    window = (datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    return sorted(f"{event.start:%d %H:%M}" for event in parse_events(text, *window))


rule = ("DTSTART:20260101T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4;BYHOUR=10,14")
every = times(*rule)
seen = times(*rule, "EXDATE:20260101T140000Z")
print("all             :", every)
print("expected without:", [time for time in every if time != "01 14:00"])
print("seen without    :", seen)
if every == ["01 10:00", "01 14:00", "02 10:00", "02 14:00"] and seen == ["02 10:00", "02 14:00"]:
    print("seen: the whole day is excluded")
else:
    raise SystemExit("no longer seen")
PY
