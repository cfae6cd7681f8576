"""Writes of a transaction as messages of a batch, and the rule for keys that were deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from naq.exceptions import InvalidInput
from naq.store.keys import FENCE, Namespace
from naq.store.nats.protocol import Message
from naq.store.port import Check, Delete, Put, Write

__all__ = ["as_bytes", "checked_key", "expects_absence", "message", "over_marker"]

MARKER_TTL = 3600
"""Seconds for which a deleted key's marker stays, so that a watch that was away hears of the deletion."""
KEY = re.compile(r"[A-Za-z0-9_/=-]+(?:\.[A-Za-z0-9_/=-]+)*")


def message(names: Namespace, write: Write) -> Message:
    """The message of a batch that carries out one write. Raises `InvalidInput` for a key that cannot be stored."""
    match write:
        case Put(key, value, expect, ttl):
            headers = _condition(expect) if ttl is None else f"Nats-TTL: {ttl}s\r\n{_condition(expect)}"
            return Message(names.prefix + checked_key(key), headers, value)
        case Delete(key, expect):
            headers = f"KV-Operation: DEL\r\nNats-TTL: {MARKER_TTL}s\r\n"
            return Message(names.subject(checked_key(key)), headers + _condition(expect), b"")
        case Check(key, revision):
            other = f"Nats-Expected-Last-Subject-Sequence-Subject: {names.subject(checked_key(key))}\r\n"
            return Message(names.subject(FENCE), _condition(revision) + other, b"")


def expects_absence(write: Write) -> bool:
    """Whether a write requires that its key does not exist."""
    return write.revision == 0 if isinstance(write, Check) else write.expect == 0


def over_marker(write: Write, markers: Mapping[str, int]) -> Write:
    """The same write, conditional on the revision of its key's deletion marker."""
    revision = markers.get(write.key, 0)
    match write:
        case Put(key, value, _, ttl):
            return Put(key, value, revision, ttl)
        case Delete(key, _):
            return Delete(key, revision)
        case Check(key, _):
            return Check(key, revision)


def _condition(expect: int | None) -> str:
    return "" if expect is None else f"Nats-Expected-Last-Subject-Sequence: {expect}\r\n"


def checked_key(key: str) -> str:
    """The key. Raises `InvalidInput` when it cannot be one."""
    if KEY.fullmatch(key) is None:
        raise InvalidInput.of(
            "key",
            key,
            "a key is letters, digits, '-', '_', '=', '/', and '.' between its parts",
            "schedule.daily-report",
        )
    return key


def as_bytes(value: bytes | str | Any) -> bytes:
    """A value as it is stored: text as UTF-8, anything but bytes as JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return json.dumps(value).encode()
