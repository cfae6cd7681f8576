"""`naq.store.port.Store.transact`: several writes, each with its condition, all or none."""

from __future__ import annotations

import asyncio

import pytest

from naq.exceptions import TransactionTooLarge
from naq.store.port import Check, Committed, Delete, Put, Refused, Store, Write
from tests.store.contract.conftest import put, revisions


async def values(store: Store, *keys: str) -> list[bytes | None]:
    found = await store.get_many(keys)
    return [found[key].value if key in found else None for key in keys]


async def test_every_write_has_a_revision_that_only_grows_across_the_store(store: Store) -> None:
    first = await put(store, "a")
    second = await put(store, "b")
    third = await put(store, "a")
    assert 0 < first < second < third
    a, b = await store.get("a"), await store.get("b")
    assert a is not None and b is not None
    assert (a.revision, b.revision) == (third, second)


async def test_the_revisions_are_those_of_the_writes_in_their_order_and_0_for_each_check(store: Store) -> None:
    guard = await put(store, "guard")
    old = await put(store, "old")
    writes: list[Write] = [Check("guard", guard), Put("x", b"1"), Delete("old", old), Put("y", b"2", 0)]
    nothing, x, deleted, y = revisions(await store.transact(writes))
    assert nothing == 0
    assert old < x < y < deleted, "written in the order of `naq.store.ordering`"
    found = await store.get_many(["x", "y", "old"])
    assert {key: entry.revision for key, entry in found.items()} == {"x": x, "y": y}


async def test_a_write_without_a_condition_takes_whatever_is_there(store: Store) -> None:
    await put(store, "a", b"1")
    await put(store, "a", b"2")
    await put(store, "b", b"3")
    assert await values(store, "a", "b") == [b"2", b"3"]


async def test_a_put_conditional_on_a_revision_needs_exactly_that_one(store: Store) -> None:
    first = await put(store, "a", b"1")
    second = await put(store, "a", b"2", expect=first)
    assert isinstance(await store.transact([Put("a", b"3", first)]), Refused)
    assert isinstance(await store.transact([Put("a", b"3", second + 1)]), Refused)
    assert isinstance(await store.transact([Put("never", b"3", second)]), Refused)
    assert await values(store, "a", "never") == [b"2", None]
    await put(store, "a", b"3", expect=second)


async def test_zero_means_must_not_exist(store: Store) -> None:
    await put(store, "a", b"1", expect=0)
    assert isinstance(await store.transact([Put("a", b"2", 0)]), Refused)
    assert await values(store, "a") == [b"1"]


async def test_a_deleted_key_does_not_exist(store: Store) -> None:
    revision = await put(store, "a", b"1", expect=0)
    await store.transact([Delete("a", revision)])
    assert await store.get("a") is None
    again = await put(store, "a", b"2", expect=0)
    assert await values(store, "a") == [b"2"]
    assert again > revision


async def test_a_deleted_key_can_be_created_beside_others(store: Store) -> None:
    await store.transact([Delete("a", await put(store, "a", b"1"))])
    kept = await put(store, "kept", b"1")
    made = revisions(await store.transact([Put("kept", b"2", kept), Put("a", b"2", 0), Put("new", b"2", 0)]))
    assert len(made) == 3
    assert await values(store, "kept", "a", "new") == [b"2", b"2", b"2"]


async def test_a_delete_is_conditional_like_a_put(store: Store) -> None:
    first = await put(store, "a")
    second = await put(store, "a")
    assert isinstance(await store.transact([Delete("a", first)]), Refused)
    assert isinstance(await store.transact([Delete("a", 0)]), Refused)
    assert isinstance(await store.transact([Delete("a", second)]), Committed)
    await put(store, "a")
    assert isinstance(await store.transact([Delete("a")]), Committed)
    assert await store.get("a") is None


async def test_a_check_lets_pass_only_with_that_revision_and_writes_nothing(store: Store) -> None:
    revision = await put(store, "guard", b"1")
    assert isinstance(await store.transact([Check("guard", revision + 1), Put("a", b"1")]), Refused)
    assert isinstance(await store.transact([Check("absent", revision), Put("a", b"1")]), Refused)
    assert await values(store, "a") == [None]
    assert isinstance(await store.transact([Check("guard", revision), Put("a", b"1")]), Committed)
    guard = await store.get("guard")
    assert guard is not None
    assert (guard.value, guard.revision) == (b"1", revision)


