#!/usr/bin/env bash
# ical.js: an instance that both RRULE and RDATE name takes place twice.
#
# Expected: RFC 5545 (3.8.5.2): where RRULE and RDATE give the same instance, only one is considered. A
#   daily event of three days with an RDATE on the second has three instances.
# Seen: four; the second day is given twice.
# Hurts: whoever starts something for each instance starts it twice at one instant. Programs that add an
#   RDATE for a date they were told to keep write such files.
# Source: RFC 5545, 3.8.5.2, "Where duplicate instances are generated".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent ical.js@2.2.1
cat > "$dir/t.mjs" <<'JS'
import ICAL from "ical.js";

console.log("ical.js 2.2.1");
const text = [
  "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", "UID:1",
  "DTSTAMP:20260101T000000Z", "DTSTART:20260101T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3",
  "RDATE:20260102T100000Z", "END:VEVENT", "END:VCALENDAR", "",
].join("\r\n");
const vevent = new ICAL.Component(ICAL.parse(text)).getFirstSubcomponent("vevent");
const iterator = new ICAL.Event(vevent).iterator();
const found = [];
for (let time = iterator.next(); time && found.length < 9; time = iterator.next()) found.push(time.toString());
console.log("expected: 2026-01-01T10:00:00Z 2026-01-02T10:00:00Z 2026-01-03T10:00:00Z");
console.log("seen    :", found.join(" "));
if (found.length === 4 && found[1] === found[2]) {
  console.log("seen: 2 January twice");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
