"""The due-queue: which keys are due next. A heap with lazy deletion; instants are whole microseconds inside."""

from __future__ import annotations

import heapq
from datetime import UTC, datetime, timedelta

__all__ = ["DueQueue"]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def _count(instant: datetime) -> int:
    return (instant - EPOCH) // MICROSECOND


class DueQueue:
    """Keys with the instants at which they are due; each key at most once."""

    __slots__ = ("_due", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def put(self, key: str, due_at: datetime) -> None:
        """Set when a key is due, whatever was set before."""
        count = _count(due_at)
        if self._due.get(key) == count:
            return
        self._due[key] = count
        heapq.heappush(self._heap, (count, key))
        if len(self._heap) > 2 * len(self._due) + 1024:
            self._heap = [(count, key) for key, count in self._due.items()]
            heapq.heapify(self._heap)

    def discard(self, key: str) -> None:
        """The key is not due any more."""
        self._due.pop(key, None)

    def clear(self) -> None:
        """Forget all keys."""
        self._heap.clear()
        self._due.clear()

    def next_at(self) -> datetime | None:
        """The earliest instant at which a key is due; ``None`` when there is none."""
        heap = self._heap
        while heap:
            count, key = heap[0]
            if self._due.get(key) == count:
                return EPOCH + timedelta(microseconds=count)
            heapq.heappop(heap)
        return None

    def pop_due(self, now: datetime, limit: int) -> list[str]:
        """Take up to ``limit`` keys that are due at ``now`` out of the queue, the earliest first."""
        until = _count(now)
        heap, due = self._heap, self._due
        taken: list[str] = []
        while heap and len(taken) < limit and heap[0][0] <= until:
            count, key = heapq.heappop(heap)
            if due.get(key) == count:
                del due[key]
                taken.append(key)
        return taken

    def crowd(self, now: datetime, enough: int) -> bool:
        """Whether about ``enough`` keys or more are due at ``now``; looks at no more of the heap than that."""
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
