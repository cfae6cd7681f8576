"""The verdict on a history: the checker's report, and what else must be so in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from naq.jobs.job import QueuedJob
from naq.schedules.policy import Coalesce, Overlap
from naq.schedules.record import Schedule
from naq.schedules.repository import Changed
from naq.store.codec import decode
from naq.store.port import Entry
from tests.oracle.eras import Era, RecordWritten, read_records
from tests.oracle.written import EpochWritten, Fault, Finding, StoredJob, verify
from tests.simulation.history import Kind
from tests.simulation.world import Verdict, World, Written

__all__ = ["judge"]

PATIENCE = timedelta(seconds=2)
"""How late a fire may be when all has been well for a while."""


def judge(world: World) -> Verdict:
    """Hold what was stored against what was asked for."""
    jobs = [
        StoredJob.read(written.entry.key, written.entry.value, written.entry.revision, written.at)
        for written in world.log
        if written.entry.key.startswith("job.") and written.entry.value is not None
    ]
    epochs = [
        EpochWritten(int(written.entry.key.rpartition(".")[2]), written.entry.revision)
        for written in world.log
        if written.entry.key.startswith("epoch.")
    ]
    records = [_record(written) for written in world.log if written.entry.key.startswith("schedule.")]
    eras, excuses = read_records(records)
    report = verify(eras, jobs, as_of=world.clock.now(), patience=PATIENCE, excuses=excuses, epochs=epochs)
    complaints = [str(finding) for finding in report.findings if not _is_of_power(world, finding)]
    complaints += _unexcusable(eras, records)
    complaints += _acknowledged(world, records, jobs)
    complaints += _deferred(world, jobs)
    complaints += _created_twice(records)
    complaints += _held(world)
    complaints += _steady(world)
    late = report.lateness
    if world.history.steps and world.history.is_calm and late is not None and late.max > 0.5 and not _looks_back(world):
        complaints.append(f"nothing went wrong, and a fire was {late.max} s late")
    return Verdict(
        world.history,
        complaints,
        report.table(),
        len(world.log),
        len(jobs),
        tuple((written.at.isoformat(), written.entry.key, written.entry.value is None) for written in _named(world)),
    )


def _is_of_power(world: World, finding: Finding) -> bool:
    """One run beyond ``max_runs`` that a power failure may cost (docs/reliability.md): the job was durable and its record did
    not advance. If that time is then coalesced into a later one, nothing counts its run."""
    failed = any(step.kind is Kind.POWER for step in world.history.steps)
    return failed and finding.fault is Fault.UNTARGETED and finding.reason.startswith("it is more than max_runs")


def _named(world: World) -> Iterator[Written]:
    """What was written under names that are the same in every run."""
    return (written for written in world.log if "manual-" not in written.entry.key)


def _record(written: Written) -> RecordWritten:
    entry = written.entry
    record = None if entry.value is None else decode(Schedule, entry.key, entry.value)
    return RecordWritten(entry.key.partition(".")[2], entry.revision, written.at, record)


def _looks_back(world: World) -> bool:
    """Whether somebody asked for fires of the past."""
    backwards = {Kind.RESUME, Kind.CREATE, Kind.UPDATE, Kind.REPLACE}
    return any(step.kind in backwards and _is_late(step.value) for step in world.history.steps)


def _is_late(value: tuple[object, ...]) -> bool:
    extra = value[1]
    return extra is True or (isinstance(extra, dict) and extra["type"] == "once")


def _unexcusable(eras: list[Era], records: list[RecordWritten]) -> Iterator[str]:
    """A schedule whose policy lets nothing be missed must have missed nothing."""
    strict = {
        era.schedule_id
        for era in eras
        if era.policy.catch_up is None
        and era.policy.coalesce is Coalesce.ALL
        and era.policy.overlap is Overlap.ALLOW_ALL
        and era.policy.start_deadline is None
    }
    lax = {era.schedule_id for era in eras} - strict
    lax |= {
        era.schedule_id for era in eras if era.policy.coalesce is not Coalesce.ALL or era.policy.catch_up is not None
    }
    last = {written.schedule_id: written.record for written in records if written.record is not None}
    for name in strict - lax:
        record = last[name]
        if record is not None and record.missed + record.skipped:
            yield f"{name} missed {record.missed} and skipped {record.skipped}, and its policy allows neither"


def _acknowledged(world: World, records: list[RecordWritten], jobs: list[StoredJob]) -> Iterator[str]:
    """Whatever was answered must be so."""
    written = {(record.schedule_id, record.sequence): record for record in records}
    enqueued = Counter(job.job_id for job in jobs)
    for done in world.acknowledged:
        kind, name, answer = done.step.kind, str(done.step.value[0]), done.answer
        if isinstance(answer, Changed):
            record = written.get((name, answer.revision))
            if record is None or record.record is None or record.record.change_id != answer.after.change_id:
                yield f"{done.step}: it was acknowledged at {answer.revision}, and is not there"
        elif isinstance(answer, Schedule):
            if not any(record.record and record.record.created_at == answer.created_at for record in records):
                yield f"{done.step}: it was acknowledged, and was never there"
        elif kind is Kind.DELETE and answer is True:
            if not any(record.schedule_id == name and record.record is None for record in records):
                yield f"{done.step}: it was acknowledged, and it was never deleted"
        elif kind is Kind.TRIGGER and answer is not None and enqueued[str(answer)] != 1:
            yield f"{done.step}: {answer} was enqueued {enqueued[str(answer)]} times"
    yield from _unended(world)


def _unended(world: World) -> Iterator[str]:
    for person in world.people:
        for task in person.process.tasks:
            yield f"{person.name} waits for ever: {task.get_name()}"


def _deferred(world: World, jobs: list[StoredJob]) -> Iterator[str]:
    """A job that waited for its time is enqueued once, and waits no more."""
    enqueued = Counter(job.job_id for job in jobs)
    due = world.clock.now() - PATIENCE
    for written in world.log:
        entry = written.entry
        if entry.key.startswith("deferred.") and entry.value is not None:
            job = decode(QueuedJob, entry.key, entry.value)
            times = enqueued[job.job_id]
            if times > 1 or (times == 0 and job.due_at is not None and job.due_at < due):
                yield f"{job.job_id} was deferred to {job.due_at}, and enqueued {times} times"
            if times and (left := world.store.peek(entry.key)) is not None and left.value is not None:
                yield f"{entry.key} was enqueued, and still waits"


def _held(world: World) -> Iterator[str]:
    """No schedule waits for a run whose job is not there."""
    for entry in world.store.entries("schedule.>"):
        schedule = None if entry.value is None else decode(Schedule, entry.key, entry.value)
        for run in () if schedule is None else schedule.open_runs:
            if not any(job.value is not None for job in world.store.entries(f"job.*.{run.job_id}")):
                yield f"{entry.key} waits for ever for {run.job_id}, which is not there"


def _created_twice(records: list[RecordWritten]) -> Iterator[str]:
    """What was asked for once is done once: a schedule that was created and deleted does not come back by itself."""
    there: set[str] = set()
    made: set[tuple[str, str | None]] = set()
    for written in records:
        if written.record is None:
            there.discard(written.schedule_id)
        elif written.schedule_id not in there:
            there.add(written.schedule_id)
            creation = written.schedule_id, written.record.change_id
            if creation in made:
                yield f"{written.schedule_id} was created, deleted, and is back at {written.sequence} by itself"
            made.add(creation)


def _known(world: World) -> dict[str, tuple[int, Entry]]:
    """For each key that a mirror holds: the revision that it must know at least, and the newest entry.

    A watch that died is not made anew; a resync brings in what it missed.
    """
    latest = world.clock.now() - timedelta(seconds=world.nodes[0].rhythm.resync + 3)
    known: dict[str, tuple[int, Entry]] = {}
    for written in world.log:
        entry = written.entry
        if entry.key.startswith(("schedule.", "deferred.")):
            oldest = entry.revision if written.at <= latest else known.get(entry.key, (0, entry))[0]
            known[entry.key] = (oldest, entry)
    return known


def _steady(world: World) -> Iterator[str]:
    """One leads, and all know what the store knows."""
    leaders = [node.name for node in world.nodes if node.leads]
    if len(leaders) != 1:
        yield f"there is not one leader in the end, but {leaders}"
    known = _known(world)
    for node in world.nodes:
        yield from node.complaints
        if node.partition is None:
            continue
        mirror = node.partition.mirror
        for key, (oldest, newest) in known.items():
            held = mirror.get(key)
            is_gone = newest.value is None
            if (held is None and not is_gone) or (
                held is not None and not oldest <= held[0] <= newest.revision - is_gone
            ):
                yield f"{node.name} holds {held} at {key}, and must know at least {oldest} of {newest}"
        for key, reason in mirror.quarantined.items():
            yield f"{node.name} put {key} into quarantine: {reason}"
