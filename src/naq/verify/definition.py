"""The present definition of a schedule: since when it rules, which nominal times are decided, and what the counters say. Pure.

The record knows all of that exactly, however many processes changed it: a fire, and a change by a person, each write it
in a transaction that is conditional on its revision. No clock is compared with another's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from naq.counters import Counters
from naq.nominal import TICK, Nominals, next_nominal
from naq.schedule import Schedule, ScheduleStatus
from naq.timing.triggers import MOST_WALKED, AnyOf, FixedDelay, Once

__all__ = ["Definition"]


@dataclass(frozen=True, slots=True)
class Definition:
    """A schedule's record, read as what it promises."""

    record: Schedule
    nominals: Nominals
    first_at: datetime | None
    """The first nominal time that it rules over; ``None``: there is none."""
    counters: Counters | None
    """Where the counters stood before that one; ``None``: an older naq made the last change, and did not note it."""
    undecided: datetime | None
    """The first nominal time that nothing was decided about; ``None``: nothing is known to be decided."""
    is_predictable: bool
    """Whether its nominal times follow from it alone, not from when runs ended."""

    @classmethod
    def of(cls, record: Schedule, as_of: datetime) -> Definition:
        """The definition of a record that was read at ``as_of``."""
        trigger = record.trigger
        parts = trigger.triggers if isinstance(trigger, AnyOf) else (trigger,)
        first_at, counters = _beginning(record)
        return cls(
            record,
            record.nominals,
            first_at,
            counters,
            _undecided(record, as_of),
            not any(isinstance(part, FixedDelay) for part in parts),
        )

    def is_decided(self, nominal: datetime) -> bool:
        """Whether the schedule has decided about that nominal time."""
        return self.undecided is not None and nominal < self.undecided

    def is_own(self, nominal: datetime) -> bool:
        """Whether it is one of its nominal times, excluded or not; a next run that was set by hand is one."""
        if nominal == self.first_at or not self.is_predictable:
            return True
        return self.nominals.next_after(nominal - TICK) == nominal

    def excludes(self, nominal: datetime) -> bool:
        """Whether it must not fire."""
        return bool(self.record.policy.exclude) and self.nominals.is_excluded(nominal)

    @property
    def fired(self) -> int | None:
        """How many nominal times fired under it, as its counters say; ``None`` when they do not."""
        return None if self.counters is None else self.record.runs - self.counters.runs

    @property
    def unaccounted(self) -> int:
        """How many nominal times were decided under it that neither fired, nor were missed or skipped, nor wait, as its
        counters say. 0 also when they cannot tell.

        They never count less than what happened, but now and then more: a job that missed its start deadline counts as
        fired and as missed. So it is a number of fires that are certainly lost.
        """
        if self.first_at is None or self.undecided is None or self.counters is None or not self.is_predictable:
            return 0
        if self.undecided <= self.first_at:
            return 0
        last = self.nominals.previous(self.undecided)
        decided = self.nominals.count(self.first_at, self.first_at if last is None else max(self.first_at, last))
        if isinstance(self.record.trigger, AnyOf) and decided > MOST_WALKED:
            return 0  # the counts of a union are not exact beyond that, neither this one nor the planner's
        return max(0, decided - (Counters.of(self.record).decided - self.counters.decided))


def _beginning(record: Schedule) -> tuple[datetime | None, Counters | None]:
    if record.updated_at is None:
        first = next_nominal(record.trigger, record.policy, record.created_at)
        if first is None and isinstance(record.trigger, Once):
            first = record.nominals.previous(record.created_at + TICK)
        return first, Counters(first)
    if record.counted_from is not None:
        return record.counted_from.first_at, record.counted_from
    return record.nominals.next_after(record.updated_at), None


def _undecided(record: Schedule, as_of: datetime) -> datetime | None:
    following = record.excluded_from or record.next_nominal_at
    if following is not None:
        return following
    decided = record.decided_until
    if record.policy.max_runs is not None or record.status is ScheduleStatus.CANCELLED:
        return None if decided is None else decided + TICK  # what came behind it was none of its nominal times any more
    ended = record.completed_at or as_of
    return (ended if decided is None else max(ended, decided)) + TICK
