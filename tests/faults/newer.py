"""A naq of the future: it reads records up to version 2, says in its lease what no naq of today knows, and is otherwise
the one beside it. ``python -m tests.faults.newer scheduler`` is its command line."""

from __future__ import annotations

import json
from unittest import mock

import msgspec

from naq.cli import main
from naq.scheduler import elector
from naq.store import codec as wire

VERSION = 2

if __name__ == "__main__":

    def encode(record: msgspec.Struct) -> bytes:
        return json.dumps({**json.loads(wire.encode(record)), "v": VERSION, "shape": "unheard of"}).encode()

    wire.VERSION = VERSION
    with mock.patch.object(elector, "encode", encode):
        main()
