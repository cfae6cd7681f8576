"""Reading many records: each by itself."""

from __future__ import annotations

import logging

import pytest

from naq.jobs.records import QueueLimits
from naq.store.codec import encode
from naq.store.port import Entry
from naq.store.records import read_all, readable, readable_one

log = logging.getLogger("test")
GOOD = encode(QueueLimits(rate=2))
ENTRIES = [
    Entry("queue.a", GOOD, 1),
    Entry("queue.b", b"rubbish", 2),
    Entry("queue.c", None, 3),
    Entry("queue.d", b'{"v":9}', 4),
    Entry("queue.e", GOOD, 5),
]


def test_one_record_that_cannot_be_read_does_not_hide_the_others() -> None:
    found = read_all(QueueLimits, ENTRIES)
    assert [(entry.key, limits.rate) for entry, limits in found.records] == [("queue.a", 2.0), ("queue.e", 2.0)]
    assert [entry.key for entry, _ in found.unreadable] == ["queue.b", "queue.d"]
    assert found.unreadable[1][1].newer


def test_what_cannot_be_read_is_logged_each_by_its_key(caplog: pytest.LogCaptureFixture) -> None:
    assert [entry.key for entry, _ in readable(QueueLimits, ENTRIES, log)] == ["queue.a", "queue.e"]
    assert [key for key in ("queue.b", "queue.d") if key in caplog.text] == ["queue.b", "queue.d"]


def test_one_record() -> None:
    assert readable_one(QueueLimits, ENTRIES[0]) == QueueLimits(rate=2)
    assert [readable_one(QueueLimits, entry) for entry in (None, *ENTRIES[1:4])] == [None] * 4
