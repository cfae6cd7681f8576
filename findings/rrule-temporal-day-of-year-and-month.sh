#!/usr/bin/env bash
# rrule-temporal: BYMONTHDAY is not looked at when BYYEARDAY is there.
#
# Expected: the table of RFC 5545 (3.3.10) says that BYMONTHDAY limits where BYYEARDAY has expanded:
#   only days that fit both remain. Of the days 1 and 100 of the year only the first is the 1st of a
#   month, so BYYEARDAY=1,100;BYMONTHDAY=1 is 1 January, once a year.
# Seen: 1 January and 10 April, as if BYMONTHDAY were not written. The README calls the library fully
#   compliant with RFC 5545. python-dateutil gives 1 January only.
# Hurts: rules that use both to say "the 100th day, if it is a 1st": twice as many runs as meant.
# Source: RFC 5545, 3.3.10, the table of expanding and limiting parts; the README of rrule-temporal.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent rrule-temporal@2.2.8
cat > "$dir/t.mjs" <<'JS'
import { RRuleTemporal } from "rrule-temporal";

console.log("rrule-temporal 2.2.8");
const days = (rule) =>
  new RRuleTemporal({ rruleString: `DTSTART:20260101T000000Z\nRRULE:${rule}` })
    .all((_, i) => i < 4)
    .map((time) => time.toPlainDate().toString())
    .join(" ");
const both = days("FREQ=YEARLY;BYYEARDAY=1,100;BYMONTHDAY=1;COUNT=4");
const plain = days("FREQ=YEARLY;BYYEARDAY=1,100;COUNT=4");
console.log("expected: 2026-01-01 2027-01-01 2028-01-01 2029-01-01");
console.log("seen    :", both);
if (both === plain && both.startsWith("2026-01-01 2026-04-10")) {
  console.log("seen: the same as without BYMONTHDAY");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
