"""The leader's clock against the server's: an instance whose wall clock is far off does not lead, and fires nothing.

A scheduler that fires by a clock that is ahead decides nominal times before they have come, and its schedules are then
silent for as long as the clock was ahead. So each instance measures its offset to the server's clock every few seconds.
Between two measurements the monotonic clock says how far the server's clock went on, so a wall clock that jumps is
noticed at the very next fire, without asking anybody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime

from naq.clock import Clock, ServerTime, off_text, sleep_or
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.store.port import EventSink

__all__ = ["Drift"]

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
        self._server: ServerTime | None = None
        """As last measured."""
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
        if self._server is None:
            return 0.0
        return (self._clock.now() - self._server.at(self._clock.monotonic())).total_seconds()

    @property
    def is_wrong(self) -> bool:
        """Whether it is too far off to fire by."""
        return self._server is not None and 0 < self.limit < abs(self.seconds) - self._server.uncertain

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
        self._measured = self._clock.monotonic()
        self._server = ServerTime.read(server, began, self._measured)
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
        return f"this machine's clock is {off_text(self.seconds)}"

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
            await sleep_or(self._clock, EVERY, self._poke)
