"""The bucket of a namespace, and transactions on it: naq's database and queue.

A bucket is a JetStream stream that keeps the last message of each key, made so that atomic batches are allowed; it stays
readable for every key-value client. `KVStoreService` is the `Store` that the engine knows, and offers people the usual
verbs beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from naq.clock import Clock, SystemClock, sleep_or
from naq.config import Settings
from naq.exceptions import (
    RecordUnreadable,
    StoreError,
    StoreFull,
    StoreRejected,
    StoreUnavailable,
    StoreUnsuitable,
    TransactionTooLarge,
)
from naq.lifecycle import BaseService, Tasks
from naq.store.keys import Namespace
from naq.store.nats.batches import Batch, Batches, new_batch
from naq.store.nats.bucket_config import bucket_config, require_suitable
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.direct_get import DirectReader, Stored, Whole
from naq.store.nats.follow import follow
from naq.store.nats.incarnation import Lives
from naq.store.nats.protocol import Message
from naq.store.nats.remedies import with_remedy
from naq.store.nats.reserve import Reserve, is_remedy
from naq.store.nats.writes import as_bytes, checked_key, expects_absence, message, over_marker
from naq.store.ordering import in_callers_order, safe_order
from naq.store.port import Check, Committed, Delete, Entry, Outcome, Put, Refused, Unknown, Write

__all__ = ["KVStoreService", "Transaction"]

COMPARE_EVERY = 60.0
"""Seconds between two comparisons of this machine's clock with the server's."""
HEADERS = 1024
"""Bytes that the headers of a message may take up."""

CONDITION_FAILED = frozenset({10071, 10164})
NOT_COMMITTED = frozenset({10176, 10210})
"""The batch was dropped whole (incomplete after a reconnect, too many open at once): nothing was written."""
MESSAGE_TOO_LARGE = 10054
FULL = 10077


@dataclass(frozen=True, slots=True)
class _Dropped:
    """The server dropped the batch whole for a reason of its own; nothing was written, and no condition was at fault."""

    reason: str


class KVStoreService(BaseService):
    """The `Store` on JetStream."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self._clock: Clock = clock or SystemClock()
        self.connection = connection_service
        self.names = Namespace(self.settings.namespace)
        self._batches = Batches(connection_service, self._clock)
        self._tasks = Tasks(self._clock)
        self._restored = asyncio.Event()
        self._stop_listening: Callable[[], None] = lambda: None
        self._reader = DirectReader(connection_service, self.names)
        self._lives = Lives(connection_service, self.names.stream)
        self.reserve = Reserve(connection_service, self.names, self.get_many, self._commit)
        """Space for remedies, where the bucket has a limit."""

    async def _do_initialize(self) -> None:
        await self.connection.initialize()
        await self._require_jetstream()
        config = bucket_config(self.names, self.settings.replicas, self._clock.now())
        info = await self.connection.stream_service.ensure(config)
        require_suitable(self.names, info["config"])
        self._lives.saw(info)
        self._stop_listening = self.connection.on_state(self._on_state)
        self._tasks.start("naq clock", self._compare_clocks)

    async def _do_cleanup(self) -> None:
        self._stop_listening()
        await self._tasks.stop()

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.RESTORED:
            self._restored.set()

    async def _compare_clocks(self) -> None:
        """Hear the server's time now and then, and after each reconnect: until then this machine's clock is gone by."""
        while True:
            await sleep_or(self._clock, COMPARE_EVERY, self._restored)
            self._restored.clear()
            with contextlib.suppress(StoreError):
                await self.connection.stream_service.info(self.names.stream)

    async def _require_jetstream(self) -> None:
        try:
            await self.connection.api("INFO")
        except StoreUnavailable as error:
            raise StoreUnsuitable(
                f"JetStream does not answer at {self.connection.where}: start the server with it (nats-server -js), "
                "or switch it on for this account"
            ) from error

    # --- the Store that the engine knows

    async def get(self, key: str) -> Entry | None:
        """The key's entry; ``None`` when it does not exist or was deleted."""
        entry = await self._reader.get(checked_key(key))
        return None if entry is None or entry.value is None else entry

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those keys that exist."""
        entries = await self._reader.get_many(keys)
        return {key: entry for key, entry in entries.items() if entry.value is not None}

    def scan(self, pattern: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Pages of entries, ordered by revision, deletions included; see `Store.scan`."""
        return self._reader.scan(pattern, after)

    def scan_stored(self, pattern: str, after: int = 0) -> AsyncIterator[list[Stored]]:
        """As `scan`, with the time at which the server stored each entry."""
        return self._reader.scan_stored(pattern, after)

    def scan_whole(self, pattern: str, after: int, most_bytes: int) -> AsyncIterator[list[Whole]]:
        """As `scan`, with all that the server keeps of each entry, in pages of at most about so many bytes."""
        return self._reader.scan_whole(pattern, after, most_bytes)

    def watch(self, patterns: Sequence[str] | str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """Changes behind a revision, for ever; see `Store.watch`."""
        chosen = [patterns] if isinstance(patterns, str) else list(patterns)
        return follow(self.connection, self.names, self._lives, chosen, after)

    @property
    def life(self) -> int:
        """Which life of the bucket this is; see `Store.life`."""
        return self._lives.number

    @property
    def max_value(self) -> int:
        """What the server accepts in one message, less room for its headers; see `Store.max_value`."""
        return int(self.connection.client.max_payload) - HEADERS

    async def look_at_life(self, seen: int) -> int:
        """Ask the server for the present `life`; revision ``seen`` was seen in the one that is known of. Raises `StoreError`
        when it does not answer, or the bucket is not there."""
        return await self._lives.look(seen)

    async def next_life(self, life: int) -> None:
        """Return when `life` is another; see `Store.next_life`."""
        await self._lives.another(life)

    async def last_revision(self, pattern: str) -> int:
        """The highest revision under a pattern; 0 when there is none."""
        request = json.dumps({"last_by_subj": self.names.subject(pattern)}).encode()
        headers, _ = await self.connection.ask(f"$JS.API.DIRECT.GET.{self.names.stream}", request)
        for line in headers.split(b"\r\n"):
            if line.startswith(b"Nats-Sequence: "):
                return int(line[15:])
        return 0

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        """Commit all writes or none; see `Store.transact`."""
        if not writes:
            return Committed(())
        order = safe_order(writes)
        ordered = [writes[place] for place in order]
        try:
            outcome = await self._commit(ordered)
        except StoreFull as error:
            if not is_remedy(ordered):
                raise
            outcome = await self._commit_in_reserve(ordered, error)
        if isinstance(outcome, Refused) and any(expects_absence(write) for write in ordered):
            revived = await self._over_markers(ordered)
            if revived is not None:
                outcome = await self._commit(revived)
        return in_callers_order(outcome, order)

    async def _commit_in_reserve(self, writes: Sequence[Write], full: StoreFull) -> Outcome:
        async with self.reserve.lent() as more:
            while await more():
                try:
                    return await self._commit(writes)
                except StoreFull as error:
                    full = error
        raise full

    async def _over_markers(self, writes: Sequence[Write]) -> list[Write] | None:
        """The same writes, with "does not exist" of deleted keys said as "still has its marker"; ``None`` if there are none.

        The server counts a deletion's marker as a message of the key.
        """
        entries = await self._reader.get_many([write.key for write in writes if expects_absence(write)])
        markers = {key: entry.revision for key, entry in entries.items() if entry.value is None}
        if not markers:
            return None
        return [over_marker(write, markers) if expects_absence(write) else write for write in writes]

    async def expect(self, check: Check) -> None:
        """Open a batch that begins with this check, so that the transaction that follows need not wait for it.

        Most of what a small batch costs the server is opening it. Sent ahead, that is done before the fire is due.
        """
        await self._batches.open(message(self.names, check))

    async def _commit(self, writes: Sequence[Write]) -> Outcome:
        messages = [message(self.names, write) for write in writes]
        batch = self._batches.batch(messages[0])
        try:
            outcome = await self._send(writes, messages, batch)
        except TransactionTooLarge:
            if not await self.connection.client.learn_limit():
                raise
            batch = new_batch()
            outcome = await self._send(writes, messages, batch)
        if batch.opened and isinstance(outcome, _Dropped):
            outcome = await self._send(writes, messages, new_batch())
        return Refused(outcome.reason) if isinstance(outcome, _Dropped) else outcome

    async def _send(self, writes: Sequence[Write], messages: Sequence[Message], batch: Batch) -> Outcome | _Dropped:
        try:
            answer = await self._batches.commit(messages, batch)
            return answer if isinstance(answer, Unknown) else self._outcome(writes, *answer)
        except (StoreRejected, TransactionTooLarge):
            await self._batches.end(messages, batch)
            raise

    def _outcome(self, writes: Sequence[Write], headers: bytes, data: bytes) -> Outcome | _Dropped:
        if headers.startswith(b"NATS/1.0 503"):
            raise StoreUnavailable(
                f"the bucket {self.settings.namespace!r} does not answer at {self.connection.where}: it was deleted, or its "
                "stream has no leader at the moment"
            )
        answer = json.loads(data)
        error = answer.get("error")
        if error is None:
            first = int(answer["seq"]) - len(writes) + 1
            return Committed(
                tuple(0 if isinstance(write, Check) else first + offset for offset, write in enumerate(writes))
            )
        code, text = int(error.get("err_code", 0)), str(error.get("description", "error"))
        if code in CONDITION_FAILED:
            return Refused(text)
        if code in NOT_COMMITTED:
            return _Dropped(text)
        if code == MESSAGE_TOO_LARGE:
            raise TransactionTooLarge(f"a record is larger than {self.names.stream} takes (max_msg_size): {text}")
        told = f"the bucket {self.settings.namespace!r} refused to write: {with_remedy(text, code, self.names.stream)}"
        raise StoreFull(told, code) if code == FULL else StoreRejected(told, code)

    # --- the usual verbs

    async def get_json(self, key: str) -> Any:
        """The key's value read as JSON; ``None`` when it does not exist. Raises `RecordUnreadable` if it is no JSON."""
        entry = await self.get(key)
        if entry is None or entry.value is None:
            return None
        try:
            return json.loads(entry.value)
        except ValueError as error:
            raise RecordUnreadable(key, f"it is not JSON ({error})") from None

    async def put(self, key: str, value: bytes | str | Any, *, ttl: int | None = None, spare: bool = False) -> int:
        """Write a value whatever was there, and return its revision. Text is written as UTF-8, anything else as JSON."""
        return await self._one(Put(key, as_bytes(value), None, ttl, spare))

    async def create(self, key: str, value: bytes | str | Any, *, ttl: int | None = None) -> int | None:
        """Write a value if the key does not exist, and return its revision; ``None`` when it exists."""
        return await self._one_if(Put(key, as_bytes(value), 0, ttl))

    async def update(self, key: str, value: bytes | str | Any, revision: int) -> int | None:
        """Write a value if the key still has ``revision``, and return the new one; ``None`` when it has not."""
        return await self._one_if(Put(key, as_bytes(value), revision))

    async def delete(self, key: str, revision: int | None = None) -> bool:
        """Delete a key (if it still has ``revision``, when one is given); ``False`` when there was nothing to delete or the
        revision had moved."""
        entry = await self.get(key)
        if entry is None:
            return False
        return await self._one_if(Delete(key, entry.revision if revision is None else revision)) is not None

    async def keys(self, pattern: str = ">", after: int = 0) -> AsyncIterator[list[str]]:
        """Pages of the keys that exist under a pattern, oldest change first."""
        async for page in self.scan(pattern, after):
            if found := [entry.key for entry in page if entry.value is not None]:
                yield found

    async def names_of(self, pattern: str) -> list[str]:
        """The names alone of all keys under a pattern, in no order, deleted ones included; no value is read for it."""
        subjects = self.connection.stream_service.subjects(self.names.stream, self.names.subject(pattern))
        return [self.names.key(subject) for subject in await subjects]

    def transaction(self) -> Transaction:
        """Collect several conditional writes and commit them as one."""
        return Transaction(self)

    async def _one(self, write: Write) -> int:
        revision = await self._one_if(write)
        if revision is None:
            raise StoreRejected(f"the bucket refused an unconditional write of {write.key!r}")
        return revision

    async def _one_if(self, write: Write) -> int | None:
        outcome = await self.transact([write])
        match outcome:
            case Committed(revisions):
                return revisions[0]
            case Refused():
                return None
            case Unknown(reason):
                raise StoreUnavailable(f"whether {write.key!r} was written is not known: {reason}; read it to learn it")


class Transaction:
    """Conditional writes that are committed together or not at all.

    ::

        outcome = await (
            store.transaction().check("epoch", 7).update("account", b"...", 12).create("receipt.1", b"...").commit()
        )
    """

    def __init__(self, store: KVStoreService) -> None:
        self._store = store
        self.writes: list[Write] = []

    def check(self, key: str, revision: int) -> Self:
        """Pass only if ``key`` has ``revision`` (0: does not exist)."""
        self.writes.append(Check(key, revision))
        return self

    def create(self, key: str, value: bytes | str | Any, *, ttl: int | None = None) -> Self:
        """Write a key that must not exist."""
        self.writes.append(Put(key, as_bytes(value), 0, ttl))
        return self

    def update(self, key: str, value: bytes | str | Any, revision: int, *, ttl: int | None = None) -> Self:
        """Write a key that must have ``revision``."""
        self.writes.append(Put(key, as_bytes(value), revision, ttl))
        return self

    def put(self, key: str, value: bytes | str | Any, *, ttl: int | None = None) -> Self:
        """Write a key whatever is there."""
        self.writes.append(Put(key, as_bytes(value), None, ttl))
        return self

    def delete(self, key: str, revision: int | None = None) -> Self:
        """Delete a key (that must have ``revision``)."""
        self.writes.append(Delete(key, revision))
        return self

    async def commit(self) -> Outcome:
        """Send it: `Committed` with the revisions, `Refused`, or `Unknown`. Raises as `Store.transact`."""
        return await self._store.transact(self.writes)
