"""The services behind one client: started at the first call, in the event loop and process that made it.

Connections belong to the event loop that opened them. When that loop is closed, as after ``asyncio.run``, or the process
was forked, the next call starts the services again. A client that was never closed leaves its embedded server when the
program ends.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import weakref
from typing import TypeVar

from naq.config import Settings
from naq.exceptions import NaqError, ServiceError
from naq.lifecycle import BaseService, ServiceManager
from naq.store.nats.connection import ConnectionService

__all__ = ["Connection"]

S = TypeVar("S", bound=BaseService)


class Connection:
    """Services of one client. `get` starts them; `close` stops them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._manager = ServiceManager(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        _open.add(self)

    async def get(self, kind: type[S]) -> S:
        """The started service of that type.

        Raises `ServiceError` when another event loop, which still runs, has the connection.
        """
        self._use(asyncio.get_running_loop())
        return await self._manager.get_service(kind)

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        self._use(asyncio.get_running_loop())
        await self._manager.cleanup()
        self._loop = None

    def _use(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise ServiceError(
                    "this client is connected in another event loop, which still runs: close it there, "
                    "or use a client of its own for each loop: Client(app.settings)"
                )
            self._forget()
        self._loop = loop

    def _forget(self) -> None:
        """Let go of services whose event loop is closed."""
        old = self._manager.find(ConnectionService)
        if old is not None and old.embedded is not None:
            old.embedded.resign()
        self._manager = ServiceManager(self._settings)

    def _after_fork(self) -> None:
        """In the child process: the connection is the parent's. Its objects are kept, so that nothing closes them."""
        if self._loop is not None:
            self._loop.set_exception_handler(lambda loop, context: None)  # of tasks that nobody will finish
            _of_parent.append((self._loop, self._manager))
            self._manager, self._loop = ServiceManager(self._settings), None

    def _at_exit(self) -> None:
        """The program ends and `close` was not called: leave the embedded server, and stop it if this was the last."""
        old = self._manager.find(ConnectionService)
        if old is None or old.embedded is None or (self._loop is not None and self._loop.is_running()):
            return
        with contextlib.suppress(NaqError, OSError, RuntimeError):
            asyncio.run(old.embedded.leave())


_open: weakref.WeakSet[Connection] = weakref.WeakSet()
_of_parent: list[object] = []


def _each_after_fork() -> None:
    for connection in list(_open):
        connection._after_fork()


def _each_at_exit() -> None:
    for connection in list(_open):
        connection._at_exit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_each_after_fork)
atexit.register(_each_at_exit)
