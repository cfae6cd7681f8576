"""The jobs that a worker holds, from the moment they came until they are acknowledged or given back.

The pipeline hands on one frozen value per job: `Delivery` (what the server handed out) -> `Claimed` (the worker holds it)
-> `Admitted` (it may run) -> `Ended` (what to write and what to answer). `Claimed` also carries what others change while
the job is held: its stage, its reply subject, a request to cancel it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import msgspec

from naq.jobs.job import QueuedJob
from naq.queue.settle import Settlement
from naq.worker.execution.run import Attempt

__all__ = ["ACK", "NAK", "PROGRESS", "Admitted", "Claimed", "Claims", "Delivery", "Ended", "Stage", "encode_acks"]

ACK = b"+ACK"
NAK = b"-NAK"
PROGRESS = b"+WPI"


class Stage(Enum):
    """Where a held job is."""

    DOUBTFUL = "doubtful"
    """It may have ended before; the store is asked."""
    BUFFERED = "buffered"
    """It waits for a slot."""
    SET_ASIDE = "set aside"
    """It waits for a slot of its function (``max_concurrent``)."""
    RUNNING = "running"
    """It has a slot."""
    SETTLING = "settling"
    """It ended, and its end is being written."""
    DONE = "done"
    """It was acknowledged or given back."""


class Delivery(msgspec.Struct, frozen=True, gc=False):
    """A job as the server handed it out."""

    queue: str
    key: str
    stream_seq: int
    delivered: int
    """How often the server has handed it out, this time included."""
    queued: QueuedJob
    taken_at: float
    """When it came, on the monotonic clock."""


@dataclass(slots=True, eq=False)
class Claimed:
    """A delivery that this worker holds. The fields below the delivery change while it does."""

    delivery: Delivery
    reply: bytes
    """Where to acknowledge it; a later delivery of the same message replaces it."""
    life: int = 0
    """The life of the store in which the server handed it out (`naq.store.port.Store.life`)."""
    stage: Stage = Stage.BUFFERED
    attempt: Attempt | None = None
    cancel_reason: str | None = None
    """Set when somebody asked to cancel it."""
    announced: bool = False
    """Whether a result with the status ``running`` was written for it."""

    @property
    def queued(self) -> QueuedJob:
        """The job's record."""
        return self.delivery.queued

    @property
    def runs(self) -> bool:
        """Whether its function is being called."""
        return self.stage is Stage.RUNNING and self.attempt is not None


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A claimed job that may run."""

    claimed: Claimed
    slot: str | None = None
    """The key of the function slot that it holds, when its function has ``max_concurrent``."""
    starts: int = 0
    """How many times it was started without an end, this start included."""


class Ended(msgspec.Struct, frozen=True, gc=False):
    """A job that leaves the worker: what to write, and what to answer the server afterwards."""

    claimed: Claimed
    settlement: Settlement | None = None
    """``None``: nothing is to be written."""
    answer: bytes = ACK
    admitted: Admitted | None = None
    """``None``: it never started."""


class Claims:
    """All jobs that this worker holds. The heartbeat thread reads it; only the event loop changes it."""

    def __init__(self) -> None:
        self.occupied = 0
        """Slots of the worker in use."""
        self.unsettled = 0
        """Ended jobs that are not acknowledged yet."""
        self.finished = 0
        """Attempts that ran and ended."""
        self.failed = 0
        """Attempts that ended in a retry or a dead letter."""
        self.stuck: set[Attempt] = set()
        """Attempts that were given up and still run."""
        self.draining = False
        """The worker stops: it starts no more jobs."""
        self.on_released: list[Callable[[Ended], None]] = []
        """Called with each job that was acknowledged or given back."""
        self._by_sequence: dict[int, Claimed] = {}

    def __len__(self) -> int:
        return len(self._by_sequence)

    def all(self) -> list[Claimed]:
        """The jobs held now. May be called from any thread."""
        return list(self._by_sequence.values())

    def find(self, stream_seq: int) -> Claimed | None:
        """The job with that sequence in the stream."""
        return self._by_sequence.get(stream_seq)

    def running(self) -> list[Claimed]:
        """The jobs that have a slot. May be called from any thread."""
        return [claimed for claimed in self.all() if claimed.stage is Stage.RUNNING]

    def add(self, claimed: Claimed) -> None:
        """A job came."""
        self._by_sequence[claimed.delivery.stream_seq] = claimed

    def release(self, ended: Ended) -> None:
        """A job was acknowledged or given back."""
        ended.claimed.stage = Stage.DONE
        self._by_sequence.pop(ended.claimed.delivery.stream_seq, None)
        for listener in self.on_released:
            listener(ended)

    def clear(self) -> None:
        """Forget all: the worker has stopped."""
        self._by_sequence.clear()


def encode_acks(replies: Iterable[bytes], kind: bytes) -> bytes:
    """Acknowledgements of many messages in one buffer."""
    size = len(kind)
    return b"".join([b"PUB %b %d\r\n%b\r\n" % (reply, size, kind) for reply in replies])
