"""Threads for sync jobs: reused, never joined, and a function in one can be interrupted.

The standard pool is not used because the interpreter waits at its end for every function in it. These threads are daemons. A
function that ignores an interrupt keeps its thread; the other jobs get new threads.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import queue
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["SyncCall", "Threads"]

IDLE_FOR = 60.0
"""Seconds after which an idle thread ends."""


class SyncCall:
    """One call of a function in a thread; its ``future`` gets what it returns or raises."""

    def __init__(self, work: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self.future = future
        self.context = contextvars.copy_context()
        self._work = work
        self._loop = future.get_loop()
        self._thread_id: int | None = None
        self._guard = threading.Lock()
        self.interrupted = False
        """Whether it was interrupted; the exception may still be pending when it has ended."""

    def interrupt(self, error: type[BaseException]) -> bool:
        """Raise ``error`` in the function at its next Python instruction; whether it was running.

        It is not raised while the function waits inside the operating system or an extension.
        """
        with self._guard:
            if self._thread_id is None:
                return False
            self.interrupted = _raise_in(self._thread_id, error) > 0 or self.interrupted
            return self.interrupted

    def run(self) -> None:
        """Do the work, in the current thread."""
        try:
            with self._guard:
                self._thread_id = threading.get_ident()
            try:
                outcome: tuple[bool, Any] = (True, self.context.run(self._work))
            finally:
                with self._guard:
                    self._thread_id = None
        except BaseException as error:  # noqa: BLE001 - a user's function: SystemExit must not end the thread either
            outcome = (False, error)
        try:
            self._loop.call_soon_threadsafe(self._settle, *outcome)
        except RuntimeError:
            return  # the loop is closed

    def _settle(self, well: bool, value: Any) -> None:
        if self.future.done():
            return
        if well:
            self.future.set_result(value)
        elif isinstance(value, StopIteration):
            self.future.set_exception(RuntimeError(f"the job raised StopIteration: {value}"))
        else:
            self.future.set_exception(value)


class Threads:
    """Threads that wait for calls."""

    def __init__(self, name: str = "naq job") -> None:
        self._name = name
        self._calls: queue.SimpleQueue[SyncCall | None] = queue.SimpleQueue()
        self._idle = 0
        self._count = 0
        self._guard = threading.Lock()

    def call(self, work: Callable[[], Any]) -> SyncCall:
        """Call ``work`` in a thread, with a copy of the current context variables."""
        call = SyncCall(work, asyncio.get_running_loop().create_future())
        with self._guard:
            start = self._idle == 0
            if start:
                self._count += 1
            else:
                self._idle -= 1
        self._calls.put(call)
        if start:
            threading.Thread(target=self._serve, name=f"{self._name} {self._count}", daemon=True).start()
        return call

    def close(self) -> None:
        """Let idle threads end; those with a job end after it."""
        with self._guard:
            for _ in range(self._count):
                self._calls.put(None)

    def _serve(self) -> None:
        while True:
            call = self._next()
            if call is None:
                return
            call.run()
            if call.interrupted:
                _drop_interrupt()
            del call
            with self._guard:
                self._idle += 1

    def _next(self) -> SyncCall | None:
        while True:
            try:
                call = self._calls.get(timeout=IDLE_FOR)
            except queue.Empty:
                with self._guard:
                    if self._idle == 0:
                        continue  # a call is on its way to this thread
                    self._idle -= 1
                    self._count -= 1
                return None
            if call is None:
                with self._guard:
                    self._count -= 1
            return call


class _Dropped(BaseException):
    """Takes the place of an interrupt that came too late for its job."""


def _drop_interrupt() -> None:
    """Take back an interrupt of this thread that was not raised yet.

    Not by ``None``: CPython 3.11 then keeps the whole process on its slow path for good, and a function that is profiled
    never gets past its first line. Another exception takes the place of the pending one, and is caught.
    """
    try:
        _raise_in(threading.get_ident(), _Dropped)
        while True:  # it is raised when the loop goes round
            pass
    except _Dropped:
        return


def _raise_in(thread_id: int, error: type[BaseException]) -> int:
    return int(ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(error)))
