"""Reading durations as people write them: ``"5m"``, ``"1h30m"``, ``"250ms"``, seconds as a number, or a `timedelta`."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Final

__all__ = ["LONGEST", "read_duration"]

LONGEST: Final = timedelta(days=36525)
"""100 years: a longer time is a mistake, and neither the server nor a calendar can count it."""

UNITS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000001}
_WHOLE = re.compile(r"(\d+(?:\.\d+)?(?:ms|us|[wdhms])\s*)+")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[wdhms])")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def read_duration(value: object) -> timedelta | None:
    """The duration, to the microsecond; ``None`` for what cannot be read as one, or is too long for a `timedelta`."""
    try:
        if isinstance(value, timedelta):
            return value
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float):
            return timedelta(seconds=value) if math.isfinite(value) else None
        if isinstance(value, str):
            text = value.strip()
            if _WHOLE.fullmatch(text):
                return timedelta(seconds=sum(float(n) * UNITS[unit] for n, unit in _PART.findall(text)))
            if _NUMBER.fullmatch(text):
                return timedelta(seconds=float(text))
    except OverflowError:
        return None
    return None
