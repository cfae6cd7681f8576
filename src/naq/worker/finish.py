"""From an attempt's end to its acknowledgement: ends gather while others are written, and are written as one group.

The disk that syncs a result is the one that fires wait for. So behind a write the next one is put off for as long as that
one took, unless many wait: an end that is alone is written at once, and hundreds a second share a few dozen writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.jobs.ending import Ending
from naq.queue.settle import Settlement, Settling
from naq.store.nats.connection import ConnectionService
from naq.worker.claimed import ACK, NAK, Held, Stage, encode_acks
from naq.worker.starts import Starts

__all__ = ["Finisher"]

GROUP = 400
ENOUGH = 16
"""Ends that wait for which a write is worth its while, however soon it comes behind another."""
LONGEST_GATHERING = 0.05
"""Seconds for which a write is put off at most."""
RETRY_AFTER = 0.2
LONGEST_RETRY = 3.0

log = logging.getLogger("naq.finishing")

Item = tuple[Held, Settlement | None, bytes]
"""What was held, the decision to be written (``None``: nothing), and what the server is told afterwards."""


class Finisher:
    """Writes ends and acknowledges. `run` may run several times side by side."""

    def __init__(
        self,
        connection: ConnectionService,
        settling: Settling,
        starts: Starts,
        clock: Clock,
        on_released: Callable[[Held], None],
    ) -> None:
        self.waiting: deque[Item] = deque()
        self.in_work = 0
        self._connection = connection
        self._settling = settling
        self._starts = starts
        self._clock = clock
        self._on_released = on_released
        self._signal = asyncio.Event()
        self._empty = asyncio.Event()
        self._not_before = 0.0
        """Until when (monotonic) a write of a few is put off."""

    def __len__(self) -> int:
        return len(self.waiting) + self.in_work

    def put(self, held: Held, ending: Ending) -> None:
        """An attempt ended."""
        self._add(held, Settlement(ending), ACK)

    def acknowledge(self, held: Held) -> None:
        """Nothing is to be written for this one."""
        self._add(held, None, ACK)

    def give_back(self, held: Held, seconds: float = 0.0) -> None:
        """Another worker is to have it, or this one later."""
        self._add(held, None, NAK if not seconds else b'-NAK {"delay": %d}' % int(seconds * 1e9))

    def _add(self, held: Held, settlement: Settlement | None, ack: bytes) -> None:
        held.stage = Stage.SETTLING
        self.waiting.append((held, settlement, ack))
        self._signal.set()

    async def run(self) -> None:
        """Finish for ever."""
        while True:
            await self._gather()
            group = [self.waiting.popleft() for _ in range(min(GROUP, len(self.waiting)))]
            self.in_work += len(group)
            try:
                await self._finish(group)
            finally:
                self.in_work -= len(group)
                for held, _, _ in group:
                    held.stage = Stage.DONE
                    self._on_released(held)
                if not self.waiting and self.in_work == 0:
                    self._empty.set()

    async def _gather(self) -> None:
        """Return when something is to be written."""
        while True:
            self._signal.clear()
            left = self._not_before - self._clock.monotonic()
            if len(self.waiting) >= ENOUGH or (self.waiting and left <= 0):
                return
            until = self._clock.now() + timedelta(seconds=left) if self.waiting else None
            await self._clock.wait(self._signal, until)

    async def finish(self, seconds: float) -> None:
        """Return when all that ended is written and acknowledged, or so many seconds have passed."""
        self._empty.clear()
        if len(self) == 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    async def _finish(self, group: Sequence[Item]) -> None:
        wait = RETRY_AFTER
        while True:
            began = self._clock.monotonic()
            try:
                await self._settling.settle([settlement for _, settlement, _ in group if settlement is not None])
                await self._starts.take_back([held for held, _, ack in group if ack is not ACK])
                await self._acknowledge(group)
                ended = self._clock.monotonic()
                self._not_before = ended + min(LONGEST_GATHERING, ended - began)
                return
            except StoreError as error:
                log.warning("%d ended jobs are not written down yet: %s", len(group), error)
                await self._clock.sleep(wait)
                wait = min(LONGEST_RETRY, wait * 2)

    async def _acknowledge(self, group: Sequence[Item]) -> None:
        by_kind: dict[bytes, list[bytes]] = {}
        for held, _, kind in group:
            by_kind.setdefault(kind, []).append(held.reply)
        buffer = b"".join([encode_acks(replies, kind) for kind, replies in by_kind.items()])
        await self._connection.client.send(buffer)
