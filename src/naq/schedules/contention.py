"""Trying a change again that lost a race: for a time, not for a number of tries, and with waits that grow.

A schedule that fires every 10 ms on a busy machine changes its record between nearly every read and write of somebody else.
A number of tries is used up within a second then; waits at random moments find the gaps.
"""

from __future__ import annotations

from datetime import timedelta

from naq.clock import Clock
from naq.timing.backoff import Backoff

__all__ = ["PATIENCE", "Tries"]

PATIENCE = 30.0
"""Seconds for which a change is tried."""
AT_ONCE = 3
"""Tries in a row before there is any wait."""
WAIT = Backoff(delay=timedelta(milliseconds=2), longest=timedelta(milliseconds=200), jitter=1.0)
"""The wait before each later one, different for each who tries."""


class Tries:
    """The tries of one change: ``async for _ in Tries(clock, who): ...``"""

    def __init__(self, clock: Clock, who: str) -> None:
        self._clock = clock
        self._who = who
        self._began = clock.monotonic()
        self._made = 0

    def __aiter__(self) -> Tries:
        return self

    async def __anext__(self) -> None:
        """Wait, but not before the first tries. Ends when `PATIENCE` is over."""
        if self._made >= AT_ONCE:
            wait = WAIT.wait_after(self._made - AT_ONCE + 1, f"{self._who}.{self._made}")
            await self._clock.sleep(wait.total_seconds())
        self._made += 1
        if self._made > 1 and self._clock.monotonic() - self._began >= PATIENCE:
            raise StopAsyncIteration
