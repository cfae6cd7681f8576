"""Retry delays: per rejected key, and for everything during an outage of the store.

All delays are measured on the monotonic clock: the wall clock may be set back meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.store.outage import Trouble, wait_after
from naq.store.port import EventSink

__all__ = ["Retries"]


class Retries:
    """Keys that wait for a retry. ``requeue`` puts a key back into the due-queue, ``wake`` makes the loop look again."""

    def __init__(
        self,
        clock: Clock,
        sink: EventSink,
        instance_id: str,
        requeue: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self.keys: set[str] = set()
        """Keys that wait for their own next try."""
        self._clock = clock
        self._requeue = requeue
        self._wake = wake
        self._all = Trouble("no schedule can be fired", clock, sink, instance_id)
        self._some = Trouble("some schedules cannot be fired", clock, sink, instance_id)
        self._refusals: Counter[str] = Counter()
        self._probe: str | None = None
        """The refused key that is retried early, on behalf of all."""
        self._closed: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open(self) -> bool:
        """Whether a try makes sense now."""
        return self._closed is None

    @property
    def probing(self) -> bool:
        """Whether the last try failed: until one succeeds, one at a time is enough."""
        return self._all.reason is not None

    def close(self, error: StoreError) -> None:
        """The store accepts nothing: all tries wait for a while."""
        if self._closed is None:
            self._closed = self._after(self._all.met(error), self.reopen)

    def reopen(self) -> None:
        """A try makes sense again."""
        closed, self._closed = self._closed, None
        if closed is not None:
            self._wake()

    def refuse(self, key: str, error: StoreError) -> None:
        """The store refuses this key's transaction, and nothing else is known to be wrong.

        Each key backs off exponentially; one probe key retries early: what was repaired for it is likely to be
        repaired for the others.
        """
        soon = self._some.met(error)
        self._refusals[key] += 1
        probes = self._probe is None
        if probes:
            self._probe = key
        self.put([key], soon if probes else wait_after(self._refusals[key], error, key))

    def put(self, keys: Sequence[str], seconds: float) -> None:
        """Put keys back into the due-queue after a while."""
        self.keys.update(keys)
        self._after(seconds, lambda: self._back(keys))

    def _back(self, keys: Sequence[str]) -> None:
        self.keys.difference_update(keys)
        if self._probe in keys:
            self._probe = None
        for key in keys:
            self._requeue(key)

    def succeeded(self, keys: Iterable[str]) -> None:
        """A transaction with these keys was committed."""
        self._all.over()
        if not self._refusals:
            return
        repaired = [key for key in keys if self._refusals.pop(key, None) is not None]
        if not self._refusals:
            self._some.over()
        elif repaired:
            self._back([key for key in self._refusals if key in self.keys])

    async def stop(self) -> None:
        """Cancel all retries; no key is put back. Idempotent."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._closed = self._probe = None
        self.keys.clear()
        self._refusals.clear()

    def _after(self, seconds: float, action: Callable[[], None]) -> asyncio.Task[None]:
        async def wait() -> None:
            await self._clock.sleep(seconds)
            action()

        task = asyncio.create_task(wait(), name="naq retry")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
