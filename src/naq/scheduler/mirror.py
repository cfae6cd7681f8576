"""The mirror: every schedule and deferred job of a partition in memory, kept up by a watch, and the queue of what is due.

The bytes of a record are kept, not the record: a million schedules fit (`naq.scheduler.due_queue`), and a record is decoded
when it is due. The mirror is a cache and may be behind. Nothing depends on its being right: a fire planned from an old
record is refused by the store. It does depend on being *woken*: so besides the watch there is a periodic look at the
store's last revision, which reads what a dead watch missed, and restarts the watch.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from datetime import datetime
from typing import NamedTuple

import msgspec

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import RecordUnreadable, StoreError
from naq.scheduler.due_queue import DueQueue
from naq.scheduler.trials import Trials
from naq.schedules.record import ScheduleStatus
from naq.store.codec import decode
from naq.store.keys import ALL_DEFERRED, ALL_SCHEDULES, schedule_key
from naq.store.outage import Trouble
from naq.store.port import Entry, EventSink, Store
from naq.timing.instants import Instant

__all__ = ["PATTERNS", "Due", "Head", "Mirror"]

PATTERNS = (ALL_SCHEDULES, ALL_DEFERRED)
"""What is mirrored; each has a watch and a position of its own."""
SECOND_LOOK = 0.5
"""Seconds that a watch has to bring what the store says it holds, before it is taken for dead."""

OPEN_RUNS = b'"open_runs":['
"""In the bytes of every record that lists open runs; in others only by chance."""

Head = tuple[str | None, datetime | None]
"""The status of a schedule as plain text, ``None`` for a deferred job; and when the record is due, if it is."""

log = logging.getLogger(__name__)


class Due(NamedTuple):
    """A record that is due, as the mirror holds it."""

    key: str
    revision: int
    value: bytes


class _ScheduleHead(msgspec.Struct):
    """What the mirror needs to know of a schedule's record."""

    schedule_id: str
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    next_run_at: Instant | None = None
    v: int = 1


class _DeferredHead(msgspec.Struct):
    """What the mirror needs to know of a deferred job's record."""

    due_at: Instant | None = None
    v: int = 1


