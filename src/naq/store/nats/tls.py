"""TLS on nats-py's connections. Its own upgrade tells asyncio that a closed connection may be half open, which is not so with
TLS: asyncio logs a warning (``returning true from eof_received() has no effect``) at the end of each connection."""

from __future__ import annotations

import asyncio
import ssl
from typing import Self
from urllib.parse import ParseResult

from nats.aio.transport import TcpTransport

__all__ = ["TlsTransport"]


class _Protocol(asyncio.StreamReaderProtocol):
    def eof_received(self) -> bool:
        super().eof_received()
        return False


class TlsTransport(TcpTransport):
    """A TCP connection that can be upgraded to TLS."""

    @classmethod
    def of(cls, made: TcpTransport) -> Self:
        """The connection that another transport made."""
        transport = cls()
        vars(transport).update(vars(made))
        return transport

    async def connect_tls(
        self, uri: str | ParseResult, ssl_context: ssl.SSLContext, buffer_size: int, connect_timeout: int
    ) -> None:
        """Upgrade the connection. Raises what the handshake raises, and `TimeoutError`."""
        assert self._io_writer is not None, "connect must be called first"
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader(limit=buffer_size)
        protocol = _Protocol(reader)
        name = uri if isinstance(uri, str) else uri.hostname
        async with asyncio.timeout(connect_timeout):
            transport = await loop.start_tls(self._io_writer.transport, protocol, ssl_context, server_hostname=name)
        assert transport is not None
        self._io_reader, self._io_writer = reader, asyncio.StreamWriter(transport, protocol, reader, loop)
