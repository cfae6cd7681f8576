"""Noticing from another thread that the worker's event loop is blocked, or that its process grows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import traceback
from collections.abc import Callable

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.worker.claimed import Claims
from naq.worker.execution.memory import resident_bytes
from naq.worker.report import Report

__all__ = ["LoopWatch", "MemoryWatch"]

BLOCKED_AFTER = 2.0
"""Seconds without an answer after which the event loop counts as blocked."""
MEMORY_STEP = 256 * 1024 * 1024
"""Bytes by which the process must have grown since the last report to be reported."""

log = logging.getLogger(__name__)


class LoopWatch:
    """Asks the event loop for an answer again and again. Made on that loop; `look` is called in the heartbeat's thread."""

    def __init__(self, settings: Settings, clock: Clock, claims: Claims, report: Report) -> None:
        self.on_unblocked: list[Callable[[], None]] = []
        """Called on the event loop after it was blocked."""
        self._instance_id = settings.instance_id
        self._clock = clock
        self._claims = claims
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._answered_at = clock.monotonic()
        self._asked = False
        self._blocker: str | None = None
        self._blocked_after = min(BLOCKED_AFTER, settings.ack_wait / 2)

    def look(self) -> list[Event]:
        """Check once. Returns the event that says that the loop is blocked, when that was noticed just now."""
        found: list[Event] = []
        silent_for = self._clock.monotonic() - self._answered_at
        if self._asked and silent_for > self._blocked_after:
            if self._report.blocked_for == 0.0:
                found.append(self._found_blocked(silent_for))
            self._report.blocked_for = silent_for
        if not self._asked:
            self._asked = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._answer)
        return found

    def _answer(self) -> None:
        """On the event loop."""
        blocked_for, self._report.blocked_for = self._report.blocked_for, 0.0
        blocker, self._blocker = self._blocker, None
        self._asked = False
        now = self._clock.monotonic()
        if blocked_for:
            self._report.unblocked(now - self._answered_at, blocker)
            for listener in self.on_unblocked:
                listener()
        self._answered_at = now

    def _found_blocked(self, seconds: float) -> Event:
        task = asyncio.current_task(self._loop)
        name = task.get_name() if task is not None else ""
        self._blocker = name.removeprefix("job ") if name.startswith("job ") else None
        frame = sys._current_frames().get(self._thread)
        where = "".join(traceback.format_stack(frame)[-3:]) if frame is not None else ""
        func = self._func_of(self._blocker)
        log.error(
            "%s blocks the event loop: no other job of this worker can go on. Make it a plain function (it then runs in a "
            "thread), or use executor='process'. It is here:\n%s",
            f"job {self._blocker} ({func})" if self._blocker else "something",
            where,
        )
        return Event(
            type=EventType.WORKER_BLOCKED,
            timestamp=self._clock.now(),
            instance_id=self._instance_id,
            job_id=self._blocker,
            func=func,
            reason="a job blocks the event loop: no other job of this worker can go on",
            details={"seconds": round(seconds, 1), "where": where},
        )

    def _func_of(self, job_id: str | None) -> str | None:
        return next((each.queued.spec.func for each in self._claims.all() if each.queued.job_id == job_id), None)


class MemoryWatch:
    """Reports a process that has grown by `MEMORY_STEP`, or above its limit. `look` is called in the heartbeat's thread."""

    def __init__(self, limit: int | None, report: Report) -> None:
        self._limit = limit
        self._report = report
        self._loop = asyncio.get_running_loop()
        self._reported = resident_bytes()
        self._over = False

    def look(self) -> None:
        """Check once."""
        now = resident_bytes()
        grown_by = now - self._reported
        over = self._limit is not None and now > self._limit
        if grown_by > MEMORY_STEP or (over and not self._over):
            self._reported, self._over = now, over
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._report.grown, now, grown_by)
