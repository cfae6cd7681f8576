"""Reading a bucket as it was at one moment, while it is written.

The server keeps the last message of each key, so what is overwritten before it was read is gone. A walk reads all messages in
order up to a *mark* that it writes itself: a message with a sequence, between two transactions. Then it writes a second mark
and reads on to it. A record of the moment of the first mark is missing, or too old, only if it was overwritten between the
two before it was read. Each conditional write names the revision that it replaced: when the walk has read all of those, it has
the bucket as it was at the first mark. When it has not, the second mark becomes the first, and so on; under any load that
takes a few milliseconds each time.

Any replica may answer a read, also one that is behind. None of them skips anything that it has, so it is enough to read on
until the mark itself is seen.
"""

from __future__ import annotations

import asyncio
import secrets
from array import array
from bisect import bisect_left
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Protocol

from naq.exceptions import StoreUnavailable
from naq.store.keys import FENCE, RESTORING, backup_key
from naq.store.nats.direct_get import Whole

__all__ = ["PAGE_BYTES", "Walk", "passing"]

PAGE_BYTES = 4 << 20
"""Bytes of records that are held at once."""
MARK_TTL = 600
"""Seconds after which a mark is gone."""
LAGS_FOR = 30.0
"""Seconds for which a replica may be behind."""
LOOK_AGAIN_AFTER = 0.02
MOST_MOMENTS = 500
"""Moments that are tried: more than enough, unless somebody writes one key all the time without a condition."""
PASSING = frozenset({"backup", "lease", "epoch", "worker", "slot", "reserve", FENCE, RESTORING})
"""Families of keys that concern the processes of a time: nothing of them belongs into another."""


def passing(key: str) -> bool:
    """Whether a key says nothing that is to be kept; so does the place up to which alerts have read events."""
    parts = key.split(".")
    return parts[0] in PASSING or (parts[0] == "watch" and len(parts) == 2)


class Bucket(Protocol):
    """What a walk does with a bucket; `KVStoreService` is one."""

    @property
    def max_value(self) -> int:
        """The largest value, in bytes."""
        ...

    async def put(self, key: str, value: bytes, *, ttl: int | None = None) -> int:
        """Write a value; its revision."""
        ...

    def scan_whole(self, pattern: str, after: int, most_bytes: int) -> AsyncIterator[list[Whole]]:
        """Pages of entries behind a revision."""
        ...


class Walk:
    """One walk over a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self.at: datetime | None = None
        """The moment, once `pages` has ended."""
        self._bucket = bucket
        self._page = max(PAGE_BYTES, 2 * bucket.max_value)
        self._token = secrets.token_hex(6)
        self._marks = 0
        self._after = 0
        self._stamp: datetime | None = None
        self._read: array[int] = array("Q")
        """Sequences of all messages that were read, ascending."""

    async def pages(self) -> AsyncIterator[list[Whole]]:
        """All messages up to the moment, in order; of a key that is written meanwhile there may be several.

        Raises `StoreUnavailable` when the store cannot be read, or no moment was found.
        """
        async for page in self._bucket.scan_whole(">", 0, self._page):
            self._take(page)
            yield page
        mark = await self._mark()
        later: list[Whole] = []
        async for page in self._up_to(mark):
            yield [each for each in page if each.entry.revision <= mark]
            later += [each for each in page if each.entry.revision > mark]
        for _ in range(MOST_MOMENTS):
            moment, following = self._stamp, await self._mark()
            async for page in self._up_to(following):
                later += page
            if self._is_whole(later, mark):
                self.at = moment
                return
            yield [each for each in later if each.entry.revision <= following]
            later = [each for each in later if each.entry.revision > following]
            mark = following
        raise StoreUnavailable(
            "no moment was found at which the bucket could be read whole: too much is overwritten meanwhile"
        )

    async def _mark(self) -> int:
        """Write a mark; its sequence."""
        self._marks += 1
        return await self._bucket.put(backup_key(f"{self._token}-{self._marks}"), b"{}", ttl=MARK_TTL)

    async def _up_to(self, mark: int) -> AsyncIterator[list[Whole]]:
        """What was not read yet, until the mark is there."""
        loop = asyncio.get_running_loop()
        until = loop.time() + LAGS_FOR
        while self._after < mark:
            async for page in self._bucket.scan_whole(">", self._after, self._page):
                self._take(page)
                self._stamp = next((each.stored_at for each in page if each.entry.revision == mark), self._stamp)
                yield page
                until = loop.time() + LAGS_FOR
            if loop.time() > until:
                raise StoreUnavailable("the replica of the bucket that answers is far behind the others: try again")
            if self._after < mark:
                await asyncio.sleep(LOOK_AGAIN_AFTER)

    def _take(self, page: Sequence[Whole]) -> None:
        self._read.extend(each.entry.revision for each in page)
        self._after = self._read[-1] if self._read else 0

    def _is_whole(self, later: Sequence[Whole], mark: int) -> bool:
        """Whether all that was written behind the mark replaced only what was read."""
        return all(self._replaced_known(each) for each in later if each.entry.revision > mark)

    def _replaced_known(self, each: Whole) -> bool:
        if passing(each.entry.key) or each.expected == 0:
            return True
        if each.expected is None:
            return False
        place = bisect_left(self._read, each.expected)
        return place < len(self._read) and self._read[place] == each.expected
