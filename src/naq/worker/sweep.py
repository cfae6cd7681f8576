"""Regular checks of jobs that wait: for others (`naq.queue.dependencies`), or for a slot of their function."""

from __future__ import annotations

import logging

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.queue.settle import Settling
from naq.worker.flow import JobFlow

__all__ = ["DependencySweep", "SlotSweep"]

EVERY = 30.0
"""Seconds between two checks of the jobs that wait for others."""
SLOTS_EVERY = 2.0
"""Seconds between two checks of the jobs that wait for a slot."""

log = logging.getLogger(__name__)


class DependencySweep:
    """Releases or ends waiting jobs."""

    def __init__(self, settling: Settling, clock: Clock) -> None:
        self._settling = settling
        self._clock = clock

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self._settling.end_unmet(await self._settling.dependencies.sweep())
            except StoreError as error:
                log.info("jobs that wait for others are checked later: %s", error)


class SlotSweep:
    """Lets jobs look for slots that were freed, or expired, without notice."""

    def __init__(self, flow: JobFlow, clock: Clock) -> None:
        self._flow = flow
        self._clock = clock

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await self._clock.sleep(SLOTS_EVERY)
            self._flow.look_for_slots(self._clock.now())
