#!/usr/bin/env bash
# node-ical: a time zone that the file defines is not used; the time is the machine's.
#
# Expected: RFC 5545 (3.2.19, 3.6.5): TZID names a VTIMEZONE of the same file, and that component says how
#   far the zone is from UTC. A zone "Office" of +05:45 makes 10:00 in it 04:15 UTC, on every machine.
# Seen: 10:00 in the zone of the process: 10:00 UTC under TZ=UTC and 14:00 UTC under TZ=America/New_York.
#   The README says that start is the exact instant in UTC.
# Hurts: calendars with zones under names of their own (an office, a ship, an export of a booking
#   program): each server shows another instant, and none of them is right.
# Source: RFC 5545, 3.2.19 and 3.6.5; node-ical's README, "Working with the parsed dates".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
npm install --prefix "$dir" --no-audit --no-fund --silent node-ical@0.26.1
cat > "$dir/t.mjs" <<'JS'
import ical from "node-ical";

const text = [
  "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VTIMEZONE", "TZID:Office",
  "BEGIN:STANDARD", "DTSTART:19700101T000000", "TZOFFSETFROM:+0530", "TZOFFSETTO:+0545", "END:STANDARD",
  "END:VTIMEZONE", "BEGIN:VEVENT", "UID:1", "DTSTAMP:20260101T000000Z", "DTSTART;TZID=Office:20260701T100000",
  "DURATION:PT1H", "END:VEVENT", "END:VCALENDAR", "",
].join("\r\n");
const event = Object.values(ical.sync.parseICS(text)).find((part) => part.type === "VEVENT");
console.log(event.start.toISOString());
JS
echo "node-ical 0.26.1"
one=$(TZ=UTC node "$dir/t.mjs")
two=$(TZ=America/New_York node "$dir/t.mjs")
echo "expected: 2026-07-01T04:15:00.000Z everywhere"
echo "seen    : $one under TZ=UTC, $two under TZ=America/New_York"
if [ "$one" = 2026-07-01T10:00:00.000Z ] && [ "$two" = 2026-07-01T14:00:00.000Z ]; then
  echo "seen: the zone of the machine instead of the zone in the file"
else
  echo "no longer seen"
  exit 1
fi
