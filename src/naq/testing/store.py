"""The store in memory: `naq.store.port.Store` exactly as it is written there, without a server.

`MemoryStore` is a store that always answers at once. ``client(name)`` gives what one process has instead: a
`naq.testing.link.MemoryClient`, whose way to the store can be slow, cut, or lose answers. One contract suite
(``tests/store/contract``) holds for this store and for the one on JetStream.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import weakref
from collections.abc import AsyncIterator, Callable, Sequence

from naq.clock import Clock, SystemClock
from naq.exceptions import InvalidInput, StoreRejected, StoreUnavailable, TransactionTooLarge
from naq.store.ordering import safe_order
from naq.store.port import Check, Committed, Delete, Entry, Outcome, Put, Refused, Unknown, Write

__all__ = ["MemoryStore", "Watch", "checked_key", "expanded", "key_matcher"]

BATCH_LIMIT = 1000
"""Writes in one transaction at most, as the server has it."""
MARKER_TTL = 3600.0
"""Seconds for which a deleted key's marker stays."""
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/=.")


class MemoryStore:
    """A `Store` in memory; everything in it is gone with it.

    The methods that are not async are the store's own side, as a server has it: what a test looks at and changes without
    being a client. Time to live is counted on ``clock``.
    """

    def __init__(self, clock: Clock | None = None, *, max_value: int = 1_048_576, page: int = 1000) -> None:
        self.revision = 0
        """The last revision given out."""
        self.life = 0
        """Which life of the store this is; see `replace`."""
        self.power_fails_after: int | None = None
        """Of the next transaction only so many writes are kept, and its answer is lost, as at a power failure."""
        self.on_power_failure: list[Callable[[], None]] = []
        """Called right after that."""
        self.full: str | None = None
        """Set to a reason, every transaction is answered with `StoreRejected`."""
        self.on_commit: list[Callable[[Sequence[Entry]], None]] = []
        """Called with what each transaction wrote, before watches see it."""
        self.context = contextvars.Context()
        """In which the store's own timers run: it belongs to none of its clients."""
        self._clock = clock or SystemClock()
        self.max_value = max_value
        """The most bytes that a value can have."""
        self._page = page
        self._entries: dict[str, Entry] = {}  # in the order of their revisions
        self._expiries: list[tuple[float, int, str]] = []
        self._watches: list[weakref.ref[Watch]] = []
        self._reborn = asyncio.Event()

    # --- the store's own side

    def peek(self, key: str) -> Entry | None:
        """What is at a key, a deletion's marker included."""
        self._expire()
        return self._entries.get(key)

    def entries(self, pattern: str = ">", after: int = 0) -> list[Entry]:
        """All entries under a pattern behind a revision, ordered by revision, deletions included."""
        self._expire()
        return self._behind(after, key_matcher((pattern,)))

    def page(self, pattern: str, after: int) -> list[Entry]:
        """The first of the entries behind a revision, as many as a `scan` hands over at once."""
        return self.entries(pattern, after)[: self._page]

    def names(self, pattern: str) -> list[str]:
        """All keys under a pattern."""
        return [entry.key for entry in self.entries(pattern)]

    def newest(self, pattern: str) -> int:
        """The highest revision under a pattern."""
        self._expire()
        matches = key_matcher((pattern,))
        return next((entry.revision for entry in reversed(self._entries.values()) if matches(entry.key)), 0)

    def check(self, writes: Sequence[Write]) -> None:
        """What is refused before it is sent. Raises `TransactionTooLarge`, and `InvalidInput` for what is no key."""
        if len(writes) > BATCH_LIMIT:
            raise TransactionTooLarge(f"a transaction of {len(writes)} writes is more than {BATCH_LIMIT}: split it")
        for write in writes:
            checked_key(write.key)
            if isinstance(write, Put) and len(write.value) > self.max_value:
                raise TransactionTooLarge(
                    f"the value of {write.key!r} is {len(write.value)} bytes, and the store accepts {self.max_value}"
                )

    def commit(self, writes: Sequence[Write]) -> Committed | Refused:
        """Do all or nothing, now. Raises as `check`, and `StoreRejected`."""
        self.check(writes)
        if self.full is not None:
            raise StoreRejected(self.full)
        self._expire()
        written = [write.key for write in writes if not isinstance(write, Check)]
        if len(written) != len(set(written)):
            raise StoreRejected("a key is written more than once in one transaction")
        for write in writes:
            if not self._holds(write):
                return Refused(f"the revision of {write.key!r} is another")
        order = safe_order(writes)
        kept = order if self.power_fails_after is None else order[: self.power_fails_after]
        revisions = {place: self._write(write) for place in kept if not isinstance(write := writes[place], Check)}
        news = [self._entries[writes[place].key] for place in kept if place in revisions]
        if news:
            for listener in self.on_commit:
                listener(news)
            self._tell([entry.key for entry in news])
        if self.power_fails_after is not None:
            self.power_fails_after = None
            for power_failed in self.on_power_failure:
                power_failed()
            raise StoreUnavailable("the power failed in the middle of a transaction")
        return Committed(tuple(revisions.get(place, 0) for place in range(len(writes))))

    def purge(self, pattern: str) -> int:
        """Remove keys without a marker or notification, as trimming finished jobs does; returns how many."""
        matches = key_matcher((pattern,))
        gone = [key for key in self._entries if matches(key)]
        for key in gone:
            del self._entries[key]
        return len(gone)

    def replace(self, entries: Sequence[Entry] = (), revision: int | None = None) -> None:
        """The store was deleted and is there again, in another life: with ``entries``, as restored from a backup, or empty.

        ``revision``: the last one given out; without it they go on as they do in a bucket that naq makes anew.
        """
        self.life += 1
        self.revision = self.revision if revision is None else revision
        self._entries = {entry.key: entry for entry in sorted(entries, key=lambda entry: entry.revision)}
        self._expiries.clear()
        for watch in (found for reference in self._watches if (found := reference()) is not None):
            watch.begin_anew()
        self._reborn.set()
        self._reborn = asyncio.Event()

    def add_watch(self, watch: Watch) -> None:
        """Notify a watch of every transaction while it is referenced."""
        self._watches.append(weakref.ref(watch))

    def news(self, watch: Watch) -> list[Entry]:
        """What a watch may see and has not seen."""
        self._expire()
        found = self._behind(watch.position, watch.matches)
        return [entry for entry in found if entry.revision <= watch.horizon]

    # --- the Store

    async def next_life(self, life: int) -> None:
        """Return when `life` is another; see `Store.next_life`."""
        while self.life == life:
            await self._reborn.wait()

    async def get(self, key: str) -> Entry | None:
        """The key's entry; see `Store.get`."""
        entry = self.peek(checked_key(key))
        return None if entry is None or entry.value is None else entry

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those keys that exist; see `Store.get_many`."""
        found = {key: self.peek(key) for key in expanded(keys, self.names)}
        return {key: entry for key, entry in found.items() if entry is not None and entry.value is not None}

    async def scan(self, pattern: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Pages of entries ordered by revision, deletions included; see `Store.scan`."""
        while page := self.page(pattern, after):
            yield page
            after = page[-1].revision

    def watch(self, patterns: Sequence[str] | str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Changes behind a revision, for ever; see `Store.watch`."""
        watch = Watch(self, [patterns] if isinstance(patterns, str) else patterns, after)
        watch.see(self.revision)
        self.add_watch(watch)
        return watch

    async def last_revision(self, pattern: str) -> int:
        """The highest revision under a pattern; see `Store.last_revision`."""
        return self.newest(pattern)

    async def names_of(self, pattern: str) -> list[str]:
        """All keys under a pattern; see `Store.names_of`."""
        return self.names(pattern)

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        """Commit all writes or none of them; see `Store.transact`."""
        try:
            return self.commit(writes)
        except StoreUnavailable as error:
            return Unknown(str(error))

    async def expect(self, check: Check) -> None:
        """Nothing has to be prepared."""

    # --- inside

    def _holds(self, write: Write) -> bool:
        wanted = write.revision if isinstance(write, Check) else write.expect
        if wanted is None:
            return True
        entry = self._entries.get(write.key)
        there = 0 if entry is None or entry.value is None else entry.revision
        return there == wanted

    def _write(self, write: Put | Delete) -> int:
        self.revision += 1
        value, ttl = (write.value, write.ttl) if isinstance(write, Put) else (None, MARKER_TTL)
        self._entries.pop(write.key, None)
        self._entries[write.key] = Entry(write.key, value, self.revision)
        if ttl is not None:
            heapq.heappush(self._expiries, (self._clock.monotonic() + ttl, self.revision, write.key))
        return self.revision

    def _expire(self) -> None:
        expiries = self._expiries
        while expiries and expiries[0][0] <= self._clock.monotonic():
            _, revision, key = heapq.heappop(expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.revision == revision:
                del self._entries[key]

    def _behind(self, after: int, matches: Callable[[str], bool]) -> list[Entry]:
        found = []
        for entry in reversed(self._entries.values()):
            if entry.revision <= after:
                break
            if matches(entry.key):
                found.append(entry)
        found.reverse()
        return found

    def _tell(self, keys: Sequence[str]) -> None:
        lost = False
        for reference in self._watches:
            watch = reference()
            if watch is None:
                lost = True
            elif any(map(watch.matches, keys)):
                watch.tell(self.revision)
        if lost:
            self._watches = [reference for reference in self._watches if reference() is not None]


class Watch(AsyncIterator[list[Entry]]):
    """One watch: it has handed over everything up to ``position`` and may see everything up to ``horizon``."""

    def __init__(self, store: MemoryStore, patterns: Sequence[str], after: int) -> None:
        self.matches = key_matcher(patterns)
        self.position = after
        self.horizon = after
        self.way: Callable[[int], None] | None = None
        """On which news come, when they do not come at once."""
        self._store = store
        self._signal = asyncio.Event()

    def tell(self, revision: int) -> None:
        """There is something new, up to ``revision``."""
        (self.way or self.see)(revision)

    def begin_anew(self) -> None:
        """The store is another one: all that is there is news."""
        self.position = self.horizon = 0
        self.tell(self._store.revision)

    def see(self, revision: int) -> None:
        """Everything up to ``revision`` may be handed over."""
        if revision > self.horizon:
            self.horizon = revision
            self._signal.set()

    async def __anext__(self) -> list[Entry]:
        while True:
            self._signal.clear()
            if self.horizon > self.position:
                entries = self._store.news(self)
                self.position = self.horizon
                if entries:
                    return entries
            await self._signal.wait()


def expanded(keys: Sequence[str], names: Callable[[str], list[str]]) -> list[str]:
    """The keys, with ``names(pattern)`` in place of each pattern."""
    return [name for key in keys for name in (names(key) if "*" in key or ">" in key else (key,))]


def key_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a key is under one of the patterns: ``*`` is one part of a key, ``>`` at the end one or more."""
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern and ">" not in pattern)
    heads = tuple(pattern[:-1] for pattern in patterns if pattern.endswith(">") and "*" not in pattern)
    others = [pattern.split(".") for pattern in patterns if "*" in pattern]

    def matches(key: str) -> bool:
        if key in exact or key.startswith(heads):
            return True
        return bool(others) and any(_fits(parts, key.split(".")) for parts in others)

    return matches


def _fits(pattern: list[str], key: list[str]) -> bool:
    if pattern[-1] == ">":
        pattern = pattern[:-1]
        if len(key) <= len(pattern):
            return False
        key = key[: len(pattern)]
    return len(pattern) == len(key) and all(want in ("*", part) for want, part in zip(pattern, key, strict=True))


def checked_key(key: str) -> str:
    """The key, or `InvalidInput`."""
    if not key or key[0] == "." or key[-1] == "." or ".." in key or not KEY_CHARACTERS.issuperset(key):
        raise InvalidInput.of("key", key, "a key is letters, digits, '-', '_', '=', '/' and '.'", "schedule.daily")
    return key
