"""The NATS client, with two doors that nats-py does not have.

`RawClient.send` writes one buffer of many protocol messages at once: a batch of 800 messages costs one call instead of
800. `RawClient.subscribe_raw` hands frames over unparsed and unbuffered: nats-py parses each message's headers into a
dict and silently drops messages when more than a fixed number wait; reading a million schedules needs neither.
Both touch nats-py's inside, so they stand here alone, and a test fails when a new nats-py changes what they touch.
"""

from __future__ import annotations

from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.subscription import Subscription

from naq.exceptions import StoreUnavailable

__all__ = ["RawClient", "RawSubscription"]

OnFrame = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, header block (empty when there is none) and payload."""


class RawSubscription:
    """A subscription whose frames go straight to a function; `unsubscribe` ends it."""

    def __init__(self, client: RawClient, subscription: Subscription, sid: int) -> None:
        self._client = client
        self._subscription = subscription
        self._sid = sid

    async def unsubscribe(self) -> None:
        """Stop; does nothing on a connection that is closed."""
        self._client.raw.pop(self._sid, None)
        if not self._client.is_closed:
            await self._subscription.unsubscribe()


class RawClient(Client):
    """nats-py's client with raw sending and raw subscriptions."""

    def __init__(self) -> None:
        super().__init__()
        self.raw: dict[int, OnFrame] = {}

    async def send(self, buffer: bytes) -> None:
        """Write protocol bytes as they are. Raises `StoreUnavailable`, and sends nothing, when not connected."""
        if not self.is_connected:
            raise StoreUnavailable("the connection to NATS is down; it is being restored")
        await self._send_command(buffer)
        await self._flush_pending()

    async def subscribe_raw(self, subject: str, on_frame: OnFrame) -> RawSubscription:
        """Hand every frame on ``subject`` to ``on_frame``, at once and in order; it must not block or raise.

        The subscription lives on over reconnects.
        """
        # Registered before the server hears of it: no frame can come earlier.
        sid = self._sid + 1
        self.raw[sid] = on_frame
        subscription = await self.subscribe(subject)
        return RawSubscription(self, subscription, sid)

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        on_frame = self.raw.get(sid)
        if on_frame is None:
            await super()._process_msg(sid, subject, reply, data, headers)
        else:
            on_frame(subject, reply, headers or b"", data)
