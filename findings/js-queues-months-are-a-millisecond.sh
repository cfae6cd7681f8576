#!/usr/bin/env bash
# bottleneck, better-queue, p-throttle: a limit of "one a month" lets everything through at once.
#
# Expected: bottleneck: minTime is "how long to wait after launching a job before launching another one", expiration is the
# number of milliseconds a job is given to finish; better-queue: afterProcessDelay waits between tasks, maxTimeout is "number
# of milliseconds before a task is considered timed out" (default Infinity); p-throttle: at most "limit" calls within
# "interval" milliseconds. None of them states an upper bound.
#
# Seen: the numbers go to setTimeout, which takes anything over 2^31-1 milliseconds (24.8 days) as 1. Pauses of 30 days
# are no pauses, and a job with 30 days to finish fails with a time-out at once. (p-queue 10.0.0 and toad-scheduler 4.1.0
# refuse such numbers; node prints a TimeoutOverflowWarning that names none of these libraries.)
#
# Hurts: monthly mails and quotas; and whoever writes a very large number for "no limit".
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cd "$tmp"
npm install --silent --no-fund --no-audit --ignore-scripts \
    bottleneck@2.19.5 better-queue@3.8.12 better-queue-memory@1.0.4 p-throttle@8.1.1 >npm.log 2>&1 || { cat npm.log; exit 1; }
echo "bottleneck 2.19.5, better-queue 3.8.12, p-throttle 8.1.1, node $(node --version)"
NODE_NO_WARNINGS=1 timeout 60 node --input-type=module <<'JS'
import Bottleneck from "bottleneck";
import BetterQueue from "better-queue";
import pThrottle from "p-throttle";

const month = 30 * 24 * 3600 * 1000;
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const seen = {};

let runs = 0;
const limiter = new Bottleneck({ minTime: month });
for (let i = 0; i < 3; i++) limiter.schedule(async () => runs++);
await sleep(1000);
seen["bottleneck minTime, runs (expected 1)"] = runs;

seen["bottleneck expiration, job of 0.3 s (expected done)"] = await new Bottleneck()
  .schedule({ expiration: month }, () => sleep(300).then(() => "done"))
  .catch((error) => error.message);

let handled = 0;
const slow = new BetterQueue((task, done) => { handled++; done(); }, { afterProcessDelay: month });
for (const task of ["a", "b", "c"]) slow.push(task);
await sleep(1000);
seen["better-queue afterProcessDelay, tasks (expected 1)"] = handled;

const patient = new BetterQueue((task, done) => setTimeout(() => done(null, "done"), 300), { maxTimeout: month });
seen["better-queue maxTimeout, task of 0.3 s (expected done)"] = await new Promise((done) =>
  patient.push("a", (error, result) => done(error ? String(error) : result)));

let calls = 0;
const throttled = pThrottle({ limit: 1, interval: month })(async () => calls++);
for (let i = 0; i < 3; i++) throttled();
await sleep(1000);
seen["p-throttle interval, calls (expected 1)"] = calls;

for (const [what, value] of Object.entries(seen)) console.log(`${what}: seen ${value}`);
const [a, b, c, d, e] = Object.values(seen);
process.exit(a === 3 && b !== "done" && c === 3 && d !== "done" && e === 3 ? 0 : 1);
JS
