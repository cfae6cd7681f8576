"""The NATS client, with two doors that nats-py does not have.

`RawClient.send` writes one buffer of many protocol messages at once: a batch of 800 messages costs one call instead of
800. `RawClient.subscribe_raw` hands frames over unparsed and unbuffered: nats-py parses each message's headers into a
dict and silently drops messages when more than a fixed number wait; reading a million schedules needs neither.
Both touch nats-py's inside, so they stand here alone, and a test fails when a new nats-py changes what they touch.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import sys
from collections.abc import Callable, Collection
from typing import Any

from nats.aio.client import Client, Srv
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.errors import Error, ProtocolError
from nats.protocol.command import sub_cmd
from nats.protocol.parser import Parser

from naq.exceptions import ConfigError, StoreUnavailable
from naq.store.nats.tls import TlsTransport

__all__ = ["RawClient", "RawSubscription"]

LONGEST_LINE = 1 << 20
"""Bytes of one line of the protocol at most: the server's INFO names every node of its cluster."""

PERMISSIONS, STALE = "permissions violation", "stale connection"
"""Errors after which the server keeps the connection, or that nats-py treats as it should; in lower case."""
PATIENCE = 5.0
"""Seconds that the server has to answer whether it takes subscriptions."""
QUOTES = "' "

LOOK_EVERY = 5.0
"""Seconds between two questions for the server's limits."""

log = logging.getLogger(__name__)

OnFrame = Callable[[bytes, bytes, bytes, bytes], None]
"""Called with subject, reply subject, header block (empty when there is none) and payload."""


