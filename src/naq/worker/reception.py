"""Deliveries as they come: each becomes a claimed job, or is acknowledged or buried when there is no job in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from naq.clock import Clock
from naq.exceptions import RecordUnreadable
from naq.jobs.job import QueuedJob
from naq.store.codec import decode
from naq.store.keys import Namespace
from naq.store.nats.direct_get import entry_value
from naq.store.nats.protocol import parse_delivery
from naq.worker.bury import Burial
from naq.worker.claimed import Claimed, Claims, Delivery
from naq.worker.flow import JobFlow
from naq.worker.pulling import Pull
from naq.worker.recheck import Rechecker

__all__ = ["Reception"]

DOUBT_FOR = 2.0
"""Seconds after which a worker that took nothing in for a while has taken in what waited meanwhile."""


class Reception:
    """Decides for each delivery whether it must be looked up before it may wait for a slot."""

    def __init__(
        self, names: Namespace, clock: Clock, claims: Claims, burial: Burial, rechecker: Rechecker, flow: JobFlow
    ) -> None:
        self._names = names
        self._clock = clock
        self._claims = claims
        self._burial = burial
        self._rechecker = rechecker
        self._flow = flow
        self.life: Callable[[], int] = lambda: 0
        """The life of the store that is known of."""
        self._doubtful_until: dict[str, int] = {}
        """By queue: jobs up to this sequence were in the stream before this worker asked for any."""
        self._doubtful_before = 0.0
        """Jobs that came before this instant (monotonic) may have been on their way for long."""

    def connected(self) -> None:
        """The connection is new: the server may have been killed."""
        self._rechecker.connected()

    def asks_anew(self, queue: str, stream_seq: int) -> None:
        """The queue is asked from now on; jobs up to that sequence were there before."""
        self._doubtful_until[queue] = stream_seq

    def was_away(self) -> None:
        """The worker took nothing in for a while: what was on its way may have been handed out again meanwhile."""
        self._rechecker.connected()
        self._doubtful_before = self._clock.monotonic() + DOUBT_FOR

    def give_back(self, jobs: Sequence[Claimed]) -> None:
        """Let other workers have these."""
        for claimed in jobs:
            self._flow.give_back(claimed)

    async def stop(self) -> None:
        """Give back what was not looked up yet."""
        await self._burial.stop()
        self._rechecker.give_back_all()

    def take(self, pull: Pull, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        """A frame with a job came."""
        place = parse_delivery(reply)
        known = self._claims.find(place.stream_seq)
        key = self._names.key(subject.decode())
        if known is not None:
            if known.delivery.key == key:
                known.reply, known.life = reply, self.life()  # handed out again: a heartbeat was lost
            return  # another key: the bucket was replaced; it is handed out again when its predecessor has ended
        value = entry_value(headers, data)
        if value is None:
            self._burial.acknowledge(reply)  # the job was removed before any worker had it
            return
        try:
            queued = decode(QueuedJob, key, value)
        except RecordUnreadable as error:
            self._burial.bury(key, value, reply, error)
            return
        now = self._clock.monotonic()
        delivery = Delivery(pull.queue, key, place.stream_seq, place.delivered, queued, now)
        claimed = Claimed(delivery, reply, self.life())
        self._claims.add(claimed)
        if self._is_doubtful(delivery):
            self._rechecker.add(claimed)
        else:
            self._flow.take(claimed)

    def _is_doubtful(self, delivery: Delivery) -> bool:
        return (
            delivery.delivered > 1
            or delivery.stream_seq <= self._doubtful_until[delivery.queue]
            or delivery.taken_at < self._doubtful_before
        )
