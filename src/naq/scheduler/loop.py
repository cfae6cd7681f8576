"""The loop: sleeps until the next due instant, and no longer; wakes for any earlier change; keeps transactions in flight.

No polling and no tick: an idle scheduler with a million schedules does nothing. A fire that is alone goes at once. When
more are due than one transaction holds, several are in flight, each in a lane of its own; while transactions are small,
few lanes are used, so that what comes due meanwhile gathers into the next one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

from naq.clock import Clock
from naq.scheduler.drift import Drift
from naq.scheduler.elector import Elector
from naq.scheduler.firing import Firing
from naq.scheduler.intents import Intent
from naq.scheduler.lease import Term
from naq.scheduler.mirror import Mirror
from naq.store.keys import LANES

__all__ = ["FireLoop"]

CROWD = 64
"""Due keys for which one more lane is worth opening while others are in flight."""

READY_BEFORE = timedelta(milliseconds=20)
"""How long before a due instant the store is asked to expect its transaction."""
OVERDUE = 0.25
"""Seconds for which a small transaction in flight keeps the next one waiting: the server works on one at a time, so a second
one would only wait there. Whose answer takes longer may be lost, and holds up its own schedules alone."""

log = logging.getLogger(__name__)


class FireLoop:
    """Fires what is due while the elector says that this instance leads."""

    def __init__(
        self, elector: Elector, mirror: Mirror, firing: Firing, drift: Drift, clock: Clock, batch: int
    ) -> None:
        self._elector = elector
        self._mirror = mirror
        self._firing = firing
        self._drift = drift
        self._clock = clock
        self._batch = batch
        self._free = list(range(LANES))
        self._flights: set[asyncio.Task[list[str]]] = set()
        self._by_lane: dict[int, asyncio.Task[list[str]]] = {}
        self._small: dict[int, float] = {}
        """Lane -> monotonic start of the small transaction in it."""
        self._wake = mirror.changed

    async def run(self) -> None:
        """Fire, for ever; ends with its flights when cancelled."""
        try:
            while True:
                self._wake.clear()
                if self._launch() is not None:
                    await asyncio.sleep(0)  # it is on its way to the server while the next one is planned
                elif not self._may_launch():
                    await self._clock.wait(self._wake, None)
                elif (patience := self._patience()) > 0:
                    await self._clock.wait(self._wake, self._clock.now() + timedelta(seconds=patience))
                else:
                    await self._prepare()
        finally:
            await self.settle()

    async def _prepare(self) -> None:
        """Wait for the next due instant, and have the store ready for its transaction shortly before."""
        due_at, term = self._mirror.due.next_at(), self._elector.term
        if due_at is None or term is None:
            await self._clock.wait(self._wake, due_at)
            return
        await self._clock.wait(self._wake, due_at - READY_BEFORE)
        if not self._wake.is_set() and self._elector.leads:
            await self._firing.prepare(term, self._free[-1])
            await self._clock.wait(self._wake, due_at)

    async def fire_due(self) -> list[str]:
        """Fire what is due now and return the ids of the jobs that were enqueued; ``[]`` unless this instance leads."""
        fired: list[str] = []
        while launched := list(iter(self._launch, None)):
            for done in await asyncio.gather(*launched):
                fired.extend(done)
        return fired

    async def settle(self) -> None:
        """Wait until nothing is in flight."""
        while self._flights:
            await asyncio.wait(self._flights)

    def wake(self) -> None:
        """Look again, e.g. because leadership changed."""
        self._wake.set()

    def _may_launch(self) -> bool:
        if not (self._elector.leads and self._free and self._firing.retries.open):
            return False
        if self._drift.is_wrong:
            self._drift.poke()
            return False
        return not (self._firing.retries.probing and self._flights)

    def _patience(self) -> float:
        """Seconds for which the small transactions in flight are still worth waiting for; not positive: none is."""
        if not self._small:
            return 0.0
        return max(self._small.values()) + OVERDUE - self._clock.monotonic()

    def _launch(self) -> asyncio.Task[list[str]] | None:
        """Send what is due, in one transaction; ``None`` when nothing is, no lane is free, or it is worth waiting."""
        now = self._clock.now()
        if not self._may_launch() or (self._patience() > 0 and not self._mirror.due.crowd(now, CROWD)):
            return None
        term = self._elector.term
        assert term is not None
        intents = self._firing.collect(term, self._free[-1], now, self._batch)
        if not intents:
            return None
        lane = self._free.pop()
        flight = asyncio.create_task(self._fly(term, lane, intents), name=f"naq lane {lane}")
        self._flights.add(flight)
        self._by_lane[lane] = flight
        flight.add_done_callback(self._flights.discard)
        return flight

    async def _fly(self, term: Term, lane: int, intents: list[Intent]) -> list[str]:
        if len(intents) < CROWD:
            self._small[lane] = self._clock.monotonic()
        try:
            fired = await self._firing.commit(term, lane, intents)
            if not fired.holds:
                await self._elector.step_down("another instance leads now")
            return fired.job_ids
        finally:
            self._small.pop(lane, None)
            self._free.append(lane)
            # Before the loop is woken, which may be sooner than a task's callbacks: it must not still see this flight.
            self._flights.discard(self._by_lane.pop(lane))
            self._wake.set()
