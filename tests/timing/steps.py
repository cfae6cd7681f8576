"""What something costs, counted: the calls of Python functions, which do not depend on the machine or its load."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

MOST_CALLS = 60_000
"""More than any one question to the time engine may take: 20 to 30 ms."""


def calls(question: Callable[[], object]) -> int:
    """How many Python functions are called to answer ``question``."""
    count = 0

    def seen(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        question()
    finally:
        sys.setprofile(before)
    return count
