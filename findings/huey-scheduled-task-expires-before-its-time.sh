#!/usr/bin/env bash
# huey: a task scheduled for later is dropped as expired if no worker saw it before its time.
#
# Expected: the guide ("Task expiration") says of schedule(delay=one hour, expires=60 seconds): "scheduled to run in 1
# hour, and once enqueued for execution, must be run within 60 seconds". A task whose time has just come has its full
# period before it; a consumer that was down meanwhile runs overdue tasks when it is back (huey issue 751).
#
# Seen: the period is counted from the call of schedule(), and only counted anew when a worker has put the task
# aside once. If the workers are down or busy until the time of the task, it is taken for expired at the moment it is due.
#
# Hurts: reminders and follow-ups with an expiry: a restart of the consumer at the wrong time loses them all, without an
# error.
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



ran = []


@huey.task()
def remind(name):
    ran.append(name)


remind.schedule(args=("seen early",), delay=2, expires=1)
consumer_turn()
time.sleep(2.2)
consumer_turn()
remind.schedule(args=("seen at its time",), delay=2, expires=1)
time.sleep(2.2)
consumer_turn()
print("two tasks with a delay of 2 s and an expiry of 1 s, each run 0.2 s after it was due")
print("expected ['seen early', 'seen at its time']  seen", ran)
sys.exit(0 if ran == ["seen early"] else 1)
PY
