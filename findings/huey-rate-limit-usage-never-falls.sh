#!/usr/bin/env bash
# huey: the usage of a rate limit stays at its peak after the window is over, and counts what was refused.
#
# Expected: documentation of RateLimit.current_usage(): "the number of invocations in the current rate-limit window.
# Returns 0 if no invocations have occurred in this window"; of acquire(): checks whether the limit "has been exceeded.
# If so, raises RateLimitExceeded. Otherwise, increments the counter".
#
# Seen: refused calls are counted as well (5 after 2 allowed of 5), and when the window is over the old number is
# returned until somebody calls acquire() again, however long that takes.
#
# Hurts: producers that look at current_usage() before they enqueue: once the limit was reached they wait for ever.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check huey==3.5.4 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import logging
import sys
import time
from importlib.metadata import version

from huey import MemoryHuey

logging.disable(logging.CRITICAL)
huey = MemoryHuey("finding")
print("huey", version("huey"))


def consumer_turn():
    """What the consumer does in one turn: move what is due to the queue, run what is in the queue."""
    for task in huey.read_schedule():
        huey.enqueue(task)
    for _ in range(20):
        task = huey.dequeue()
        if task is None:
            return
        huey.execute(task)



limit = huey.rate_limit("mail", limit=2, per=2)
time.sleep(2 - time.time() % 2)
allowed = 0
for _ in range(5):
    try:
        limit.acquire()
        allowed += 1
    except Exception as exc:
        refused = type(exc).__name__
peak = limit.current_usage()
time.sleep(4.2)
later = limit.current_usage()
print(allowed, "calls allowed, then", refused)
print("usage in the window:          expected 2, seen", peak)
print("usage two windows afterwards: expected 0, seen", later)
sys.exit(0 if (allowed, peak, later) == (2, 5, 5) else 1)
PY
