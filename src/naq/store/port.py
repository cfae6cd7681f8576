"""The protocols through which the rest of naq uses the store and the network.

The engine and the faces know a `Store` and an `EventSink`; they never hear of NATS. There are two stores: the one on
JetStream (`naq.store.nats.bucket`) and the one in memory (`naq.testing.store`); one contract suite holds for both.

A store is a map from keys to values in which every write has a *revision*, a number that only grows across the
whole store. The one way to write is a transaction: several writes, each with its condition, all or none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from naq.events import Event

__all__ = [
    "Answer",
    "Check",
    "Committed",
    "Delete",
    "Entry",
    "EventSink",
    "JobStopper",
    "Outcome",
    "Presence",
    "Put",
    "Refused",
    "Store",
    "Unknown",
    "Write",
]


class Entry(msgspec.Struct, frozen=True, gc=False):
    """One key in the store. ``value`` is ``None`` when this revision deleted the key."""

    key: str
    value: bytes | None
    revision: int


class Put(msgspec.Struct, frozen=True, gc=False):
    """Write a value. ``expect``: the revision that the key must have now, 0 for "must not exist" (a deleted key does
    not exist; nobody should name its marker's revision, which some stores take and others refuse), ``None`` for "whatever
    is there". ``ttl``: whole seconds, 1 or more, after which the key expires. ``spare``: a remedy, e.g. a pause: it may use
    the space that a full store keeps for such."""

    key: str
    value: bytes
    expect: int | None = None
    ttl: int | None = None
    spare: bool = False


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete a key; ``expect`` as in `Put`. It leaves a marker, which watches see and which expires."""

    key: str
    expect: int | None = None


class Check(msgspec.Struct, frozen=True, gc=False):
    """Write nothing; the transaction commits only if ``key`` has ``revision`` (0: does not exist)."""

    key: str
    revision: int


Write = Put | Delete | Check


class Committed(msgspec.Struct, frozen=True, gc=False):
    """The transaction is durable. ``revisions``: one for each write, in order; 0 for each `Check`."""

    revisions: tuple[int, ...]


class Refused(msgspec.Struct, frozen=True, gc=False):
    """Nothing was written, because a condition did not hold. The store does not say which one."""

    reason: str


class Unknown(msgspec.Struct, frozen=True, gc=False):
    """It was sent and no answer came: it may be committed now, later, or never. Read the keys to find out."""

    reason: str


Outcome = Committed | Refused | Unknown


class Store(Protocol):
    """One namespace's store. Every method raises `StoreUnavailable` when there is no answer, `StoreRejected` when the
    server answers with an error."""

    @property
    def life(self) -> int:
        """The number of the current incarnation, as far as known here. It grows when the store was replaced under the same
        name: deleted and created again, or restored. Data read from one incarnation is not valid in another."""
        ...

    @property
    def max_value(self) -> int:
        """The maximum size of a value in bytes."""
        ...

    async def next_life(self, life: int) -> None:
        """Return when `life` has changed."""
        ...

    async def get(self, key: str) -> Entry | None:
        """The key's entry; ``None`` when it does not exist or was deleted."""
        ...

    async def get_many(self, keys: Sequence[str]) -> dict[str, Entry]:
        """The entries of those keys that exist, by key, read at about the same moment. A key may be a pattern (``job.*.x``)."""
        ...

    def scan(self, pattern: str, after: int = 0) -> AsyncIterator[list[Entry]]:
        """All entries under a key pattern (``schedule.>``), in pages ordered by revision, starting behind revision
        ``after``. Deleted keys are included (``value`` is ``None``) as long as their marker is there. What is written
        meanwhile may or may not be included."""
        ...

    def watch(self, patterns: Sequence[str], after: int) -> AsyncIterator[list[Entry]]:
        """Entries under the patterns behind revision ``after``, as they are written, for ever, in groups ordered by
        revision. A key written twice may be delivered only with its last revision. It survives lost connections. In
        another life of the store it begins anew, with all that is there."""
        ...

    async def last_revision(self, pattern: str) -> int:
        """The highest revision under a pattern, or 0. A cheap way to see whether a watch missed something."""
        ...

    async def names_of(self, pattern: str) -> list[str]:
        """All keys under a pattern in no order, without reading values. Deleted keys are included as in `scan`."""
        ...

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        """Commit all writes or none of them. A key is written at most once in a transaction.

        Raises `TransactionTooLarge` before anything is sent, `StoreRejected` for the server's own refusals, and
        `StoreUnavailable` only when nothing was sent. A lost answer is the outcome `Unknown`, not an exception.
        """
        ...

    async def expect(self, check: Check) -> None:
        """A hint that a transaction whose first write is ``check`` will follow within seconds. A store may prepare for it
        or ignore it; only speed is affected. Raises `StoreUnavailable` when it could not be sent."""
        ...


class EventSink(Protocol):
    """Receives events. Emitting never blocks and never fails."""

    def emit(self, events: Iterable[Event]) -> None:
        """Queue events; they are stored soon after, in this order."""
        ...


class Answer(Enum):
    """The result of asking whether the leader is alive."""

    ALIVE = "alive"
    SILENT = "silent"
    """No answer in time: paused, slow, or cut off. Only the lease can decide."""
    GONE = "gone"
    """No listener: its connection is gone, because the process died or is reconnecting."""


class Presence(Protocol):
    """Messages between the leader and followers of one partition, in addition to the lease."""

    async def announce(self, term: str, on_handover: Callable[[str, int], None]) -> Callable[[], Awaitable[None]]:
        """Start answering questions to a term's holder; returns a function that stops it.

        ``on_handover(instance_id, priority)`` is called when an instance asks for the leadership.
        """
        ...

    async def ask(self, term: str, handover: tuple[str, int] | None = None) -> Answer:
        """Ask a term's holder whether it is alive, and for a hand-over to ``(instance_id, priority)`` if one is given."""
        ...


class JobStopper(Protocol):
    """Lets the leader stop jobs on workers, as an overlap policy requires, and ask which jobs they have."""

    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Ask the workers to stop these jobs. Never waits, never fails; may be repeated."""
        ...

    async def held(self) -> set[str]:
        """The ids of all jobs that workers say they have now. Raises `StoreError` when they cannot be asked."""
        ...
