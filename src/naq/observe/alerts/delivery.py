"""Delivery: one queue and one task per sink, so that a slow sink does not delay the others.

A failed delivery is retried with backoff, up to the sink's `tries`; then it is dropped, logged and counted. The queue is
bounded: beyond `LIMIT` the oldest item is dropped.
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
from naq.observe.alerts.sinks import Notice, Sink
from naq.timing.backoff import Backoff

__all__ = ["Delivery"]

LIMIT = 10_000
"""Maximum length of one sink's queue."""
WAITS = Backoff(delay=timedelta(seconds=1), longest=timedelta(seconds=60))
SAY_EVERY = 1000
"""Of items dropped because the queue is full, one in this many is logged."""

log = logging.getLogger(__name__)


def _nothing() -> None:
    """The default callback."""


@dataclass(frozen=True, slots=True)
class _Item:
    notice: Notice
    sequence: int
    done: Callable[[], None]


class Delivery:
    """The queue of one sink, and the task that delivers it."""

    def __init__(self, sink: Sink, clock: Clock, limit: int = LIMIT, waits: Backoff = WAITS) -> None:
        self.sink = sink
        self.delivered = 0
        self.dropped = 0
        """Items dropped: too many tries, or a full queue."""
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
        """The stream sequence of the oldest undelivered item; ``None`` when the queue is empty."""
        if self._current is not None:
            return self._current.sequence
        return self._waiting[0].sequence if self._waiting else None

    def put(self, notice: Notice, sequence: int = 0, done: Callable[[], None] = _nothing) -> None:
        """Queue one item. Never waits, never fails. ``done`` is called when it was delivered or dropped."""
        self._waiting.append(_Item(notice, sequence, done))
        self._idle.clear()
        self._signal.set()
        if len(self._waiting) > self._limit:
            if self.dropped % SAY_EVERY == 0:
                log.error(
                    "%r is too slow: the oldest of its %d queued notifications is dropped", self.sink, self._limit
                )
            self.dropped += 1
            self._waiting.popleft().done()

    def start(self) -> None:
        """Start delivering."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"naq sink {self.sink!r}")

    async def stop(self, patience: float = 0.0) -> None:
        """Wait up to ``patience`` seconds for the queue to empty, then stop; the rest is not delivered. Idempotent."""
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
                if await self._delivered(item):
                    self.delivered += 1
                else:
                    self.dropped += 1
                self._current = None
                item.done()
            self._idle.set()

    async def _delivered(self, item: _Item) -> bool:
        """Whether the sink took it, in one of its tries."""
        for attempt in range(1, self.sink.tries + 1):
            try:
                await self._deliver(item.notice)
            except SinkError as error:
                if attempt == self.sink.tries or not error.again:
                    log.error("%r did not receive %s, given up: %s", self.sink, _name(item.notice), error)
                    return False
                log.warning("%r did not receive %s, trying again: %s", self.sink, _name(item.notice), error)
                wait = self._waits.wait_after(attempt, repr(self.sink)).total_seconds()
                await self._clock.sleep(max(wait, error.after))
            else:
                return True
        return False

    async def _deliver(self, notice: Notice) -> None:
        try:
            await self.sink.deliver(notice)
        except SinkError:
            raise
        except Exception as error:  # a user's sink: any exception means not delivered
            raise SinkError(f"{type(error).__name__}: {error}") from error


def _name(notice: Notice) -> str:
    return getattr(notice, "id", None) or f"{getattr(notice, 'type', '')} {getattr(notice, 'job_id', '') or ''}".strip()
