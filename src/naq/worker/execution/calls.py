"""The three ways to call a job's function: on the event loop, in a thread, in a process. And how to stop it there."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from naq.exceptions import JobCancelled, JobTimeout
from naq.jobs.functions import importable_name
from naq.jobs.outcome import Outcome, Raised
from naq.jobs.target import Target
from naq.worker.execution.attempt import Attempt
from naq.worker.execution.processes import Processes
from naq.worker.execution.threads import Threads

__all__ = ["Calls"]

POLITE_FOR = 0.5
"""Seconds that a sync job has to see for itself that it must stop, before an exception is raised in it."""

NO_PROCESSES = "executor='process' needs a POSIX system (Linux, macOS): run this queue's workers on one"


class Calls:
    """Calls functions, and asks them to stop."""

    def __init__(self, processes: Processes, grace: float, allow_pickle: bool) -> None:
        self._processes = processes
        self._grace = grace
        self._allow_pickle = allow_pickle
        self._threads = Threads()

    async def call(self, attempt: Attempt, target: Target, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function returns; for a job in a process an `Outcome`. Raises what the function raises."""
        if attempt.queued.spec.executor == "process":
            return await self._in_process(attempt, importable_name(target.func) or target.reference)
        if target.takes_context:
            args = [attempt.context, *args]
        if target.is_async:
            return await target.func(*args, **kwargs)
        attempt.call = self._threads.call(lambda: target.func(*args, **kwargs))
        value = await attempt.call.future
        attempt.call = None
        return await value if inspect.isawaitable(value) else value

    async def _in_process(self, attempt: Attempt, func: str) -> Outcome:
        if sys.platform == "win32":
            return Raised("NotSupported", NO_PROCESSES)
        child = await self._processes.take()
        attempt.child = child
        if attempt.stop_reason is not None:
            child.ask_to_stop(attempt.stop_reason)
        try:
            return await child.run(attempt.queued, attempt.context, func, allow_pickle=self._allow_pickle)
        finally:
            attempt.child = None
            await self._processes.give_back(child)

    def stop(self, attempt: Attempt) -> None:
        """Ask the function that is being called to stop."""
        if attempt.child is not None:
            attempt.child.ask_to_stop(attempt.stop_reason or "cancelled")
        elif attempt.call is not None:
            attempt.later(min(POLITE_FOR, self._grace / 2), lambda: _interrupt(attempt))
        elif attempt.task is not None:
            attempt.task.cancel()

    async def close(self) -> None:
        """End all threads and processes."""
        self._threads.close()
        await self._processes.close()


def _interrupt(attempt: Attempt) -> None:
    if attempt.call is not None and not attempt.ended:
        attempt.call.interrupt(JobTimeoutInterrupt if attempt.stop_reason == "timeout" else JobStopInterrupt)


class JobTimeoutInterrupt(JobTimeout):
    """Raised inside a sync job whose time is up."""

    def __init__(self) -> None:
        super().__init__("", "its time is up")


class JobStopInterrupt(JobCancelled):
    """Raised inside a sync job that is to stop."""

    def __init__(self) -> None:
        super().__init__("")
