"""How one attempt went, as a value."""

from __future__ import annotations

import traceback as tracebacks
from dataclasses import dataclass

import msgspec

from naq.exceptions import Retry
from naq.jobs.records import DeadReason

__all__ = ["Dropped", "HandedBack", "Outcome", "Raised", "Returned", "Stopped", "Unrunnable", "raised"]

TRACEBACK_LIMIT = 8000
"""Characters of a traceback that are kept: its end, where the cause stands."""
ERROR_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Returned:
    """The function returned."""

    value: msgspec.Raw
    complaint: str | None = None
    """Why ``value`` is not what was returned: that is no JSON."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The function raised, or its process died."""

    error_type: str
    error: str
    traceback: str | None = None
    names: tuple[str, ...] = ()
    """All names under which `JobSpec.retry_on` may list the exception."""
    asked_retry: bool = False
    """It raised `Retry`."""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was stopped: by its timeout, or because somebody cancelled it."""

    reason: str
    """``timeout`` or ``cancelled``."""
    after: float
    """Seconds it ran."""
    ignored: str | None = None
    """What was done about it because it ignored being stopped; ``None``: it did not."""


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """It could not be started at all, and no other attempt would be better."""

    reason: DeadReason
    error_type: str
    error: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """It was not run: its start deadline had passed, or it was cancelled before it started."""

    reason: str
    """``missed`` or ``cancelled``."""


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The worker stopped before the attempt ended; another worker is to begin it anew."""


Outcome = Returned | Raised | Stopped | Unrunnable | Dropped | HandedBack


def raised(error: BaseException) -> Raised:
    """The outcome that an exception of a user's function is."""
    kinds = [kind for kind in type(error).__mro__ if kind not in (object, BaseException)]
    names = tuple(
        name
        for kind in kinds
        for name in (
            kind.__qualname__,
            f"{kind.__module__}:{kind.__qualname__}",
            f"{kind.__module__}.{kind.__qualname__}",
        )
    )
    retry = isinstance(error, Retry)
    return Raised(
        error_type=type(error).__qualname__,
        error=_text(error)[:ERROR_LIMIT],
        traceback=_traceback(error),
        names=names,
        asked_retry=retry,
        retry_after=error.after if isinstance(error, Retry) else None,
    )


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's exception class
        return "(its text cannot be had)"


def _traceback(error: BaseException) -> str | None:
    try:
        text = "".join(tracebacks.format_exception(error))
    except Exception:  # noqa: BLE001 - a user's exception class
        return None
    return text if len(text) <= TRACEBACK_LIMIT else "..." + text[-TRACEBACK_LIMIT:]