class Mirror:
    """Schedules and deferred jobs by key; who is due next; how many there are of each status."""

    def __init__(self, store: Store, clock: Clock, sink: EventSink, instance_id: str) -> None:
        self.due: DueQueue[int, bytes, str | None] = DueQueue()
        """Which records are due next; of each the revision, the bytes and, for a schedule, its status."""
        self.counts: Counter[str] = Counter()
        """Status -> how many schedules have it."""
        self.quarantined: dict[str, str] = {}
        """Key -> why its record is not fired. Nothing is deleted: a mended record leaves by itself."""
        self.tracked: set[str] = set()
        """Keys of records that list open runs."""
        self.tracks = asyncio.Event()
        """Set when there is one more of them."""
        self.trials = Trials(clock)
        """When they are tried again, for what kept them may be gone."""
        self.changed = asyncio.Event()
        """Set when something may be due earlier than before."""
        self.loaded = asyncio.Event()
        """Set once everything that was there at the start is here."""
        self._store = store
        self._clock = clock
        self._sink = sink
        self._instance_id = instance_id
        self._trouble = Trouble("schedules cannot be read", clock, sink, instance_id)
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._gone: dict[str, int] = {}
        self._seen_to = dict.fromkeys(PATTERNS, 0)
        """Pattern -> the revision up to which all of it has been seen."""

    def __len__(self) -> int:
        return len(self.due)

    @property
    def total(self) -> int:
        """How many schedules there are, quarantined ones not counted."""
        return self.counts.total()

    def get(self, key: str) -> tuple[int, bytes] | None:
        """Revision and bytes of a record; ``None`` when there is none, or it is quarantined."""
        held = self.due.get(key)
        if held is None or key in self.quarantined:
            return None
        _, _, revision, value, _ = held
        return revision, value

    def pop_due(self, now: datetime, limit: int) -> list[Due]:
        """Take up to ``limit`` records that are due at ``now`` out of the due-queue, the earliest first.

        They stay held; `requeue` puts them back. Quarantined ones are left out, unless they are tried again.
        """
        popped = self.due.pop_due(now, limit)
        return [Due(key, revision, value) for _, key, revision, value, _ in popped if not self._kept_out(key)]

    def schedule_keys(self) -> list[str]:
        """The keys of all schedules, quarantined ones among them."""
        return [key for key in self.due if key.startswith("schedule.")]

    def peek(self, key: str) -> bytes | None:
        """The bytes of a record, also of one that is quarantined; ``None`` when there is none."""
        held = self.due.get(key)
        return None if held is None else held[3]

    async def load(self) -> None:
        """Read everything; waits and tries again while the store cannot be asked."""
        while not self.loaded.is_set():
            try:
                for pattern in PATTERNS:
                    await self._catch_up(pattern)
            except StoreError as error:
                await self._clock.sleep(self._trouble.met(error))
            else:
                self._trouble.over()
                self.loaded.set()
                self.changed.set()

    async def follow(self, pattern: str) -> None:
        """Apply every change under one of `PATTERNS`, for ever. A watch that `resync` finds dead is restarted."""
        while True:
            reader = self._readers[pattern] = asyncio.create_task(self._read(pattern), name=f"naq watch {pattern}")
            try:
                await asyncio.wait((reader,))
            finally:
                reader.cancel()
                await asyncio.wait((reader,))
            if not reader.cancelled():
                reader.result()

    async def _read(self, pattern: str) -> None:
        async for entries in self._store.watch((pattern,), self._seen_to[pattern]):
            self._take(pattern, entries)

    async def resync(self, interval: float) -> None:
        """Every ``interval`` seconds read what the watches missed, and restart those that missed it; for ever."""
        while True:
            await self._clock.sleep(interval)
            for pattern in PATTERNS:
                try:
                    newest = await self._store.last_revision(pattern)
                    await self._clock.sleep(SECOND_LOOK)
                    if newest > self._seen_to[pattern]:
                        log.warning(
                            "the watch on %s is behind (at %d, store at %d)", pattern, self._seen_to[pattern], newest
                        )
                        await self._catch_up(pattern)
                        if pattern in self._readers:
                            self._readers[pattern].cancel()
                    self._trouble.over()
                except StoreError as error:
                    self._trouble.met(error)

    def forget(self) -> None:
        """The store was replaced: nothing that is held is valid any more, and everything is to be loaded again."""
        self._gone.clear()
        self._seen_to = dict.fromkeys(PATTERNS, 0)
        self.quarantined.clear()
        self.trials.clear()
        self.tracked.clear()
        self.counts.clear()
        self.due.clear()
        self.loaded.clear()

    async def _catch_up(self, pattern: str) -> None:
        async for entries in self._store.scan(pattern, self._seen_to[pattern]):
            self._take(pattern, entries)

    def _take(self, pattern: str, entries: list[Entry]) -> None:
        """Apply what a watch or a scan brought, in its order, and remember how far that was.

        Each pattern has its own position, and it moves only by what was delivered: replicas that answer may be behind, and
        the end that one of them reports does not prove that another has shown everything up to there.
        """
        for entry in entries:
            self.apply(entry)
        self._seen_to[pattern] = max(self._seen_to[pattern], entries[-1].revision)
        if self._gone:
            self._gone = {key: gone for key, gone in self._gone.items() if gone > self._seen_to[_pattern(key)]}

    def apply(self, entry: Entry, head: Head | None = None) -> None:
        """Take over one entry; one that is older than what is held is ignored. ``head``: what is known of its record."""
        key, value, revision = entry.key, entry.value, entry.revision
        held = self.due.get(key)
        # A key that is not held has nothing up to the revision that has been seen: an older answer comes too late.
        known = held[2] if held is not None else max(self._seen_to[_pattern(key)], self._gone.get(key, 0))
        if revision <= known:
            return
        if value is None:
            self._forget(key, revision)
            return
        try:
            status, due_at = head or self._head(key, value)
        except RecordUnreadable as error:
            self._count(None if held is None else held[4], None)
            self.due.put(key, None, revision, value, None)
            self.quarantine(key, error.reason)
            return
        if self.quarantined:
            self.release(key)
        self._count(None if held is None else held[4], status)
        if OPEN_RUNS in value:
            self.tracked.add(key)
            self.tracks.set()
        else:
            self.tracked.discard(key)
        if self.due.put(key, due_at, revision, value, status):
            self.changed.set()

    def remove(self, key: str) -> None:
        """The store says that the key is not there."""
        held = self.due.get(key)
        self._forget(key, 0 if held is None else held[2])

    def quarantine(self, key: str, reason: str) -> None:
        """Do not fire this record until it changes, or a later try works; the others are not concerned."""
        known = self.quarantined.get(key)
        is_news = known is None or (known != reason and key not in self.trials.open)
        self.quarantined[key] = reason
        self.trials.failed(key)
        if self.due.get(key) is not None:
            self.due.queue(key, None)
        if not is_news:
            return
        log.error("%s is quarantined: %s", key, reason)
        event = Event(
            type=EventType.SCHEDULE_QUARANTINED,
            timestamp=self._clock.now(),
            instance_id=self._instance_id,
            schedule_id=key.partition(".")[2],
            reason=reason,
        )
        self._sink.emit([event])

    def release(self, key: str) -> None:
        """The record can be fired again, if it is quarantined."""
        if self.quarantined.pop(key, None) is not None:
            self.trials.over(key)
            log.warning("%s is not quarantined any more", key)

    def retry(self, key: str) -> None:
        """Have a quarantined record fired again if it can be; it stays quarantined until that worked."""
        held = self.due.get(key)
        if held is None:
            return
        _, _, revision, value, before = held
        try:
            status, due_at = self._head(key, value)
        except RecordUnreadable as error:
            self.quarantine(key, error.reason)
            return
        self._count(before, status)
        self.due.put(key, due_at, revision, value, status)
        self.changed.set()

    def _kept_out(self, key: str) -> bool:
        return key in self.quarantined and key not in self.trials.open

    def requeue(self, key: str) -> None:
        """Put a key back into the due-queue as its record says, if it is not there."""
        held = self.due.get(key)
        if held is None or self._kept_out(key):
            return
        queued_for, _, _, value, status = held
        if queued_for is not None or status not in (None, ScheduleStatus.ACTIVE):
            return
        _, due_at = self._head(key, value)
        if self.due.queue(key, due_at):
            self.changed.set()

    def _forget(self, key: str, revision: int) -> None:
        held = self.due.get(key)
        self._count(None if held is None else held[4], None)
        self._gone[key] = revision
        self.quarantined.pop(key, None)
        self.trials.over(key)
        self.tracked.discard(key)
        self.due.remove(key)

    def _count(self, before: str | None, after: str | None) -> None:
        """A schedule's status was ``before`` and is ``after``; ``None``: it is not there, or not readable."""
        if before == after:
            return
        if before is not None:
            self.counts[before] -= 1
        if after is not None:
            self.counts[after] += 1

    @staticmethod
    def _head(key: str, value: bytes) -> Head:
        """Raises `RecordUnreadable`."""
        if key.startswith("schedule."):
            head = decode(_ScheduleHead, key, value)
            if schedule_key(head.schedule_id) != key:
                raise RecordUnreadable(key, f"it is the record of another schedule, {head.schedule_id!r}")
            return head.status.value, head.next_run_at if head.status is ScheduleStatus.ACTIVE else None
        return None, decode(_DeferredHead, key, value).due_at


def _pattern(key: str) -> str:
    """The pattern that a key falls under."""
    return PATTERNS[0] if key.startswith("schedule.") else PATTERNS[1]
