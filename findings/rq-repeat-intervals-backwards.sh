#!/usr/bin/env bash
# rq: the intervals of a repeated job are used from the wrong end.
#
# Expected: the page "Scheduling jobs" ("Repeat interval") gives for Repeat(times=5, interval=[5, 10, 15]): first
# repetition after 5 seconds, second after 10, third, fourth and fifth after 15. Retry, with the same kind of list, does so.
#
# Seen: the index is the number of repetitions that are left. Repeat(times=3, interval=[10, 20, 30]) waits 30 seconds
# first, then 20, then 10; with more intervals than repetitions it begins in the middle, with fewer it waits the longest
# time first.
#
# Hurts: polling with growing pauses (soon, then seldom): the first look comes last.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check rq==2.12.0 fakeredis==2.40.0 redis==5.3.1 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import datetime
import logging
import operator
import sys

import rq
from fakeredis import FakeStrictRedis
from rq import Queue, Repeat, Retry, SimpleWorker
from rq.registry import ScheduledJobRegistry

logging.disable(logging.CRITICAL)
connection = FakeStrictRedis()
print("rq", rq.VERSION)


def waits(name, times, divisor, **options):
    """The pauses before each further run of one job, in seconds: it is taken from the schedule as soon as it is in."""
    queue = Queue(name, connection=connection)
    registry = ScheduledJobRegistry(queue=queue)
    job = queue.enqueue(operator.truediv, 1, divisor, **options)
    seen = []
    for _ in range(times):
        SimpleWorker([queue], connection=connection).work(burst=True)
        pause = registry.get_scheduled_time(job.id) - datetime.datetime.now(datetime.timezone.utc)
        seen.append(round(pause.total_seconds() / 10) * 10)
        registry.remove(job.id)
        job.refresh()
        queue.enqueue_job(job)
    return seen


retry = waits("retry", 3, 0, retry=Retry(max=3, interval=[10, 20, 30]))
repeat = waits("repeat", 3, 1, repeat=Repeat(times=3, interval=[10, 20, 30]))
short = waits("short", 4, 1, repeat=Repeat(times=4, interval=[10, 60]))
print("Retry(3, [10, 20, 30]):   seen", retry)
print("Repeat(3, [10, 20, 30]):  expected [10, 20, 30]      seen", repeat)
print("Repeat(4, [10, 60]):      expected [10, 60, 60, 60]  seen", short)
sys.exit(0 if (retry, repeat, short) == ([10, 20, 30], [30, 20, 10], [60, 60, 60, 10]) else 1)
PY
