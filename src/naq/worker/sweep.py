"""A regular check of the jobs that wait for others, in case the end of one was missed (`naq.queue.dependencies`)."""

from __future__ import annotations

import logging

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.queue.settle import Settling

__all__ = ["DependencySweep"]

EVERY = 30.0
"""Seconds between two checks."""

log = logging.getLogger("naq.worker")


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
