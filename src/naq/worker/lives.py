"""Acknowledgements and the store's lives: what was handed out before the bucket was replaced is not acknowledged after it.

A reply subject names a job by its sequence. In a bucket that was restored from a backup the same sequence may be another job,
which would be lost with the acknowledgement. A job that is not acknowledged is handed out again, if the new bucket has it,
and its result says then that it ended.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from naq.clock import Clock
from naq.store.nats.bucket import KVStoreService
from naq.worker.claimed import Claimed, Ended

__all__ = ["KnownLife"]

FRESH = 0.2
"""Seconds for which a job is held before it is asked whether the bucket is still the same: nobody replaces one so fast."""
EVERY = 0.2
"""Seconds for which an answer is good."""

log = logging.getLogger(__name__)


class KnownLife:
    """Which life of the bucket this worker knows of, and whether that is still the present one."""

    def __init__(self, store: KVStoreService, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._asked_at = 0.0

    @property
    def number(self) -> int:
        """The life that is known of."""
        return self._store.life

    async def of_now(self, group: Sequence[Ended]) -> list[Ended]:
        """Those of the group that were handed out in the present life. Raises `StoreError` when the server cannot be asked."""
        now = self._clock.monotonic()
        held = [ended.claimed.delivery for ended in group]
        if held and now - min(each.taken_at for each in held) > FRESH and now - self._asked_at > EVERY:
            await self._store.look_at_life(max(each.stream_seq for each in held))
            self._asked_at = now
        kept = [ended for ended in group if self.knows(ended.claimed)]
        if len(kept) < len(group):
            log.warning(
                "%d jobs were handed out before the bucket was replaced: not acknowledged", len(group) - len(kept)
            )
        return kept

    def knows(self, claimed: Claimed) -> bool:
        """Whether the job was handed out in the life that is known of."""
        return claimed.life == self._store.life
