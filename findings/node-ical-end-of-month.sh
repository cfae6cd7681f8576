#!/usr/bin/env bash
# node-ical: a monthly event on the 31st becomes the 28th, and stays there.
#
# Expected: RFC 5545 (3.3.10): an instance on a date that does not exist (30 February) must be ignored. A
#   monthly event that starts on 31 January is on 31 March, 31 May, 31 July.
# Seen: 28 February, 28 March, 28 April: the day is moved to the end of the month, and the next month is
#   counted from the moved day. (Its rrule-temporal is of series 1; series 2 has it right.)
# Hurts: every calendar with "on the 31st" or "on the 30th": wrong from the second month on, and never on
#   the right day again. README: RFC 5545, "proper handling".
# Source: RFC 5545, 3.3.10, "invalid date".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent node-ical@0.26.1 rrule-temporal@1.6.0
cat > "$dir/t.mjs" <<'JS'
import ical from "node-ical";

console.log("node-ical 0.26.1");
const text = [
  "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", "UID:1",
  "DTSTAMP:20260101T000000Z", "DTSTART:20260131T090000Z", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;COUNT=4",
  "END:VEVENT", "END:VCALENDAR", "",
].join("\r\n");
const event = Object.values(ical.sync.parseICS(text)).find((part) => part.type === "VEVENT");
const seen = ical
  .expandRecurringEvent(event, { from: new Date("2026-01-01T00:00:00Z"), to: new Date("2027-01-01T00:00:00Z") })
  .map((instance) => instance.start.toISOString().slice(0, 10))
  .join(" ");
console.log("expected: 2026-01-31 2026-03-31 2026-05-31 2026-07-31");
console.log("seen    :", seen);
if (seen === "2026-01-31 2026-02-28 2026-03-28 2026-04-28") {
  console.log("seen: the 28th from February on");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
