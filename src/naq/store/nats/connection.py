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
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import nats.errors
from nats.aio.client import Server

from naq.config import FIELDS, Settings
from naq.exceptions import (
    ConfigError,
    EmbeddedServerError,
    Problem,
    StoreError,
    StoreForbidden,
    StoreRejected,
    StoreUnavailable,
    StoreUnsuitable,
    shown,
)
from naq.lifecycle import BaseService
from naq.store.embedded.server import EmbeddedServer, ServerAddress
from naq.store.nats.client import RawClient, RawSubscription

if TYPE_CHECKING:
    from naq.store.nats.streams import StreamService

__all__ = ["ConnectionService", "ConnectionState"]

OLDEST_SERVER = (2, 12, 1)
LONGEST_BACKOFF = 2.0
"""Seconds between two attempts to restore the connection, at most; the first ones come faster."""

DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]*)"')
"""The server's words, as nats-py passes them on: in lower case."""
FAMILY = 3
"""Parts of a subject that tell which permission is missing (``$KV.naq.job``): a line for every single one would be a flood."""
SAY_AGAIN_AFTER = 60.0
"""Seconds after which a missing permission is said again."""

CLOSE_PATIENCE = 5.0
"""Seconds that closing the connection may take."""

log = logging.getLogger("naq.connection")


class ConnectionState(Enum):
    """What happened to the connection."""

    LOST = "lost"
    RESTORED = "restored"
    CLOSED = "closed"


