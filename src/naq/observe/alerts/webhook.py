"""The webhook: alerts and events as JSON by HTTP POST, signed if there is a secret.

The body is ``{"alert": {...}}`` or ``{"event": {...}}``. Headers: ``X-Naq-Delivery`` is the same when a delivery is repeated;
with a secret, ``X-Naq-Signature`` is ``sha256=`` and the HMAC-SHA256 of ``X-Naq-Timestamp``, a dot and the body.
The URL's path, the secret and the headers are secrets: they are never shown.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import importlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from naq.clock import Clock, SystemClock
from naq.exceptions import InvalidInput, Problem, SinkError
from naq.observe.alerts.alert import Alert
from naq.observe.alerts.sinks import Notice, notice_form
from naq.timing.duration import parse_duration

if TYPE_CHECKING:
    import httpx

__all__ = ["Webhook", "signature"]

AGAIN = frozenset({408, 425, 429})
"""Status codes below 500 that are retried."""
LONGEST_WAIT = 300.0
"""Longest ``Retry-After`` that is respected, in seconds."""
EXAMPLE = "https://example.org/hooks/naq"


class Webhook:
    """A sink that sends an HTTP POST. Needs ``pip install 'naq[webhook]'``."""

    def __init__(
        self,
        url: str,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | str = 10.0,
        tries: int = 8,
        clock: Clock | None = None,
    ) -> None:
        """``timeout``: seconds for one try. ``tries``: number of tries in total, with waits of 1 s to 60 s in between.

        Raises `InvalidInput` for values that cannot be used.
        """
        self.url = _checked(url)
        self.tries = tries
        if isinstance(tries, bool) or not isinstance(tries, int) or not 1 <= tries <= 100:
            raise InvalidInput.of("tries", tries, "must be a whole number from 1 to 100", 8)
        if secret is not None and (not isinstance(secret, str) or not secret):
            raise InvalidInput(Problem("secret", "***", "must be non-empty text", "'a long random text'"))
        self._timeout = parse_duration(timeout, "timeout").total_seconds()
        self._secret = secret
        self._headers = dict(headers or {})
        self._clock: Clock = clock or SystemClock()
        self._client: httpx.AsyncClient | None = None
        self._library = _library()

    def __repr__(self) -> str:
        return f"Webhook({_masked(self.url)!r})"

    async def deliver(self, notice: Notice) -> None:
        """Send it. Raises `SinkError` for every response other than 2xx, and for a timeout."""
        httpx = self._library
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout, follow_redirects=False)
            logging.getLogger("httpx").addFilter(self._is_not_mine)
        body = msgspec.json.encode({"alert" if isinstance(notice, Alert) else "event": notice_form(notice)})
        headers = self._headers_for(notice, body)
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._client.stream("POST", self.url, content=body, headers=headers) as answer,
            ):
                status, after = answer.status_code, _seconds(answer.headers.get("retry-after"))
        except TimeoutError:
            raise SinkError(f"{self!r} did not respond within {self._timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise SinkError(f"{self!r} cannot be reached: {type(error).__name__}") from None
        if not 200 <= status < 300:
            raise SinkError(f"{self!r} responded with {status}", again=status in AGAIN or status >= 500, after=after)

    async def close(self) -> None:
        """Close its connections."""
        client, self._client = self._client, None
        if client is not None:
            logging.getLogger("httpx").removeFilter(self._is_not_mine)
            await client.aclose()

    def _is_not_mine(self, record: logging.LogRecord) -> bool:
        """A log filter: the HTTP library logs the whole URL of each request, which may contain secrets."""
        return not (isinstance(record.args, tuple) and any(str(each) == self.url for each in record.args))

    def _headers_for(self, notice: Notice, body: bytes) -> dict[str, str]:
        delivery = notice.id if isinstance(notice, Alert) else hashlib.sha256(body).hexdigest()[:32]
        headers = {
            **self._headers,
            "Content-Type": "application/json",
            "User-Agent": "naq",
            "X-Naq-Delivery": delivery,
        }
        if self._secret is not None:
            stamp = str(int(self._clock.now().timestamp()))
            headers |= {"X-Naq-Timestamp": stamp, "X-Naq-Signature": signature(self._secret, stamp, body)}
        return headers


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The expected ``X-Naq-Signature``. Compare with `hmac.compare_digest`, and reject old timestamps."""
    signed = timestamp.encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _library() -> Any:
    """The optional HTTP client. Imported when a webhook is declared, because the import would block the event loop."""
    try:
        return importlib.import_module("httpx")
    except ModuleNotFoundError:
        raise InvalidInput(
            Problem(
                "to", "Webhook(...)", "needs the package httpx: pip install 'naq[webhook]'", advice="or give a function"
            )
        ) from None


def _checked(url: object) -> str:
    problem: str | None = None
    if not isinstance(url, str):
        problem = "must be text"
    else:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError as error:
            problem = f"must be a URL ({type(error).__name__})"
        else:
            if parts.scheme not in ("http", "https"):
                problem = "must begin with http:// or https://"
            elif not parts.hostname:
                problem = "must contain a host"
            elif any(each.isspace() for each in url):
                problem = "must not contain spaces"
    if problem is not None:
        raise InvalidInput(Problem("url", repr(_masked(str(url))), problem, repr(EXAMPLE)))
    assert isinstance(url, str)
    return url


def _masked(url: str) -> str:
    """Scheme and host only: the rest is often a secret."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        scheme, rest = "", url
    host, slash, _ = rest.partition("/")
    host = host.partition("?")[0].rpartition("@")[2]
    return f"{scheme}{colon}{host}{'/***' if slash else ''}"


def _seconds(text: str | None) -> float:
    """``Retry-After`` in seconds; 0 if missing or a date."""
    return min(float(text), LONGEST_WAIT) if text is not None and text.isdigit() else 0.0
