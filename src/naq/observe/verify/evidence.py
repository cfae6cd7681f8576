"""The traces of fires, non-fires and changes, from events, jobs, results and history, in one form. Pure.

Two *enqueues* of one nominal time are told apart by when they were made: the leader writes one instant into
the job and into the event, and the worker copies it into result and history. A retry has an instant of its own, and is
only a *trace*: it shows that there was a fire.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from naq.events import Event, EventType
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobResult, QueuedJob
from naq.parsing import instant_of
from naq.schedules.counters import ERA_ENDED, EraEnded
from naq.schedules.planning.decision import NonFireReason
from naq.schedules.policy import Policy
from naq.schedules.record import ScheduleStatus
from naq.store.keys import job_id
from naq.timing.triggers import Trigger

__all__ = ["Change", "Evidence", "Gathered", "NonFires", "Removal"]

CHANGES = frozenset(
    {
        str(EventType.SCHEDULE_UPDATED),
        str(EventType.SCHEDULE_PAUSED),
        str(EventType.SCHEDULE_RESUMED),
        str(EventType.SCHEDULE_CANCELLED),
    }
)
NON_FIRES = frozenset({str(EventType.FIRE_MISSED), str(EventType.FIRE_SKIPPED)})


@dataclass(frozen=True, slots=True)
class NonFires:
    """``count`` nominal times from ``first_at`` to ``last_at``, both included, did not fire."""

    first_at: datetime
    last_at: datetime
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change that a person made, and the era that it ended."""

    era: EraEnded
    trigger: Trigger | None
    """The trigger of that era; ``None``: it was not changed."""
    policy: Policy | None
    """Its policy, likewise."""
    status: ScheduleStatus | None = None
    """Its status, likewise."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A schedule was removed."""

    schedule_id: str
    at: datetime
    actor: str | None
    declared_in: str | None
    """The declared set that it belonged to."""


@dataclass(slots=True)
class Evidence:
    """The traces of one schedule's fires and non-fires."""

    fires: dict[datetime, datetime | None] = field(default_factory=dict)
    """Nominal time -> when it was enqueued, as far as a trace says."""
    again: dict[datetime, set[datetime]] = field(default_factory=dict)
    """Nominal time -> when else it was enqueued."""
    reported_again: dict[datetime, set[datetime]] = field(default_factory=dict)
    """Those that two events report: they count also where a job may be enqueued again under its id."""
    queued: dict[datetime, str] = field(default_factory=dict)
    """Nominal time -> the key of its first attempt in the queue."""
    queued_twice: dict[datetime, tuple[str, str]] = field(default_factory=dict)
    """Nominal time -> two keys of first attempts."""
    non_fires: set[NonFires] = field(default_factory=set)
    buried: dict[datetime, datetime | None] = field(default_factory=dict)
    """As ``fires``, of the lives that the schedule's id had before."""
    changes: dict[str, Change] = field(default_factory=dict)
    """``change_id`` -> the change."""
    removals: list[Removal] = field(default_factory=list)
    """When a schedule with this id was removed."""
    quarantined: str | None = None
    """Why its record cannot be planned, as the last event about that says."""
    oldest_run: datetime | None = None
    """When the oldest record of its history was written."""
    runs: int = 0
    """Records of its history."""

    def fired(self, nominal: datetime, enqueued_at: datetime | None, *, reported: bool = False) -> None:
        """There is a trace of a fire; ``reported``: by an event. Events come before all other traces."""
        if not reported and nominal in self.buried and enqueued_at in (None, self.buried[nominal]):
            return
        known = self.fires.setdefault(nominal, enqueued_at)
        if known is None and enqueued_at is not None:
            self.fires[nominal] = enqueued_at
        elif enqueued_at is not None and known != enqueued_at:
            self.again.setdefault(nominal, set()).add(enqueued_at)
            if reported:
                self.reported_again.setdefault(nominal, set()).add(enqueued_at)

    def bury(self) -> None:
        """The schedule was deleted: what was reported so far is about a schedule that is gone."""
        self.buried |= self.fires
        self.fires.clear()
        self.again.clear()
        self.reported_again.clear()
        self.non_fires.clear()
        self.changes.clear()
        self.quarantined = None


