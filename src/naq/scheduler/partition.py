"""A partition: everything that belongs to one bucket and its lease, in one object. One process may hold several."""

from __future__ import annotations

import logging
from functools import partial

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.jobs.history import HistorySink
from naq.lifecycle import Tasks
from naq.scheduler.elector import Elector, ElectorSettings
from naq.scheduler.firing import Firing
from naq.scheduler.loop import FireLoop
from naq.scheduler.mirror import PATTERNS, Mirror
from naq.store.outage import Trouble
from naq.store.port import EventSink, JobStopper, Presence, Store

__all__ = ["Partition"]

log = logging.getLogger("naq.partition")


class Partition:
    """One scheduler instance's part in one partition: a candidate for its lease, with its schedules loaded."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        clock: Clock,
        sink: EventSink,
        settings: ElectorSettings,
        *,
        batch: int,
        resync_interval: float,
        history: HistorySink | None = None,
        stopper: JobStopper | None = None,
    ) -> None:
        self.mirror = Mirror(store, clock, sink, settings.instance_id)
        self.elector = Elector(store, presence, clock, sink, settings)
        self.firing = Firing(
            store,
            self.mirror,
            clock,
            sink,
            settings.instance_id,
            settings.partition,
            history=history,
            stopper=stopper,
        )
        self.loop = FireLoop(self.elector, self.mirror, self.firing, clock, batch)
        self.elector.on_change = self._on_change
        self._store = store
        self._clock = clock
        self._life = store.life
        self._tasks = Tasks(clock)
        self._keeper = Tasks(clock)
        self._trouble = Trouble("the store cannot be read anew", clock, sink, settings.instance_id)
        self._resync_interval = resync_interval

    async def start(self) -> None:
        """Load the schedules and take part in the election; a lone instance leads when this returns.

        Raises `StoreError` when the store cannot be asked for the lease.
        """
        await self._enter()
        self._keeper.start("naq store life", self._keep)

    async def _enter(self) -> None:
        self._life = self._store.life
        await self.mirror.load()
        await self.elector.look()
        await self.elector.step()
        for pattern in PATTERNS:
            self._tasks.start(f"naq mirror {pattern}", partial(self.mirror.follow, pattern))
        self._tasks.start("naq resync", lambda: self.mirror.resync(self._resync_interval))
        self._tasks.start("naq fire loop", self.loop.run)
        self._tasks.start("naq lease watch", self.elector.follow)
        self._tasks.start("naq elector", self.elector.run)

    async def stop(self) -> None:
        """Hand the lease back, so that another instance leads at once, and end. Idempotent."""
        await self._keeper.stop()
        await self.elector.resign()
        await self._tasks.stop()
        await self.loop.settle()
        await self.firing.rest.stop()

    async def _keep(self) -> None:
        """Begin anew whenever the store is another one: its bucket was deleted and made anew, or restored.

        Revisions of two stores cannot be compared: the schedules are read again, leadership is won again, and
        nothing that was planned for the old store is sent to the new one.
        """
        while True:
            await self._store.next_life(self._life)
            log.error("the store is another one under the same name: everything is read anew")
            await self._tasks.stop()
            await self.elector.forget()
            await self.loop.settle()
            await self._enter_again()

    async def _enter_again(self) -> None:
        while True:
            await self.firing.forget()
            self.mirror.forget()
            try:
                await self._enter()
            except StoreError as error:
                await self._clock.sleep(self._trouble.met(error))
            else:
                self._trouble.over()
                return

    def _on_change(self) -> None:
        self.firing.rest.reopen()
        self.loop.wake()
