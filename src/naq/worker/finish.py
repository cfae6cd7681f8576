"""From the end of an attempt to its acknowledgement. Ends gather while others are written, and are written as one group.

The disk that syncs results also syncs fires. So after a write the next one waits for as long as that write took, unless many
ends wait: a single end is written at once, and hundreds a second share a few dozen writes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.jobs.outcome import Ended as Outcome
from naq.store.nats.connection import ConnectionService
from naq.store.outage import Reminder
from naq.worker.claimed import ACK, NAK, Admitted, Claimed, Claims, Ended, Stage, encode_acks
from naq.worker.ends import EndWriter
from naq.worker.lives import KnownLife
from naq.worker.starts import Starts

__all__ = ["Finisher"]

GROUP = 400
ENOUGH = 16
"""Waiting ends that justify a write right after another one."""
LONGEST_GATHERING = 0.05
"""Longest delay of a write, in seconds."""
RETRY_AFTER = 0.2
LONGEST_RETRY = 3.0

log = logging.getLogger(__name__)


class Finisher:
    """Writes ends and acknowledges jobs. `run` may run several times side by side."""

    def __init__(
        self,
        connection: ConnectionService,
        ends: EndWriter,
        starts: Starts,
        clock: Clock,
        claims: Claims,
    ) -> None:
        self.waiting: deque[Ended] = deque()
        self.in_work = 0
        self.life: KnownLife | None = None
        """Tells whether the bucket was replaced since a job was handed out; ``None``: it never is."""
        self._connection = connection
        self._ends = ends
        self._starts = starts
        self._clock = clock
        self._claims = claims
        self._signal = asyncio.Event()
        self._empty = asyncio.Event()
        self._refused: list[tuple[Ended, int]] = []
        """Ends that the store refused, each with `_written` at that time."""
        self._written = 0
        """Jobs that were acknowledged or given back."""
        self._failure = Reminder(clock)
        self._not_before = 0.0
        """Until when (monotonic) a write of a few ends is put off."""

    def put(self, claimed: Claimed, outcome: Outcome) -> None:
        """A job ended without being started."""
        self._decided(claimed, outcome, None, None)

    def ended(self, admitted: Admitted, outcome: Outcome, started_at: datetime) -> None:
        """An attempt that started at that time has ended."""
        self._decided(admitted.claimed, outcome, admitted, started_at)

    def acknowledge(self, claimed: Claimed) -> None:
        """Acknowledge a job for which nothing is to be written."""
        self._add(Ended(claimed))

    def give_back(self, claimed: Claimed, seconds: float = 0.0, admitted: Admitted | None = None) -> None:
        """Give a job back, to be handed out again after so many seconds."""
        answer = NAK if not seconds else b'-NAK {"delay": %d}' % int(seconds * 1e9)
        self._add(Ended(claimed, None, answer, admitted))

    def _decided(
        self, claimed: Claimed, outcome: Outcome, admitted: Admitted | None, started_at: datetime | None
    ) -> None:
        settlement = self._ends.decide(claimed, outcome, started_at)
        if settlement.ending.dead is not None or settlement.ending.next_attempt is not None:
            self._claims.failed += 1
        self._add(Ended(claimed, settlement, ACK, admitted))

    def _add(self, ended: Ended) -> None:
        ended.claimed.stage = Stage.SETTLING
        self._claims.unsettled += 1
        self.waiting.append(ended)
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
                if not self.waiting and self.in_work == 0:
                    self._empty.set()

    async def run_again(self) -> None:
        """Try refused ends again for ever, each alone, so that none of them delays the others."""
        while True:
            await self._clock.sleep(LONGEST_RETRY)
            again, self._refused = self._refused, []
            for ended, written in again:
                try:
                    await self._try_again(ended, written)
                except StoreError as error:
                    log.warning("the end of job %s is not written yet: %s", ended.claimed.queued.job_id, error)
                    self._refused.append((ended, written))

    async def _try_again(self, ended: Ended, written: int) -> None:
        assert ended.settlement is not None
        for refused in await self._ends.write([ended.settlement]):
            if self._written - written < ENOUGH:
                self._refused.append((ended, written))
                return
            await self._ends.bury(refused)  # the store takes other ends: it is this one that is wrong
        await self._answer([ended])

    async def _gather(self) -> None:
        """Return when a group is to be written."""
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
        if not self.waiting and self.in_work == 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()

    async def _finish(self, group: Sequence[Ended]) -> None:
        wait = RETRY_AFTER
        given_back = deque(ended for ended in group if ended.answer is not ACK)
        while True:
            began = self._clock.monotonic()
            try:
                refused = await self._ends.write([ended.settlement for ended in group if ended.settlement is not None])
                await self._starts.take_back(given_back)
                await self._answer([ended for ended in group if _is_done(ended)])
                now = self._clock.monotonic()
                self._not_before = now + min(LONGEST_GATHERING, now - began)
                self._failure.over()
                break
            except StoreError as error:
                if self._failure.is_due():
                    log.warning("the ends of %d jobs are not written yet: %s", len(group), error)
                await self._clock.sleep(wait)
                wait = min(LONGEST_RETRY, wait * 2)
        for each in refused:
            log.error("the end of job %s is refused: %s", each.settlement.ending.queued.job_id, each.reason)
        self._refused += [(ended, self._written) for ended in group if not _is_done(ended)]

    async def _answer(self, group: Sequence[Ended]) -> None:
        """Acknowledge jobs or give them back, and let them go."""
        await self._acknowledge(group)
        self._written += len(group)
        self._claims.unsettled -= len(group)
        for ended in group:
            self._claims.release(ended)

    async def _acknowledge(self, group: Sequence[Ended]) -> None:
        by_kind: dict[bytes, list[bytes]] = {}
        for ended in group if self.life is None else await self.life.of_now(group):
            by_kind.setdefault(ended.answer, []).append(ended.claimed.reply)
        buffer = b"".join([encode_acks(replies, kind) for kind, replies in by_kind.items()])
        await self._connection.client.send(buffer)


def _is_done(ended: Ended) -> bool:
    return ended.settlement is None or ended.settlement.settled
