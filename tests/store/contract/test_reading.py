"""`naq.store.port.Store`: get, get_many, scan, watch, last_revision, time to live, and a store that cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from naq.exceptions import StoreUnavailable
from naq.store.port import Check, Delete, Entry, Put, Store
from tests.store.contract.conftest import HANG, make_anew, put, revisions


async def keys_of(pages: AsyncIterator[list[Entry]]) -> list[str]:
    return [entry.key async for page in pages for entry in page]


async def collect(news: AsyncIterator[list[Entry]], until: int) -> list[Entry]:
    """Take from a watch until it has handed over revision ``until``; every group must be ordered."""
    got: list[Entry] = []
    async with asyncio.timeout(HANG):
        while not got or got[-1].revision < until:
            group = await anext(news)
            assert group
            got.extend(group)
    assert [entry.revision for entry in got] == sorted({entry.revision for entry in got})
    return got


async def close(news: AsyncIterator[list[Entry]]) -> None:
    if hasattr(news, "aclose"):
        await news.aclose()


async def test_get_answers_with_the_last_value_and_none_when_there_is_none(store: Store) -> None:
    assert await store.get("a") is None
    await put(store, "a", b"1")
    revision = await put(store, "a", b"\x00two\r\n")
    assert await store.get("a") == Entry("a", b"\x00two\r\n", revision)
    empty = await put(store, "empty", b"")
    assert await store.get("empty") == Entry("empty", b"", empty)
    await store.transact([Delete("a")])
    assert await store.get("a") is None


async def test_get_many_answers_with_those_that_exist(store: Store) -> None:
    assert await store.get_many([]) == {}
    wanted = {key: await put(store, key, key.encode()) for key in ("a", "b.c", "b.d")}
    await store.transact([Delete("b.d")])
    found = await store.get_many(["a", "b.c", "b.d", "never"])
    assert found == {key: Entry(key, key.encode(), wanted[key]) for key in ("a", "b.c")}


async def test_get_many_takes_patterns(store: Store) -> None:
    for key in ("a", "b.c", "b.d", "b.d.e"):
        await put(store, key)
    await store.transact([Delete("b.d")])
    assert sorted(await store.get_many(["a", "b.*", "*.*.e"])) == ["a", "b.c", "b.d.e"]


async def test_get_many_with_more_keys_than_a_request_holds(store: Store) -> None:
    keys = [f"k.{number}" for number in range(700)]
    await store.transact([Put(key, b"x") for key in keys])
    assert sorted(await store.get_many(keys)) == sorted(keys)


async def test_a_scan_is_ordered_by_revision_and_begins_behind_one(store: Store) -> None:
    await put(store, "s.a")
    middle = await put(store, "s.b")
    await put(store, "other.x")
    await put(store, "s.c")
    await put(store, "s.a", b"again")
    assert await keys_of(store.scan("s.>")) == ["s.b", "s.c", "s.a"]
    assert await keys_of(store.scan("s.>", middle)) == ["s.c", "s.a"]
    assert await keys_of(store.scan("s.>", await store.last_revision("s.>"))) == []
    assert await keys_of(store.scan("nothing.>")) == []
    assert await keys_of(store.scan("s.b")) == ["s.b"]


async def test_a_scan_includes_deleted_keys(store: Store) -> None:
    await put(store, "s.a")
    (marker,) = revisions(await store.transact([Delete("s.a")]))
    assert [page async for page in store.scan("s.>")] == [[Entry("s.a", None, marker)]]


async def test_patterns_match_parts_of_keys(store: Store) -> None:
    for key in ("a", "a.b", "a.b.c", "a.x.c", "ab.c"):
        await put(store, key)
    assert await keys_of(store.scan("a.>")) == ["a.b", "a.b.c", "a.x.c"]
    assert await keys_of(store.scan("a.*")) == ["a.b"]
    assert await keys_of(store.scan("a.*.c")) == ["a.b.c", "a.x.c"]
    assert await keys_of(store.scan("*.b.>")) == ["a.b.c"]
    assert await keys_of(store.scan(">")) == ["a", "a.b", "a.b.c", "a.x.c", "ab.c"]


async def test_the_last_revision_under_a_pattern(store: Store) -> None:
    assert await store.last_revision("s.>") == 0
    await put(store, "s.a")
    newest = await put(store, "s.b")
    await put(store, "other.x")
    assert await store.last_revision("s.>") == newest
    assert await store.last_revision("s.a") < newest
    (marker,) = revisions(await store.transact([Delete("s.a")]))
    assert await store.last_revision("s.>") == marker


async def test_the_names_of_keys_are_listed_without_their_values(store: Store) -> None:
    assert await store.names_of("s.>") == []
    for key in ("s.a", "s.b.c", "other.x"):
        await put(store, key)
    assert sorted(await store.names_of("s.>")) == ["s.a", "s.b.c"]


async def test_a_watch_hands_over_what_is_behind_a_revision_and_then_what_is_written(store: Store) -> None:
    await put(store, "w.old")
    first = await put(store, "w.a", b"1")
    before = await put(store, "w.b", b"1")
    news = store.watch(["w.>"], first)
    assert await collect(news, before) == [Entry("w.b", b"1", before)]
    await put(store, "elsewhere.x")
    after = await put(store, "w.a", b"2")
    assert await collect(news, after) == [Entry("w.a", b"2", after)]
    await close(news)


async def test_a_store_that_was_made_anew_is_another_life_and_its_watches_begin_anew(store: Store) -> None:
    last = revisions(await store.transact([Put("w.a", b"1"), Put("w.b", b"1")]))[-1]
    news = store.watch(["w.>"], 0)
    await collect(news, last)
    life = store.life
    await make_anew(store)
    first = await put(store, "w.c", b"2")
    assert first > last, "a revision of the old life must mean nothing in the new one"
    assert await collect(news, first) == [Entry("w.c", b"2", first)]
    async with asyncio.timeout(HANG):
        await store.next_life(life)
    assert store.life > life
    assert await store.get("w.a") is None
    await close(news)


async def test_a_watch_sees_deletions(store: Store) -> None:
    revision = await put(store, "w.a")
    news = store.watch(["w.>"], revision)
    (marker,) = revisions(await store.transact([Delete("w.a", revision)]))
    assert await collect(news, marker) == [Entry("w.a", None, marker)]
    await close(news)


async def test_a_watch_on_several_patterns_is_ordered_across_them(store: Store) -> None:
    news = store.watch(["a.>", "b.x"], 0)
    written = [await put(store, key) for key in ("a.1", "b.x", "b.y", "a.2", "b.x", "c")]
    got = await collect(news, written[4])
    wanted = [("a.1", written[0]), ("b.x", written[1]), ("a.2", written[3]), ("b.x", written[4])]
    seen = [(entry.key, entry.revision) for entry in got]
    assert set(seen) <= set(wanted)
    assert set(seen) | {wanted[1]} == set(wanted)  # written twice: the first one may be left out
    await close(news)


async def test_a_watch_drops_nothing_of_many(store: Store) -> None:
    news = store.watch(["m.>"], 0)
    last = 0
    for start in range(0, 3000, 1000):
        last = revisions(await store.transact([Put(f"m.{start + n}", b"x") for n in range(1000)]))[-1]
    assert {entry.key for entry in await collect(news, last)} == {f"m.{n}" for n in range(3000)}
    await close(news)


async def test_writes_of_one_transaction_are_seen_in_their_order(store: Store) -> None:
    news = store.watch(["t.>"], 0)
    last = revisions(await store.transact([Put("t.c", b"1"), Put("t.a", b"1"), Put("t.b", b"1")]))[-1]
    assert [entry.key for entry in await collect(news, last)] == ["t.c", "t.a", "t.b"]
    await close(news)


async def test_a_key_with_a_time_to_live_disappears_by_itself(store: Store) -> None:
    await put(store, "brief", b"x", ttl=1)
    await put(store, "longer", b"x", ttl=1000)
    assert await store.get("brief") is not None
    async with asyncio.timeout(HANG):
        while await store.get("brief") is not None:  # noqa: ASYNC110 - a disappearance sends no signal
            await asyncio.sleep(0.05)
    assert await store.get("longer") is not None
    assert await store.last_revision("brief") == 0
    await put(store, "brief", b"y", expect=0)


async def test_a_key_written_anew_loses_its_time_to_live(store: Store) -> None:
    brief = await put(store, "probe", b"x", ttl=1)
    await put(store, "a", b"x", ttl=1)
    await put(store, "a", b"y")
    async with asyncio.timeout(HANG):
        while await store.get("probe") is not None:  # noqa: ASYNC110 - a disappearance sends no signal
            await asyncio.sleep(0.05)
    assert brief > 0
    assert await store.get("a") is not None


Broken = tuple[Store, Callable[[], Awaitable[None]]]


async def test_a_store_that_cannot_be_asked_says_so(cut_off: Broken) -> None:
    store, _ = cut_off
    questions: list[Callable[[], Awaitable[Any]]] = [
        lambda: store.get("a"),
        lambda: store.get_many(["a"]),
        lambda: keys_of(store.scan(">")),
        lambda: store.last_revision(">"),
        lambda: store.transact([Put("a", b"2")]),
        lambda: store.expect(Check("a", 1)),
    ]
    for question in questions:
        with pytest.raises(StoreUnavailable):
            await question()


async def test_a_watch_survives_a_lost_connection(cut_off: Broken) -> None:
    store, heal = cut_off
    news = store.watch(["a", "b"], 0)
    first = asyncio.ensure_future(collect(news, 1))
    await asyncio.sleep(0)
    await heal()
    got = await first
    assert (got[0].key, got[0].value) == ("a", b"1")
    async with asyncio.timeout(HANG):
        while True:
            try:
                revision = await put(store, "b")
                break
            except (StoreUnavailable, AssertionError):
                await asyncio.sleep(0.05)
    assert (await collect(news, revision))[-1].key == "b"
    await close(news)
