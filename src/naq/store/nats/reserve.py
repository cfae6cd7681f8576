"""Space for remedies in a bucket with a size limit: when it is full, schedules can still be paused, and jobs removed.

A full stream refuses every transaction, also one that makes it smaller. So naq keeps a few records of its own in a bucket that
has a limit, 5 % of it in all. When a remedy is refused, one of them is deleted, which the server always takes; the remedy
is written, and the record comes back in what space is left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from naq.exceptions import StoreError, StoreForbidden, StoreFull
from naq.store.keys import Namespace, reserve_key
from naq.store.nats.connection import ConnectionService
from naq.store.port import Check, Delete, Entry, Put, Write

__all__ = ["PARTS", "Reserve", "is_remedy"]

PARTS = 4
LARGEST_PART = 256 * 1024
SHARE = 80
"""A part is the 80th of the limit."""
HEADERS = 256
"""Bytes that a record takes beside its value, at most."""


def is_remedy(writes: Sequence[Write]) -> bool:
    """Whether a transaction may use the reserve: it only deletes, or writes what is marked for it (`Put.spare`)."""
    return all(isinstance(write, Delete | Check) or write.spare for write in writes)


class Reserve:
    """The reserve of one bucket."""

    def __init__(
        self,
        connection: ConnectionService,
        names: Namespace,
        get_many: Callable[[Sequence[str]], Awaitable[dict[str, Entry]]],
        commit: Callable[[Sequence[Write]], Awaitable[object]],
    ) -> None:
        self._connection = connection
        self._names = names
        self._get_many = get_many
        self._commit = commit

    async def fill(self) -> None:
        """Write the parts that are missing, as far as there is space. Nothing in a bucket without a limit. Raises
        `StoreError`."""
        info = await self._connection.stream_service.info(self._names.stream)
        limit = 0 if info is None else int(info["config"].get("max_bytes") or 0)
        if info is None or limit <= 0:
            return
        free = limit - int(info["state"]["bytes"])
        there = await self._there()
        for key in _KEYS:
            size = min(LARGEST_PART, limit // SHARE, free - HEADERS)
            if key in there or size <= 0:
                continue
            with suppress(StoreFull):
                await self._commit([Put(key, bytes(size))])
                free -= size + HEADERS

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """Lend space: call what this gives for one more part; ``False``: there is none left. What was lent is put back."""
        lent = False

        async def more() -> bool:
            nonlocal lent
            with suppress(StoreForbidden):
                for key in await self._there():
                    await self._commit([Delete(key)])
                    lent = True
                    return True
            return False

        try:
            yield more
        finally:
            if lent:
                with suppress(StoreError):
                    await self.fill()

    async def _there(self) -> list[str]:
        return [key for key, entry in (await self._get_many(_KEYS)).items() if entry.value is not None]


_KEYS = tuple(reserve_key(number) for number in range(PARTS))
