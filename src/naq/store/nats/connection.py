"""The one connection to NATS that all services of a process share.

Without ``nats_url`` it joins the embedded server first. A connection that was established once is restored for ever, with
jittered backoff; what depends on it listens with `on_state`. Secrets never appear in a log, an error or a ``repr``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Server

from naq.config import Settings
from naq.exceptions import (
    EmbeddedServerError,
    StoreRejected,
    StoreUnavailable,
    StoreUnsuitable,
)
from naq.lifecycle import BaseService
from naq.store.keys import Namespace
from naq.store.nats.answers import Answers
from naq.store.nats.authentication import Certificates, authentication, credentials_remedy, refuses_credentials
from naq.store.nats.client import RawClient
from naq.store.nats.denials import Denials
from naq.store.nats.protocol import encode_request
from naq.store.nats.remedies import with_remedy
from naq.store.nats.server_clock import ServerClock
from naq.timing.zones import use_zone_data

if TYPE_CHECKING:
    from naq.store.embedded.server import EmbeddedServer, ServerAddress

__all__ = ["ConnectionService", "ConnectionState", "StreamService"]

STREAM_NOT_FOUND = 10059
STREAM_NAME_IN_USE = 10058

OLDEST_SERVER = (2, 12, 1)
WHOLE_BATCHES = (2, 15, 0)
"""The first server that syncs an atomic batch as a whole. Older ones sync each message by itself, so a power failure may
leave a part of it (seen with 2.12.1 to 2.14.6)."""
TEARS_BATCHES = (
    "a lone NATS server older than 2.15 can lose a part of a transaction at a power failure: upgrade it to 2.15 or newer, "
    "or use a cluster and three replicas"
)
LONGEST_BACKOFF = 2.0
"""Seconds between two attempts to restore the connection, at most; the first ones come faster."""

CLOSE_PATIENCE = 5.0
"""Seconds that closing the connection may take."""

log = logging.getLogger(__name__)


class ConnectionState(Enum):
    """What happened to the connection."""

    LOST = "lost"
    RESTORED = "restored"
    CLOSED = "closed"


class ConnectionService(BaseService):
    """Connects, stays connected, and lets other services ask JetStream."""

    def __init__(self, config: Mapping[str, Any] | Settings) -> None:
        super().__init__(config)
        use_zone_data(self.settings.zone_data)
        self.clock = ServerClock(self.settings.clock_limit)
        """The time that clients and workers go by."""
        self._client: RawClient | None = None
        self._embedded: EmbeddedServer | None = None
        self._address: ServerAddress | None = None
        self._streams: StreamService | None = None
        self._listeners: dict[object, Callable[[ConnectionState], None]] = {}
        self._answers = Answers()
        self._denials = Denials(
            Namespace(self.settings.namespace), self.settings.inbox_prefix, self._answers, lambda: self.where
        )
        self._attempts = 0
        self._last_error: Exception | None = None

    @property
    def client(self) -> RawClient:
        """The client. Raises `StoreUnavailable` when the service is not started."""
        if self._client is None:
            raise StoreUnavailable("the connection is not started: call initialize() first")
        return self._client

    @property
    def embedded(self) -> EmbeddedServer | None:
        """The server that naq runs itself, when it does."""
        return self._embedded

    @property
    def stream_service(self) -> StreamService:
        """The streams over this connection."""
        if self._streams is None:
            self._streams = StreamService(self.settings, self)
        return self._streams

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent right now."""
        return self._client is not None and self._client.is_connected

    @property
    def refusals(self) -> list[str]:
        """What the server did not let this user do so far, one sentence for each kind of subject."""
        return list(self._denials.reasons.values())

    @property
    def tears_batches(self) -> bool:
        """Whether a power failure can leave half of a transaction: a server older than 2.15 that is no part of a cluster."""
        version = self.client.connected_server_version
        return (version.major, version.minor, version.patch) < WHOLE_BATCHES and not self.client.in_cluster

    @property
    def where(self) -> str:
        """The servers as text for people, without secrets."""
        if self._embedded is not None:
            return f"the embedded server in {self.settings.data_dir}"
        return ", ".join(_without_secrets(url) for url in self.settings.nats_url)

    def on_state(self, listener: Callable[[ConnectionState], None]) -> Callable[[], None]:
        """Call ``listener`` whenever the connection is lost, restored or closed; returns how to stop that."""
        ours = object()
        self._listeners[ours] = listener

        def stop() -> None:
            self._listeners.pop(ours, None)

        return stop

    async def api(
        self, subject: str, request: Mapping[str, Any] | None = None, timeout: float | None = None
    ) -> dict[str, Any]:
        """Ask JetStream's API (``STREAM.INFO.x``) and return its answer.

        Raises `StoreRejected` with the server's error, `StoreUnavailable` when no answer came within ``timeout``
        seconds (default: ``request_timeout``).
        """
        payload = json.dumps(request).encode() if request is not None else b""
        _, data = await self.ask(f"$JS.API.{subject}", payload, timeout)
        answer: dict[str, Any] = json.loads(data) if data else {}
        error = answer.get("error")
        if error is not None:
            code = int(error.get("err_code", 0))
            raise StoreRejected(with_remedy(f"{error.get('description', 'error')} ({subject})", code), code)
        return answer

    async def ask(self, subject: str, payload: bytes, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Send a request; its raw answer as header block and payload.

        Raises `StoreUnavailable` when nobody listens on the subject, nothing came in time, or the connection is down, and
        `StoreForbidden` when the user may not ask this.
        """
        reply, answer = self.expect_answer((subject,))
        try:
            await self.client.send(encode_request(subject, reply, payload))
            async with asyncio.timeout(timeout or self.settings.request_timeout):
                headers, data = await answer
        except TimeoutError:
            raise StoreUnavailable(f"NATS at {self.where} did not answer {subject} in time") from None
        finally:
            self.forget_answer(reply)
        if headers.startswith(b"NATS/1.0 503"):
            raise StoreUnavailable(
                f"nobody answers {subject} at {self.where}: is JetStream switched on there (nats-server -js), "
                "and does the cluster have a leader?"
            )
        return headers, data

    def expect_answer(
        self, subjects: Sequence[str] = (), *, optional: bool = False
    ) -> tuple[str, asyncio.Future[tuple[bytes, bytes]]]:
        """A fresh reply subject, and the future of its answer; see `Answers.expect`."""
        return self._answers.expect(subjects, optional=optional)

    def forget_answer(self, reply: str) -> None:
        """The answer is no longer waited for."""
        self._answers.forget(reply)

    async def _do_initialize(self) -> None:
        options = authentication(self.settings)
        servers = [url if "://" in url else f"nats://{url}" for url in self.settings.nats_url]
        if self.settings.embedded:
            from naq.store.embedded.server import EmbeddedServer

            self._embedded = EmbeddedServer(self.settings.data_dir)
            self._address = await self._embedded.join()
            servers = [self._address.url]
            # Asked for anew at each attempt: a server that was started again elsewhere has other credentials.
            options |= {"user": lambda: self._credentials().user, "password": lambda: self._credentials().password}
        await self._connect(servers, options)
        client = self.client
        version = client.connected_server_version
        if (version.major, version.minor, version.patch) < OLDEST_SERVER:
            raise StoreUnsuitable(
                f"the NATS server at {self.where} is {version.major}.{version.minor}.{version.patch}, and naq needs "
                "2.12.1 or newer (atomic batches): upgrade it, or leave out nats_url to use the embedded server"
            )
        if self.tears_batches:
            log.warning("%s: %s", self.where, TEARS_BATCHES)
        await self._answers.listen(client)

    async def _connect(self, servers: list[str], options: dict[str, Any]) -> None:
        certificates = Certificates(self.settings)
        context = certificates.renewed()
        if context is not None:
            options = {**options, "tls": context}
        client = RawClient(certificates.renewed)
        self._client = client
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await client.connect(
                    servers=servers,
                    name=f"naq {self.settings.instance_id}",
                    connect_timeout=max(1, round(self.settings.connect_timeout)),
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.1,  # seconds; it is only ever slept
                    reconnect_to_server_handler=self._next_server,
                    ping_interval=5,
                    max_outstanding_pings=2,
                    inbox_prefix=self.settings.inbox_prefix,
                    pending_size=64 * 1024 * 1024,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_lost,
                    reconnected_cb=self._on_restored,
                    closed_cb=self._on_closed,
                    **options,
                )
        except (TimeoutError, OSError, nats.errors.Error) as error:
            cause = self._last_error or error
            reason = str(cause) or type(cause).__name__
            remedy = credentials_remedy(reason, self.settings)
            raise StoreUnavailable(f"cannot connect to NATS at {self.where} ({reason}): {remedy}") from None

    async def _do_cleanup(self) -> None:
        await self._denials.close()
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            with contextlib.suppress(
                TimeoutError, OSError
            ):  # a peer that is gone, or does not let go, must not keep the process from ending
                async with asyncio.timeout(CLOSE_PATIENCE):
                    await client.close()
        self._answers.lose("the connection is closed")
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            await embedded.leave()

    def _next_server(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server, float]:
        """nats-py asks which server to try next, and after how many seconds: exponential with full jitter."""
        self._attempts += 1
        longest = min(LONGEST_BACKOFF, 0.05 * 2 ** min(self._attempts, 10))
        delay = 0.0 if self._attempts == 1 else random.uniform(0.02, longest)
        return servers[self._attempts % len(servers)], delay

    async def _on_error(self, error: Exception) -> None:
        if self._last_error is None or not refuses_credentials(str(self._last_error)):
            self._last_error = error  # after a refusal come only the ends of connections, which tell nothing
        log.debug("NATS: %s", error)
        if self._client is not None:
            self._denials.met(self._client, str(error))

    async def _on_lost(self) -> None:
        if self._client is None:
            return
        log.warning("the connection to NATS at %s is lost; reconnecting", self.where)
        self._answers.lose("the connection broke before the answer came")
        self.clock.forget()
        self._tell(ConnectionState.LOST)
        if self._embedded is not None:
            await self._find_embedded(self._embedded, self._client)

    async def _find_embedded(self, embedded: EmbeddedServer, client: RawClient) -> None:
        """Have the embedded server started again if its process is gone; it may come back at another address."""
        try:
            address = await embedded.ensure_running()
        except EmbeddedServerError as error:
            log.warning("%s; trying again", error)
            return
        if address != self._address:
            self._address = address
            client.set_server_pool([address.url])

    def _credentials(self) -> ServerAddress:
        assert self._address is not None
        return self._address

    async def _on_restored(self) -> None:
        self._attempts = 0
        log.info("the connection to NATS at %s is restored", self.where)
        self._tell(ConnectionState.RESTORED)

    async def _on_closed(self) -> None:
        self._tell(ConnectionState.CLOSED)

    def _tell(self, state: ConnectionState) -> None:
        for listener in tuple(self._listeners.values()):
            listener(state)


class StreamService(BaseService):
    """What naq asks JetStream about streams."""

    def __init__(self, config: Mapping[str, Any] | Settings, connection_service: ConnectionService) -> None:
        super().__init__(config)
        self.connection = connection_service

    async def _do_initialize(self) -> None:
        await self.connection.initialize()

    async def _do_cleanup(self) -> None:
        """Nothing is held."""

    async def info(self, name: str) -> dict[str, Any] | None:
        """JetStream's information on a stream (``config``, ``state``, ...); ``None`` when there is no such stream."""
        began = self.connection.clock.monotonic()
        try:
            info = await self.connection.api(f"STREAM.INFO.{name}")
        except StoreRejected as error:
            if error.code == STREAM_NOT_FOUND:
                return None
            raise
        self.connection.clock.heard(info, began)
        return info

    async def ensure(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The stream's information; it is created with ``config`` when it does not exist, and left alone when it does.

        Two processes may do it at the same time.
        """
        name = config["name"]
        found = await self.info(name)
        if found is not None:
            return found
        try:
            return await self.connection.api(f"STREAM.CREATE.{name}", config)
        except StoreRejected as error:
            if error.code != STREAM_NAME_IN_USE:
                raise
            return await self.connection.api(f"STREAM.INFO.{name}")

    async def subjects(self, name: str, pattern: str) -> list[str]:
        """The subjects under a pattern that hold a message, in no order."""
        found: list[str] = []
        while True:
            request = {"subjects_filter": pattern, "offset": len(found)}
            info = await self.connection.api(f"STREAM.INFO.{name}", request)
            page = info["state"].get("subjects") or {}
            found += page
            if not page or len(found) >= int(info.get("total", 0)):
                return found

    async def update(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Change a stream's configuration to ``config``, which is whole; its information then."""
        return await self.connection.api(f"STREAM.UPDATE.{config['name']}", config)

    async def delete(self, name: str) -> bool:
        """Delete a stream with all it holds; ``False`` when there is no such stream."""
        try:
            await self.connection.api(f"STREAM.DELETE.{name}")
        except StoreRejected as error:
            if error.code == STREAM_NOT_FOUND:
                return False
            raise
        return True

    async def purge(self, name: str, subject: str | None = None, before_seq: int | None = None) -> int:
        """Remove messages: those on ``subject`` (may hold wildcards), those with a sequence below ``before_seq``. Returns
        how many."""
        request: dict[str, Any] = {}
        if subject is not None:
            request["filter"] = subject
        if before_seq is not None:
            request["seq"] = before_seq
        answer = await self.connection.api(f"STREAM.PURGE.{name}", request)
        return int(answer.get("purged", 0))


def _without_secrets(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
