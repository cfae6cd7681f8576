#!/usr/bin/env bash
# huey: a member of a chord that is rescheduled is left out of the result, and its own result is lost.
#
# Expected: the guide ("Groups and chords", "What happens when a chord is enqueued"): "when the last sub-task is complete,
# all sub-task results are collected in order. The final callback is then enqueued". Result.reschedule() is to run
# the same task at another time and keeps what belongs to it ("preserve_pipeline").
#
# Seen: reschedule() revokes the first copy, and the revoked copy counts as a completed member. So the callback runs
# before the rescheduled member has run, with a place-holder in its place; when the member runs after all, it counts
# for a chord that is gone, and its result and a counter stay in the store for ever.
#
# Hurts: whoever postpones one part of a fan-out (a host in maintenance, say): the summary is made without it.
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

from huey import MemoryHuey, chord

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



ran, summaries = [], []


@huey.task()
def fetch(name):
    ran.append(name)
    return name


@huey.task()
def summary(results):
    summaries.append(results)


handle = huey.enqueue(chord([fetch.s("slow"), fetch.s("fast")], summary.s()))
list(handle.results)[0].reschedule(delay=1)
consumer_turn()
early = [list(ran), len(summaries)]
time.sleep(1.2)
consumer_turn()
print("before the rescheduled member ran: expected no summary, seen", early[1], "after", early[0])
print("in the end: expected one summary of ['slow', 'fast'], seen", [[str(r) for r in s] for s in summaries])
print("left in the store:", len(huey.storage._counters), "counter,",
      sum(str(key).startswith("chord:") for key in huey.storage._results), "result")
wrong = early == [["fast"], 1] and ran == ["fast", "slow"] and len(summaries) == 1
sys.exit(0 if wrong and "slow" not in summaries[0] else 1)
PY
