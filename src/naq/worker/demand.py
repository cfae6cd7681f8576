"""How many jobs a worker asks for: as many as it has free slots, and some more when jobs are short."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping

from naq.clock import Clock
from naq.worker.buffer import Buffer
from naq.worker.claimed import Claimed, Claims

__all__ = ["Demand"]

AHEAD = 0.02
"""Seconds of work that may wait in a worker beyond its slots: about as long as asking for more takes."""
MOST_AHEAD = 500
WAITED_LONG = 1.0
"""Seconds that a job waits in the worker before the jobs count as long."""
CALM_DOWN = 5.0
"""Seconds for which no more than the free slots are asked for after that."""
UNSETTLED_LIMIT = 2000
"""Ended jobs that are not written yet, from which on no more are asked for: the store is slow or away."""


class Demand:
    """What a worker may ask for. ``changed`` is set when it may be more than before."""

    def __init__(self, slots: int, weights: Mapping[str, int], clock: Clock, claims: Claims, buffer: Buffer) -> None:
        self.changed = asyncio.Event()
        self.slots = slots
        self.doubtful = 0
        """Jobs that are held, and are being looked up before they may wait for a slot."""
        self._weights = weights
        self._clock = clock
        self._claims = claims
        self.buffer = buffer
        self._service_time = 1.0
        self._congested_until = 0.0

    def ran(self, seconds: float) -> None:
        """A job ran for so long."""
        self._service_time += 0.05 * (seconds - self._service_time)

    def is_limited(self, queue: str) -> bool:
        """Whether only so many jobs of the queue may be held: a job that cannot run must not keep a place from others."""
        return self.buffer.is_limited(queue)

    def watch(self) -> list[Claimed]:
        """To be called every half second: notices that jobs wait long in the worker. Returns those that another worker could
        start sooner; they do not wait here any more."""
        now, oldest = self._clock.monotonic(), self.buffer.oldest()
        if oldest is None or now - oldest <= WAITED_LONG:
            return []
        self._congested_until = now + CALM_DOWN
        return self.buffer.stranded(now - WAITED_LONG)

    def share(self, queue: str) -> int:
        """How many jobs of the queue may be on their way to this worker."""
        free = self.slots + self.ahead - self._claims.occupied - self.buffer.ready() - self.doubtful
        if free <= 0 or self._claims.unsettled > UNSETTLED_LIMIT:
            return 0
        share = math.ceil(free * self._weights[queue] / sum(self._weights.values()))
        room = self.buffer.room(queue)
        return share if room is None else min(share, room)

    @property
    def ahead(self) -> int:
        """How many jobs may wait in the worker beyond its slots."""
        if self._clock.monotonic() < self._congested_until:
            return 0
        return min(MOST_AHEAD, int(AHEAD * self.slots / max(self._service_time, 1e-6)))
