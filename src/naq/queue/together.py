"""Many who ask the store for one key each, answered together: however many wait, one read is under way at a time.

Twenty thousand callers that each read on their own overrun the server, all time out, and all ask again. Here what is
asked while a read is under way goes into the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from naq.exceptions import NaqError

__all__ = ["Together"]

V = TypeVar("V")
AT_ONCE = 500
"""Keys in one read."""


class Together(Generic[V]):
    """Questions for single keys, asked as few reads of many keys. Of one event loop."""

    def __init__(self, read: Callable[[Sequence[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._read = read
        self._asked: dict[str, list[asyncio.Future[V | None]]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def ask(self, key: str) -> V | None:
        """What ``read`` finds for the key, read after this was called; ``None`` when it finds nothing.

        Raises what ``read`` raises.
        """
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(answer)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_on(), name="naq reads what is asked")
        return await answer

    async def stop(self) -> None:
        """Read no more; who still asks is cancelled."""
        reading = self._reading
        if reading is not None:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read_on(self) -> None:
        page: dict[str, list[asyncio.Future[V | None]]] = {}
        try:
            while self._asked:
                page = {key: self._asked.pop(key) for key in list(self._asked)[:AT_ONCE]}
                try:
                    found = await self._read(list(page))
                except NaqError as error:
                    _fail(page, error)
                else:
                    for key, answers in page.items():
                        for answer in answers:
                            if not answer.done():
                                answer.set_result(found.get(key))
        finally:
            self._reading = None
            for answer in (answer for answers in (*page.values(), *self._asked.values()) for answer in answers):
                answer.cancel()
            self._asked.clear()


def _fail(page: Mapping[str, Sequence[asyncio.Future[V | None]]], error: NaqError) -> None:
    for answers in page.values():
        for answer in answers:
            if not answer.done():
                answer.set_exception(error)
