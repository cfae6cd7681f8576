"""The leader's clock against the server's: an instance whose wall clock is far off does not lead, and fires nothing.

A scheduler that fires by a clock that is ahead decides nominal times before they have come, and its schedules are then
silent for as long as the clock was ahead. So each instance measures its offset to the server's clock every few seconds.
Between two measurements the monotonic clock says how far the server's clock went on, so a wall clock that jumps is
noticed at the very next fire, without asking anybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.store.port import EventSink

__all__ = ["Drift", "server_time"]

EVERY = 5.0
"""Seconds between two measurements."""
SOON = 0.5
"""Seconds after a measurement before which another one is of no use."""
REMIND_EVERY = 60.0
"""Seconds after which a clock that stays wrong is reported again."""

log = logging.getLogger(__name__)

AskServer = Callable[[], Awaitable[datetime | None]]


class Drift:
    """How far this machine's wall clock is from the server's. Without ``ask`` it is never wrong."""

    def __init__(
        self, clock: Clock, sink: EventSink, instance_id: str, ask: AskServer | None = None, limit: float = 5.0
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        """Called when the clock turns out wrong, or right again."""
        self.limit = limit
        """Seconds; 0: never wrong."""
        self._clock = clock
        self._sink = sink
        self._instance_id = instance_id
        self._ask = ask
        self._server_at_zero: datetime | None = None
        """What the server's clock read when this machine's monotonic clock read 0, as last measured."""
        self._uncertain = 0.0
        self._was_wrong = False
        self._said = 0.0
        self._measured = 0.0
        self._poke = asyncio.Event()

    @property
    def compares(self) -> bool:
        """Whether there is a server to compare with."""
        return self._ask is not None

    @property
    def seconds(self) -> float:
        """How far ahead of the server's clock this machine's is now; negative: behind. 0.0 until it is measured."""
        if self._server_at_zero is None:
            return 0.0
        server = self._server_at_zero + timedelta(seconds=self._clock.monotonic())
        return (self._clock.now() - server).total_seconds()

    @property
    def is_wrong(self) -> bool:
        """Whether it is too far off to fire by."""
        return self.limit > 0 and abs(self.seconds) - self._uncertain > self.limit

    async def measure(self) -> None:
        """Ask the server. Without an answer, or without the time in it, things stay as they are."""
        if self._ask is None:
            return
        began = self._clock.monotonic()
        try:
            server = await self._ask()
        except StoreError:
            return
        if server is None:
            return
        ended = self._measured = self._clock.monotonic()
        self._server_at_zero = server - timedelta(seconds=(began + ended) / 2)
        self._uncertain = (ended - began) / 2
        self.look()

    def look(self) -> None:
        """Report a change between right and wrong, and now and then that it stays wrong."""
        wrong, now = self.is_wrong, self._clock.monotonic()
        if wrong and (not self._was_wrong or now - self._said >= REMIND_EVERY):
            self._said = now
            log.error("%s: this instance neither leads nor fires; set the clock (NTP)", self._text())
        if wrong == self._was_wrong:
            return
        self._was_wrong = wrong
        if not wrong:
            log.warning("the clock is right again: this instance may lead")
        self._sink.emit(
            [
                Event(
                    type=EventType.CLOCK_WRONG if wrong else EventType.CLOCK_RIGHT,
                    timestamp=self._clock.now(),
                    instance_id=self._instance_id,
                    reason=self._text(),
                )
            ]
        )
        self.on_change()

    def _text(self) -> str:
        seconds = self.seconds
        return f"this machine's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} the server's"

    def poke(self) -> None:
        """Measure soon: the clock looks wrong. It may also be the monotonic clock that stood still, in a suspended machine."""
        if self._clock.monotonic() - self._measured >= SOON:
            self._poke.set()

    async def run(self) -> None:
        """Measure, for ever. Returns only when it is cancelled; without ``ask`` there is nothing to do."""
        if self._ask is None:
            await asyncio.Event().wait()
        while True:
            await self.measure()
            self._poke.clear()
            sleeper = asyncio.ensure_future(self._clock.sleep(EVERY))
            poked = asyncio.ensure_future(self._poke.wait())
            try:
                await asyncio.wait((sleeper, poked), return_when=asyncio.FIRST_COMPLETED)
            finally:
                sleeper.cancel()
                poked.cancel()


def server_time(info: Mapping[str, object] | None) -> datetime | None:
    """The server's time in its information on a stream; ``None`` when it has none."""
    stamp = None if info is None else info.get("ts")
    return datetime.fromisoformat(stamp) if isinstance(stamp, str) else None
