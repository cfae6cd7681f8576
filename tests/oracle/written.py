"""The checker of complete write logs: what should have been fired, what was, and whether the two match. Pure.

It goes by definitions and by the stream, never by logs. Jobs are matched one to one with the targets of the schedules'
eras (`tests.oracle.eras`), by schedule and nominal time:

- **LF** lost: a target without a job, that nothing excuses (missed and skipped nominal times are counted in the record);
- **DF** duplicate: two jobs for one schedule and nominal time;
- **XF** without a target: a job of a schedule that was paused, ended or deleted, or of an instant that is none of its
  nominal times. What counts is the order in the stream, so "after an acknowledged pause" has no grey zone;
- **SW** stale: a job of a leader's epoch that lies behind the epoch of its successor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from naq.jobs.job import QueuedJob
from naq.schedules.nominal import TICK
from naq.store.codec import decode
from naq.store.keys import job_id
from tests.oracle.eras import Era, Excuse

__all__ = [
    "EpochWritten",
    "Fault",
    "Finding",
    "Lateness",
    "Report",
    "StoredJob",
    "verify",
]


class Fault(StrEnum):
    """What can be wrong with a fire."""

    LOST = "LF"
    DUPLICATE = "DF"
    UNTARGETED = "XF"
    STALE = "SW"


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as it was put into the stream."""

    key: str
    job_id: str
    sequence: int
    """Its place in the stream: the revision of its key."""
    schedule_id: str | None = None
    nominal_at: datetime | None = None
    stored_at: datetime | None = None
    epoch: int = 0
    attempt: int = 1

    @classmethod
    def read(cls, key: str, value: bytes, sequence: int, stored_at: datetime | None = None) -> StoredJob:
        """From the bytes at a job's key. Raises `RecordUnreadable`."""
        job = decode(QueuedJob, key, value)
        return cls(key, job.job_id, sequence, job.schedule_id, job.nominal_at, stored_at, job.epoch, job.attempt)

    @property
    def is_scheduled(self) -> bool:
        """Whether a schedule fired it by itself: no trigger by hand, no backfill, no retry."""
        if self.schedule_id is None or self.nominal_at is None or self.attempt != 1:
            return False
        return self.job_id == job_id(self.schedule_id, self.nominal_at)


