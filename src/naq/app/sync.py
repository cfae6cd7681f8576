"""From synchronous code: one background event loop, and the async API called through it. Not a second copy of anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

__all__ = ["Portal", "SyncFace"]

T = TypeVar("T")


class Portal:
    """An event loop in a thread of its own; `call` runs a coroutine there and returns its result."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``work()`` in the background loop and wait for it; raises what it raises.

        Must not be called from a coroutine: it would block that coroutine's loop. Use the async API there.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            raise RuntimeError("this is async code: await the app's own methods instead of using app.sync")
        return asyncio.run_coroutine_threadsafe(work(), self._started()).result()

    def stop(self) -> None:
        """End the loop and its thread. Idempotent."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_run, args=(loop,), name="naq portal", daemon=True)
                self._thread.start()
                self._loop = loop
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


class SyncFace:
    """Every async method of an object as a blocking one: ``face.enqueue(f, 1)`` is ``await client.enqueue(f, 1)``.

    The object is made, and closed, in the portal's loop: connections belong to the loop that opened them.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        """``make()`` returns the object; it must have an async ``close``."""
        self._make = make
        self._portal = Portal()
        self._object: Any = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_"):
            raise AttributeError(name)

        def method(*args: Any, **kwargs: Any) -> Any:
            async def work() -> Any:
                if self._object is None:
                    self._object = self._make()
                return await getattr(self._object, name)(*args, **kwargs)

            return self._portal.call(work)

        return method

    def close(self) -> None:
        """Close the object and end the background loop. Idempotent; the next call starts anew."""
        made, self._object = self._object, None
        if made is not None:
            self._portal.call(made.close)
        self._portal.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
