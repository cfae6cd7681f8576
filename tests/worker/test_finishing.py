"""How ends gather into writes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from naq.jobs.job import JobSpec, QueuedJob
from naq.testing.clock import ManualClock, manual_time
from naq.worker.claimed import Claimed, Claims, Delivery, Ended
from naq.worker.ends import EndWriter
from naq.worker.finish import ENOUGH, Finisher

WRITE = 0.01
"""Seconds that a write takes."""


class Ends:
    """A finisher whose writes take their time, and what it wrote when."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.began = self.clock.monotonic()
        self.writes: list[tuple[float, int]] = []
        """Milliseconds since the start at which a write began, and how many ends it was of."""
        self._count = 0
        self._open = 0
        stand_in: Any = SimpleNamespace(settle=self._settle, take_back=self._settle_nothing)
        connection: Any = SimpleNamespace(client=SimpleNamespace(send=self._settle_nothing))
        claims = Claims()
        claims.on_released.append(self._released)
        self.finisher = Finisher(connection, EndWriter("w", stand_in, self.clock), stand_in, self.clock, claims)

    async def _settle(self, group: object) -> None:
        self.writes.append((round((self.clock.monotonic() - self.began) * 1000, 1), self.finisher.in_work))
        await self.clock.sleep(WRITE)

    async def _settle_nothing(self, group: object) -> None:
        """Takes no time."""

    def _released(self, ended: Ended) -> None:
        self._open -= 1

    def end(self, count: int = 1) -> None:
        """So many jobs end now."""
        for _ in range(count):
            self._count += 1
            self._open += 1
            queued = QueuedJob(job_id=f"j{self._count}", spec=JobSpec(func="a:b"), enqueued_at=self.clock.now())
            delivery = Delivery("default", f"job.default.{queued.job_id}", self._count, 1, queued, 0.0)
            self.finisher.acknowledge(Claimed(delivery, b"reply"))

    async def through(self) -> None:
        """All that ended is written."""
        await self.clock.advance(1)
        assert self._open == 0


async def run(ends: Ends) -> asyncio.Task[None]:
    task = asyncio.create_task(ends.finisher.run())
    await ends.clock.advance(0)
    return task


@manual_time
async def test_an_end_that_is_alone_is_written_at_once_and_the_next_ones_gather() -> None:
    ends = Ends()
    task = await run(ends)
    for _ in range(12):  # one each 4 ms
        ends.end()
        await ends.clock.advance(0.004)
    await ends.through()
    assert ends.writes == [(0.0, 1), (20.0, 4), (40.0, 5), (60.0, 2)]
    task.cancel()


@manual_time
async def test_many_do_not_wait() -> None:
    ends = Ends()
    task = await run(ends)
    ends.end()
    await ends.clock.advance(0.001)
    ends.end(ENOUGH)
    await ends.through()
    assert ends.writes == [(0.0, 1), (10.0, ENOUGH)]
    task.cancel()


@manual_time
async def test_after_a_pause_nothing_waits() -> None:
    ends = Ends()
    task = await run(ends)
    ends.end()
    await ends.clock.advance(0.5)
    ends.end()
    await ends.through()
    assert ends.writes == [(0.0, 1), (500.0, 1)]
    task.cancel()
