#!/usr/bin/env bash
# cron-parser: "every 15 minutes" has a hole of 45 minutes where the clock goes back by half an hour.
#
# Expected: "*/15 * * * *" has a run every 15 minutes, also when the clock goes back. cron-parser does
#   so in Berlin, where the hour from 02:00 comes twice and is run twice. On Lord Howe Island the clock
#   goes back by 30 minutes (5 April 2026, 15:00 UTC): 01:30 to 02:00 comes twice.
# Seen: the second half hour has no run at all: 14:45 UTC, then 15:30 UTC.
# Hurts: heartbeat jobs and watchdogs on Lord Howe time; the README says that DST is handled correctly.
# Source: cron-parser's README, "Timezone Support"; the IANA time zone database, Australia/Lord_Howe.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent cron-parser@5.10.6 luxon@3.7.2
cat > "$dir/t.mjs" <<'JS'
import { CronExpressionParser } from "cron-parser";

console.log("cron-parser 5.10.6, node", process.version, "tz", process.versions.tz);
const longest = (tz, currentDate) => {
  const times = CronExpressionParser.parse("*/15 * * * *", { currentDate, tz }).take(16);
  const stamps = times.map((time) => time.getTime());
  console.log(tz, times.map((time) => time.toISOString().slice(11, 16)).join(" "));
  return Math.max(...stamps.slice(1).map((stamp, i) => (stamp - stamps[i]) / 60000));
};
const berlin = longest("Europe/Berlin", "2026-10-24T23:00:00Z");
const lordHowe = longest("Australia/Lord_Howe", "2026-04-04T13:00:00Z");
console.log("longest wait in minutes: expected 15 and 15, seen", berlin, "and", lordHowe);
if (berlin === 15 && lordHowe === 45) {
  console.log("seen: 45 minutes without a run on Lord Howe");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