@dataclass(frozen=True, slots=True)
class EpochWritten:
    """A leader took office: the revision of one lane's epoch key."""

    lane: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that should not be."""

    fault: Fault
    schedule_id: str
    nominal_at: datetime | None
    sequence: int | None
    """Of the job it is about; ``None`` for a job that is not there."""
    reason: str

    def __str__(self) -> str:
        nominal = "-" if self.nominal_at is None else self.nominal_at.isoformat()
        place = "" if self.sequence is None else f" at {self.sequence}"
        return f"{self.fault} {self.schedule_id} {nominal}{place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Lateness:
    """Seconds between a fire's due instant and its storing."""

    p50: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Lateness | None:
        """The percentiles (nearest rank); ``None`` without a fire."""
        ordered = sorted(seconds)
        if not ordered:
            return None
        last = len(ordered) - 1
        return cls(ordered[last // 2], ordered[-(-last * 99 // 100)], ordered[-1])


@dataclass(frozen=True, slots=True)
class Report:
    """What the checker found."""

    schedules: int
    targets: int
    fired: int
    excused: int
    findings: tuple[Finding, ...] = ()
    lateness: Lateness | None = None

    def count(self, fault: Fault) -> int:
        """How many findings of one kind there are."""
        return sum(finding.fault is fault for finding in self.findings)

    @property
    def clean(self) -> bool:
        """Whether every promise about enqueuing was kept."""
        return not self.findings

    def table(self, most: int = 20) -> str:
        """The figures and the first findings, for people."""
        figures = [f"schedules {self.schedules}", f"targets {self.targets}", f"fired {self.fired}"]
        figures.append(f"missed or skipped {self.excused}")
        lines = ["  ".join(figures), "  ".join(f"{fault} {self.count(fault)}" for fault in Fault)]
        if self.lateness is not None:
            late = self.lateness
            lines.append(f"lateness p50 {late.p50:.3f} s  p99 {late.p99:.3f} s  max {late.max:.3f} s")
        lines += [f"  {finding}" for finding in self.findings[:most]]
        if len(self.findings) > most:
            lines.append(f"  ... and {len(self.findings) - most} more")
        return "\n".join(lines)


def verify(
    eras: Iterable[Era],
    jobs: Iterable[StoredJob],
    *,
    as_of: datetime,
    patience: timedelta,
    since: datetime | None = None,
    excuses: Iterable[Excuse] = (),
    epochs: Iterable[EpochWritten] = (),
) -> Report:
    """Match the jobs to the targets.

    A target of an era that goes on counts as lost when it has been due for longer than ``patience`` at ``as_of``; a target
    of an era that ended, at once. Targets and jobs with nominal times before ``since`` are left out. Without ``epochs`` no
    write is found stale.
    """
    by_schedule: dict[str, _Case] = defaultdict(_Case)
    for era in eras:
        by_schedule[era.schedule_id].eras.append(era)
    for excuse in excuses:
        by_schedule[excuse.schedule_id].excuses.append(excuse)
    stored = [job for job in jobs if since is None or job.nominal_at is None or job.nominal_at >= since]
    for job in stored:
        if job.schedule_id is not None and job.attempt == 1:
            by_schedule[job.schedule_id].jobs.append(job)
    for name, case in by_schedule.items():
        case.judge(name, as_of, patience, since)
    findings = [finding for case in by_schedule.values() for finding in case.findings]
    findings += _stale(stored, epochs)
    return Report(
        schedules=len(by_schedule),
        targets=sum(case.targets for case in by_schedule.values()),
        fired=sum(job.is_scheduled for case in by_schedule.values() for job in case.jobs),
        excused=sum(case.excused for case in by_schedule.values()),
        findings=tuple(findings),
        lateness=Lateness.of(late for case in by_schedule.values() for late in case.lateness),
    )


@dataclass(slots=True)
class _Case:
    """One schedule before the checker."""

    eras: list[Era] = field(default_factory=list)
    excuses: list[Excuse] = field(default_factory=list)
    jobs: list[StoredJob] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)
    targets: int = 0
    excused: int = 0

    def judge(self, name: str, as_of: datetime, patience: timedelta, since: datetime | None) -> None:
        self.jobs.sort(key=lambda job: job.sequence)
        self.eras.sort(key=lambda era: era.began)
        fired: dict[int, list[datetime]] = defaultdict(list)
        seen: set[tuple[int, str]] = set()
        for job in self.jobs:
            era = self._era_at(job.sequence)
            born = 0 if era is None else era.born
            if (born, job.job_id) in seen:
                self._find(Fault.DUPLICATE, name, job.nominal_at, job, "it was enqueued before")
            seen.add((born, job.job_id))
            if job.is_scheduled and job.nominal_at is not None:
                self._judge_fire(name, job, job.nominal_at, era, fired[born])
                fired[born].append(job.nominal_at)
        known = {nominal for nominals in fired.values() for nominal in nominals}
        for era in self.eras:
            if era.fires and era.is_predictable:
                self._judge_era(era, known, as_of, patience, since)

    def _era_at(self, sequence: int) -> Era | None:
        for era in reversed(self.eras):
            if era.began < sequence:
                return era if era.ended is None or sequence < era.ended else None
        return None

    def _judge_fire(
        self, name: str, job: StoredJob, nominal: datetime, era: Era | None, fired: Sequence[datetime]
    ) -> None:
        reason = "there was no such schedule" if era is None else era.why_not(nominal)
        limit = None if era is None else era.policy.max_runs
        if reason is None and limit is not None and len(set(fired)) >= limit and nominal not in fired:
            reason = f"it is more than max_runs ({limit})"
        if reason is not None:
            self._find(Fault.UNTARGETED, name, nominal, job, reason)
        elif era is not None and job.stored_at is not None:
            self.lateness.append((job.stored_at - era.nominals.due_at(nominal)).total_seconds())

    def _judge_era(
        self, era: Era, known: Set[datetime], as_of: datetime, patience: timedelta, since: datetime | None
    ) -> None:
        if era.first_at is None:
            return
        limit, runs = era.policy.max_runs, [run for run in sorted(known) if run >= self._first_of(era.born)]
        last_run = runs[limit - 1] if limit is not None and len(runs) >= limit else None
        left = {excuse: excuse.count for excuse in self.excuses if excuse.schedule_id == era.schedule_id}
        until = as_of - patience
        if era.ended_at is not None:
            until = era.ended_at if era.until is None else era.until - TICK
        for target in era.targets(until, since):
            if era.ended_at is None and era.nominals.due_at(target) > until:
                break  # its jitter is not over
            self.targets += 1
            if target in known or (last_run is not None and target > last_run):
                continue
            if _excused(target, left):
                self.excused += 1
            else:
                self._find(Fault.LOST, era.schedule_id, target, None, "no job was enqueued")

    def _first_of(self, born: int) -> datetime:
        """The first target of one life of the schedule."""
        firsts = [era.first_at for era in self.eras if era.born == born and era.first_at is not None]
        return min(firsts)

    def _find(self, fault: Fault, name: str, nominal: datetime | None, job: StoredJob | None, reason: str) -> None:
        self.findings.append(Finding(fault, name, nominal, None if job is None else job.sequence, reason))


def _excused(target: datetime, left: dict[Excuse, int]) -> bool:
    for excuse, count in left.items():
        if count > 0 and excuse.first_at <= target <= excuse.last_at:
            left[excuse] = count - 1
            return True
    return False


def _stale(jobs: Sequence[StoredJob], epochs: Iterable[EpochWritten]) -> Iterator[Finding]:
    lanes: dict[int, list[int]] = defaultdict(list)
    lane_of: dict[int, int] = {}
    for epoch in epochs:
        lanes[epoch.lane].append(epoch.sequence)
        lane_of[epoch.sequence] = epoch.lane
    if not lane_of:
        return
    for job in jobs:
        if job.epoch:
            reason = _staleness(job, lane_of, lanes)
            if reason is not None:
                yield Finding(Fault.STALE, job.schedule_id or job.job_id, job.nominal_at, job.sequence, reason)


def _staleness(job: StoredJob, lane_of: Mapping[int, int], lanes: Mapping[int, Sequence[int]]) -> str | None:
    lane = lane_of.get(job.epoch)
    if lane is None:
        return f"no leader ever had epoch {job.epoch}"
    newer = [sequence for sequence in lanes[lane] if job.epoch < sequence < job.sequence]
    return f"epoch {job.epoch} had ended with epoch {newer[0]}" if newer else None
