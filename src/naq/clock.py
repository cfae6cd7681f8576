"""The machine's clocks. `SystemClock` is their only reader in naq.

Pure rules get ``now`` as an argument; services hold a `Clock` and ask it. Tests step a `naq.testing.ManualClock` by hand.

``now()`` is the wall clock, aware and in UTC; it may jump, and is used for times that users write. ``monotonic()`` counts
seconds on this machine and never jumps; leases, timeouts and heartbeats use it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio

__all__ = ["Clock", "ServerTime", "SystemClock", "off_text", "sleep_or"]

LONGEST_NAP = 1.0
"""Seconds a wait for a wall-clock instant sleeps before it looks at the wall clock again (it may have jumped)."""


class Clock(Protocol):
    """The source of time for services."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, to the microsecond."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never goes back and never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of monotonic time (at once when not positive)."""
        ...

    async def wait(self, wake: asyncio.Event, until: datetime | None) -> None:
        """Return when ``wake`` is set or the wall clock reads ``until`` or later; ``None`` waits for ``wake`` alone.

        ``wake`` is not cleared: the caller clears it when it looks at what woke it.
        """
        ...


class ServerTime(NamedTuple):
    """The server's clock as it was read once. From then on this machine's monotonic clock says how far it went on, so a wall
    clock that is set wrong later is noticed without asking."""

    at_zero: datetime
    """What it read when this machine's monotonic clock read 0."""
    uncertain: float
    """Seconds by which that may be wrong: half of what the question took."""

    @classmethod
    def read(cls, instant: datetime, began: float, ended: float) -> ServerTime:
        """The server said ``instant`` between these readings of the monotonic clock."""
        return cls(instant - timedelta(seconds=(began + ended) / 2), (ended - began) / 2)

    def at(self, monotonic: float) -> datetime:
        """What it reads when the monotonic clock reads this."""
        return self.at_zero + timedelta(seconds=monotonic)


def off_text(seconds: float) -> str:
    """How far a clock is ahead of the server's, in words; negative: behind."""
    return f"{abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the server's"


class SystemClock:
    """The clocks of this machine."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, to the microsecond."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from `time.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        import asyncio  # what only asks for the time does not load it

        await asyncio.sleep(max(0.0, seconds))

    async def wait(self, wake: asyncio.Event, until: datetime | None) -> None:
        """Wait for the event or the instant, whichever is first."""
        import asyncio

        if until is None:
            await wake.wait()
            return
        loop = asyncio.get_running_loop()
        while not wake.is_set():
            remaining = (until - self.now()).total_seconds()
            if remaining <= 0:
                return
            waiter = asyncio.ensure_future(wake.wait())
            timer = loop.call_later(min(remaining, LONGEST_NAP), waiter.cancel)
            try:
                await asyncio.wait((waiter,))
            finally:
                timer.cancel()
                waiter.cancel()


async def sleep_or(clock: Clock, seconds: float, wake: asyncio.Event) -> None:
    """Return after ``seconds`` of monotonic time, or sooner when ``wake`` is set (the caller clears it)."""
    import asyncio

    sleeper = asyncio.ensure_future(clock.sleep(seconds))
    woken = asyncio.ensure_future(wake.wait())
    try:
        await asyncio.wait((sleeper, woken), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        woken.cancel()