class Gathered:
    """The evidence of some schedules, of nominal times from one instant on.

    Feed it the events first, then the rest in any order.
    """

    def __init__(self, schedule_ids: Iterable[str], since: datetime) -> None:
        self._since = since
        self.of = {schedule_id: Evidence() for schedule_id in schedule_ids}
        """Schedule -> its evidence."""
        self.gone: dict[str, Removal] = {}
        """Schedule -> its last removal, of others that a declared set had."""

    def event(self, event: Event) -> None:
        """Take an event in."""
        evidence = self.of.get(event.schedule_id or "")
        if event.type == EventType.SCHEDULE_DELETED:
            self._removed(event, evidence)
        if evidence is None:
            return
        if event.type in CHANGES:
            evidence.quarantined = None
            change = _change(event)
            if change is not None and change.era.followed_by is not None:
                evidence.changes[change.era.followed_by] = change
        elif event.type == EventType.SCHEDULED_JOB_TRIGGERED:
            evidence.quarantined = None
            self._fired(event.schedule_id, event.job_id, event.nominal_at, event.timestamp, reported=True)
        elif event.type in NON_FIRES and event.job_id is None and event.nominal_at is not None:
            first_at = instant_of(event.details.get("first_at")) or event.nominal_at
            self._not_fired(evidence, first_at, event.nominal_at, event.details.get("count", 1), event.reason)
        elif event.type == EventType.SCHEDULE_QUARANTINED:
            evidence.quarantined = event.reason or "it cannot be planned"

    def _removed(self, event: Event, evidence: Evidence | None) -> None:
        owner = event.details.get("declared_in")
        removal = Removal(event.schedule_id or "", event.timestamp, event.actor, None if owner is None else str(owner))
        if evidence is not None:
            evidence.bury()
            if removal.at >= self._since:
                evidence.removals.append(removal)
        elif owner is not None and removal.at >= self._since:
            self.gone[removal.schedule_id] = removal

    def job(self, key: str, job: QueuedJob) -> None:
        """Take a job in that is queued (``key`` is where), deferred or dead."""
        queued = key.startswith("job.") and job.attempt == 1
        if not self._fired(job.schedule_id, job.job_id, job.nominal_at, job.enqueued_at if queued else None):
            return
        assert job.schedule_id is not None and job.nominal_at is not None
        if queued:
            evidence = self.of[job.schedule_id]
            other = evidence.queued.setdefault(job.nominal_at, key)
            if other != key:
                evidence.queued_twice[job.nominal_at] = (other, key)

    def result(self, result: JobResult) -> None:
        """Take a result in."""
        enqueued_at = result.enqueued_at if result.attempt == 1 else None
        self._fired(result.schedule_id, result.job_id, result.nominal_at, enqueued_at)

    def history(self, record: HistoryRecord) -> None:
        """Take a record of the history in."""
        evidence = self.of.get(record.schedule_id)
        if evidence is None:
            return
        evidence.runs += 1
        evidence.oldest_run = record.at if evidence.oldest_run is None else min(evidence.oldest_run, record.at)
        if record.job_id is not None:
            enqueued_at = record.fired_at if record.attempt == 1 else None
            self._fired(record.schedule_id, record.job_id, record.nominal_at, enqueued_at)
        elif record.outcome in (RunOutcome.MISSED, RunOutcome.SKIPPED) and record.nominal_at is not None:
            last_at = record.until or record.nominal_at
            self._not_fired(evidence, record.nominal_at, last_at, record.count, record.reason)

    def _fired(
        self,
        schedule_id: str | None,
        identity: str | None,
        nominal: datetime | None,
        enqueued_at: datetime | None,
        *,
        reported: bool = False,
    ) -> bool:
        """Whether it is a trace of a scheduled fire that is wanted: no fire by hand, no backfill."""
        evidence = self.of.get(schedule_id or "")
        if evidence is None or schedule_id is None or nominal is None or nominal < self._since:
            return False
        if identity != job_id(schedule_id, nominal):
            return False
        evidence.fired(nominal, enqueued_at, reported=reported)
        return True

    def _not_fired(
        self,
        evidence: Evidence,
        first_at: datetime,
        last_at: datetime,
        count: object,
        reason: str | None,
    ) -> None:
        """What is excluded follows from the definition: a record of it explains nothing else."""
        excluded = reason == NonFireReason.EXCLUDED
        if last_at < self._since or excluded or not isinstance(count, int):
            return
        evidence.non_fires.add(NonFires(first_at, last_at, count, reason or "not fired"))


def _change(event: Event) -> Change | None:
    """The change that an event reports; ``None`` when an older naq did not report enough, or a newer one wrote it."""
    try:
        era = _read(event.details[ERA_ENDED], EraEnded)
        trigger, policy, status = (event.details.get(name) for name in ("trigger", "policy", "status"))
        return Change(
            era,
            None if trigger is None else _read(trigger["from"], Trigger),
            None if policy is None else _read(policy["from"], Policy),
            None if status is None else _read(status["from"], ScheduleStatus),
        )
    except (msgspec.ValidationError, LookupError, TypeError):
        return None


def _read(form: Any, kind: Any) -> Any:
    """A record out of the plain values that `naq.store.codec.plain` made of it."""
    return msgspec.json.decode(msgspec.json.encode(form), type=kind)
