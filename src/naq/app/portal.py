"""One event loop in a background thread, and async code called through it from synchronous code."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Generic, Protocol, TypeVar

__all__ = ["Portal"]

T = TypeVar("T")


class Closable(Protocol):
    """What a portal holds."""

    async def close(self) -> None: ...


C = TypeVar("C", bound=Closable)


class Portal(Generic[C]):
    """An object that lives in a background event loop: made there at the first call, closed there by `stop`.

    Safe to use from several threads. After a fork the child makes an object and a loop of its own. A program that ends
    without `stop` is cleaned up when it exits.
    """

    def __init__(self, make: Callable[[], C]) -> None:
        self._make = make
        self._reset()
        _open.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._object: C | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def call(self, work: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        """Run ``work(object)`` in the background loop and wait for it; raises what it raises.

        Raises `RuntimeError` in a coroutine, whose event loop it would block: use the async API there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("this is async code: await the app's own methods instead of using app.sync")
        return asyncio.run_coroutine_threadsafe(self._run(work), self._started()).result()

    def stop(self) -> None:
        """Close the object, and end the loop and its thread. Idempotent; the next `call` starts again."""
        with self._lock:
            loop, thread, made = self._loop, self._thread, self._object
            self._loop = self._thread = self._object = None
        if loop is None or thread is None:
            return
        try:
            if made is not None:
                asyncio.run_coroutine_threadsafe(made.close(), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    async def _run(self, work: Callable[[C], Coroutine[Any, Any, T]]) -> T:
        if self._object is None:
            self._object = self._make()
        return await work(self._object)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name="naq portal", daemon=True)
                self._thread.start()
            return self._loop

    def _after_fork(self) -> None:
        """In the child process: the thread is not there, and the rest is the parent's. It is kept, so that nothing
        closes it."""
        if self._loop is not None:
            _of_parent.append((self._loop, self._object, self._thread))
        self._reset()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


_open: weakref.WeakSet[Portal[Any]] = weakref.WeakSet()
_of_parent: list[object] = []


def _each_after_fork() -> None:
    for portal in list(_open):
        portal._after_fork()


def _each_at_exit() -> None:
    for portal in list(_open):
        portal.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_each_after_fork)
atexit.register(_each_at_exit)
