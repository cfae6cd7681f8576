"""Streams: made as naq needs them, looked at, purged. Thin: JetStream does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naq.config import Settings
from naq.exceptions import StoreRejected
from naq.lifecycle import BaseService
from naq.store.nats.connection import ConnectionService

__all__ = ["StreamService"]

STREAM_NOT_FOUND = 10059
STREAM_NAME_IN_USE = 10058


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
        try:
            return await self.connection.api(f"STREAM.INFO.{name}")
        except StoreRejected as error:
            if error.code == STREAM_NOT_FOUND:
                return None
            raise

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
