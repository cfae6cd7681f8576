"""How long to wait before the next attempt: a value, computed from the number of the attempt that failed."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import StrEnum

import msgspec

__all__ = ["Backoff", "BackoffKind"]


class BackoffKind(StrEnum):
    """How the wait grows from one attempt to the next."""

    FIXED = "fixed"
    """Always ``delay``."""
    LINEAR = "linear"
    """``delay`` times the number of failed attempts."""
    EXPONENTIAL = "exponential"
    """``delay`` times 2 to the power of (failed attempts - 1)."""


class Backoff(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A rule for waits between attempts.

    ``delay`` is the first wait, ``longest`` the upper bound before jitter, ``jitter`` the fraction (0 to 1) by which
    the wait may be longer or shorter. The jitter is derived from the job's id and attempt: it is the same on every worker.
    """

    kind: BackoffKind = BackoffKind.EXPONENTIAL
    delay: timedelta = timedelta(seconds=1)
    longest: timedelta = timedelta(hours=1)
    jitter: float = 0.1

    def wait_after(self, attempt: int, seed: str) -> timedelta:
        """The wait after failed attempt number ``attempt`` (1 or more) of the job called ``seed``."""
        match self.kind:
            case BackoffKind.FIXED:
                factor = 1
            case BackoffKind.LINEAR:
                factor = attempt
            case BackoffKind.EXPONENTIAL:
                factor = 2 ** min(attempt - 1, 40)
        wait = min(self.delay.total_seconds() * factor, self.longest.total_seconds())
        if self.jitter:
            digest = hashlib.blake2b(f"{seed}#{attempt}".encode(), digest_size=8).digest()
            fraction = int.from_bytes(digest, "big") / 2**64
            wait *= 1 + self.jitter * (2 * fraction - 1)
        return timedelta(seconds=wait)
