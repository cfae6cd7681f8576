"""Checked durations, and durations as text. `naq.durations` reads what people write."""

from __future__ import annotations

from datetime import timedelta

from naq.durations import LONGEST, read_duration
from naq.exceptions import InvalidInput

__all__ = ["LONGEST", "duration_text", "parse_duration"]


def parse_duration(value: object, field: str, *, positive: bool = True, longest: timedelta | None = None) -> timedelta:
    """Read a duration: a timedelta, seconds as a number, or text such as ``1h30m``; to the microsecond.

    Raises `InvalidInput` naming ``field`` when it is none of these, is not finite, or is not more than zero
    (``positive=False`` lets zero pass), or is more than ``longest`` (`LONGEST` when there is none).
    """
    result = read_duration(value)
    if result is None:
        raise InvalidInput.of(field, value, "is no duration (seconds, a timedelta, or text like '1h30m')", "5m")
    if result < timedelta(0) or (positive and result == timedelta(0)):
        raise InvalidInput.of(field, value, "must be more than zero" if positive else "must not be negative", "5m")
    if result > (longest or LONGEST):
        limit = "100 years" if longest in (None, LONGEST) else duration_text(longest or LONGEST)
        raise InvalidInput.of(field, value, f"must be at most {limit}", "5m")
    return result


def duration_text(value: timedelta) -> str:
    """A duration as people write it: ``1h30m``, ``250ms``; ``0s`` for none."""
    microseconds = round(value / timedelta(microseconds=1))
    parts = []
    for unit, size in (
        ("d", 86_400_000_000),
        ("h", 3_600_000_000),
        ("m", 60_000_000),
        ("s", 1_000_000),
        ("ms", 1_000),
        ("us", 1),
    ):
        count, microseconds = divmod(microseconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
