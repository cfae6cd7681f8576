"""The definitions of a schedule: since when each ruled, which nominal times are decided, and what the counters say. Pure.

The record knows all of that exactly of the present definition, however many processes changed it: a fire, and a change by a
person, each write it in a transaction that is conditional on its revision. Of those before it, the events of the changes
say the same, as far as they are left. No clock is compared with another's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from naq.observe.verify.evidence import Change
from naq.schedules.counters import Counters
from naq.schedules.nominal import TICK, Nominals, next_nominal
from naq.schedules.policy import First
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.triggers import AnyOf, Once, Trigger

__all__ = ["Definition", "definitions", "is_predictable"]


def is_predictable(trigger: Trigger) -> bool:
    """Whether its instants follow from the trigger alone, not from when runs ended."""
    return not any(part.follows_runs for part in trigger.singles())


@dataclass(frozen=True, slots=True)
class Definition:
    """A schedule's record as it was for a while, read as what it promises."""

    record: Schedule
    nominals: Nominals
    first_at: datetime | None
    """The first nominal time that it rules over; ``None``: there is none."""
    began: Counters | None
    """Where the counters stood before that one; ``None``: an older naq made the change, and did not note it."""
    undecided: datetime | None
    """The first nominal time that nothing was decided about; ``None``: nothing is known to be decided."""
    counters: Counters
    """Where they stand now, or stood when it ended."""
    is_present: bool = True
    """Whether it rules still."""

    @property
    def is_predictable(self) -> bool:
        """Whether its nominal times follow from it alone, not from when runs ended."""
        return is_predictable(self.record.trigger)

    @property
    def began_at(self) -> datetime:
        """When it began."""
        return self.record.updated_at or self.record.created_at

    def is_decided(self, nominal: datetime) -> bool:
        """Whether the schedule has decided about that nominal time."""
        return self.undecided is not None and nominal < self.undecided

    def rules(self, nominal: datetime) -> bool:
        """Whether that nominal time falls under it, and was decided about."""
        return self.first_at is not None and self.first_at <= nominal and self.is_decided(nominal)

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
        """How many nominal times fired under it, as the counters say; ``None`` when they do not."""
        return None if self.began is None else self.counters.runs - self.began.runs

    @property
    def decided(self) -> int | None:
        """How many nominal times were decided under it, as the counters say; ``None`` when they do not."""
        return None if self.began is None else self.counters.decided - self.began.decided

    @property
    def unaccounted(self) -> int:
        """How many nominal times were decided under it that neither fired, nor were missed or skipped, nor wait, as the
        counters say. 0 also when they do not say.

        They never count less than what happened, but now and then more: a job that missed its start deadline counts as
        fired and as missed. So it is a number of fires that are certainly lost.
        """
        first_at, undecided, counted = self.first_at, self.undecided, self.decided
        if first_at is None or undecided is None or counted is None or not self.is_predictable or undecided <= first_at:
            return 0
        last = self.nominals.previous(undecided)
        decided = self.nominals.count(first_at, first_at if last is None else max(first_at, last))
        trigger = self.record.trigger
        if isinstance(trigger, AnyOf) and not trigger.counted(first_at, undecided).is_exact:
            return 0  # an upper bound, and so may be the planner's
        return max(0, decided - counted)


def definitions(
    record: Schedule, changes: Mapping[str, Change], since: datetime, as_of: datetime
) -> Iterator[Definition]:
    """The definitions of a record that was read at ``as_of``, the present one first, back to the one that ruled at
    ``since``, or as far back as the events of its changes are left."""
    definition = _present(record, as_of)
    yield definition
    while definition.began_at > since:
        change = changes.get(definition.record.change_id or "")
        if change is None or change.era.ended.first_at is None:
            return
        definition = _before(definition, change)
        yield definition


def _present(record: Schedule, as_of: datetime) -> Definition:
    first_at, began = _beginning(record)
    return Definition(record, record.nominals, first_at, began, _undecided(record, as_of), Counters.of(record))


def _before(following: Definition, change: Change) -> Definition:
    """The definition that ruled before a change."""
    era, later = change.era, following.record
    record = later.evolve(
        trigger=change.trigger or later.trigger,
        policy=change.policy or later.policy,
        status=change.status or later.status,
        change_id=era.change_id,
        updated_at=era.began_at,
        counted_from=era.began,
    )
    first_at, began = _beginning(record)
    undecided = era.ended.first_at
    if undecided is not None and following.first_at is not None:
        undecided = min(undecided, following.first_at)
    return Definition(record, record.nominals, first_at, began, undecided, era.ended, is_present=False)


def _beginning(record: Schedule) -> tuple[datetime | None, Counters | None]:
    if record.updated_at is None:
        first = next_nominal(record.trigger, record.policy, record.created_at)
        if record.policy.first is First.NOW and record.nominals.next_after(record.created_at - TICK) is not None:
            first = record.nominals.next_after(record.created_at - TICK)
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
