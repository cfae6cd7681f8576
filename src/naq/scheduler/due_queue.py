"""The due-queue: records by key, and which of them are due next. Instants are whole microseconds inside.

A record is one tuple, and the dictionary and the heap hold the same one: so a million of them fit into memory. Let its
parts be plain values, for tuples of such are left alone by the garbage collector. The heap forgets lazily: what it holds
counts only while the dictionary holds the very same tuple.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVarTuple

__all__ = ["DueQueue"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SLACK = 1024
"""Forgotten tuples in the heap that are not worth a cleaning, beside half as many as are queued."""

Record = TypeVarTuple("Record")


class DueQueue(Generic[*Record]):
    """Records, at most one for a key, with the instants at which they are due, if they are.

    A record is held as ``(due, key, *record)``; ``due`` is ``None`` while it is not queued.
    """

    __slots__ = ("_heap", "_held", "_queued")

    def __init__(self) -> None:
        self._held: dict[str, tuple[int | None, str, *Record]] = {}
        self._heap: list[tuple[int, str, *tuple[Any, ...]]] = []
        self._queued = 0

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    @property
    def queued(self) -> int:
        """How many of the records are queued."""
        return self._queued

    def get(self, key: str) -> tuple[int | None, str, *Record] | None:
        """The record at a key, as it is held."""
        return self._held.get(key)

    def put(self, key: str, due_at: datetime | None, *record: *Record) -> bool:
        """Hold a record and queue it for ``due_at``, whatever was held and queued before.

        Returns whether it may be due earlier than `next_at` said before: then a sleeper is to be woken.
        """
        before = self._held.get(key)
        if before is not None:
            key = before[1]  # one string for a key, however often its record changes
            self._queued -= before[0] is not None
        if due_at is None:
            self._held[key] = (None, key, *record)
            return False
        queued = (_count(due_at), key, *record)
        self._held[key] = queued
        self._queued += 1
        heapq.heappush(self._heap, queued)
        is_first = self._heap[0] is queued
        if len(self._heap) > self._queued + self._queued // 2 + SLACK:
            self._clean()
        return is_first

    def queue(self, key: str, due_at: datetime | None) -> bool:
        """Set when a record that is held is due; ``None``: it is not due any more, but still held. Returns as `put`."""
        return self.put(key, due_at, *self._held[key][2:])

    def remove(self, key: str) -> None:
        """Neither hold the record nor have it queued."""
        before = self._held.pop(key, None)
        self._queued -= before is not None and before[0] is not None

    def clear(self) -> None:
        """Forget all records."""
        self._held.clear()
        self._heap.clear()
        self._queued = 0

    def next_at(self) -> datetime | None:
        """The earliest instant at which a record is due; ``None`` when there is none."""
        heap = self._heap
        while heap:
            first = heap[0]
            if self._counts(first):
                return EPOCH + timedelta(microseconds=first[0])
            heapq.heappop(heap)
        return None

    def pop_due(self, now: datetime, limit: int) -> list[tuple[int | None, str, *Record]]:
        """Take up to ``limit`` records that are due at ``now`` out of the queue, the earliest first. They stay held."""
        until = _count(now)
        heap = self._heap
        taken: list[tuple[int | None, str, *Record]] = []
        while heap and len(taken) < limit and heap[0][0] <= until:
            first = heapq.heappop(heap)
            if self._counts(first):
                self.queue(first[1], None)
                taken.append(self._held[first[1]])
        return taken

    def crowd(self, now: datetime, enough: int) -> bool:
        """Whether about ``enough`` records or more are due at ``now``; looks at no more of the heap than that."""
        until = _count(now)
        heap, found, open_nodes = self._heap, 0, [0]
        while open_nodes:
            node = open_nodes.pop()
            if node < len(heap) and heap[node][0] <= until:
                found += 1
                if found >= enough:
                    return True
                open_nodes += (2 * node + 1, 2 * node + 2)
        return False

    def _counts(self, queued: tuple[int, str, *tuple[Any, ...]]) -> bool:
        """Whether what is in the heap is what is held."""
        return self._held.get(queued[1]) is queued

    def _clean(self) -> None:
        """Leave in the heap only what counts."""
        self._heap = [queued for queued in self._heap if self._counts(queued)]
        heapq.heapify(self._heap)


def _count(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND
