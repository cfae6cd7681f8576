"""Freeing the slots of functions with ``max_concurrent`` after their jobs.

A job that was given up, because it ignored its timeout or its cancellation, still runs: it keeps its slot until it ends.
"""

from __future__ import annotations

import asyncio
import logging

from naq.exceptions import StoreError
from naq.queue.limits import Slots
from naq.worker.claimed import Claims, Ended

__all__ = ["SlotKeeper"]

log = logging.getLogger("naq.worker")


class SlotKeeper:
    """Frees the slot of each job that leaves the worker."""

    def __init__(self, slots: Slots, claims: Claims) -> None:
        self._slots = slots
        self._claims = claims
        self._freeing: set[asyncio.Task[None]] = set()

    def released(self, ended: Ended) -> None:
        """A job was acknowledged or given back."""
        if ended.admitted is None or ended.admitted.slot is None:
            return
        slot, attempt = ended.admitted.slot, ended.claimed.attempt
        if attempt is not None and attempt in self._claims.stuck:
            attempt.on_gone = lambda: self._start_freeing(slot)
        else:
            self._start_freeing(slot)

    def _start_freeing(self, slot: str) -> None:
        task = asyncio.create_task(self._free(slot), name=f"free {slot}")
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
