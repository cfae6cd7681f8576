"""Deliveries: one queue and one task for each sink, so that a slow one keeps nobody waiting but itself.

What fails is tried again with growing waits, as often as the sink says; then it is given up, logged and counted. The queue
is bounded: beyond `LIMIT` the oldest is given up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from naq.clock import Clock
from naq.exceptions import SinkError
from naq.observe.alerts.sinks import Sink, Told
from naq.timing.backoff import Backoff

__all__ = ["Delivery"]

LIMIT = 10_000
"""Things that wait for one sink at most."""
WAITS = Backoff(delay=timedelta(seconds=1), longest=timedelta(seconds=60))
SAY_EVERY = 1000
"""Of things that were given up because too many wait, every so many-th is logged."""

log = logging.getLogger("naq.sinks")


def _nothing() -> None:
    """What is done when nobody wants to know."""


@dataclass(frozen=True, slots=True)
class _Item:
    told: Told
    sequence: int
    done: Callable[[], None]


class Delivery:
    """What waits for one sink, and the task that tells it."""

    def __init__(self, sink: Sink, clock: Clock, limit: int = LIMIT, waits: Backoff = WAITS) -> None:
        self.sink = sink
        self.delivered = 0
        self.dropped = 0
        """Things given up: tried too often, or too many waiting."""
        self._clock = clock
        self._limit = limit
        self._waits = waits
        self._waiting: deque[_Item] = deque()
        self._current: _Item | None = None
        self._signal = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def floor(self) -> int | None:
        """The stream sequence of the oldest thing that is not through; ``None`` when nothing waits."""
        if self._current is not None:
            return self._current.sequence
        return self._waiting[0].sequence if self._waiting else None

    def put(self, told: Told, sequence: int = 0, done: Callable[[], None] = _nothing) -> None:
        """Take over one thing. Never waits, never fails. ``done`` is called when it was told or given up."""
        self._waiting.append(_Item(told, sequence, done))
        self._idle.clear()
        self._signal.set()
        if len(self._waiting) > self._limit:
            if self.dropped % SAY_EVERY == 0:
                log.error("%r is too slow: the oldest of %d things that wait is given up", self.sink, self._limit)
            self.dropped += 1
            self._waiting.popleft().done()

    def start(self) -> None:
        """Tell what comes, from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"naq sink {self.sink!r}")

    async def stop(self, patience: float = 0.0) -> None:
        """Wait up to ``patience`` seconds until all is told, then end; what waits is left. Idempotent."""
        if self._task is not None and patience > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._idle.wait()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
        await self.sink.close()

    async def _run(self) -> None:
        while True:
            await self._signal.wait()
            self._signal.clear()
            while self._waiting:
                self._current = item = self._waiting.popleft()
                if await self._told(item):
                    self.delivered += 1
                else:
                    self.dropped += 1
                self._current = None
                item.done()
            self._idle.set()

    async def _told(self, item: _Item) -> bool:
        """Whether the sink took it, in one of its tries."""
        for attempt in range(1, self.sink.tries + 1):
            try:
                await self._deliver(item.told)
            except SinkError as error:
                if attempt == self.sink.tries or not error.again:
                    log.error("%r was not told %s: %s", self.sink, _name(item.told), error)
                    return False
                log.warning("%r is told %s again: %s", self.sink, _name(item.told), error)
                wait = self._waits.wait_after(attempt, repr(self.sink)).total_seconds()
                await self._clock.sleep(max(wait, error.after))
            else:
                return True
        return False

    async def _deliver(self, told: Told) -> None:
        try:
            await self.sink.deliver(told)
        except SinkError:
            raise
        except Exception as error:  # a user's sink: whatever it raises, it did not take it
            raise SinkError(f"{type(error).__name__}: {error}") from error


def _name(told: Told) -> str:
    return getattr(told, "id", None) or f"{getattr(told, 'type', '')} {getattr(told, 'job_id', '') or ''}".strip()
