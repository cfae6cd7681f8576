"""Jobs that wait in a worker for a slot, and whose turn is next: queues with weights, smoothly mixed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from naq.worker.claimed import Held

__all__ = ["Buffer"]


class Buffer:
    """Waiting jobs by queue. With weights 3 and 1 and both queues full, three of four jobs are of the first."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = dict(weights)
        self._waiting: dict[str, deque[Held]] = {queue: deque() for queue in weights}
        self._credit = dict.fromkeys(weights, 0)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, held: Held) -> None:
        """A job came."""
        self._waiting[held.queue].append(held)
        self._count += 1

    def remove(self, held: Held) -> None:
        """This one does not wait any more."""
        self._waiting[held.queue].remove(held)
        self._count -= 1

    def queues(self) -> list[str]:
        """Queues of which a job waits."""
        return [queue for queue, waiting in self._waiting.items() if waiting]

    def oldest(self) -> float | None:
        """Since when the job has waited that has waited longest; ``None`` when none waits."""
        firsts = [waiting[0].taken_at for waiting in self._waiting.values() if waiting]
        return min(firsts) if firsts else None

    def next(self, may: Callable[[str], bool]) -> Held | None:
        """The job whose turn it is, of the queues that ``may`` allows; it is taken out."""
        if self._count == 0:
            return None
        candidates = [queue for queue, waiting in self._waiting.items() if waiting and may(queue)]
        if not candidates:
            return None
        chosen = candidates[0]
        if len(candidates) > 1:
            for queue in candidates:
                self._credit[queue] += self._weights[queue]
            chosen = max(candidates, key=lambda queue: self._credit[queue])
            self._credit[chosen] -= sum(self._weights[queue] for queue in candidates)
        self._count -= 1
        return self._waiting[chosen].popleft()

    def clear(self) -> list[Held]:
        """Take all out."""
        found = [held for waiting in self._waiting.values() for held in waiting]
        for waiting in self._waiting.values():
            waiting.clear()
        self._count = 0
        return found
