#!/usr/bin/env bash
# cron-schedule: the previous run is not seen until its second is over.
#
# Expected: getPrevDate(t) is the last run before t (README: "the previous date starting from the given
#   start date"). Half a second after midnight the last midnight was half a second ago.
# Seen: it answers yesterday's midnight. The parts below a second are cut off first, and then "before"
#   is taken from the whole second, so a run is not found for up to 999 ms after it.
# Hurts: watchdogs that ask "when should this have run last?" right after a wake-up: for the first
#   second they take a run that is due for one that was due a day ago. getNextDate, asked at the same
#   moment, is right, so the run is in neither of the two answers.
# Source: the README of cron-schedule, getPrevDate and getNextDate.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent cron-schedule@6.0.0
cat > "$dir/t.mjs" <<'JS'
import { parseCronExpression } from "cron-schedule";

console.log("cron-schedule 6.0.0");
const cron = parseCronExpression("0 0 * * *");
const now = new Date("2026-07-10T00:00:00.500Z");
const previous = cron.getPrevDate(now).toISOString();
const next = cron.getNextDate(now).toISOString();
console.log("now     ", now.toISOString());
console.log("previous", previous, "(expected 2026-07-10T00:00:00.000Z)");
console.log("next    ", next);
if (previous === "2026-07-09T00:00:00.000Z" && next === "2026-07-11T00:00:00.000Z") {
  console.log("seen: midnight of the 10th is neither the previous run nor the next one");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
