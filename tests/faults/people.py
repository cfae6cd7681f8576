"""People who do things to schedules, at random and all at once, each over a connection of their own; and what must then be so.

What each of them was told is held against the ledger of all writes: what was acknowledged is there, and stays there until
somebody else changes it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from naq.exceptions import ScheduleExists, SchedulerError
from naq.jobs.job import Job
from naq.schedules.policy import IfExists
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.service import ScheduleService
from tests.faults.ledger import Ledger
from tests.oracle.eras import RecordWritten

__all__ = ["Done", "Person", "broken_words"]

JOB = Job(func="tests.faults.jobs:tick")
CONTENTION = "by others all the time"
"""What a `SchedulerError` says when a schedule is changed faster than one change comes through."""


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done, and what was answered."""

    what: str
    schedule_id: str
    mark: str
    """A text that nothing else has: the note or the reason that it wrote, the prefix of the ids that it made."""
    answer: object
    began_at: datetime
    ended_at: datetime


@dataclass
class Person:
    """One client. ``rng`` alone decides what it does."""

    name: str
    schedules: ScheduleService
    rng: random.Random
    shared: Sequence[str]
    """Schedules that all of them touch; each has some of its own beside them."""
    done: list[Done] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """What was refused, as the documentation says that it may be."""

    async def act_until(self, ends_at: datetime) -> None:
        """One thing after the other, until then."""
        mine = [f"{self.name}-{number}" for number in range(2)]
        number = 0
        while datetime.now(UTC) < ends_at:
            number += 1
            what = self.rng.choices(list(ACTS), weights=[weight for _, weight in ACTS.values()])[0]
            await self._do(what, self.rng.choice([*self.shared, *mine]), f"{self.name}.{number}")
            await asyncio.sleep(self.rng.uniform(0, 0.04))

    async def _do(self, what: str, schedule_id: str, mark: str) -> None:
        act, _ = ACTS[what]
        began_at = datetime.now(UTC)
        try:
            answer = await act(self.schedules, schedule_id, mark, self.rng)
        except ScheduleExists as error:
            self.refused["it was cancelled" if "cancelled" in str(error) else "the id is taken"] += 1
        except SchedulerError as error:
            if CONTENTION not in str(error):
                raise
            self.refused["changed by others all the time"] += 1
        else:
            self.done.append(Done(what, schedule_id, mark, answer, began_at, datetime.now(UTC)))


def form(rng: random.Random) -> dict[str, Any]:
    """A schedule that fires some times a second, and may miss nothing."""
    timing: dict[str, Any] = {"type": "interval", "interval": rng.choice((0.1, 0.2, 0.5))}
    if rng.random() < 0.2:
        timing = {"type": "cron", "cron": "* * * * * *"}
    return {**timing, "catch_up": None, "coalesce": "all"}


