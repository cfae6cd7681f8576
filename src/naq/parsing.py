"""Reading a user's mapping key by key. Problems are collected, so that one error reports all of them.

A `Reader` takes the values of one mapping. Each method returns the typed value, or ``None`` when the key is absent *or*
a complaint was noted; call `Reader.finish` at the end, which reports unknown keys.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from naq.exceptions import InvalidInput, Problem, shown
from naq.timing.duration import parse_duration
from naq.timing.zones import check_zone, resolve

__all__ = ["EARLIEST", "LATEST", "MISSING", "Reader", "epoch", "instant_of", "nearest", "seconds", "unquoted_time"]

E = TypeVar("E", bound=StrEnum)

MISSING: Any = object()
"""What `Reader.take` returns for a missing key (``None`` is a value)."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """The most similar valid word."""
    close = difflib.get_close_matches(str(word).lower(), list(valid), n=1, cutoff=0.6)
    return close[0] if close else None


def instant_of(value: object, zone: str | None = None) -> datetime | None:
    """An instant, aware UTC, from a datetime, an ISO 8601 string or epoch seconds; ``None`` when it is none of these.

    A time without an offset is read on the clock of ``zone``, and in UTC when there is no zone; one that the clock
    skips is the first instant after the gap, one that comes twice is the first of them.
    """
    result: datetime | None = None
    try:
        if isinstance(value, datetime):
            result = value
        elif isinstance(value, date):
            result = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - its zone is given below
        elif isinstance(value, str):
            result = datetime.fromisoformat(value.strip())
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            result = EARLIEST + timedelta(seconds=value)
        if result is not None and result.tzinfo is None:
            result = resolve(result, zone)[0] if zone else result.replace(tzinfo=UTC)
        return None if result is None else result.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def unquoted_time(value: object) -> str | None:
    """What to say about a number that YAML 1.1 made of a time of day (``10:30`` is 630, ``10:30:00`` is 37800); ``None`` when it
    is no such number. As epoch seconds it would lie in the first day of 1970."""
    if isinstance(value, bool) or not isinstance(value, int) or not 60 <= value < 86_400:
        return None
    parts = divmod(value, 60) if value < 1440 else (value // 3600, value // 60 % 60, value % 60)
    text = ":".join(f"{part:02}" for part in parts)
    return f"is a number, as YAML reads a time of day without quotes: write '{text}'"


def epoch(instant: datetime | None) -> float | None:
    """Epoch seconds."""
    return None if instant is None else instant.timestamp()


def seconds(duration: timedelta | None) -> float | int | None:
    """Seconds, as a whole number where it is one."""
    if duration is None:
        return None
    total = duration.total_seconds()
    return int(total) if total.is_integer() else total


class Reader:
    """One mapping, read key by key. ``path`` stands before each key in a complaint: ``schedule`` gives
    ``schedule.cron``; an empty path gives ``cron``."""

    def __init__(self, form: Mapping[str, Any], path: str, problems: list[Problem], examples: Mapping[str, str]):
        self.path = path
        self.problems = problems
        self._examples = examples
        self._left: dict[Any, Any] = dict(form)

    def has(self, key: str) -> bool:
        """Whether the key is present and not taken yet."""
        return key in self._left

    def take(self, key: str) -> Any:
        """The value as it was written, or `MISSING`; it is taken away."""
        return self._left.pop(key, MISSING)

    def field(self, key: str) -> str:
        """The key as complaints name it."""
        return f"{self.path}.{key}" if self.path else key

    def complain(self, key: str, value: object, reason: str) -> None:
        """Note that the value of a key cannot be used."""
        given = "(missing)" if value is MISSING else shown(value)
        self.problems.append(Problem(self.field(key), given, reason, self._examples.get(key, "...")))

    def require(self, key: str) -> Any:
        """The value; a complaint when it is absent."""
        value = self.take(key)
        if value is MISSING:
            self.complain(key, MISSING, "it must be given")
        return value

    def duration(
        self, key: str, *, positive: bool = True, required: bool = False, longest: timedelta | None = None
    ) -> timedelta | None:
        value = self.require(key) if required else self.take(key)
        if value is MISSING or (value is None and not required):
            return None
        try:
            return parse_duration(value, self.field(key), positive=positive, longest=longest)
        except InvalidInput as error:
            for problem in error.problems:
                self.complain(key, value, problem.reason)
            return None

    def instant(self, key: str, zone: str | None, *, required: bool = False) -> datetime | None:
        value = self.require(key) if required else self.take(key)
        if value is MISSING or (value is None and not required):
            return None
        instant = instant_of(value, zone)
        if meant := unquoted_time(value):
            self.complain(key, value, f"{meant}; a time needs a day, too")
            return None
        if instant is None:
            self.complain(key, value, "is no time (an aware datetime, ISO 8601 text or epoch seconds)")
        elif not EARLIEST <= instant <= LATEST:
            self.complain(key, value, "must lie between the years 1970 and 2200")
            instant = None
        return instant

    def zone(self, key: str = "timezone") -> str | None:
        """The name of a zone that exists."""
        value = self.take(key)
        if value is MISSING or value is None:
            return None
        name = value.key if isinstance(value, ZoneInfo) else value
        if not isinstance(name, str) or not name:
            self.complain(key, value, "is no IANA time zone")
            return None
        if problems := check_zone(name, self.field(key)):
            self.problems.extend(problems)
            return None
        return name

    def integer(self, key: str, *, at_least: int, at_most: int | None = None) -> int | None:
        value = self.take(key)
        if value is MISSING or value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int):
            self.complain(key, value, "is no whole number")
            return None
        if value < at_least:
            self.complain(key, value, f"must be {at_least} or more")
            return None
        if at_most is not None and value > at_most:
            self.complain(key, value, f"must be {at_most:,} or less")
            return None
        return value

    def choice(self, key: str, kind: type[E]) -> E | None:
        value = self.take(key)
        if value is MISSING or value is None:
            return None
        try:
            return kind(value.lower() if isinstance(value, str) else value)
        except ValueError:
            near = nearest(value, [str(member) for member in kind]) if isinstance(value, str) else None
            hint = f"; did you mean {near!r}?" if near else ""
            self.complain(key, value, f"must be one of {', '.join(kind)}{hint}")
            return None

    def boolean(self, key: str) -> bool | None:
        value = self.take(key)
        if value is MISSING or value is None:
            return None
        if not isinstance(value, bool):
            self.complain(key, value, "must be true or false")
            return None
        return value

    def text(self, key: str, *, required: bool = False) -> str | None:
        value = self.require(key) if required else self.take(key)
        if value is MISSING or (value is None and not required):
            return None
        if not isinstance(value, str) or not value.strip():
            self.complain(key, value, "must be text")
            return None
        return value.strip()

    def finish(self, valid: Iterable[str]) -> None:
        """Report every key that was not taken, with the most similar valid name."""
        names = sorted(valid)
        for key, value in self._left.items():
            near = nearest(key, names)
            example, advice = "", "leave it out"
            if key in names:
                reason = "does not go with the other keys"
            elif near is None:
                reason = f"there is no such key; known: {', '.join(names)}"
            else:
                reason = f"there is no such key; did you mean {near!r}?"
                advice = ""
                example = f"{self._examples[near]} as {self.field(near)}" if near in self._examples else near
            self.problems.append(Problem(self.field(str(key)), shown(value), reason, example, advice))
        self._left.clear()
