"""Jobs that wait in the worker for a slot. Queues are mixed by weight; a queue with a rate waits for its turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Protocol

from naq.worker.claimed import Claimed, Stage

__all__ = ["Buffer", "Pace"]


class Pace(Protocol):
    """When the next job of a queue may start (`naq.queue.limits.Rates`)."""

    def wait(self, queue: str) -> float:
        """Seconds until a job of the queue may start; 0: now."""
        ...

    def soon(self, queue: str) -> int | None:
        """How many jobs of the queue may start within the next second; ``None``: any number."""
        ...

    def is_shared(self, queue: str) -> bool:
        """Whether another worker serves the queue."""
        ...

    def is_limited(self, queue: str) -> bool:
        """Whether all workers together may hold only so many jobs of the queue."""
        ...

    def take(self, queue: str) -> None:
        """A job of the queue starts."""
        ...


class Buffer:
    """Waiting jobs by queue. With weights 3 and 1 and both queues full, three of four jobs are of the first."""

    def __init__(self, weights: Mapping[str, int], pace: Pace) -> None:
        self._weights = dict(weights)
        self._pace = pace
        self._waiting: dict[str, deque[Claimed]] = {queue: deque() for queue in weights}
        self._credit = dict.fromkeys(weights, 0)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, claimed: Claimed) -> None:
        """Have a job wait."""
        claimed.stage = Stage.BUFFERED
        self._waiting[claimed.delivery.queue].append(claimed)
        self._count += 1

    def remove(self, claimed: Claimed) -> None:
        """Take one job out."""
        self._waiting[claimed.delivery.queue].remove(claimed)
        self._count -= 1

    def ready(self) -> int:
        """Jobs that wait for a slot of the worker, and not for the rate of their queue."""
        return sum(len(waiting) for queue, waiting in self._waiting.items() if self._pace.soon(queue) is None)

    def room(self, queue: str) -> int | None:
        """How many more jobs of the queue may be taken ahead of its rate; ``None``: any number."""
        soon = self._pace.soon(queue)
        return None if soon is None else max(0, soon - len(self._waiting[queue]))

    def is_limited(self, queue: str) -> bool:
        """Whether all workers together may hold only so many jobs of the queue."""
        return self._pace.is_limited(queue)

    def stranded(self, before: float) -> list[Claimed]:
        """Take out the jobs that came before that instant (monotonic) and only wait for a slot, where another worker serves
        their queue."""
        found = [
            claimed
            for queue, waiting in self._waiting.items()
            if waiting and waiting[0].delivery.taken_at < before and self._pace.is_shared(queue)
            for claimed in waiting
            if claimed.delivery.taken_at < before and self._pace.soon(queue) is None
        ]
        for claimed in found:
            self.remove(claimed)
        return found

    def wait(self) -> float | None:
        """Seconds until the next job may start, as far as the rates go; ``None`` when no job waits."""
        waits = [self._pace.wait(queue) for queue, waiting in self._waiting.items() if waiting]
        return min(waits) if waits else None

    def oldest(self) -> float | None:
        """When the job came that has waited longest for a slot (monotonic); ``None`` when none does."""
        firsts = [
            waiting[0].delivery.taken_at
            for queue, waiting in self._waiting.items()
            if waiting and self._pace.soon(queue) is None
        ]
        return min(firsts) if firsts else None

    def next(self) -> Claimed | None:
        """Take out the job whose turn it is; ``None`` when none may start now."""
        if self._count == 0:
            return None
        candidates = [queue for queue, waiting in self._waiting.items() if waiting and self._pace.wait(queue) == 0.0]
        if not candidates:
            return None
        chosen = candidates[0]
        if len(candidates) > 1:
            for queue in candidates:
                self._credit[queue] += self._weights[queue]
            chosen = max(candidates, key=lambda queue: self._credit[queue])
            self._credit[chosen] -= sum(self._weights[queue] for queue in candidates)
        self._count -= 1
        self._pace.take(chosen)
        return self._waiting[chosen].popleft()

    def clear(self) -> list[Claimed]:
        """Take all out."""
        found = [claimed for waiting in self._waiting.values() for claimed in waiting]
        for waiting in self._waiting.values():
            waiting.clear()
        self._count = 0
        return found
