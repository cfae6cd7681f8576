"""Slots of functions with ``max_concurrent``, and the jobs of this worker that wait for one.

A job that finds no slot is set aside here, once: it takes up no slot of the worker, and costs nothing while it waits. When a job
with a slot ends, the slot passes on to the oldest job that waits here; only when none does, it is freed in the store, which the
other workers see (`naq.worker.limits`). A job that was given up, because it ignored its timeout or its cancellation, still
runs: it keeps its slot until it ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from datetime import datetime

from naq.exceptions import StoreError
from naq.queue.limits import Slots
from naq.store.keys import slot_key
from naq.worker.claimed import Claimed, Stage

__all__ = ["FunctionSlots"]

MOST_WAITING = 5000
"""Jobs that are set aside at most; more are given back."""
MOST_BYTES = 64 << 20
"""Bytes of their arguments."""
LAST_FREES = 1.0
"""Seconds that a stopping worker has to free its slots; those that are left expire."""

log = logging.getLogger(__name__)


class FunctionSlots:
    """Takes and frees slots, and keeps the jobs that wait for one, in a line for each function and key (`JobSpec.line`), the
    oldest first."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._waiting: dict[str, deque[Claimed]] = {}
        self._places: dict[str, str] = {}
        """The lines in which jobs wait, by where their slots are."""
        self._count = self._bytes = 0
        self._woken: set[str] = set()
        """Functions of which a slot may be free."""
        self._freeing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return self._count

    def waits(self, line: str) -> bool:
        """Whether a job waits in a line."""
        return line in self._waiting

    async def take(self, line: str, limit: int) -> str | None:
        """Take a slot in the store; ``None`` when all are taken. Raises `StoreError`."""
        return await self._slots.take(line, limit)

    def free(self, slot: str) -> None:
        """Free a slot in the store, without waiting for it."""
        task = asyncio.create_task(self._free(slot), name=f"free {slot}")
        self._freeing.add(task)
        task.add_done_callback(self._freeing.discard)

    def set_aside(self, claimed: Claimed, *, first: bool = False) -> bool:
        """Have a job wait for a slot, before the others if it is the ``first``; ``False`` when too many wait already."""
        if not first and (self._count >= MOST_WAITING or self._bytes + _size(claimed) > MOST_BYTES):
            return False
        claimed.stage = Stage.SET_ASIDE
        line = self._waiting.setdefault(claimed.queued.spec.line, deque())
        self._places[_place(slot_key(claimed.queued.spec.line, 0))] = claimed.queued.spec.line
        if first:
            line.appendleft(claimed)
        else:
            line.append(claimed)
        self._count += 1
        self._bytes += _size(claimed)
        return True

    def next(self, line: str) -> Claimed | None:
        """Take out the oldest job that waits in a line."""
        waiting = self._waiting.get(line)
        return None if waiting is None else self._out(waiting[0])

    def remove(self, claimed: Claimed) -> None:
        """Take out this one."""
        self._out(claimed)

    def late(self, now: datetime) -> list[Claimed]:
        """Take out the jobs whose start deadline has passed."""
        waiting = [claimed for line in self._waiting.values() for claimed in line]
        late = [each for each in waiting if each.queued.start_by is not None and now > each.queued.start_by]
        return [self._out(claimed) for claimed in late]

    def clear(self) -> list[Claimed]:
        """Take out all."""
        return [self._out(claimed) for line in list(self._waiting.values()) for claimed in list(line)]

    def wake(self, line: str) -> None:
        """A slot of the function may be free."""
        if line in self._waiting:
            self._woken.add(line)

    def wake_by(self, key: str) -> None:
        """The slot with that key was freed by any worker."""
        name = self._places.get(_place(key))
        if name is not None:
            self._woken.add(name)

    def wake_all(self) -> None:
        """Slots may have been freed or expired without notice."""
        self._woken.update(self._waiting)

    def woken(self) -> Claimed | None:
        """Take out the oldest job of one function of which a slot may be free."""
        while self._woken:
            found = self.next(self._woken.pop())
            if found is not None:
                return found
        return None

    async def close(self) -> None:
        """Return when the slots are freed."""
        if self._freeing:
            await asyncio.wait(self._freeing, timeout=LAST_FREES)
        for task in tuple(self._freeing):
            task.cancel()
            await asyncio.wait((task,))

    def _out(self, claimed: Claimed) -> Claimed:
        name = claimed.queued.spec.line
        line = self._waiting[name]
        line.remove(claimed)
        if not line:
            del self._waiting[name]
            del self._places[_place(slot_key(name, 0))]
        self._count -= 1
        self._bytes -= _size(claimed)
        return claimed

    async def _free(self, slot: str) -> None:
        try:
            await self._slots.free([slot])
        except StoreError as error:
            log.info("a slot that could not be freed expires by itself: %s", error)


def _place(key: str) -> str:
    """Where all slots of the line of one slot are."""
    return key.rpartition(".")[0]


def _size(claimed: Claimed) -> int:
    spec = claimed.queued.spec
    return len(spec.args) + len(spec.kwargs)
