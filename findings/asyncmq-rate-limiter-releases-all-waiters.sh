#!/usr/bin/env bash
# asyncmq: whoever waits for the rate limiter is let go all at once.
#
# Expected: RateLimiter(rate, interval): "rate" is "the maximum number of tokens (operations) allowed within any given
# interval", and schedule_job() is to "automatically acquire a token and then run a given asynchronous function".
#
# Seen: each caller that finds the bucket full waits for the end of the same oldest token and then goes on without looking
# again. Of ten operations at a rate of 2 a second, 2 run at once and the other 8 together a second later.
#
# Hurts: outbound calls under a quota: the more callers wait, the larger the burst.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --no-compile --disable-pip-version-check asyncmq==0.10.1 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import asyncio
import sys
import time
from importlib.metadata import version

from asyncmq.rate_limiter import RateLimiter


async def main():
    limiter = RateLimiter(rate=2, interval=1.0)
    start, times = time.monotonic(), []

    async def call():
        times.append(time.monotonic() - start)

    await asyncio.gather(*(limiter.schedule_job(call) for _ in range(10)))
    most = max(sum(first <= t < first + 0.9 for t in times) for first in times)
    print("asyncmq", version("asyncmq"), "- ten calls, rate=2, interval=1.0")
    print("times:", [round(t, 2) for t in times])
    print("calls within 0.9 seconds: expected at most 2, seen", most)
    sys.exit(0 if most > 2 else 1)


asyncio.run(main())
PY