def unreadable_credentials() -> tuple[type[Exception], ...]:
    """What reading credentials raises. The package for keys is an extra, and loaded by the connection that uses it."""
    if "nkeys" not in sys.modules:
        return ValueError, LookupError, TypeError
    from nkeys import NkeysError

    return ValueError, LookupError, TypeError, NkeysError


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
    """nats-py's client with raw sending and raw subscriptions, and one that no error of the server closes.

    ``before_attempt`` is called before every attempt to connect; it returns a new TLS context when the certificates changed.
    """

    def __init__(self, before_attempt: Callable[[], ssl.SSLContext | None] = lambda: None) -> None:
        super().__init__()
        self.raw: dict[int, OnFrame] = {}
        self._before_attempt = before_attempt
        self._given: dict[str, Any] = {}
        self._looked = -LOOK_EVERY
        self._ps = _FrameParser(self)

    async def connect(self, *args: Any, **options: Any) -> None:
        """As nats-py's; the options are kept for `learn_limit`."""
        self._given = options
        await super().connect(*args, **options)

    async def learn_limit(self) -> bool:
        """Whether the server accepts larger messages by now than it did when this client connected.

        A server whose ``max_payload`` is changed says so to new connections only, so one is made to ask; at most every few
        seconds.
        """
        now = asyncio.get_running_loop().time()
        if now - self._looked < LOOK_EVERY or self.connected_url is None:
            return False
        self._looked = now
        asker = Client()
        kept = {name: value for name, value in self._given.items() if not name.endswith("_cb")}
        try:
            await asker.connect(**kept | {"servers": [self.connected_url.geturl()], "allow_reconnect": False})
            limit = asker.max_payload
            await asker.close()
        except (TimeoutError, OSError, Error) as error:
            log.debug("the server's limits are not known anew: %s", error)
            return False
        grew = limit > self.max_payload
        self._max_payload = limit
        return grew

    async def _connect_to_server(self, s: Srv) -> None:
        """nats-py would forget the socket of an attempt to reconnect that failed, without closing it."""
        if self._transport:
            self._transport.close()  # type: ignore[no-untyped-call]
        try:
            context = self._before_attempt()
        except ConfigError as error:
            raise Error(f"nats: {error}") from error
        if context is not None:
            self.options["tls"] = context
        await super()._connect_to_server(s)
        if type(self._transport) is TcpTransport:
            self._transport = TlsTransport.of(self._transport)

    async def _process_connect_init(self) -> None:
        """nats-py tries again after its own errors and those of the operating system. Any other, such as that of a
        credentials file that is just being written, would end its attempts for good."""
        try:
            await super()._process_connect_init()
        except unreadable_credentials() as error:
            raise Error(f"nats: {type(error).__name__}: {error}") from error

    async def _process_err(self, err_msg: str) -> None:
        """nats-py closes the client for good at nearly every error of the server: expired credentials, a password that is
        wrong for some seconds, a limit that was lowered. They can pass, so this client connects again, and again.

        ``err_msg`` is in the server's own words: nats-py writes all of it, also subjects, in lower case."""
        if STALE in err_msg.lower():
            await super()._process_err(err_msg.lower())
            return
        if PERMISSIONS in err_msg.lower():
            await self._error_cb(Error(err_msg.strip(QUOTES)))
            return
        error = Error(f"nats: {err_msg.strip(QUOTES)}")
        self._err = error
        await self._error_cb(error)
        await self._process_op_err(error)

    @property
    def in_cluster(self) -> bool:
        """Whether the server said that it is part of a cluster."""
        return bool(self._server_info.get("cluster"))

    async def send(self, buffer: bytes) -> None:
        """Write protocol bytes as they are. Raises `StoreUnavailable`, and sends nothing, when not connected."""
        if not self.is_connected:
            raise StoreUnavailable("the connection to NATS is down; it is being restored")
        await self._send_command(buffer)
        await self._flush_pending()

    async def round_trip(self, timeout: float) -> None:
        """Return when all that the server sent before now has been handed over. Raises `StoreUnavailable` when that is not
        certain within ``timeout`` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._flush_pending(force_flush=True)  # else nats-py's ping overtakes what is still to be written
                await self.flush(max(1, round(2 * timeout)))
        except (Error, TimeoutError, OSError) as error:
            raise StoreUnavailable(f"the server did not answer a ping ({type(error).__name__})") from None

    async def subscribe_again(self, subjects: Collection[str]) -> set[str]:
        """Ask for subscriptions that the server refused, as far as they are still wanted; returns those, when the server has
        answered. Raises `StoreUnavailable`."""
        wanted = [each for each in self._subs.values() if each.subject in subjects]
        for subscription in wanted:
            await self.send(sub_cmd(subscription.subject, "", subscription._id))
        if wanted:
            await self.round_trip(PATIENCE)
        return {each.subject for each in wanted}

    async def subscribe_raw(self, subject: str, on_frame: OnFrame) -> RawSubscription:
        """Hand every frame on ``subject`` to ``on_frame``, at once and in order; it must not block or raise.

        The subscription lives on over reconnects.
        """
        # Registered before the server hears of it: no frame can come earlier.
        sid = self._sid + 1
        self.raw[sid] = on_frame
        subscription = await self.subscribe(subject)
        return RawSubscription(self, subscription, sid)


class _FrameParser(Parser):
    """Cuts what the server sends into frames. Messages are handled here, which takes a third of the time; the few
    other lines of the protocol (PING, INFO, -ERR, ...) are nats-py's."""

    def __init__(self, client: RawClient) -> None:
        super().__init__(client)
        self._client = client

    def reset(self) -> None:
        """Begin anew, on a new connection."""
        super().reset()
        self._rest = bytearray()
        self._enough = 0
        """Bytes of the rest before which it is not worth looking at again."""

    async def parse(self, data: bytes = b"") -> None:
        """Hand over every frame that is complete, and keep what is left. Raises `ProtocolError` for what is no NATS."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._enough:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at = self._enough = 0
        while at < len(data):
            line_end = data.find(b"\r\n", at)
            if line_end < 0:
                if len(data) - at > LONGEST_LINE:
                    raise ProtocolError("nats: a line without an end")
                break
            if data.startswith((b"HMSG ", b"MSG "), at):
                end = await self._message(data, at, line_end)
                if end > len(data):
                    self._enough = end - at
                    break
            else:
                end = line_end + 2
                if data.startswith(b"-ERR", at):
                    await self._client._process_err(data[at + 4 : line_end].decode(errors="replace"))
                else:
                    await super().parse(data[at:end])
                if self._client.is_reconnecting:  # an error of the server: what follows belongs to no connection
                    return
            at = end
        self._rest += data[at:]

    async def _message(self, data: bytes, at: int, line_end: int) -> int:
        """Hand over the message that begins ``at``, if all of it is there; where it ends."""
        words = data[at:line_end].split()
        try:
            sid, size = int(words[2]), int(words[-1])
            header_size = int(words[-2]) if words[0] == b"HMSG" else 0
            reply = words[3] if len(words) == (6 if header_size else 5) else b""
        except (ValueError, IndexError):
            raise ProtocolError("nats: malformed MSG") from None
        start = line_end + 2
        end = start + size + 2
        if end <= len(data):
            headers, payload = data[start : start + header_size], data[start + header_size : end - 2]
            on_frame = self._client.raw.get(sid)
            if on_frame is not None:
                on_frame(words[1], reply, headers, payload)
            else:
                await self._client._process_msg(sid, words[1], reply, payload, headers)
        return end
