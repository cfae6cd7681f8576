"""One attempt of a job while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from naq.jobs.context import JobContext
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Outcome
from naq.worker.execution.processes import Child
from naq.worker.execution.threads import SyncCall

__all__ = ["Attempt"]


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt, and how it can be stopped."""

    queued: QueuedJob
    context: JobContext
    started_at: datetime
    began: float
    """On the monotonic clock."""
    on_end: Callable[[Attempt, Outcome], None]
    task: asyncio.Task[None] | None = None
    stop_reason: str | None = None
    """``timeout``, ``cancelled`` or ``drain``, from when it was asked to stop."""
    calling: bool = False
    """The user's function is being called."""
    ended: bool = False
    killed: bool = False
    """Its process was killed, because it ignored being stopped."""
    call: SyncCall | None = None
    child: Child | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    on_gone: Callable[[], None] | None = None
    """Called when its function returns after it was given up."""
    seconds: float = 0.0
    """How long it ran, once it ended."""

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call ``action`` after so many seconds, unless the attempt has ended."""
        self.timers.append(asyncio.get_running_loop().call_later(seconds, action))

    def end(self, outcome: Outcome, now: float) -> bool:
        """Report the outcome; ``False`` when one was reported before."""
        if self.ended:
            return False
        self.ended = True
        self.seconds = now - self.began
        for timer in self.timers:
            timer.cancel()
        on_end, self.on_end = (
            self.on_end,
            _nothing,
        )  # what is called refers to this attempt: no circle is left to collect
        on_end(self, outcome)
        return True


def _nothing(attempt: Attempt, outcome: Outcome) -> None:
    """The end was reported."""
