"""Since when is to be judged, as people say it. Pure."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

from naq.exceptions import InvalidInput
from naq.parsing import instant_of
from naq.timing.duration import parse_duration

__all__ = ["read_since"]


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
