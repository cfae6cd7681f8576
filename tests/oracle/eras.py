"""Eras: what a schedule should have fired, read from its records. Pure.

A schedule's life is cut into *eras*, each with one definition and one status. An era's targets are the nominal times
that follow from its definition, whoever led and whatever broke. `naq.observe.verify` holds them against what was stored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from naq.observe.verify.definition import is_predictable
from naq.schedules.nominal import TICK, Nominals
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.triggers import Trigger

__all__ = ["Era", "Excuse", "RecordWritten", "read_records"]


@dataclass(frozen=True, slots=True)
class RecordWritten:
    """A schedule's record as it was written; ``record`` is ``None`` when it was deleted."""

    schedule_id: str
    sequence: int
    at: datetime
    record: Schedule | None


@dataclass(frozen=True, slots=True)
class Era:
    """A stretch of one schedule's life with one definition and status."""

    schedule_id: str
    trigger: Trigger
    policy: Policy
    first_at: datetime | None
    """The first nominal time that is a target, inclusive; ``None``: there is none."""
    began: int
    """Sequence of the change that began it."""
    fires: bool = True
    """Whether the schedule was active."""
    ended: int | None = None
    """Sequence of the change that ended it; ``None``: it goes on."""
    ended_at: datetime | None = None
    until: datetime | None = None
    """The first nominal time that was not decided about when it ended, and is none of its targets."""
    born: int = 0
    """Sequence of the schedule's creation: the same id may live twice."""
    carried: frozenset[datetime] = frozenset()
    """Nominal times of eras before it that still waited to fire."""

    @property
    def nominals(self) -> Nominals:
        """Its nominal times."""
        return Nominals(self.schedule_id, self.trigger, self.policy)

    @property
    def is_predictable(self) -> bool:
        """Whether its targets follow from the definition alone, not from when runs ended."""
        return is_predictable(self.trigger)

    def targets(self, until: datetime, since: datetime | None = None) -> Iterator[datetime]:
        """Its nominal times up to ``until``, not excluded, and not earlier than ``since``."""
        nominals, instant = self.nominals, self.first_at
        if instant is not None and since is not None and since > instant:
            instant = nominals.next_after(since - TICK)
        while instant is not None and instant <= until:
            if not self.policy.exclude or not nominals.is_excluded(instant):
                yield instant
            instant = nominals.next_after(instant)

    def why_not(self, nominal: datetime) -> str | None:
        """Why a fire of that nominal time has no place in it; ``None`` when it has."""
        if not self.fires:
            return "the schedule was not active"
        if nominal in self.carried or nominal == self.first_at or not self.is_predictable:
            return None
        if self.first_at is None or nominal < self.first_at:
            return "it lies before the first nominal time of the schedule's definition"
        nominals = self.nominals
        if nominals.next_after(nominal - TICK) != nominal:
            return "it is none of the schedule's nominal times"
        return "it is excluded" if nominals.is_excluded(nominal) else None


@dataclass(frozen=True, slots=True)
class Excuse:
    """``count`` nominal times from ``first_at`` to ``last_at``, both included, are recorded as missed or skipped."""

    schedule_id: str
    first_at: datetime
    last_at: datetime
    count: int
    reason: str = "recorded as missed or skipped"


def read_records(records: Iterable[RecordWritten]) -> tuple[list[Era], list[Excuse]]:
    """The eras of all schedules and what their records excuse, from the records in the order of their writing.

    A record with another ``change_id`` than the one before was written by a person, and begins an era. All others were
    written by a leader: what they count as missed or skipped is excused.
    """
    lives: dict[str, list[RecordWritten]] = defaultdict(list)
    for written in records:
        lives[written.schedule_id].append(written)
    found: list[Era] = []
    excuses: list[Excuse] = []
    for life in lives.values():
        found += _eras(life)
        excuses += _excuses(life)
    return found, excuses


def _eras(life: Sequence[RecordWritten]) -> Iterator[Era]:
    era: Era | None = None
    before: Schedule | None = None
    for written in life:
        after = written.record
        if before is not None and after is not None and before.change_id == after.change_id:
            before = after
            continue
        if era is not None and before is not None:
            yield replace(era, ended=written.sequence, ended_at=written.at, until=before.next_nominal_at)
        era = None if after is None else _begun(written, after, written.sequence if era is None else era.born)
        before = after
    if era is not None:
        yield era


def _begun(written: RecordWritten, record: Schedule, born: int) -> Era:
    return Era(
        schedule_id=record.schedule_id,
        trigger=record.trigger,
        policy=record.policy,
        first_at=record.next_nominal_at,
        began=written.sequence,
        fires=record.status is ScheduleStatus.ACTIVE,
        born=born,
        carried=frozenset(record.buffered),
    )


def _excuses(life: Sequence[RecordWritten]) -> Iterator[Excuse]:
    before: Schedule | None = None
    for written in life:
        after = written.record
        if before is not None and after is not None and before.created_at == after.created_at:
            count = after.missed - before.missed + after.skipped - before.skipped
            undecided = [before.excluded_from, before.next_nominal_at, *before.buffered]
            starts = [instant for instant in undecided if instant is not None]
            if count > 0 and starts:
                ends = after.next_nominal_at
                decided = [written.at, after.completed_at or written.at] if ends is None else [ends - TICK]
                last = max(*decided, *starts)
                yield Excuse(written.schedule_id, min(starts), last, count)
        before = after
