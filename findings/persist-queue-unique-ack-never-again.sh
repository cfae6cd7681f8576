#!/usr/bin/env bash
# persist-queue: an item of UniqueAckQ that was done can never be put in again.
#
# Expected: "unique" is about what is in the queue: the README shows for UniqueQ that a duplicate of a waiting item is
# ignored, and UniqueQ takes an item again once it was taken out. In UniqueAckQ an item leaves the queue when it is
# acknowledged.
#
# Seen: acknowledged rows stay in the table and count for uniqueness. put() of an item that was ever processed stores
# nothing and returns None, without an error. Even clear_acked_data() does not help as a rule, as it keeps the latest
# 1000 by default.
#
# Hurts: recurring work keyed by name ("refresh user 7"): it is done once and then silently never again.
set -eu
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
python3 -m venv "$tmp/venv"
"$tmp/venv/bin/pip" install -q --disable-pip-version-check persist-queue==1.1.0 2>"$tmp/pip.log" || { cat "$tmp/pip.log"; exit 1; }
cd "$tmp"
timeout 100 "$tmp/venv/bin/python" - <<'PY'
import sys
import tempfile
from importlib.metadata import version

import persistqueue
from persistqueue.serializers import json

print("persist-queue", version("persist-queue"))
folder = tempfile.mkdtemp(dir=".")
plain = persistqueue.UniqueQ(folder + "/plain", auto_commit=True)
plain.put("refresh user 7")
plain.get()
plain.put("refresh user 7")
print("UniqueQ:    put, get, put again:              size expected 1, seen", plain.size)

queue = persistqueue.UniqueAckQ(folder + "/ack", serializer=json)
queue.put("refresh user 7")
queue.ack(queue.get())
again = queue.put("refresh user 7")
print("UniqueAckQ: put, get, ack, put again:         size expected 1, seen", queue.size)
queue.clear_acked_data()
cleared = queue.put("refresh user 7")
print("UniqueAckQ: clear_acked_data(), put again:    size expected 1, seen", queue.size)
sys.exit(0 if plain.size == 1 and again is None and cleared is None and queue.size == 0 else 1)
PY
