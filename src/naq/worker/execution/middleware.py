"""Hooks of an application around every job."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from naq.jobs.context import JobContext

__all__ = ["Hooks", "Middleware"]

log = logging.getLogger(__name__)


class Middleware:
    """Hooks around every job; override what is needed. Called on the event loop, in the job's task."""

    async def before(self, context: JobContext) -> None:
        """Before the function is called. What it raises counts as raised by the job."""

    async def after(self, context: JobContext, value: Any) -> None:
        """After the function returned ``value``. What it raises is logged."""

    async def error(self, context: JobContext, error: BaseException) -> None:
        """After the function raised, `SystemExit` and cancellation included. What it raises is logged."""


class Hooks:
    """Several middlewares as one: the first is the outermost."""

    def __init__(self, middleware: Sequence[Middleware] = ()) -> None:
        self._all = tuple(middleware)

    async def before(self, context: JobContext) -> None:
        """Call each; the first that raises stops the job."""
        for middleware in self._all:
            await middleware.before(context)

    async def after(self, context: JobContext, value: Any) -> None:
        """Call each, the innermost first."""
        for middleware in reversed(self._all):
            await _guarded(middleware.after(context, value))

    async def error(self, context: JobContext, error: BaseException) -> None:
        """Call each, the innermost first."""
        for middleware in reversed(self._all):
            await _guarded(middleware.error(context, error))


async def _guarded(hook: Awaitable[None]) -> None:
    try:
        await hook
    except Exception:
        log.exception("a middleware failed; the job is not affected")
