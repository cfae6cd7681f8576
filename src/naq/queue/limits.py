"""Limits across all workers: how many jobs of one function run at once, and how many jobs of one queue start per second.

At once: a function with ``max_concurrent = 3`` has three slots. A slot is a key that a worker creates before it runs a job
and deletes afterwards; when the worker vanishes, the key expires.

Per second: with a rate of 2 time is cut into halves of a second, the same ones for all workers, and the live workers of the queue
have them in turn, in the order of their names: one start in each half second, by one worker, without asking anyone. What is not
used is not saved. A new worker starts jobs of such a queue only after all others had the time to notice it. Clocks of two
machines that differ shift their turns against each other, which changes when jobs start, but not how many.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Collection, Iterator

from naq.clock import Clock
from naq.exceptions import RecordUnreadable
from naq.jobs.records import PRESENCE_TTL, QueueLimits, WorkerInfo
from naq.store.codec import decode
from naq.store.keys import slot_key, slot_pattern
from naq.store.port import Committed, Delete, Entry, Put, Store

__all__ = ["Rates", "Slots", "slots_taken"]

SETTLE_IN = 2.0
"""Seconds that a new worker waits before it takes its share of a rate."""
LATE = 0.1
"""Seconds after its beginning within which a turn can be used, if it is shorter than that."""

MOST_LISTED = 1000
"""Slots of a function up to which all of them are tried."""
SOON = 1.0
"""Seconds ahead of its rate that a worker holds jobs of a queue."""

log = logging.getLogger(__name__)


async def slots_taken(kv: Store, func: str, limit: int) -> int:
    """How many of the slots of a function are taken. Raises `StoreError`."""
    taken = await kv.get_many([slot_pattern(func)])
    return sum(1 for key in taken if int(key.rpartition(".")[2]) < limit)


class Slots:
    """Slots of functions of which only so many jobs may run at once."""

    def __init__(self, kv: Store, worker_id: str) -> None:
        self.taken: dict[str, int] = {}
        """Slots of this worker, with their revision; the heartbeat keeps them from expiring."""
        self._kv = kv
        self._worker_id = worker_id

    async def take(self, func: str, limit: int) -> str | None:
        """Take a slot of the function; ``None`` when all ``limit`` are taken. Raises `StoreError`."""
        taken = await self._kv.get_many([slot_pattern(func)])
        for number in _free(limit, {int(key.rpartition(".")[2]) for key in taken}):
            key = slot_key(func, number)
            outcome = await self._kv.transact([Put(key, self._worker_id.encode(), 0, PRESENCE_TTL)])
            if isinstance(outcome, Committed):
                self.taken[key] = outcome.revisions[0]
                return key
        return None

    async def free(self, keys: Collection[str]) -> None:
        """Give slots back. Raises `StoreError`; a slot that could not be given back expires."""
        for key in keys:
            if self.taken.pop(key, None) is not None:
                await self._kv.transact([Delete(key)])


def _free(limit: int, taken: Collection[int]) -> Iterator[int]:
    """Numbers below the limit that are not taken, in a random order; of very many, some."""
    if limit <= MOST_LISTED:
        free = [number for number in range(limit) if number not in taken]
        random.shuffle(free)
        yield from free
    else:
        yield from {number for _ in range(MOST_LISTED) if (number := random.randrange(limit)) not in taken}


class Rates:
    """This worker's share of the rate of each queue, and the limits of the queues as this worker knows them."""

    def __init__(self, clock: Clock, worker_id: str, queues: Collection[str]) -> None:
        self.limits: dict[str, QueueLimits] = dict.fromkeys(queues, QueueLimits())
        self._clock = clock
        self._worker_id = worker_id
        self._seen: dict[str, tuple[float, tuple[str, ...]]] = {}
        """Other workers: when each was seen last (monotonic), and its queues."""
        self._used: dict[str, int] = {}
        """The number of the last turn that this worker used, by queue."""
        self._from = clock.monotonic() + SETTLE_IN

    def apply(self, entry: Entry) -> None:
        """Take over a change of ``queue.>`` or ``worker.>``."""
        family, _, name = entry.key.partition(".")
        try:
            if family == "queue" and name in self.limits:
                found = QueueLimits() if entry.value is None else decode(QueueLimits, entry.key, entry.value)
                self.limits[name] = found
            elif family == "worker" and name != self._worker_id:
                if entry.value is None:
                    self._seen.pop(name, None)
                else:
                    info = decode(WorkerInfo, entry.key, entry.value)
                    self._seen[name] = (self._clock.monotonic(), info.queues)
        except RecordUnreadable as error:
            log.warning("%s", error)

    def wait(self, queue: str) -> float:
        """Seconds until this worker may start a job of the queue; 0: now."""
        rate = self.limits[queue].rate
        if rate is None:
            return 0.0
        settling = self._from - self._clock.monotonic()
        if settling > 0:
            return settling
        return max(0.0, self._turn(queue, rate) / rate - self._clock.now().timestamp())

    def soon(self, queue: str) -> int | None:
        """How many jobs of the queue this worker may start within the next second; ``None``: any number."""
        rate = self.limits[queue].rate
        if rate is None:
            return None
        left = SOON - self.wait(queue)
        return 0 if left < 0 else 1 + int(left * rate / len(self._workers(queue)))

    def _turn(self, queue: str, rate: float) -> int:
        """The number of the next turn that this worker may use; its time may have come already."""
        now, workers = self._clock.now().timestamp(), self._workers(queue)
        latest = int(now * rate)
        oldest = int((now - max(LATE, 1 / rate)) * rate) + 1
        if self._used.get(queue, 0) > latest + len(workers):
            self._used[queue] = latest  # the clock was set back
        first = max(oldest, self._used.get(queue, 0) + 1)
        return first + (workers.index(self._worker_id) - first) % len(workers)

    def is_shared(self, queue: str) -> bool:
        """Whether another worker serves the queue."""
        return len(self._workers(queue)) > 1

    def is_limited(self, queue: str) -> bool:
        """Whether all workers together may hold only so many jobs of the queue."""
        return self.limits[queue].max_concurrent is not None

    def take(self, queue: str) -> None:
        """A job of the queue starts."""
        rate = self.limits[queue].rate
        if rate is not None:
            self._used[queue] = self._turn(queue, rate)

    def _workers(self, queue: str) -> list[str]:
        """The live workers of a queue in their order, this one among them."""
        now = self._clock.monotonic()
        for name, (seen_at, _) in tuple(self._seen.items()):
            if now - seen_at > PRESENCE_TTL + 5:
                del self._seen[name]
        return sorted([self._worker_id, *(name for name, (_, queues) in self._seen.items() if queue in queues)])
