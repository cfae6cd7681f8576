#!/usr/bin/env bash
# @datasert/cronjs-matcher: the fifth Friday is not found when it is the 31st.
#
# Expected: "0 0 ? * 5#5" is the fifth Friday of every month that has one. In 2026 these are
#   30 January, 29 May, 31 July and 30 October (the calendar; cron-parser 5.10.6 says the same).
# Seen: 31 July is missing. A fifth weekday on the 29th or 30th is found, on the 31st it never is, so
#   months of 31 days that begin on a Wednesday lose their run.
# Hurts: monthly closings on "the fifth Friday": one or two runs a year do not happen, without an error.
# Source: the README of cronjs ("support for special flags (L, W, # and ?)"); cron-parser, for comparison.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export TZ=UTC
npm install --prefix "$dir" --no-audit --no-fund --silent \
  @datasert/cronjs-matcher@1.4.0 @datasert/cronjs-parser@1.4.0 cron-parser@5.10.6 luxon@3.7.2
cat > "$dir/t.mjs" <<'JS'
import * as cronjs from "@datasert/cronjs-matcher";
import { CronExpressionParser } from "cron-parser";

console.log("@datasert/cronjs-matcher 1.4.0, cron-parser 5.10.6");
const seen = cronjs
  .getFutureMatches("0 0 ? * 5#5", { startAt: "2026-01-01T00:00:00Z", timezone: "UTC", matchCount: 4 })
  .map((time) => time.slice(0, 10));
const it = CronExpressionParser.parse("0 0 * * 5#5", { currentDate: "2025-12-31T23:00:00Z", tz: "UTC" });
const expected = it.take(4).map((time) => time.toISOString().slice(0, 10));
console.log("expected (and cron-parser):", expected.join(" "));
console.log("seen                      :", seen.join(" "));
const same = expected.join() === "2026-01-30,2026-05-29,2026-07-31,2026-10-30";
if (same && !seen.includes("2026-07-31") && seen.includes("2026-10-30")) {
  console.log("seen: Friday, 31 July 2026 is left out");
} else {
  console.log("no longer seen");
  process.exit(1);
}
JS
node "$dir/t.mjs"
