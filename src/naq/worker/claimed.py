"""The jobs that a worker has in hand: from the moment they came until their end is written and acknowledged."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from naq.jobs.job import QueuedJob
from naq.worker.execution.run import Attempt

__all__ = ["ACK", "NAK", "PROGRESS", "Held", "Stage", "encode_acks"]

ACK = b"+ACK"
NAK = b"-NAK"
PROGRESS = b"+WPI"


class Stage(Enum):
    """Where a held job is."""

    DOUBTFUL = "doubtful"
    """It may have ended before, and is looked up."""
    BUFFERED = "buffered"
    """It waits for a slot."""
    RUNNING = "running"
    """It has a slot."""
    SETTLING = "settling"
    """It ended, and its end is being written."""
    DONE = "done"
    """It is acknowledged, or given back."""


@dataclass(slots=True, eq=False)
class Held:
    """One job in hand."""

    queue: str
    key: str
    reply: bytes
    """Where its acknowledgement goes; a later delivery of the same message replaces it."""
    stream_seq: int
    delivered: int
    queued: QueuedJob
    taken_at: float
    """On the monotonic clock."""
    stage: Stage = Stage.BUFFERED
    attempt: Attempt | None = None
    slot: str | None = None
    """The key of the slot it holds, when its function may run only so often at once."""
    cancel_reason: str | None = None
    """Somebody asked for its cancellation."""
    starts: int = 0
    """How often it was started without an end, this time included."""
    announced: bool = False
    """It was said in the results that it runs."""


def encode_acks(replies: Iterable[bytes], kind: bytes) -> bytes:
    """Acknowledgements of many messages in one buffer."""
    size = len(kind)
    return b"".join([b"PUB %b %d\r\n%b\r\n" % (reply, size, kind) for reply in replies])
