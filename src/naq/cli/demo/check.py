"""What ``naq demo`` saw, and whether it was right: what was due, by the schedules' own definitions, against what ran."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from naq.events import Event, EventType
from naq.schedules.record import Schedule, ScheduleStatus
from naq.store.keys import job_id

__all__ = ["Fired", "Watch", "lateness", "problems"]

OVERDUE = timedelta(seconds=1)
"""A nominal time that had been due for so long when its schedule was paused, and was not decided about, was lost."""
MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Fired:
    """One fire."""

    nominal_at: datetime
    at: datetime
    job_id: str


@dataclass
class Watch:
    """What happened, as scheduler and worker tell it."""

    fires: dict[str, list[Fired]] = field(default_factory=lambda: defaultdict(list))
    """Schedule -> its fires, in their order."""
    runs: Counter[str] = field(default_factory=Counter)
    """Job id -> how often it was completed."""
    finished: Counter[str] = field(default_factory=Counter)
    """Schedule -> jobs completed."""
    failed: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def on_event(self, event: Event) -> None:
        """Take note of one event."""
        if event.type == EventType.SCHEDULED_JOB_TRIGGERED and event.schedule_id and event.nominal_at and event.job_id:
            self.fires[event.schedule_id].append(Fired(event.nominal_at, event.timestamp, event.job_id))
        elif event.type == EventType.JOB_COMPLETED and event.job_id:
            self.runs[event.job_id] += 1
            self.finished[event.schedule_id or ""] += 1
        elif event.type == EventType.JOB_FAILED:
            self.failed += 1
        self.changed.set()

    @property
    def total(self) -> int:
        """How often anything fired."""
        return sum(map(len, self.fires.values()))

    @property
    def settled(self) -> bool:
        """Whether every job that was enqueued has been run."""
        return all(self.runs[fired.job_id] for fires in self.fires.values() for fired in fires)


def lateness(record: Schedule, fired: Fired) -> float:
    """Milliseconds from when it was due, its jitter included, to when it was fired."""
    return (fired.at - record.nominals.due_at(fired.nominal_at)) / timedelta(milliseconds=1)


def problems(records: Iterable[Schedule], watch: Watch, kept: Collection[str]) -> list[str]:
    """Everything that is not as it should be, once all schedules are paused or have ended; nothing, if all is well.

    ``kept`` are the ids of the jobs that the store knows as completed.
    """
    found: list[str] = []
    expected: set[str] = set()
    for record in records:
        targets = _targets(record)
        expected |= {job_id(record.schedule_id, target) for target in targets}
        found += _wrong_fires(record, targets, watch.fires.get(record.schedule_id, []))
    for fires in watch.fires.values():
        for job in {fired.job_id for fired in fires}:
            if watch.runs[job] != 1:
                found.append(f"job {job} was run {watch.runs[job]} times")
            if job not in kept:
                found.append(f"job {job} is not among the completed jobs in the store")
    found += [f"job {job} was run, and nothing was due" for job in sorted({*watch.runs, *kept} - expected)]
    return found


def _targets(record: Schedule) -> list[datetime]:
    """The nominal times that the schedule has decided about, from its definition alone."""
    targets: list[datetime] = []
    most = MOST if record.policy.max_runs is None else record.policy.max_runs
    instant = record.nominals.next_after(record.created_at)
    while instant is not None and len(targets) < most:
        if record.status is ScheduleStatus.PAUSED and record.next_nominal_at in (None, instant):
            break
        targets.append(instant)
        instant = record.nominals.next_after(instant)
    return targets


def _wrong_fires(record: Schedule, targets: list[datetime], fires: list[Fired]) -> list[str]:
    name = record.schedule_id
    times = Counter(fired.nominal_at for fired in fires)
    found = [f"{name}: {nominal_at} was fired {count} times" for nominal_at, count in times.items() if count > 1]
    found += [f"{name}: {nominal_at} was fired, and was not due" for nominal_at in sorted(times.keys() - set(targets))]
    lost = sorted(set(targets) - times.keys())
    if len(lost) != record.skipped:
        found.append(f"{name}: {len(lost)} times did not fire, {record.skipped} of them by its policy: {lost[:3]}")
    waiting = record.next_nominal_at
    if record.paused_at and waiting and record.paused_at - record.nominals.due_at(waiting) > OVERDUE:
        found.append(f"{name}: {waiting} was due, and nothing became of it")
    return found
