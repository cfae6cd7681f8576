"""Removing finished jobs from the stream, many with one request.

A queue's consumer knows its acknowledgement floor: every job of the queue up to it is acknowledged. Only those are
removed. A job that runs for hours holds the floor back, and finished jobs behind it stay until it ends.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.queue.consumers import find_consumer
from naq.store.keys import Namespace, jobs_of
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import header_field, status_code
from naq.store.outage import Reminder

__all__ = ["Trimmer"]

EVERY = 0.5
"""Seconds between two checks while jobs end."""
ANYWAY_EVERY = 20.0
"""Seconds between two checks while no jobs end: another worker may have died before it trimmed."""

log = logging.getLogger(__name__)


class Trimmer:
    """Removes finished jobs of some queues."""

    def __init__(self, connection: ConnectionService, names: Namespace, clock: Clock, queues: Iterable[str]) -> None:
        self.trimmed = 0
        """Messages removed by this worker so far."""
        self._connection = connection
        self._names = names
        self._clock = clock
        self._queues = tuple(queues)
        self._dirty = set(self._queues)
        self._failure = Reminder(clock)

    def touch(self, queue: str) -> None:
        """A job of the queue was acknowledged."""
        self._dirty.add(queue)

    async def run(self) -> None:
        """Trim for ever."""
        looked_at = self._clock.monotonic()
        while True:
            await self._clock.sleep(EVERY)
            if self._clock.monotonic() - looked_at >= ANYWAY_EVERY:
                self._dirty.update(self._queues)
            if self._dirty:
                looked_at = self._clock.monotonic()
                await self.trim()

    async def trim(self) -> None:
        """Remove what can be removed now from the queues that were touched. A failure is logged and tried again later."""
        dirty, self._dirty = self._dirty, set()
        for queue in dirty:
            try:
                if not await self._trim(queue):
                    self._dirty.add(queue)
                self._failure.over()
            except StoreError as error:
                self._dirty.add(queue)
                if self._failure.is_due():
                    log.info("queue %s is not trimmed yet: %s", queue, error)

    async def _trim(self, queue: str) -> bool:
        """Trim one queue; whether nothing is left to trim."""
        info = await find_consumer(self._connection, self._names, queue)
        if info is None:
            return True
        floor = int(info["ack_floor"]["stream_seq"])
        first = await self._first(queue)
        if first is not None and first <= floor:
            self.trimmed += await self._connection.stream_service.purge(
                self._names.stream, self._names.subject(jobs_of(queue)), floor + 1
            )
        return int(info["num_ack_pending"]) == 0 and int(info["num_pending"]) == 0

    async def _first(self, queue: str) -> int | None:
        """The sequence of the queue's first message; ``None`` when it is empty."""
        request = json.dumps({"seq": 1, "next_by_subj": self._names.subject(jobs_of(queue))}).encode()
        headers, _ = await self._connection.ask(f"$JS.API.DIRECT.GET.{self._names.stream}", request)
        return None if status_code(headers) == 404 else int(header_field(headers, b"Nats-Sequence") or 0)
