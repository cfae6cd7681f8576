"""Processes on one event loop: each can be frozen as SIGSTOP does it, and killed as SIGKILL does it, at any step.

A callback belongs to the process in whose context it was made (`OWNER`). The loop runs a process's callbacks one by one,
and counts them: between two of them, and nowhere else, code stands at an ``await``. So "crash at every await" is "stop at
step 1, 2, 3, ..." (`Process.stop_at`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar
from typing import Any, TypeVar

from naq.testing.clock import ManualLoop

__all__ = ["OWNER", "Process", "SimulatedLoop"]

T = TypeVar("T")


class Process:
    """One operating-system process of the simulated world."""

    def __init__(self, loop: SimulatedLoop, name: str) -> None:
        self.name = name
        self.steps = 0
        """Callbacks run so far."""
        self.stop_at: int | None = None
        """Before which step ``on_stop`` is called."""
        self.on_stop: Callable[[], None] = lambda: None
        self.paused = False
        self.resumed_at = 0.0
        """Monotonic second of the last SIGCONT."""
        self.dead = False
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.held: deque[asyncio.Handle] = deque()
        self._loop = loop
        self._context = Context()
        self._context.run(OWNER.set, self)

    def run(self, coroutine: Coroutine[Any, Any, T], name: str | None = None) -> asyncio.Task[T]:
        """Begin a task in this process."""
        return self._loop.create_task(coroutine, name=name, context=self._context.copy())

    def pause(self) -> None:
        """SIGSTOP: nothing of it runs any more; what becomes ready piles up."""
        self.paused = True

    def resume(self) -> None:
        """SIGCONT."""
        self.paused, self.resumed_at = False, self._loop.time()
        held, self.held = self.held, deque()
        self._loop.requeue(held)

    def kill(self) -> None:
        """SIGKILL. Its doors to the world must have been closed before: what its code still does while it is being
        unwound (``finally`` blocks of cancelled tasks) is then seen by nobody."""
        self.dead = True
        self.resume()
        self._loop.create_task(self._bury(), name=f"end of {self.name}", context=Context())

    async def _bury(self) -> None:
        for _ in range(100):
            if not self.tasks:
                return
            for task in tuple(self.tasks):
                task.cancel()
            await asyncio.sleep(0)
        raise AssertionError(f"{self.name} cannot be unwound: {[task.get_name() for task in self.tasks]}")


OWNER: ContextVar[Process | None] = ContextVar("OWNER", default=None)
"""The process whose code this is; ``None``: the world's."""


class SimulatedLoop(ManualLoop):
    """A `ManualLoop` that knows whose each callback is."""

    def create_task(  # type: ignore[override] # one form for all versions of Python
        self, coro: Coroutine[Any, Any, T], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[T]:
        """Make a task, and enter it in its process's list."""
        task = super().create_task(coro, name=name, context=context)
        process = OWNER.get() if context is None else context.get(OWNER)
        if process is not None:
            process.tasks[task] = None
            task.add_done_callback(lambda done: process.tasks.pop(done, None), context=NOBODY)
        return task

    def execute(self, handle: asyncio.Handle) -> None:
        """Run a callback, unless its process stands still."""
        if handle._cancelled:
            return
        process: Process | None = handle._context.get(OWNER)  # type: ignore[attr-defined] # public since 3.12 only
        if process is not None and not process.dead:
            if process.paused:
                process.held.append(handle)
                return
            process.steps += 1
            if process.steps == process.stop_at:
                process.on_stop()
                self.execute(handle)
                return
        handle._run()

    def requeue(self, handles: deque[asyncio.Handle]) -> None:
        """These are ready again."""
        self._waiting.extend(handles)


NOBODY = Context()
