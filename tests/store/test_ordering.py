"""The writes of a transaction become durable in an order of which every prefix is safe."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.lifecycle import ServiceManager
from naq.store.nats.bucket import KVStoreService
from naq.store.ordering import in_callers_order, safe_order
from naq.store.port import Check, Committed, Delete, Outcome, Put, Refused, Unknown, Write
from naq.testing.store import MemoryStore

CHECK, NOTE = Check("fence", 0), Put("waiting.a.b", b"n")
JOB, RECORD, GONE = Put("job.q.j", b"j", 0), Put("schedule.s", b"s", 7), Delete("deferred.j", 3)
KINDS: list[tuple[str, list[Write]]] = [
    ("a fire: the job before the record that says it was enqueued", [CHECK, JOB, RECORD]),
    ("a retry: the next attempt before the last one is gone", [JOB, GONE]),
    ("a deferred job: in the queue before it is no longer deferred", [CHECK, JOB, GONE]),
    ("a job with dependencies: the notes before the job that waits", [NOTE, JOB]),
    ("a requeued dead letter: the job before the letter is gone", [JOB, GONE]),
    ("a trigger by hand: the job before the record that counts it as open", [JOB, RECORD]),
]


@pytest.mark.parametrize(("kind", "safe"), KINDS, ids=[kind for kind, _ in KINDS])
def test_each_kind_of_transaction_is_written_in_its_safe_order(kind: str, safe: list[Write]) -> None:
    """In whatever order it was put together."""
    for given_order in permutations(safe):
        assert [given_order[place] for place in safe_order(given_order)] == safe


writes = st.lists(
    st.one_of(
        st.builds(Check, st.just("c"), st.integers(0, 9)),
        st.builds(Put, st.just("p"), st.just(b"v"), st.one_of(st.none(), st.integers(0, 9))),
        st.builds(Delete, st.just("d"), st.one_of(st.none(), st.integers(0, 9))),
    ),
    max_size=12,
)


@given(writes)
def test_the_revisions_come_back_in_the_callers_order(given_writes: list[Write]) -> None:
    order = safe_order(given_writes)
    assert sorted(order) == list(range(len(given_writes)))
    sent = Committed(tuple(100 + place for place in order))
    assert in_callers_order(sent, order) == Committed(tuple(100 + place for place in range(len(given_writes))))


@pytest.mark.parametrize("outcome", [Refused("moved"), Unknown("lost")])
def test_what_was_not_committed_has_no_order(outcome: Outcome) -> None:
    assert in_callers_order(outcome, [1, 0]) is outcome


async def test_the_server_stores_them_in_this_order_and_answers_in_the_callers(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        old = await store.put("old", b"1")
        gone = await store.put("gone", b"1")
        outcome = await store.transact(
            [Delete("gone", gone), Put("old", b"2", old), Put("new", b"1", 0), Put("any", b"1")]
        )
        assert isinstance(outcome, Committed)
        deleted, replaced, created, unconditional = outcome.revisions
        assert unconditional < created < replaced < deleted
        entries = {entry.key: entry.revision async for page in store.scan(">") for entry in page}
        assert entries["old"] == replaced
        assert entries["new"] == created
        assert entries["any"] == unconditional
        # The deleted key's marker stands where a new value was created before: the order is the same.
        outcome = await store.transact([Put("old", b"3", replaced), Put("gone", b"2", 0)])
        assert isinstance(outcome, Committed)
        assert outcome.revisions[1] < outcome.revisions[0]


@pytest.mark.parametrize("kept", range(4))
async def test_a_power_failure_in_memory_keeps_a_prefix_and_answers_nothing(kept: int) -> None:
    store = MemoryStore()
    (first,) = Committed((1,)).revisions
    store.commit([Put("old", b"1")])
    store.power_fails_after = kept
    outcome = await store.transact([Delete("old", first), Put("new", b"1", 0), Put("any", b"1")])
    assert isinstance(outcome, Unknown)
    there = {entry.key for entry in store.entries() if entry.value is not None}
    assert there == [{"old"}, {"old", "any"}, {"old", "any", "new"}, {"any", "new"}][kept]
    assert isinstance(await store.transact([Put("after", b"1")]), Committed)
