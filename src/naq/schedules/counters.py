"""Where a schedule's counters stood when a person changed it. Pure.

`naq.schedules.record` counts fires, misses and skips over a schedule's whole life. With where they stood at the last
change, they say how many nominal times of the present definition were decided, even when the history is gone.
"""

from __future__ import annotations

from collections.abc import Sized
from datetime import datetime
from typing import Protocol

import msgspec

from naq.timing.instants import Instant

__all__ = ["ERA_ENDED", "Counters", "EraEnded"]

ERA_ENDED = "era_ended"
"""Under this name an event of a change has the `EraEnded` among its details."""


class Counting(Protocol):
    """What is read from a schedule's record."""

    @property
    def runs(self) -> int: ...
    @property
    def missed(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def buffered(self) -> Sized: ...
    @property
    def excluded_from(self) -> datetime | None: ...
    @property
    def next_nominal_at(self) -> datetime | None: ...
    @property
    def updated_at(self) -> datetime | None: ...
    @property
    def change_id(self) -> str | None: ...
    @property
    def counted_from(self) -> Counters | None: ...


class Counters(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The counters at one moment, and the first nominal time that is none of theirs."""

    first_at: Instant | None
    """The first nominal time that nothing was decided about, an excluded one too; ``None``: there was none."""
    runs: int = 0
    """Scheduled fires before it."""
    decided: int = 0
    """Nominal times before it that fired, were missed, were skipped, or waited for a run's end."""

    @classmethod
    def of(cls, schedule: Counting) -> Counters:
        """Those of a record as it stands."""
        decided = schedule.runs + schedule.missed + schedule.skipped + len(schedule.buffered)
        return cls(schedule.excluded_from or schedule.next_nominal_at, schedule.runs, decided)


class EraEnded(msgspec.Struct, frozen=True, omit_defaults=True):
    """The era that a change ended, in the event of the change: with it `naq verify` can still judge what fired before."""

    followed_by: str | None
    """The change's ``change_id``."""
    change_id: str | None
    """Of the change that had begun the era."""
    ended: Counters
    """Where the counters stood at its end."""
    began: Counters | None = None
    """Where they stood when it began; ``None`` with ``began_at``: that was not noted."""
    began_at: Instant | None = None
    """When it began; ``None``: with the schedule's creation."""

    @classmethod
    def of(cls, before: Counting, after: Counting) -> EraEnded:
        """The era that ended when ``before`` was changed to ``after``."""
        return cls(after.change_id, before.change_id, Counters.of(before), before.counted_from, before.updated_at)
