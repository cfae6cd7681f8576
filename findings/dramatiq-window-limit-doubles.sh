#!/usr/bin/env bash
# dramatiq: WindowRateLimiter lets twice the limit through at the turn of a second.
#
# Expected: the class "ensures that only `limit` operations may happen over some sliding window"; the documentation of
# BucketRateLimiter sends those who fear bursts at the turn of a bucket to it, as a limiter "that doesn't have this
# problem". With limit=10 and window=1 no span of one second may hold more than 10.
#
# Seen: operations are counted by whole seconds of the clock, and the window is the current second and the window-1
# before it. With window=1 it is a bucket of one second: 20 operations within 0.2 seconds. With window=2 two
# operations that should be 2 seconds apart follow after 1.1 seconds.
#
# Hurts: whoever keeps to the quota of a partner with it, in particular with a window of one second.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check dramatiq==2.2.1 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import sys
import time
from importlib.metadata import version

from dramatiq import RateLimitExceeded
from dramatiq.rate_limits import WindowRateLimiter
from dramatiq.rate_limits.backends import StubBackend


def run(limit, window, seconds):
    """When operations were allowed, tried without a pause from shortly before the turn of a second."""
    limiter = WindowRateLimiter(StubBackend(), "key", limit=limit, window=window)
    time.sleep((1.9 - time.time() % 1) % 1)
    start, allowed = time.time(), []
    while time.time() - start < seconds:
        try:
            with limiter.acquire():
                allowed.append(time.time() - start)
        except RateLimitExceeded:
            time.sleep(0.002)
    return allowed


print("dramatiq", version("dramatiq"))
burst = run(10, 1, 0.25)
print("limit=10, window=1: expected at most 10 in 0.25 s, seen", len(burst))
pair = run(1, 2, 1.6)
gap = pair[1] - pair[0] if len(pair) > 1 else None
print("limit=1,  window=2: expected no second one within 2 s, seen one after", gap and round(gap, 2), "s")
sys.exit(0 if len(burst) > 12 and gap is not None and gap < 1.5 else 1)
PY
