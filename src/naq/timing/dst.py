"""What happens to wall times when the clocks go forward or back, and how an instant is marked that it happened to."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["DstGap", "DstMark", "DstOverlap"]


class DstGap(StrEnum):
    """What happens to a wall time that is left out when the clocks go forward."""

    SHIFT = "shift"
    """It runs once, at the first valid instant after the gap."""
    SKIP = "skip"
    """It does not run on that day."""


class DstOverlap(StrEnum):
    """What happens to a wall time that comes twice when the clocks go back."""

    FIRST = "first"
    """It runs at the first occurrence only."""
    LAST = "last"
    """It runs at the second occurrence only."""
    BOTH = "both"
    """It runs at both."""


class DstMark(StrEnum):
    """How a change of the clocks touched an instant."""

    SHIFTED = "shifted"
    """The wall time it was meant for does not exist that day; it runs when the gap ends."""
    FIRST = "first of two"
    """Its wall time comes twice; this is the first."""
    SECOND = "second of two"
    """Its wall time comes twice; this is the second."""
