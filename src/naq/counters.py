"""Where a schedule's counters stood when a person changed it last. Pure.

`naq.schedule` counts fires, misses and skips over a schedule's whole life. With where they stood at the last change, they
say how many nominal times of the present definition were decided, whatever became of the traces: `naq.verify` goes by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from naq.timing.instants import Instant

if TYPE_CHECKING:
    from naq.schedule import Schedule

__all__ = ["Counters"]


class Counters(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The counters at one moment, and the first nominal time that is none of theirs."""

    first_at: Instant | None
    """The first nominal time that nothing was decided about, an excluded one too; ``None``: there was none."""
    runs: int = 0
    """Scheduled fires before it."""
    decided: int = 0
    """Nominal times before it that fired, were missed, were skipped, or waited for a run's end."""

    @classmethod
    def of(cls, schedule: Schedule) -> Counters:
        """Those of a record as it stands."""
        decided = schedule.runs + schedule.missed + schedule.skipped + len(schedule.buffered)
        return cls(schedule.excluded_from or schedule.next_nominal_at, schedule.runs, decided)
