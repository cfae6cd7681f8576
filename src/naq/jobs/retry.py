"""`Retry`: raised by a job to ask for its next attempt."""

from __future__ import annotations

from datetime import timedelta

from naq.timing.duration import LONGEST, parse_duration

__all__ = ["Retry"]


class Retry(Exception):
    """Raise this inside a job to have it run again after ``after``, as its next attempt.

    ``after``: seconds, a timedelta, or text such as "5m", up to 100 years; 0: at once; ``None``: as the job's own backoff
    says. It counts as a failed attempt. Raises `InvalidInput` for any other ``after``: the job fails with that error.
    """

    def __init__(
        self, after: float | timedelta | str | None = None, reason: str = "the job asked to be retried"
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.after: float | None = None
        """Seconds."""
        if after is not None:
            self.after = parse_duration(after, "after", positive=False, longest=LONGEST).total_seconds()

    def __reduce__(self) -> tuple[type[Retry], tuple[float | None, str]]:
        return type(self), (self.after, self.reason)
