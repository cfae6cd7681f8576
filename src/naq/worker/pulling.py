"""Requests for jobs: one queue's share of a worker's requests to the server.

A request asks for the next so many jobs and waits at the server until they come. While it waits, the server sends a heartbeat
every few seconds. When the heartbeats stop, when the connection was restored, or when the server says that the request was
dropped (the consumer was deleted, its leader changed), everything is asked for again. Nothing is lost by that: a job that was
on its way to an old request is handed out again after ``ack_wait``.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable

from naq.clock import Clock
from naq.exceptions import StoreError
from naq.store.nats.client import RawSubscription
from naq.store.nats.connection import ConnectionService
from naq.store.nats.protocol import encode_request, header_field, status_code

__all__ = ["OnJob", "Pull"]

EXPIRES = 30.0
"""Seconds for which a request waits at the server."""
HEARTBEAT = 4.0
"""Seconds between the server's heartbeats on a request that waits."""
SILENCE = 10.0
"""Seconds of silence after which a request counts as lost."""

MOST_BYTES = 8 << 20
"""Bytes of jobs that one request brings at most: a server cuts off a client that it has sent too much."""

OnJob = Callable[["Pull", bytes, bytes, bytes, bytes], None]
"""Called with the pull, subject, reply subject, header block and payload of each job."""

log = logging.getLogger(__name__)


class Pull:
    """One queue's requests."""

    def __init__(
        self,
        connection: ConnectionService,
        clock: Clock,
        queue: str,
        target: str,
        on_job: OnJob,
        on_change: Callable[[], None],
    ) -> None:
        """``target`` is ``<stream>.<consumer>``; ``on_change`` is called when more can be asked for."""
        self.queue = queue
        self.outstanding = 0
        """Jobs that were asked for and have not come yet."""
        self.broken: str | None = "not asked yet"
        """Why `restart` must be called before anything can be asked for."""
        self._connection = connection
        self._clock = clock
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{target}"
        self._on_job = on_job
        self._on_change = on_change
        self._subscription: RawSubscription | None = None
        self._inbox = ""
        self._heard_at = 0.0
        self._generation = 0

    async def restart(self) -> None:
        """Forget what was asked for, and get ready to ask."""
        await self._leave()
        self._generation += 1
        generation = self._generation
        client = self._connection.client
        self._inbox = client.new_inbox()

        def on_frame(subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
            self._on_frame(generation, subject, reply, headers, data)

        self._subscription = await client.subscribe_raw(self._inbox, on_frame)
        self.outstanding = 0
        self.broken = None
        self._heard_at = self._clock.monotonic()

    async def ask(self, count: int) -> None:
        """Ask for ``count`` jobs more. Raises `StoreUnavailable` when not connected."""
        largest = max(MOST_BYTES, 2 * int(self._connection.client.max_payload))
        request = json.dumps(
            {
                "batch": count,
                "max_bytes": largest,
                "expires": int(EXPIRES * 1e9),
                "idle_heartbeat": int(HEARTBEAT * 1e9),
            }
        )
        self.outstanding += count
        self._heard_at = self._clock.monotonic()
        try:
            await self._connection.client.send(encode_request(self._subject, self._inbox, request.encode()))
        except BaseException:
            self.outstanding -= count
            raise

    def check(self) -> None:
        """Notice a request without heartbeats."""
        if self.broken is None and self.outstanding > 0 and self._clock.monotonic() - self._heard_at > SILENCE:
            self.lose("the server sends no heartbeat")

    def lose(self, reason: str, *, quietly: bool = False) -> None:
        """Expect nothing more from what was asked for. ``quietly``: why is logged elsewhere."""
        if self.broken is None:
            self.broken = reason
            level = logging.DEBUG if quietly else logging.INFO
            log.log(level, "jobs of queue %s are asked for again: %s", self.queue, reason)
            self._on_change()

    async def stop(self) -> None:
        """Ask for nothing more; jobs that were on their way are still handed over before this returns."""
        self.broken = "stopped"
        await self._leave()

    async def _leave(self) -> None:
        """Unsubscribe, and take what the server sent before it knew."""
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        client = self._connection.client
        with contextlib.suppress(StoreError):
            await client.send(f"UNSUB {subscription._sid}\r\n".encode())
            await client.round_trip(2.0)
        await subscription.unsubscribe()

    def _on_frame(self, generation: int, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        code = status_code(headers)
        if code == 0:
            if generation == self._generation:
                self.outstanding -= 1
                self._heard_at = self._clock.monotonic()
            self._on_job(self, subject, reply, headers, data)
        elif generation == self._generation:
            self._heard_at = self._clock.monotonic()
            if code != 100:
                self._on_status(code, headers)

    def _on_status(self, code: int, headers: bytes) -> None:
        text = headers[9:].split(b"\r\n", 1)[0].decode(errors="replace")
        left = header_field(headers, b"Nats-Pending-Messages")
        if left is not None and (code == 408 or (code == 409 and "MaxBytes" in text)):
            self.outstanding = max(0, self.outstanding - int(left))
            self._on_change()
        else:
            self.lose(f"the server said {text!r}")
