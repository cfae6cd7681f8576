"""A partition: one bucket and its lease, with the mirror, the elector and the fire loop. A process may hold several."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.lifecycle import Tasks
from naq.scheduler.drift import Drift
from naq.scheduler.elector import Elector, ElectorSettings
from naq.scheduler.firing import Firing
from naq.scheduler.listeners import Listeners
from naq.scheduler.loop import FireLoop
from naq.scheduler.mirror import PATTERNS, Mirror
from naq.scheduler.open_runs import OpenRuns
from naq.store.outage import Trouble
from naq.store.port import Presence, Store

__all__ = ["Partition", "PartitionSettings"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    """How one instance takes part in a partition. Times are seconds."""

    elector: ElectorSettings
    batch: int
    """Fires committed in one transaction at most."""
    resync_interval: float
    """Between two checks that the watches missed nothing."""


class Partition:
    """One scheduler instance's part in one partition: a candidate for its lease, with its schedules loaded."""

    def __init__(
        self,
        store: Store,
        presence: Presence,
        clock: Clock,
        listeners: Listeners,
        settings: PartitionSettings,
        drift: Drift | None = None,
    ) -> None:
        me, events = settings.elector.instance_id, listeners.events
        self.mirror = Mirror(store, clock, events, me)
        self.elector = Elector(store, presence, clock, events, settings.elector)
        self.firing = Firing(store, self.mirror, clock, listeners, me, settings.elector.partition)
        self.drift = drift or Drift(clock, events, me)
        """How far this machine's clock is from the server's."""
        self.loop = FireLoop(self.elector, self.mirror, self.firing, self.drift, clock, settings.batch)
        self.open_runs = OpenRuns(store, self.mirror, clock, listeners, me)
        self.elector.barred = self._is_barred
        self.drift.on_change = self._on_drift
        self.elector.on_change = self._on_change
        self._store = store
        self._clock = clock
        self._life = store.life
        self._tasks = Tasks(clock)
        self._keeper = Tasks(clock)
        self._trouble = Trouble("the schedules cannot be read again", clock, events, me)
        self._resync_interval = settings.resync_interval

    async def start(self) -> None:
        """Load the schedules and take part in the election; a lone instance leads when this returns.

        Raises `StoreError` when the store cannot be asked for the lease.
        """
        await self._enter()
        self._keeper.start("naq store life", self._keep)

    async def _enter(self) -> None:
        self._life = self._store.life
        await self.mirror.load()
        await self.drift.measure()
        await self.elector.look()
        await self.elector.step()
        for pattern in PATTERNS:
            self._tasks.start(f"naq mirror {pattern}", partial(self.mirror.follow, pattern))
        self._tasks.start("naq resync", lambda: self.mirror.resync(self._resync_interval))
        self._tasks.start("naq quarantine", lambda: self.mirror.trials.run(self.mirror.retry))
        self._tasks.start("naq fire loop", self.loop.run)
        if self.open_runs.compares:
            self._tasks.start("naq open runs", lambda: self.open_runs.run(lambda: self.elector.leads))
        self._tasks.start("naq lease watch", self.elector.follow)
        self._tasks.start("naq elector", self.elector.run)
        if self.drift.compares:
            self._tasks.start("naq clock", self.drift.run)

    async def stop(self) -> None:
        """Hand the lease back, so that another instance leads at once, and end. Idempotent."""
        await self._keeper.stop()
        await self.elector.resign()
        await self._tasks.stop()
        await self.loop.settle()
        await self.firing.retries.stop()

    async def _keep(self) -> None:
        """Start over whenever the store was replaced: its bucket was deleted and created again, or restored.

        Revisions of two stores cannot be compared: the schedules are read again, leadership is won again, and
        nothing that was planned for the old store is sent to the new one.
        """
        while True:
            await self._store.next_life(self._life)
            log.error("the store was replaced by another one of the same name: everything is read again")
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

    def _is_barred(self) -> bool:
        self.drift.look()
        return self.drift.is_wrong

    def _on_drift(self) -> None:
        self.elector.poke()
        self.loop.wake()

    def _on_change(self) -> None:
        self.firing.retries.reopen()
        self.mirror.trials.all_at_once()
        self.open_runs.wake()
        self.loop.wake()
