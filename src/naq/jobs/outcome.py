"""How one attempt of a job went, as a value."""

from __future__ import annotations

import traceback as tracebacks
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from naq.exceptions import InvalidJob, Retry
from naq.jobs.records import DeadReason
from naq.jobs.values import encode_value
from naq.store.codec import encodable_text

__all__ = [
    "Dropped",
    "Ended",
    "HandedBack",
    "Outcome",
    "Raised",
    "Returned",
    "Stopped",
    "Unrunnable",
    "raised",
    "returned",
]

TRACEBACK_LIMIT = 8000
"""The last characters of a traceback that are kept; the end shows the cause."""
TYPE_LIMIT = 200
"""The first characters of an exception's name that are kept."""
NULL = msgspec.Raw(b"null")
ERROR_LIMIT = 2000
"""The first characters of an error text that are kept."""


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    value: msgspec.Raw
    complaint: str | None = None
    """Why ``value`` is not what was returned: that cannot be written as JSON."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised, or its process died."""

    error_type: str
    error: str
    traceback: str | None = None
    names: tuple[str, ...] = ()
    """The names under which `JobSpec.retry_on` may list the exception."""
    asked_retry: bool = False
    """It raised `Retry`."""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped by its timeout, or because the job was cancelled."""

    reason: str
    """``timeout`` or ``cancelled``."""
    after: float
    """How many seconds it ran."""
    ignored: str | None = None
    """What was done because it ignored being stopped; ``None`` if it stopped."""


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """It could not be started, and another attempt would not help."""

    reason: DeadReason
    error_type: str
    error: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """It did not run: its start deadline had passed, or it was cancelled before."""

    reason: str
    """``missed`` or ``cancelled``."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker stopped before the attempt ended; another worker starts it again."""


Ended = Returned | Raised | Stopped | Unrunnable | Dropped
"""The attempt has ended, and it must be decided what follows."""
Outcome = Ended | HandedBack


def returned(value: Any) -> Returned:
    """The outcome for a value that a user's function returned."""
    if value is None:
        return Returned(NULL)
    if isinstance(value, Returned):
        return value
    try:
        return Returned(encode_value(value, "result"))
    except InvalidJob as error:
        reason = error.problems[0].reason
        return Returned(NULL, f"the job returned a {type(value).__qualname__} that {reason}; nothing was kept of it")


def raised(error: BaseException) -> Raised:
    """The outcome for an exception that a user's function raised.

    What is inside of an exception group counts, too: a `Retry` in it asks for a retry, and ``retry_on`` may name any of them.
    """
    all_of_it = list(_inside(error))
    retries = [each for each in all_of_it if isinstance(each, Retry)]
    waits = [each.after for each in retries if each.after is not None]
    return Raised(
        error_type=encodable_text(type(error).__qualname__)[:TYPE_LIMIT],
        error=_text(error)[:ERROR_LIMIT],
        traceback=_traceback(error),
        names=tuple(dict.fromkeys(name for each in all_of_it for name in _names(type(each)))),
        asked_retry=bool(retries),
        retry_after=max(waits) if waits else None,
    )


def _inside(error: BaseException) -> Iterator[BaseException]:
    yield error
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _inside(each)


def _names(raised_kind: type[BaseException]) -> Iterator[str]:
    for kind in raised_kind.__mro__:
        if kind not in (object, BaseException):
            yield kind.__qualname__
            yield f"{kind.__module__}:{kind.__qualname__}"
            yield f"{kind.__module__}.{kind.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return encodable_text(str(error))
    except Exception:  # noqa: BLE001 - a user's exception class
        return "(the exception cannot be shown as text)"


def _traceback(error: BaseException) -> str | None:
    try:
        text = encodable_text("".join(tracebacks.format_exception(error)))
    except Exception:  # noqa: BLE001 - a user's exception class
        return None
    return text if len(text) <= TRACEBACK_LIMIT else "..." + text[-TRACEBACK_LIMIT:]