async def test_a_check_with_zero_passes_if_the_key_does_not_exist(store: Store) -> None:
    assert isinstance(await store.transact([Check("absent", 0), Put("a", b"1")]), Committed)
    await put(store, "absent")
    assert isinstance(await store.transact([Check("absent", 0), Put("a", b"2")]), Refused)
    await store.transact([Delete("absent")])
    assert isinstance(await store.transact([Check("absent", 0), Put("a", b"3")]), Committed)
    assert await values(store, "a") == [b"3"]


async def test_several_checks_in_one_transaction(store: Store) -> None:
    first, second = await put(store, "g1"), await put(store, "g2")
    assert isinstance(await store.transact([Check("g1", first), Check("g2", second), Put("a", b"1")]), Committed)
    assert isinstance(await store.transact([Check("g1", first), Check("g2", first), Put("a", b"2")]), Refused)
    assert await values(store, "a") == [b"1"]


async def test_a_transaction_of_checks_alone(store: Store) -> None:
    revision = await put(store, "g1")
    assert await store.transact([Check("g1", revision)]) == Committed((0,))
    assert isinstance(await store.transact([Check("g1", revision + 7)]), Refused)


async def test_one_condition_that_does_not_hold_refuses_all(store: Store) -> None:
    revision = await put(store, "a", b"1")
    writes: list[Write] = [Put("b", b"1", 0), Put("a", b"2", revision + 5), Put("c", b"1", 0)]
    assert isinstance(await store.transact(writes), Refused)
    assert await values(store, "a", "b", "c") == [b"1", None, None]


async def test_of_many_writers_with_the_same_condition_one_wins(store: Store) -> None:
    revision = await put(store, "a", b"0")
    outcomes = await asyncio.gather(
        *(store.transact([Put("a", str(n).encode(), revision), Put(f"won.{n}", b"", 0)]) for n in range(20))
    )
    winners = [n for n, outcome in enumerate(outcomes) if isinstance(outcome, Committed)]
    assert len(winners) == 1
    assert all(isinstance(outcome, Refused) for n, outcome in enumerate(outcomes) if n not in winners)
    assert await values(store, "a") == [str(winners[0]).encode()]
    assert [entry.key async for page in store.scan("won.>") for entry in page] == [f"won.{winners[0]}"]


async def test_nothing_to_write_is_committed(store: Store) -> None:
    assert await store.transact([]) == Committed(())


async def test_a_thousand_writes_are_one_transaction_and_more_are_too_large(store: Store) -> None:
    many: list[Write] = [Put(f"many.{number}", b"x", 0) for number in range(1000)]
    made = revisions(await store.transact(many))
    assert list(made) == sorted(made)
    assert len(set(made)) == 1000
    with pytest.raises(TransactionTooLarge):
        await store.transact([Put(f"more.{number}", b"x", 0) for number in range(1001)])
    assert await store.last_revision("more.>") == 0


async def test_a_value_that_is_too_large_is_refused_before_anything_is_sent(store: Store) -> None:
    with pytest.raises(TransactionTooLarge):
        await store.transact([Put("small", b"x", 0), Put("large", b"x" * 20_000_000, 0)])
    assert await store.last_revision(">") == 0


async def test_a_hint_changes_nothing(store: Store) -> None:
    guard = await put(store, "guard")
    await store.expect(Check("guard", guard))
    await store.expect(Check("guard", guard + 9))
    assert await store.get("a") is None
    assert isinstance(await store.transact([Check("guard", guard), Put("a", b"1", 0)]), Committed)
    assert isinstance(await store.transact([Check("guard", guard + 9), Put("b", b"1", 0)]), Refused)
    await store.expect(Check("guard", guard))
    newer = await put(store, "guard")
    assert isinstance(await store.transact([Check("guard", guard), Put("b", b"1", 0)]), Refused)
    assert isinstance(await store.transact([Check("guard", newer), Put("b", b"1", 0)]), Committed)


async def test_a_hint_that_nothing_follows_holds_up_nobody(store: Store) -> None:
    guard = await put(store, "guard")
    await store.expect(Check("guard", guard))
    await put(store, "guard", b"2", expect=guard)
    await put(store, "a", b"1")
    assert await values(store, "guard", "a") == [b"2", b"1"]