async def create(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.schedule_job(JOB, form(rng), schedule_id=name, note=mark)


async def replace(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.schedule_job(JOB, form(rng), schedule_id=name, note=mark, if_exists=IfExists.REPLACE)


async def create_many(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    once = {"type": "once", "run_at": datetime.now(UTC).timestamp() + rng.uniform(0, 0.5), "catch_up": None}
    return await schedules.schedule_many([(JOB, once, f"{mark}-{number}".replace(".", "-")) for number in range(3)])


async def update(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    changes: dict[str, Any] = {"schedule": form(rng)} if rng.random() < 0.5 else {"labels": {"by": mark}}
    return await schedules.update_schedule(name, note=mark, **changes)


async def pause(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.pause_scheduled_job(name, reason=mark)


async def resume(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.resume_scheduled_job(name, catch_up=rng.random() < 0.5)


async def skip(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    count = rng.randrange(4)
    return f"skip {count}" if await schedules.skip_next(name, count) else False


async def trigger(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.trigger_schedule(name)


async def cancel(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.cancel_scheduled_job(name)


async def delete(schedules: ScheduleService, name: str, mark: str, rng: random.Random) -> object:
    return await schedules.delete_schedule(name)


Act = Callable[[ScheduleService, str, str, random.Random], Awaitable[object]]
ACTS: dict[str, tuple[Act, int]] = {
    "create": (create, 5),
    "replace": (replace, 2),
    "create_many": (create_many, 1),
    "update": (update, 4),
    "pause": (pause, 3),
    "resume": (resume, 4),
    "skip": (skip, 2),
    "trigger": (trigger, 4),
    "cancel": (cancel, 1),
    "delete": (delete, 2),
}
"""What people do, and how often."""


def broken_words(done: Sequence[Done], book: Ledger) -> list[str]:
    """What was acknowledged and is not so, or did not stay so."""
    records: dict[str, list[RecordWritten]] = defaultdict(list)
    for record in book.records():
        records[record.schedule_id].append(record)
    enqueued = Counter(job.job_id for job in book.jobs())
    return [
        *(f"{each}: it was acknowledged, and is not so" for each in done if not _is_so(each, records, enqueued)),
        *(complaint for written in records.values() for complaint in _undone(written)),
    ]


def _is_so(done: Done, records: dict[str, list[RecordWritten]], enqueued: Counter[str]) -> bool:
    if not done.answer:
        return True  # it did not apply
    if done.what == "trigger":
        return enqueued[str(done.answer)] == 1
    if isinstance(done.answer, list):
        return all(records[name] for name in done.answer)
    life = records[done.schedule_id]
    if any(_wrote(done, written.record) for written in life if _is_meanwhile(done, written)):
        return True
    return any(_was_so_already(done, written.record) for written in _in_force(done, life))


def _in_force(done: Done, life: Sequence[RecordWritten]) -> Iterator[RecordWritten]:
    """The record that an act found, and those that were written while it was done."""
    before = [written for written in life if written.at < done.began_at]
    yield from before[-1:]
    yield from (written for written in life if _is_meanwhile(done, written))


def _was_so_already(done: Done, record: Schedule | None) -> bool:
    """Whether an act that changes nothing found what it asks for: then nothing is written."""
    if record is None:
        return False
    if done.what == "skip":
        return done.answer == f"skip {record.skip_next}"
    return done.what == "cancel" and record.status is ScheduleStatus.CANCELLED


def _is_meanwhile(done: Done, written: RecordWritten) -> bool:
    return done.began_at <= written.at <= done.ended_at


def _wrote(done: Done, record: Schedule | None) -> bool:
    """Whether a record is one that this act may have written."""
    if record is None:
        return done.what == "delete"
    match done.what:
        case "create" | "replace" | "update":
            return record.note == done.mark
        case "pause":
            return record.status is ScheduleStatus.PAUSED and record.pause_reason == done.mark
        case "resume":
            return record.status is not ScheduleStatus.PAUSED and record.resumed_at is not None
        case "cancel":
            return record.status is ScheduleStatus.CANCELLED
    return done.what == "skip"


def _undone(life: Sequence[RecordWritten]) -> Iterator[str]:
    """What changed in a schedule's record though nobody changed it: every change of a definition carries a new note."""
    notes: set[str | None] = set()
    for before, after in pairwise(life):
        if before.record is None or after.record is None:
            continue
        old, new = before.record, after.record
        if old.note != new.note:
            notes.add(old.note)
        elif _definition(old) != _definition(new):
            yield f"{after.schedule_id} at {after.sequence} lost what {old.note} had made of it"
        if new.note in notes:
            yield f"{after.schedule_id} at {after.sequence} went back to {new.note}"
        if old.change_id == new.change_id and (old.pause_reason != new.pause_reason or _was_revived(old, new)):
            yield f"{after.schedule_id} at {after.sequence} went from {old.status} to {new.status} by itself"


def _definition(record: Schedule) -> tuple[object, ...]:
    return record.job, record.trigger, record.policy, record.labels


def _was_revived(old: Schedule, new: Schedule) -> bool:
    return old.status is not new.status and new.status is not ScheduleStatus.COMPLETED
