"""Since when is to be judged, as people say it, and since when the traces are complete. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from naq.exceptions import InvalidInput
from naq.parsing import instant_of
from naq.timing.duration import parse_duration

__all__ = ["COMPLETE_SINCE", "events_complete_since", "history_complete_since", "read_since"]


def read_since(value: datetime | timedelta | str, now: datetime, field: str = "since") -> datetime:
    """The instant (aware UTC) that is meant: one that is given (a datetime, ISO text; a naive one is UTC), or so long
    ago (a timedelta, "24h"). Raises `InvalidInput` naming ``field`` for anything else, and for one that is not past."""
    since: datetime | None = None
    if isinstance(value, timedelta):
        since = now - value
    elif isinstance(value, datetime):
        since = instant_of(value)
    elif isinstance(value, str):
        with suppress(InvalidInput):
            since = now - parse_duration(value, field)
        since = since or instant_of(value)
    if since is None:
        raise InvalidInput.of(field, value, "is neither so long ago (24h) nor a time (2030-01-31T09:00)", "24h")
    if since >= now:
        raise InvalidInput.of(field, value, "does not lie in the past", "24h")
    return since


COMPLETE_SINCE = "naq_complete_since"
"""The metadata of a stream that was restored from a backup: since when it was complete then."""


def events_complete_since(info: Mapping[str, Any], as_of: datetime) -> datetime:
    """Since when no event was dropped: the oldest one that there is, or the creation of the stream if none ever was."""
    state = info["state"]
    if int(state["first_seq"]) <= int(info["config"].get("first_seq") or 1):
        return _beginning(info)
    return datetime.fromisoformat(state["first_ts"]) if int(state["messages"]) else as_of


def history_complete_since(info: Mapping[str, Any], as_of: datetime) -> datetime:
    """Since when nothing was dropped from the history for its age."""
    age = int(info["config"].get("max_age") or 0)
    began = _beginning(info)
    return began if age == 0 else max(began, as_of - timedelta(microseconds=age / 1000))


def _beginning(info: Mapping[str, Any]) -> datetime:
    restored = (info["config"].get("metadata") or {}).get(COMPLETE_SINCE)
    return datetime.fromisoformat(restored or info["created"])
