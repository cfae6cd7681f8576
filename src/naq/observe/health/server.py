"""The server: its version, JetStream's space, and this machine's clock against the server's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from naq.clock import Clock, off_text
from naq.exceptions import NaqError, StoreError
from naq.observe.health.conditions import Finding, fine, found, size_text
from naq.store.keys import Namespace
from naq.store.nats.connection import TEARS_BATCHES, ConnectionService
from naq.store.nats.server_clock import server_time

__all__ = ["CLOCK_OF_OTHERS", "check_server", "clock_finding", "offset_of", "space_finding"]

CLOCK_WARNING = 0.5
"""Seconds of difference from the server's clock that give a warning."""
CLOCK_ERROR = 5.0
CLOCK_OF_OTHERS = 2.0
"""As `CLOCK_WARNING`, for clocks that are known by a record: it may have taken a moment to be stored."""
ALMOST_FULL, FULL = 0.8, 0.95


async def check_server(connection: ConnectionService) -> AsyncIterator[Finding]:
    """The server, and what the account stores there."""
    version = connection.client.connected_server_version
    text = f"{connection.where}, version {version.major}.{version.minor}.{version.patch}"
    yield found("torn-batches", text, TEARS_BATCHES) if connection.tears_batches else fine("server", text)
    try:
        info = await connection.api("INFO")
    except NaqError as error:
        yield found("no-answer", "JetStream does not respond", str(error))
        return
    used = int(info.get("storage", 0))
    yield fine("JetStream", f"{info.get('streams', 0)} streams, {size_text(used)} stored")
    full = space_finding("the account", used, _limit(info), "raise max_file of the account on the server")
    if full is not None:
        yield full


def _limit(info: Mapping[str, Any]) -> int:
    """The bytes that the account may store; 0: no limit. With limits by tier, the sum."""
    tiers = info.get("tiers") or {}
    limits = [tier.get("limits", {}) for tier in tiers.values()] or [info.get("limits", {})]
    return sum(max(0, int(each.get("max_storage", 0))) for each in limits)


def space_finding(what: str, used: int, limit: int, remedy: str) -> Finding | None:
    """Whether something is almost full; ``None`` for no limit (0 or less), or enough space."""
    if limit <= 0 or used < ALMOST_FULL * limit:
        return None
    text = f"{what} is {used / limit:.0%} full: {size_text(used)} of {size_text(limit)}"
    return found("space", text, f"{remedy}, or remove jobs and schedules that are not needed", mild=used < FULL * limit)


async def offset_of(connection: ConnectionService, clock: Clock) -> timedelta | None:
    """How far the server's clock is ahead of this one; ``None``: the bucket does not exist, or the server does not say it."""
    names = Namespace(connection.settings.namespace)
    began = clock.now()
    try:
        info = await connection.api(f"STREAM.INFO.{names.stream}")
    except StoreError:
        return None
    ended = clock.now()
    instant = server_time(info)
    return None if instant is None else instant - (began + (ended - began) / 2)


def clock_finding(whose: str, offset: timedelta, least: float = CLOCK_WARNING) -> Finding | None:
    """Whether a clock is off, that the server's is ``offset`` ahead of; ``None``: by less than ``least`` seconds."""
    seconds = -offset.total_seconds()
    if abs(seconds) < least:
        return None
    return found("clock-off", f"{whose} is {off_text(seconds)}", mild=abs(seconds) < CLOCK_ERROR)
