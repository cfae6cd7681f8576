"""What a watcher stores: a successor goes on from it, and a watcher that was replaced writes nothing any more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq import FailedTimes, Missed, NotRunSince
from naq.events import Event, EventType
from naq.exceptions import StoreUnavailable
from naq.observe.alerts import memory
from naq.observe.alerts.board import Board, Watched, WatchedRule
from naq.observe.alerts.memory import Memory, Position, stored_alerts
from naq.store.keys import epoch_key
from naq.store.port import Check, Committed, Put, Store
from naq.testing.store import MemoryStore

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FENCE = epoch_key(0, "alerts-shop")
RULES = {
    "exports": WatchedRule(FailedTimes(2)),
    "missed": WatchedRule(Missed(), has_sinks=False),
    "silence": WatchedRule(NotRunSince(60)),
}


def failed(number: int) -> Event:
    at = NOW + timedelta(seconds=number)
    return Event(type=EventType.JOB_FAILED, timestamp=at, schedule_id="nightly", job_id=str(number), reason="no")


async def term(store: Store) -> Check:
    """Take office."""
    outcome = await store.transact([Put(FENCE, b"term")])
    assert isinstance(outcome, Committed)
    return Check(FENCE, outcome.revisions[0])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_a_successor_goes_on(store: MemoryStore) -> None:
    memory = Memory(store, "shop", 17)
    board, position = await memory.load(RULES, NOW)
    assert position == Position(sequence=17)
    board.hear(failed(1))
    board.see_schedules("silence", [Watched("nightly", NOW, "m:f", "default")], NOW)
    fence = await term(store)
    await memory.commit(fence, board, Position(sequence=20, skip=3, sent={"0": 12}), all_facts=True)
    successor, position = await Memory(store, "shop", 99).load(RULES, NOW)
    assert position == Position(sequence=20, skip=3, sent={"0": 12})
    successor.hear(failed(2))
    changes = await memory.commit(fence, successor, Position(sequence=21), all_facts=False)
    assert [str(alert.kind) for alert in changes.alerts] == ["fired"]
    (record,) = await stored_alerts(store)
    assert record.untold == (record.alert,)
    third, _ = await Memory(store, "shop", 99).load(RULES, NOW)
    third.hear(failed(3))
    third.notified(("exports", "nightly"), record.alert.id)
    changes = await memory.commit(fence, third, Position(sequence=22), all_facts=False)
    assert changes.alerts == []
    assert [record.untold for record in await stored_alerts(store)] == [()]


async def test_who_was_replaced_writes_nothing(store: MemoryStore) -> None:
    memory = Memory(store, "shop")
    board, _ = await memory.load(RULES, NOW)
    old = await term(store)
    await term(store)
    board.hear(failed(1))
    board.hear(failed(2))
    with pytest.raises(StoreUnavailable, match="was not stored"):
        await memory.commit(old, board, Position(sequence=2), all_facts=True)
    assert await stored_alerts(store) == []
    assert (await Memory(store, "shop", 1).load(RULES, NOW))[1] == Position(sequence=1)


async def test_what_is_not_declared_any_more_is_over_and_forgotten(store: MemoryStore) -> None:
    shop = Memory(store, "shop")
    board, _ = await shop.load(RULES, NOW)
    board.hear(failed(1))
    board.hear(failed(2))
    fence = await term(store)
    await shop.commit(fence, board, Position(sequence=2), all_facts=True)
    successor, _ = await shop.load({}, NOW)
    await shop.clean({})
    changes = await shop.commit(fence, successor, Position(sequence=2), all_facts=True)
    assert [alert.reason for alert in changes.alerts] == ["the alert is no longer declared"]
    left = [entry.key async for page in store.scan("watch.>") for entry in page if entry.value is not None]
    assert left == ["watch.shop"]
    other, _ = await Memory(store, "other", 5).load(RULES, NOW)
    assert other.records == {}


async def test_of_too_many_facts_the_oldest_are_stored(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_FACTS", 400)
    board = Board("shop", RULES)
    for number in range(9):
        event = failed(9 - number)
        board.hear(Event(type=event.type, timestamp=event.timestamp, schedule_id=f"s{number}", job_id="j"))
    await Memory(store, "shop").commit(await term(store), board, Position(sequence=2), all_facts=True)
    successor, _ = await Memory(store, "shop", 1).load(RULES, NOW)
    kept = [standing.subject for standing in successor.standings("exports")]
    assert kept[0] == "s8"
    assert 0 < len(kept) < 9


async def test_more_than_fit_into_one_transaction(store: MemoryStore) -> None:
    shop = Memory(store, "shop")
    board = Board("shop", RULES)
    subjects = [Watched(f"s{number}", NOW, "m:f", "default") for number in range(1100)]
    board.see_schedules("silence", subjects, NOW)
    for key in board.look(NOW + timedelta(hours=1), 9999):
        board.settle(key, board.standing(key), NOW + timedelta(hours=1))
    fence = await term(store)
    await shop.commit(fence, board, Position(sequence=2), all_facts=True)
    assert len(await stored_alerts(store)) == 1100
    board.see_schedules("silence", [], NOW + timedelta(hours=2))
    changes = await shop.commit(fence, board, Position(sequence=3), all_facts=True)
    assert len(changes.alerts) == 1100
    assert not any(record.firing for record in await stored_alerts(store))


async def test_any_name_becomes_a_key(store: MemoryStore) -> None:
    shop = Memory(store, "my shop")
    board = Board("my shop", {"one": WatchedRule(FailedTimes(1))})
    funcs = ["módulo:f", "a.b:C.f", "a..b:f", "x" * 400]
    for number, func in enumerate(funcs):
        at = NOW.replace(tzinfo=None)
        board.hear(Event(type=EventType.JOB_FAILED, timestamp=at, func=func, job_id=str(number)))
    await shop.commit(await term(store), board, Position(sequence=2), all_facts=True)
    records = await stored_alerts(store)
    assert {record.alert.subject for record in records} == set(funcs)
    assert {record.alert.since for record in records} == {NOW}
