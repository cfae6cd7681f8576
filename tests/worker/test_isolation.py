"""What one job does reaches no other: an end that cannot be written, a context variable, a queue's rate."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from naq.config import Settings
from naq.events import Event
from naq.exceptions import StoreRejected, TransactionTooLarge
from naq.jobs.history import HistoryRecord
from naq.jobs.job import JobSpec, JobStatus, QueuedJob
from naq.jobs.outcome import Raised, Returned
from naq.jobs.records import DeadReason, StoredResult
from naq.queue.results import StoredResults
from naq.queue.settle import Settling
from naq.store.codec import decode
from naq.store.port import Outcome, Put, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.store import MemoryStore
from naq.worker.claimed import Claimed, Claims, Delivery, Ended
from naq.worker.ends import TTL_REFUSED, EndWriter
from naq.worker.finish import Finisher

OWN_FAULTS: dict[str, Exception] = {
    "text that cannot be encoded": UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed"),
    "a number that is too large": OverflowError("integer out of range"),
    "too large": TransactionTooLarge("a record is larger than the server takes"),
    "a lifetime of 300 years": StoreRejected("invalid per-message TTL", TTL_REFUSED),
}
"""What is wrong with the end itself."""


class Picky(MemoryStore):
    """A store that refuses some jobs, until their records are small and plain."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.refuses: dict[str, Exception] = {}
        self.forever: set[str] = set()
        self.writes: list[str] = []

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        for write in writes:
            for job_id, error in self.refuses.items():
                small = isinstance(write, Put) and b"EndNotWritten" in write.value
                if job_id in write.key and not (small and job_id not in self.forever):
                    raise error
        self.writes += [write.key for write in writes]
        return await super().transact(writes)


class World:
    """A finisher on stores in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.results, self.store = Picky(self.clock), Picky(self.clock)
        self.released: list[str] = []
        self.events: list[Event] = []
        self._tasks: list[asyncio.Task[None]] = []
        settling = Settling(Settings(instance_id="w"), self.store, StoredResults(self.results), self, self, self.clock)
        claims = Claims()
        claims.on_released.append(self._released)
        nothing: Any = SimpleNamespace(take_back=self._nothing, client=SimpleNamespace(send=self._nothing))
        self.finisher = Finisher(nothing, EndWriter("w", settling, self.clock), nothing, self.clock, claims)

    async def _nothing(self, what: object) -> None:
        """Takes no time."""

    def _released(self, ended: Ended) -> None:
        self.released.append(ended.claimed.queued.job_id)

    def emit(self, events: Iterable[Event]) -> None:
        self.events += events

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Not kept."""

    def end(self, job_id: str, outcome: Returned | Raised) -> None:
        queued = QueuedJob(job_id=job_id, spec=JobSpec(func="a:b"), enqueued_at=self.clock.now())
        claimed = Claimed(Delivery("default", f"job.default.{job_id}", 1, 1, queued, 0.0), b"reply")
        self.finisher.put(claimed, outcome)

    def status(self, job_id: str) -> tuple[JobStatus, str | None]:
        entry = self.results.peek(job_id)
        assert entry is not None and entry.value is not None, job_id
        result = decode(StoredResult, job_id, entry.value)
        return result.status, result.error_type

    async def run(self, seconds: float) -> None:
        if not self._tasks:
            self._tasks = [asyncio.create_task(work()) for work in (self.finisher.run, self.finisher.run_again)]
        await self.clock.advance(seconds)


DONE = Returned(msgspec.Raw(b"1"))
FAILED = Raised("ValueError", "no")
ENDS: list[Returned | Raised] = [DONE, FAILED]


@pytest.mark.parametrize("fault", OWN_FAULTS)
@pytest.mark.parametrize("poison", [DONE, FAILED], ids=["returned", "raised"])
@manual_time
async def test_two_jobs_whose_end_cannot_be_written_do_not_keep_the_ends_of_others(
    fault: str, poison: Returned | Raised
) -> None:
    world = World()
    guilty = ["poison-1", "poison-2"]
    world.store.refuses = world.results.refuses = dict.fromkeys(guilty, OWN_FAULTS[fault])
    for number in range(20):
        world.end(f"innocent-{number}", DONE if number % 2 else FAILED)
        if number in (5, 6):
            world.end(guilty[number - 5], poison)
    await world.run(1)
    assert len(world.released) == 22
    for number in range(20):
        wanted = (JobStatus.COMPLETED, None) if number % 2 else (JobStatus.FAILED, "ValueError")
        assert world.status(f"innocent-{number}") == wanted
    for job_id in guilty:
        assert world.status(job_id) == (JobStatus.FAILED, "EndNotWritten")
        dead = world.store.peek(f"dead.{job_id}")
        assert dead is not None and f'"{DeadReason.UNWRITABLE}"'.encode() in (dead.value or b"")
    assert {event.job_id for event in world.events if "could not be written" in (event.reason or "")} == set(guilty)


@manual_time
async def test_an_end_that_is_refused_for_an_unknown_reason_is_buried_after_others_were_written() -> None:
    world = World()
    world.results.refuses = {"poison": StoreRejected("refused by an administrator's rule", 10999)}
    world.end("poison", DONE)
    world.end("a", DONE)
    await world.run(10)
    assert world.released == ["a"], "the store may be what is wrong: the end is kept, and holds up nothing"
    for number in range(20):
        world.end(f"b{number}", DONE)
    await world.run(10)
    assert set(world.released) == {"a", "poison", *(f"b{number}" for number in range(20))}
    assert world.status("poison") == (JobStatus.FAILED, "EndNotWritten")


@manual_time
async def test_a_store_that_refuses_everything_buries_nothing() -> None:
    world = World()
    full = StoreRejected("maximum bytes exceeded", 10077)
    jobs = [f"j{number}" for number in range(10)]
    world.results.refuses, world.results.forever = dict.fromkeys(jobs, full), set(jobs)
    for job_id in jobs:
        world.end(job_id, DONE)
    await world.run(30)
    assert world.released == []
    world.results.refuses = {}
    await world.run(30)
    assert sorted(world.released) == sorted(jobs)
    assert {world.status(job_id) for job_id in jobs} == {(JobStatus.COMPLETED, None)}


@pytest.mark.parametrize("seed", range(5))
@manual_time
async def test_any_end_is_written_or_buried_alone(seed: int) -> None:
    dice, world = random.Random(seed), World()
    faults = [*OWN_FAULTS.values(), StoreRejected("odd", 10999)]
    guilty = {f"g{number}-": dice.choice(faults) for number in range(dice.randrange(6))}
    world.store.refuses = dict(guilty)
    world.results.refuses = {job_id: error for job_id, error in guilty.items() if dice.random() < 0.5}
    jobs = [*guilty, *(f"i{number}-" for number in range(60))]
    dice.shuffle(jobs)
    for job_id in jobs:
        world.end(job_id, dice.choice(ENDS))
        if dice.random() < 0.2:
            await world.run(dice.random())
    await world.run(40)
    print(f"seed {seed}: {guilty}")
    assert sorted(world.released) == sorted(jobs)
    for job_id in jobs:
        if job_id not in guilty:
            assert world.status(job_id)[1] in (None, "ValueError"), job_id
