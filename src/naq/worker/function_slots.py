"""Freeing the slots of functions with ``max_concurrent`` after their jobs."""

from __future__ import annotations

import asyncio
import logging

from naq.exceptions import StoreError
from naq.queue.limits import Slots
from naq.worker.claimed import Ended

__all__ = ["SlotKeeper"]

log = logging.getLogger("naq.worker")


class SlotKeeper:
    """Frees the slot of each job that leaves the worker."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._freeing: set[asyncio.Task[None]] = set()

    def released(self, ended: Ended) -> None:
        """A job was acknowledged or given back."""
        if ended.admitted is None or ended.admitted.slot is None:
            return
        task = asyncio.create_task(self._free(ended.admitted.slot), name=f"free {ended.admitted.slot}")
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    async def close(self) -> None:
        """Stop freeing slots; those that are left expire."""
        for task in tuple(self._freeing):
            task.cancel()
            await asyncio.wait((task,))

    async def _free(self, slot: str) -> None:
        try:
            await self._slots.free([slot])
        except StoreError as error:
            log.info("a slot that could not be freed expires by itself: %s", error)
