"""Durations as people write them: ``"5m"``, ``"1h30m"``, ``"250ms"``, seconds as a number, or a `timedelta`."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from naq.exceptions import InvalidInput

__all__ = ["LONGEST", "duration_text", "parse_duration"]

UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
_WHOLE = re.compile(r"(\d+(?:\.\d+)?(?:ms|us|[wdhms])\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[wdhms])")


LONGEST = timedelta(days=36525)
"""100 years: a longer time is a mistake, and neither the server nor a calendar can count it."""


def parse_duration(value: object, field: str, *, positive: bool = True, longest: timedelta | None = None) -> timedelta:
    """Read a duration: a timedelta, seconds as a number, or text such as ``1h30m``; to the microsecond.

    Raises `InvalidInput` naming ``field`` when it is none of these, is not finite, or is not more than zero
    (``positive=False`` lets zero pass), or is more than ``longest`` (`LONGEST` when there is none).
    """
    result: timedelta | None = None
    try:
        if isinstance(value, timedelta):
            result = value
        elif isinstance(value, bool):
            result = None
        elif isinstance(value, int | float) and math.isfinite(value):
            result = timedelta(seconds=value)
        elif isinstance(value, str):
            text = value.strip()
            if _WHOLE.fullmatch(text):
                result = timedelta(seconds=sum(float(n) * UNITS[unit] for n, unit in _PART.findall(text)))
            elif re.fullmatch(r"\d+(\.\d+)?", text):
                result = timedelta(seconds=float(text))
    except OverflowError:
        result = None
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
