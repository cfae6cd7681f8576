"""A client's connection to a `MemoryStore`, with the faults of a network.

A `Link` is slow, loses requests or answers, is cut in one direction or in both, or is known to be down. What was sent
arrives though its sender has stopped or died meanwhile: a transaction whose answer is lost is done, or not, or will
be. Requests of one client keep their order; those of different clients overtake each other. All chance comes from the
link's own `random.Random`.

The client stays by the contract of `naq.store.port`: no answer in time is `Unknown` for a transaction and `StoreUnavailable`
for a question, and `StoreUnavailable` at once when it knows that it is not connected.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from naq.exceptions import NaqError, StoreUnavailable
from naq.store.port import Check, Committed, Entry, Outcome, Unknown, Write
from naq.testing.replica import Replica, View
from naq.testing.store import MemoryStore, Watch, checked_key, expanded

__all__ = ["Link", "MemoryClient"]

T = TypeVar("T")


@dataclass(slots=True)
class Link:
    """How requests, answers and news travel. Seconds are drawn uniformly between the two bounds for each message."""

    random: Random = field(default_factory=lambda: Random(0))
    delay: tuple[float, float] = (0.0, 0.0)
    """Delay of each request and of each answer."""
    lag: tuple[float, float] = (0.0, 0.0)
    """Of the news for watches."""
    lost_requests: float = 0.0
    """The share of requests that never arrive."""
    lost_answers: float = 0.0
    """The share of answers that never arrive, though the request was carried out."""
    replica: Replica | None = None
    """Who answers questions besides the store itself."""
    stale: float = 0.0
    """The share of questions that the replica answers."""
    behind: tuple[float, float] = (0.0, 0.0)
    """How many seconds the replica is behind."""
    sends: bool = True
    """Whether requests arrive at all."""
    hears: bool = True
    """Whether answers and news arrive at all."""
    connected: bool = True
    """Whether the client believes that it is connected."""

    @property
    def works(self) -> bool:
        """Whether it is not cut."""
        return self.sends and self.hears and self.connected


class MemoryClient:
    """A `Store`: one client of a `MemoryStore`, on its own link. ``patience`` is how long it waits for an answer."""

    def __init__(self, store: MemoryStore, name: str, link: Link | None = None, patience: float = 2.0) -> None:
        self.name = name
        self.store = store
        self.link = link or Link()
        self.patience = patience
        self.on_send: Callable[[Sequence[Write]], None] | None = None
        """Called with each transaction when the client hands it over."""
        self._pending: dict[asyncio.Future[Any], None] = {}
        self._watches: list[weakref.ref[Watch]] = []
        self._life = store.life
        self._under_way = 0
        self._sent = 0.0
        self._answered = 0.0
        self._told = 0.0

    # --- what can be done to it

    def cut(self, *, sends: bool = False, hears: bool = False) -> None:
        """Nothing arrives any more in the directions that are ``False``; the client is not notified."""
        self.link.sends, self.link.hears = sends, hears

    def disconnect(self) -> None:
        """The connection is gone, and the client knows: what waits for an answer will have none."""
        self.link.connected = self.link.sends = self.link.hears = False
        waiting, self._pending = self._pending, {}
        for answer in waiting:
            if not answer.done():
                answer.set_exception(StoreUnavailable(f"{self.name} lost its connection"))

    def drop(self) -> None:
        """What was sent and has not arrived yet never arrives, as when a machine loses its power."""
        self._under_way += 1

    def restore(self) -> None:
        """The connection is as it was; watches go on where they stopped. What was lost stays lost."""
        self.link.connected = self.link.sends = self.link.hears = True
        for watch in self._live_watches():
            self._tell(watch, self.store.revision)

    def kill_watches(self) -> None:
        """All current watches stop delivering, without an error."""
        for watch in self._live_watches():
            watch.way = _nothing
        self._watches.clear()

    # --- the Store

    @property
    def life(self) -> int:
        """Which life of the store this is, as far as the client knows; see `Store.life`."""
        return self._life

    @property
    def max_value(self) -> int:
        """The most bytes that a value can have; see `Store.max_value`."""
        return self.store.max_value

    async def next_life(self, life: int) -> None:
        """Return when `life` is another; see `Store.next_life`. The news comes as a watch's does."""
        while self._life == life:
            number = self.store.life
            if number == self._life:
                await self.store.next_life(number)
            elif not self.link.hears:
                await asyncio.sleep(self.patience)
            else:
                await asyncio.sleep(self.link.random.uniform(*self.link.lag))
                self._life = number

    async def get(self, key: str) -> Entry | None:
        """The key's entry; see `Store.get`."""
        checked_key(key)
        entry = await self._ask(lambda: self._source().peek(key))
        return None if entry is None or entry.value is None else entry

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those keys that exist; see `Store.get_many`."""
        found = await self._ask(
            lambda: [source.peek(key) for source in (self._source(),) for key in expanded(keys, source.names)]
        )
        return {entry.key: entry for entry in found if entry is not None and entry.value is not None}

    async def scan(self, pattern: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Pages of entries ordered by revision, deletions included; see `Store.scan`."""
        while page := await self._page(pattern, after):
            yield page
            after = page[-1].revision

    async def _page(self, pattern: str, after: int) -> list[Entry]:
        return await self._ask(lambda: self._source().page(pattern, after))

    def watch(self, patterns: Sequence[str] | str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Changes behind a revision, for ever; see `Store.watch`."""
        watch = Watch(self.store, [patterns] if isinstance(patterns, str) else patterns, after)
        reference = weakref.ref(watch)
        watch.way = lambda revision: self._tell(reference(), revision)
        self._watches = [*(known for known in self._watches if known() is not None), reference]
        self.store.add_watch(watch)
        self._tell(watch, self.store.revision)
        return watch

    async def last_revision(self, pattern: str) -> int:
        """The highest revision under a pattern; see `Store.last_revision`."""
        return await self._ask(lambda: self._source().newest(pattern))

    async def names_of(self, pattern: str) -> list[str]:
        """All keys under a pattern; see `Store.names_of`."""
        return await self._ask(lambda: self._source().names(pattern))

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        """Commit all writes or none of them; see `Store.transact`."""
        if not writes:
            return Committed(())
        self._require_connection()
        asked = tuple(writes)
        self.store.check(asked)
        if self.on_send is not None:
            self.on_send(asked)
        try:
            return await self._ask(lambda: self.store.commit(asked))
        except StoreUnavailable as error:
            return Unknown(str(error))

    async def expect(self, check: Check) -> None:
        """Nothing has to be prepared; see `Store.expect`."""
        self._require_connection()

    # --- inside

    def _source(self) -> MemoryStore | View:
        """Who answers a question that has arrived."""
        link = self.link
        if link.replica is None or not _strikes(link, link.stale):
            return self.store
        return link.replica.behind(link.random.uniform(*link.behind))

    def _require_connection(self) -> None:
        if not self.link.connected:
            raise StoreUnavailable(f"{self.name} is not connected")

    async def _ask(self, work: Callable[[], T]) -> T:
        """Have the store do ``work`` when the request arrives, and return what it answers, when that arrives."""
        self._require_connection()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        link = self.link
        if link.sends and not _strikes(link, link.lost_requests):
            self._sent = max(self._sent, loop.time() + link.random.uniform(*link.delay))
            loop.call_at(self._sent, self._arrive, self._under_way, work, answer, context=self.store.context)
        self._pending[answer] = None
        try:
            async with asyncio.timeout(self.patience):
                return await answer
        except TimeoutError:
            raise StoreUnavailable(f"{self.name} had no answer within {self.patience} s") from None
        finally:
            self._pending.pop(answer, None)

    def _arrive(self, convoy: int, work: Callable[[], T], answer: asyncio.Future[T]) -> None:
        """The request is there, whatever became of who sent it."""
        if convoy != self._under_way:
            return
        result: T | NaqError
        try:
            result = work()
        except NaqError as error:
            result = error
        link = self.link
        if not link.hears or _strikes(link, link.lost_answers):
            return
        loop = answer.get_loop()
        self._answered = max(self._answered, loop.time() + link.random.uniform(*link.delay))
        loop.call_at(self._answered, self._hear, answer, result)

    def _hear(self, answer: asyncio.Future[T], result: T | NaqError) -> None:
        if answer.done() or not self.link.hears:
            return
        if isinstance(result, NaqError):
            answer.set_exception(result)
        else:
            answer.set_result(result)

    def _tell(self, watch: Watch | None, revision: int) -> None:
        """News for a watch go their way."""
        if watch is None or not self.link.hears:
            return
        loop = asyncio.get_running_loop()
        self._told = max(self._told, loop.time() + self.link.random.uniform(*self.link.lag))
        loop.call_at(self._told, self._see, weakref.ref(watch), revision, context=self.store.context)

    def _see(self, reference: weakref.ref[Watch], revision: int) -> None:
        watch = reference()
        if watch is not None and self.link.hears and watch.way is not _nothing:
            watch.see(revision)

    def _live_watches(self) -> list[Watch]:
        return [watch for reference in self._watches if (watch := reference()) is not None]


def _strikes(link: Link, share: float) -> bool:
    return share > 0 and link.random.random() < share


def _nothing(revision: int) -> None:
    """What a dead watch hears."""
