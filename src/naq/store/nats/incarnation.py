"""Incarnations of a bucket: after being deleted and created again, or restored, it is a different bucket with the same name.

What was read in one life says nothing in another: revisions may begin anew. JetStream tells lives apart by the time at
which the stream was created. It is looked at whenever a watch is made anew, for a watch does not outlive its stream. A
server whose whole directory was put back to an older state says the same time, but its stream ends too early.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from naq.exceptions import StoreUnavailable
from naq.store.nats.connection import ConnectionService

__all__ = ["Lives", "first_revision"]

log = logging.getLogger(__name__)


class Lives:
    """The incarnation of the bucket that a process works with."""

    def __init__(self, connection: ConnectionService, stream: str) -> None:
        self.number = 0
        """How many other lives have been seen since the start."""
        self._connection = connection
        self._stream = stream
        self._created: str | None = None
        self._changed = asyncio.Event()

    async def look(self, after: int) -> int:
        """Ask the server, and return the number of the life that it has now; revision ``after`` was seen in the last one.

        Raises `StoreUnavailable` when it cannot be asked or the bucket is not there.
        """
        info = await self._connection.stream_service.info(self._stream)
        if info is None:
            raise StoreUnavailable(
                f"the stream {self._stream} is not there: it was deleted. Restore it ('nats stream restore'), or have any "
                "naq command make an empty one; whatever waits for it goes on by itself then"
            )
        # With several replicas a leader that was just elected may say less than it is about to know.
        alone = int(info["config"]["num_replicas"]) == 1
        self.saw(info, lost=alone and int(info["state"]["last_seq"]) < after)
        return self.number

    def saw(self, info: Mapping[str, Any], *, lost: bool = False) -> None:
        """Take over what the server says of the stream; ``lost``: it ends before what was seen of it."""
        created = str(info["created"])
        if self._created is not None and (created != self._created or lost):
            log.warning("the stream %s was replaced: created again, or restored to an older state", self._stream)
            self.number += 1
            self._changed.set()
            self._changed = asyncio.Event()
        self._created = created

    async def another(self, number: int) -> None:
        """Return when the life is another than this one."""
        while self.number == number:
            await self._changed.wait()


def first_revision(microseconds: int) -> int:
    """Where the revisions of a new bucket begin: at the microseconds since 1970 at which it is made.

    No bucket takes a million writes in each second of its life. So the revisions of one that is made in the place of another
    lie above all that the other ever had, and a write that was planned from the old one is refused by the new one.
    """
    return max(1, microseconds)
