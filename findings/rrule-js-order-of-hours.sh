#!/usr/bin/env bash
# rrule (npm): the order in which BYHOUR is written decides what is found.
#
# Expected: BYHOUR is a set of hours. RFC 5545 (3.3.10) gives the order of its values no meaning, and the
#   README says that after() is the first recurrence after a date and between() all of them between two.
#   Every day at 17:00 and 9:00, asked between 8:00 and 12:00 of the first day: 9:00.
# Seen: with BYHOUR=9,17 that is so. With BYHOUR=17,9 between() is empty and after() says 17:00: the walk
#   meets 17:00 first and stops there. COUNT=3 ends on the 17:00 of the second day, without its 9:00.
# Hurts: rules that came in from other programs; one of two daily runs is lost whenever the window ends
#   between the two hours.
# Source: RFC 5545, 3.3.10; rrule's README, rrule.after and rrule.between.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent rrule@2.8.1
cat > "$dir/t.mjs" <<'JS'
import rrule from "rrule";

console.log("rrule 2.8.1");
const from = new Date("2026-01-05T08:00:00Z");
const to = new Date("2026-01-05T12:00:00Z");
const ask = (hours) => {
  const rule = rrule.rrulestr(`DTSTART:20260105T080000Z\nRRULE:FREQ=DAILY;BYHOUR=${hours}`);
  const found = rule.between(from, to, true).map((time) => time.toISOString()).join();
  const after = rule.after(from).toISOString();
  console.log(`BYHOUR=${hours}: between 8:00 and 12:00: [${found}], first after 8:00: ${after}`);
  return found;
};
const expected = ask("9,17");
const seen = ask("17,9");
if (expected === "2026-01-05T09:00:00.000Z" && seen === "") {
  console.log("seen: 9:00 is lost when it is written behind 17:00");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
