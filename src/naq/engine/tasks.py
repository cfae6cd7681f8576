"""Tasks with an owner: started together, stopped together, and never dead without a word."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from naq.clock import Clock

__all__ = ["Tasks"]

RESTART_AFTER = 1.0
"""Seconds before a task that failed is started again."""

log = logging.getLogger("naq.tasks")


class Tasks:
    """Long-running tasks of one owner. A task that fails is logged with its traceback and started again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``work()`` until `stop`; it is called anew after a failure or an end."""
        self._tasks.append(asyncio.create_task(self._keep_up(name, work), name=name))

    async def stop(self) -> None:
        """Cancel all and wait until they are through; the last started first. Idempotent."""
        while self._tasks:
            task = self._tasks.pop()
            while not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=1.0)

    async def _keep_up(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("%s failed; it is started again in %s s", name, RESTART_AFTER)
            await self._clock.sleep(RESTART_AFTER)