class ConnectionService(BaseService):
    """Connects, stays connected, and lets other services ask JetStream."""

    def __init__(self, config: Mapping[str, Any] | Settings) -> None:
        super().__init__(config)
        self._client: RawClient | None = None
        self._embedded: EmbeddedServer | None = None
        self._address: ServerAddress | None = None
        self._streams: StreamService | None = None
        self._listeners: list[Callable[[ConnectionState], None]] = []
        self._answers: dict[str, _Asked] = {}
        self._forbidden: dict[str, float] = {}
        self._answer_prefix = ""
        self._answer_subscription: RawSubscription | None = None
        self._answer_count = 0
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
        from naq.store.nats.streams import StreamService

        if self._streams is None:
            self._streams = StreamService(self.settings, self)
        return self._streams

    @property
    def is_connected(self) -> bool:
        """Whether requests can be sent right now."""
        return self._client is not None and self._client.is_connected

    @property
    def where(self) -> str:
        """The servers as text for people, without secrets."""
        if self._embedded is not None:
            return f"the embedded server in {self.settings.data_dir}"
        return ", ".join(_without_secrets(url) for url in self.settings.nats_url)

    def on_state(self, listener: Callable[[ConnectionState], None]) -> Callable[[], None]:
        """Call ``listener`` whenever the connection is lost, restored or closed; returns how to stop that."""
        self._listeners.append(listener)

        def stop() -> None:
            with contextlib.suppress(ValueError):
                self._listeners.remove(listener)

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
            raise StoreRejected(f"{error.get('description', 'error')} ({subject})", int(error.get("err_code", 0)))
        return answer

    async def ask(self, subject: str, payload: bytes, timeout: float | None = None) -> tuple[bytes, bytes]:
        """Send a request; its raw answer as header block and payload.

        Raises `StoreUnavailable` when nobody listens on the subject, nothing came in time, or the connection is down, and
        `StoreForbidden` when the user may not ask this.
        """
        reply, answer = self.expect_answer((subject,))
        line = f"PUB {subject} {reply} {len(payload)}\r\n".encode()
        try:
            await self.client.send(line + payload + b"\r\n")
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

    def expect_answer(self, subjects: Sequence[str] = ()) -> tuple[str, asyncio.Future[tuple[bytes, bytes]]]:
        """A fresh reply subject and the future of its answer: header block and payload.

        When the connection is lost first, the future gets `StoreUnavailable`; when the server says that the user may not
        publish to one of ``subjects``, on which the question is sent, `StoreForbidden`. Whoever asked calls `forget_answer`.
        """
        self._answer_count += 1
        token = str(self._answer_count)
        future: asyncio.Future[tuple[bytes, bytes]] = asyncio.get_running_loop().create_future()
        self._answers[token] = _Asked(future, subjects)
        return self._answer_prefix + token, future

    def forget_answer(self, reply: str) -> None:
        """Nobody waits for this answer any more."""
        asked = self._answers.pop(reply[len(self._answer_prefix) :], None)
        if asked is not None and not asked.answer.done():
            asked.answer.cancel()

    async def _do_initialize(self) -> None:
        options = self._authentication()
        servers = [url if "://" in url else f"nats://{url}" for url in self.settings.nats_url]
        if self.settings.embedded:
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
        self._answer_prefix = client.new_inbox() + "."
        self._answer_subscription = await client.subscribe_raw(self._answer_prefix + "*", self._on_answer)

    async def _connect(self, servers: list[str], options: dict[str, Any]) -> None:
        client = RawClient()
        self._client = client
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await client.connect(
                    servers=servers,
                    name=f"naq {self.settings.instance_id}",
                    connect_timeout=max(1, round(self.settings.connect_timeout)),
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.1,  # type: ignore[arg-type]  # seconds; it is only ever slept
                    reconnect_to_server_handler=self._next_server,
                    ping_interval=5,
                    max_outstanding_pings=2,
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
            raise StoreUnavailable(
                f"cannot connect to NATS at {self.where} ({reason}): start a server there (nats-server -js), check the "
                "address and the credentials, or leave out nats_url to use the embedded server"
            ) from None

    async def _do_cleanup(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            with contextlib.suppress(
                TimeoutError, OSError
            ):  # a peer that is gone, or does not let go, must not keep the process from ending
                async with asyncio.timeout(CLOSE_PATIENCE):
                    await client.close()
        self._lose_answers("the connection is closed")
        embedded, self._embedded = self._embedded, None
        if embedded is not None:
            await embedded.leave()

    def _authentication(self) -> dict[str, Any]:
        settings = self.settings
        options: dict[str, Any] = {}
        for name, file in (("nats_creds", settings.nats_creds), ("nats_nkey", settings.nats_nkey)):
            if file is not None and not Path(file).is_file():
                raise ConfigError(
                    Problem(name, shown(file), "there is no such file", shown(FIELDS[name].metadata["example"]))
                )
        if settings.nats_creds is not None:
            options["user_credentials"] = settings.nats_creds
        if settings.nats_nkey is not None:
            options["nkeys_seed"] = settings.nats_nkey
        if settings.nats_token is not None:
            options["token"] = settings.nats_token
        if settings.nats_user is not None:
            options |= {"user": settings.nats_user, "password": settings.nats_password}
        if settings.tls_ca or settings.tls_cert:
            options["tls"] = self._tls()
        return options

    def _tls(self) -> ssl.SSLContext:
        settings = self.settings
        try:
            context = ssl.create_default_context(cafile=settings.tls_ca)
            if settings.tls_cert and settings.tls_key:
                context.load_cert_chain(settings.tls_cert, settings.tls_key)
        except (OSError, ssl.SSLError) as error:
            files = [settings.tls_ca, settings.tls_cert, settings.tls_key]
            raise ConfigError(
                Problem("tls_ca / tls_cert / tls_key", shown(files), f"cannot be loaded ({error})", "'/etc/naq/ca.pem'")
            ) from None
        return context

    def _next_server(self, servers: list[Server], info: dict[str, Any]) -> tuple[Server, float]:
        """nats-py asks which server to try next, and after how many seconds: exponential with full jitter."""
        self._attempts += 1
        longest = min(LONGEST_BACKOFF, 0.05 * 2 ** min(self._attempts, 10))
        delay = 0.0 if self._attempts == 1 else random.uniform(0.02, longest)
        return servers[self._attempts % len(servers)], delay

    async def _on_error(self, error: Exception) -> None:
        self._last_error = error
        log.debug("NATS: %s", error)
        denied = DENIED.search(str(error))
        if denied is not None:
            self._on_denied(*denied.groups())

    def _on_denied(self, doing: str, subject: str) -> None:
        """The user may not do this: it is said, once in a while, and nobody waits for an answer that cannot come."""
        now = asyncio.get_running_loop().time()
        reason = f"NATS at {self.where} forbids this user {doing} {subject!r}: give it that permission"
        family = ".".join(subject.split(".")[:FAMILY])
        if now - self._forbidden.get(family, -inf) >= SAY_AGAIN_AFTER:
            self._forbidden[family] = now
            log.error("%s", reason)
        for asked in self._answers.values():
            if not asked.answer.done() and subject in map(str.lower, asked.subjects):
                asked.fail(StoreForbidden(reason))

    async def _on_lost(self) -> None:
        if self._client is None:
            return
        log.warning("the connection to NATS at %s is lost; it is being restored", self.where)
        self._lose_answers("the connection broke before the answer came")
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
        for listener in tuple(self._listeners):
            listener(state)

    def _on_answer(self, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        asked = self._answers.pop(subject[len(self._answer_prefix) :].decode(), None)
        if asked is not None and not asked.answer.done():
            asked.answer.set_result((headers, data))

    def _lose_answers(self, reason: str) -> None:
        answers, self._answers = self._answers, {}
        for asked in answers.values():
            if not asked.answer.done():
                asked.fail(StoreUnavailable(reason))


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question that waits for its answer, and the subjects on which it was sent."""

    answer: asyncio.Future[tuple[bytes, bytes]]
    subjects: Sequence[str]

    def fail(self, error: StoreError) -> None:
        """There will be no answer."""
        self.answer.set_exception(error)
        self.answer.exception()  # marked as seen: whoever asked may have gone


def _without_secrets(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"nats://{url}")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}"
