"""How leaders and followers speak to each other in memory: `naq.store.port.Presence` over the links of a `MemoryStore`.

The switchboard stands where the server stands: it knows whose connection is there. A question to a holder whose
connection is gone is answered "gone" by the switchboard; one to a holder that is paused or silently cut off is not
answered at all.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable

from naq.exceptions import StoreUnavailable
from naq.store.port import Answer
from naq.testing.link import MemoryClient

__all__ = ["MemoryPresence", "Switchboard"]

PATIENCE = 0.2
"""Seconds a leader has to answer."""


class Switchboard:
    """Who answers for which term."""

    def __init__(self) -> None:
        self.holders: dict[str, MemoryPresence] = {}


class MemoryPresence:
    """One client's `Presence`."""

    def __init__(self, board: Switchboard, client: MemoryClient, patience: float = PATIENCE) -> None:
        self._board = board
        self._client = client
        self._patience = patience
        self._on_handover: dict[str, Callable[[str, int], None]] = {}
        self._context = contextvars.Context()

    async def announce(self, term: str, on_handover: Callable[[str, int], None]) -> Callable[[], Awaitable[None]]:
        """Answer questions to ``term`` from now on; returns how to stop."""
        if not self._client.link.connected:
            raise StoreUnavailable(f"{self._client.name} is not connected")
        self._context = contextvars.copy_context()
        self._on_handover[term] = on_handover
        self._board.holders[term] = self

        async def withdraw() -> None:
            self._on_handover.pop(term, None)
            self._board.holders.pop(term, None)

        return withdraw

    async def ask(self, term: str, handover: tuple[str, int] | None = None) -> Answer:
        """Ask the holder of ``term`` whether it is there."""
        link = self._client.link
        if not link.connected:
            return Answer.SILENT
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[Answer] = loop.create_future()
        if link.sends:
            self._later(self._client, self._client.store.context, self._switch, term, handover, heard)
        try:
            async with asyncio.timeout(self._patience):
                return await heard
        except TimeoutError:
            return Answer.SILENT

    def _switch(self, term: str, handover: tuple[str, int] | None, heard: asyncio.Future[Answer]) -> None:
        """The question is at the switchboard."""
        holder = self._board.holders.get(term)
        if holder is None or not holder._client.link.connected:
            self._answer(heard, Answer.GONE)
        elif holder._client.link.hears:
            self._later(holder._client, holder._context, holder._asked, term, handover, heard, self)

    def _asked(
        self, term: str, handover: tuple[str, int] | None, heard: asyncio.Future[Answer], asker: MemoryPresence
    ) -> None:
        """The question is at the holder, which runs."""
        on_handover = self._on_handover.get(term)
        if on_handover is None or not self._client.link.works:
            return
        if handover is not None:
            on_handover(*handover)
        asker._answer(heard, Answer.ALIVE)

    def _answer(self, heard: asyncio.Future[Answer], answer: Answer) -> None:
        if self._client.link.hears:
            self._later(self._client, self._client.store.context, _hear, heard, answer)

    @staticmethod
    def _later(
        client: MemoryClient, context: contextvars.Context, callback: Callable[..., object], *args: object
    ) -> None:
        link = client.link
        asyncio.get_running_loop().call_later(link.random.uniform(*link.delay), callback, *args, context=context)


def _hear(heard: asyncio.Future[Answer], answer: Answer) -> None:
    if not heard.done():
        heard.set_result(answer)
