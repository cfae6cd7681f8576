#!/usr/bin/env bash
# asyncmq: of two repeatable jobs with the same task and cron line but other arguments, only the first is run.
#
# Expected: repeatable_scheduler() takes "a list of dictionaries, where each dictionary defines a job", with its args and
# kwargs, and enqueues each "when a job's scheduled time arrives". Jobs with "every" instead of "cron" do so.
#
# Seen: the next run of a cron job is kept under the name of the task and the cron line. The first job of that name is
# enqueued and moves the time on; the second one finds that its time has not come, each time.
#
# Hurts: one task for several tenants or hosts on one cron line: all but one are never served, without a word.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --no-compile --disable-pip-version-check asyncmq==0.10.1 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import asyncio
import collections
import sys
from importlib.metadata import version

from asyncmq.backends.memory import InMemoryBackend
from asyncmq.schedulers import repeatable_scheduler


async def main():
    backend = InMemoryBackend()
    jobs = [
        {"task_id": task, when: value, "kwargs": {"tenant": tenant}}
        for task, when, value in (("report", "cron", "* * * * * *"), ("poll", "every", 1))
        for tenant in ("north", "south")
    ]
    scheduler = asyncio.create_task(repeatable_scheduler("q", jobs, backend, interval=0.1))
    await asyncio.sleep(4)
    scheduler.cancel()
    seen = collections.Counter()
    while (job := await backend.dequeue("q")) is not None:
        seen[job["task"], job["kwargs"]["tenant"]] += 1
    print("asyncmq", version("asyncmq"), "- enqueued in 4 seconds, each job is due every second:")
    for key in (("poll", "north"), ("poll", "south"), ("report", "north"), ("report", "south")):
        print("  ", key, "expected about 4, seen", seen[key])
    sys.exit(0 if seen["report", "north"] and not seen["report", "south"] and seen["poll", "south"] else 1)


asyncio.run(main())
PY
