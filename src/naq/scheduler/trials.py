"""When quarantined records are tried again: each after a growing delay, and all at once when something changed.

What kept a record from being fired may pass without the record changing: a limit of the server that was too small is raised,
a time zone is installed. Nobody reports that, so each record is tried again, at first after a second and in the end every
five minutes. A new connection to the server, and a new term, try all of them at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from naq.clock import Clock, sleep_or
from naq.timing.backoff import Backoff

__all__ = ["Trials"]

AGAIN = Backoff(delay=timedelta(seconds=1), longest=timedelta(minutes=5), jitter=0.25)
"""Delay between two tries of one quarantined record."""
NEAR = 0.01
"""Seconds before its time at which a try may be made: a sleep may end that much too early."""


class Trials:
    """The quarantined records by key: when each is tried again, and which are being tried now."""

    def __init__(self, clock: Clock) -> None:
        self.open: set[str] = set()
        """Keys that may be fired although they are quarantined, to see whether that works by now."""
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._at: dict[str, float] = {}
        """Key -> monotonic time of its next try."""
        self._changed = asyncio.Event()

    def failed(self, key: str) -> None:
        """The record went into quarantine, or a try failed."""
        self.open.discard(key)
        self._failures[key] += 1
        self._at[key] = self._clock.monotonic() + AGAIN.wait_after(self._failures[key], key).total_seconds()
        self._changed.set()

    def over(self, key: str) -> None:
        """The record is not quarantined any more."""
        self.open.discard(key)
        self._failures.pop(key, None)
        self._at.pop(key, None)

    def all_at_once(self) -> None:
        """Something changed: try every record now."""
        self._at = dict.fromkeys(self._at, self._clock.monotonic())
        self._changed.set()

    def clear(self) -> None:
        """Nothing is quarantined any more."""
        self.open.clear()
        self._failures.clear()
        self._at.clear()

    async def run(self, retry: Callable[[str], None]) -> None:
        """Call ``retry`` with each key when its time has come, for ever."""
        while True:
            self._changed.clear()
            now = self._clock.monotonic()
            for key in [key for key, at in self._at.items() if at <= now + NEAR]:
                del self._at[key]
                self.open.add(key)
                retry(key)
            if self._at:
                await sleep_or(self._clock, min(self._at.values()) - self._clock.monotonic(), self._changed)
            else:
                await self._changed.wait()
