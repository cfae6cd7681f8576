#!/usr/bin/env bash
# ical.js: an event with RDATE and no RRULE loses its first instance.
#
# Expected: RFC 5545 (3.8.5.2, 3.6.1): DTSTART is the first instance of the set, RDATE adds to it. An event
#   on 1 January with RDATE 5 and 6 January takes place three times.
# Seen: the iterator gives 5 and 6 January. With an RRULE beside it the first instance is there.
# Hurts: lists of single dates (courses, garbage collection): the first date is missing in every program
#   that iterates with ical.js.
# Source: RFC 5545, 3.8.5.2 and 3.6.1.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent ical.js@2.2.1
cat > "$dir/t.mjs" <<'JS'
import ICAL from "ical.js";

console.log("ical.js 2.2.1");
const days = (...lines) => {
  const text = [
    "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//example//EN", "BEGIN:VEVENT", "UID:1",
    "DTSTAMP:20260101T000000Z", "DTSTART:20260101T100000Z", "DURATION:PT1H", ...lines, "END:VEVENT",
    "END:VCALENDAR", "",
  ].join("\r\n");
  const vevent = new ICAL.Component(ICAL.parse(text)).getFirstSubcomponent("vevent");
  const iterator = new ICAL.Event(vevent).iterator();
  const found = [];
  for (let time = iterator.next(); time && found.length < 9; time = iterator.next()) found.push(time.day);
  return found.join(" ");
};
const alone = days("RDATE:20260105T100000Z,20260106T100000Z");
const beside = days("RRULE:FREQ=DAILY;COUNT=1", "RDATE:20260105T100000Z,20260106T100000Z");
console.log("RDATE with RRULE of COUNT=1:", beside);
console.log("RDATE alone                :", alone, "(expected 1 5 6)");
if (beside === "1 5 6" && alone === "5 6") {
  console.log("seen: the day of DTSTART is left out");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
