"""docs/security.md: each statement names a test that is there, and what it says about permissions follows from their table."""

from __future__ import annotations

import re
from pathlib import Path

from naq.store.keys import Namespace
from naq.store.permissions import Role, permissions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/security.md").read_text()
NAMES = Namespace("naq")


def publishes(role: Role) -> tuple[str, ...]:
    return tuple(permissions([role], NAMES, inbox="_INBOX").publish)


def test_each_statement_is_held_by_a_test_that_is_there() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "statement" not in line]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named, f"no test holds: {row}"
        for file, name in named:
            assert re.search(rf"def {name}\(", (ROOT / file).read_text()), f"{file} has no {name}"


def test_history_and_results_are_one_permission() -> None:
    mine = publishes(Role.WORKER)
    assert [each for each in mine if each.startswith("naq.history")] == ["naq.history.*"]
    assert [each for each in mine if each.startswith("$KV.naq_results")] == ["$KV.naq_results.>"]


def test_what_a_worker_and_a_client_may_do_to_others() -> None:
    assert "$JS.API.STREAM.PURGE.KV_naq" in publishes(Role.WORKER)
    assert "$KV.naq.schedule.*" in publishes(Role.CLIENT)
