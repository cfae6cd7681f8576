"""The power fails in the middle of each transaction of the queue, after each of its writes; then everything goes on.

A case is something done to the queue. It is done once whole, to count its transactions and their writes. Then it is done again
for every transaction and every number of its writes that may be kept, once by a process that goes on, and once by one that died
as well. Afterwards workers run what is there until nothing is left. Nothing that was acknowledged may be lost or wait for ever,
and nothing may end twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from naq.config import Settings
from naq.events import Event
from naq.exceptions import JobExists, StoreUnavailable
from naq.jobs.ending import Facts, decide
from naq.jobs.history import HistoryRecord
from naq.jobs.job import Job, JobSpec, QueuedJob
from naq.jobs.outcome import Ended, Raised, Returned
from naq.queue.dead_letters import DeadLetters
from naq.queue.enqueue import Enqueuer
from naq.queue.results import StoredResults
from naq.queue.settle import Settlement, Settling
from naq.schedules.forms.specification import parse_job
from naq.store.codec import decode
from naq.store.keys import deferred_key, job_key
from naq.store.port import Committed, Delete, Put, Refused, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.store import MemoryStore

START = datetime(2030, 1, 1, tzinfo=UTC)


class Dead(BaseException):
    """The process died with the power: it does nothing more."""


class CutStore(MemoryStore):
    """A store that loses its power in the middle of one transaction."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock)
        self.sizes: list[int] = []
        """How many writes each transaction had."""
        self.cut_at: tuple[int, int] | None = None
        """In the transaction of this number, after so many writes."""
        self.kills = False
        """Whoever wrote it dies, too."""

    def commit(self, writes: Sequence[Write]) -> Committed | Refused:
        cut = self.cut_at is not None and self.cut_at[0] == len(self.sizes)
        self.sizes.append(len(writes))
        if cut and self.cut_at is not None:
            self.power_fails_after = self.cut_at[1]
        try:
            return super().commit(writes)
        except StoreUnavailable:
            if self.kills:
                raise Dead from None
            raise


class Silent:
    """Events and history go nowhere."""

    def emit(self, events: Iterable[Event]) -> None: ...

    def record(self, records: Iterable[HistoryRecord]) -> None: ...


class Place:
    """A queue with its stores, and a worker that does what the names of functions say."""

    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.kv, self.kept = CutStore(self.clock), CutStore(self.clock)
        self.results = StoredResults(self.kept)
        settings, silent = Settings(instance_id="here"), Silent()
        self.settling = Settling(settings, self.kv, self.results, silent, silent, self.clock)
        self.enqueuer = Enqueuer(settings, self.kv, self.results, self.settling, silent, self.clock)
        self.dead = DeadLetters(settings, self.kv, self.results, self.settling, silent, self.clock)
        self.ended: Counter[tuple[str, int]] = Counter()

    async def enqueue(self, *names: str, due: float | None = None, **after: Sequence[str]) -> None:
        """Jobs with these ids, each run by the function of its name; ``after``: the jobs that one waits for."""
        jobs = [(name, spec(name, tuple(after.get(name, ()))), False) for name in names]
        await self.enqueuer.enqueue(jobs, None if due is None else self.clock.now() + timedelta(seconds=due))

    def there(self, pattern: str) -> list[QueuedJob]:
        """The attempts under a pattern."""
        found = self.kv.entries(pattern)
        return [decode(QueuedJob, entry.key, entry.value) for entry in found if entry.value is not None]

    async def run(self, queued: QueuedJob) -> None:
        """Run one attempt as a worker does, and acknowledge it."""
        result = (await self.results.ends([queued.job_id])).get(queued.job_id)
        if result is not None and result.status.ended and result.attempt >= queued.attempt:
            await self.settling.settle_again([(queued, result)])
        else:
            await self.settling.settle(
                [Settlement(decide(queued, outcome_of(queued), Facts("here", self.clock.now())))]
            )
            self.ended[queued.job_id, queued.attempt] += 1
        self.kv.purge(job_key("q", queued.job_id, queued.attempt))

    async def go_on(self) -> None:
        """Workers and a leader do what there is to do, until nothing changes."""
        for _ in range(50):
            await self.settling.end_unmet(await self.settling.dependencies.sweep())
            await self.clock.advance(30.0)
            for queued in self.there("deferred.>"):
                if not queued.spec.depends_on and (queued.due_at is None or queued.due_at <= self.clock.now()):
                    key, free = deferred_key(queued.job_id, queued.attempt), queued.evolve(due_at=None)
                    entry = self.kv.peek(key)
                    assert entry is not None
                    target = job_key("q", queued.job_id, queued.attempt)
                    self.kv.commit([Put(target, msgspec.json.encode(free), 0), Delete(key, entry.revision)])
            queued_now = self.there("job.>")
            for queued in queued_now:
                await self.run(queued)
            if not queued_now and not self.there("deferred.>"):
                break


def spec(name: str, after: tuple[str, ...]) -> JobSpec:
    retries = 1 if name.startswith("retry") else 0
    return parse_job(Job(func=f"some.module:{name}", queue="q", retries=retries, backoff=5, depends_on=after))


def outcome_of(queued: QueuedJob) -> Ended:
    name = queued.job_id
    if name.startswith("fail") or (name.startswith("retry") and queued.attempt == 1):
        return Raised("ValueError", "as it was told")
    return Returned(msgspec.Raw(b"1"))


Act = Callable[[Place], Awaitable[None]]


async def no_setup(place: Place) -> None: ...


async def a_parent(place: Place) -> None:
    await place.enqueue("parent")


async def a_parent_that_ended(place: Place) -> None:
    await a_parent(place)
    await place.run(place.there("job.>")[0])


async def two_parents_and_a_child(place: Place) -> None:
    await place.enqueue("parent", "other", "child", child=["parent", "other"])


async def a_child_of_what_fails(place: Place) -> None:
    await place.enqueue("fails", "child", child=["fails"])


async def something_dead(place: Place) -> None:
    await place.enqueue("fails")
    await place.run(place.there("job.>")[0])


async def run_all(place: Place) -> None:
    for queued in place.there("job.>"):
        await place.run(queued)


async def requeue(place: Place) -> None:
    found = await place.dead.entry("fails")
    assert found is not None
    await place.dead.requeue(*found)


CASES: dict[str, tuple[Act, Act, set[str]]] = {
    "one job": (no_setup, lambda place: place.enqueue("a"), {"a"}),
    "three jobs at once": (no_setup, lambda place: place.enqueue("a", "b", "c"), {"a", "b", "c"}),
    "a job for later": (no_setup, lambda place: place.enqueue("a", due=5), {"a"}),
    "a job and one that waits for it": (
        no_setup,
        lambda place: place.enqueue("parent", "child", child=["parent"]),
        {"parent", "child"},
    ),
    "the same, told the other way round": (
        no_setup,
        lambda place: place.enqueue("child", "parent", child=["parent"]),
        {"parent", "child"},
    ),
    "three in a row, the last one first": (
        no_setup,
        lambda place: place.enqueue("c", "b", "a", c=["b"], b=["a"]),
        {"a", "b", "c"},
    ),
    "one that waits for a job that is there": (
        a_parent,
        lambda place: place.enqueue("child", child=["parent"]),
        {"parent", "child"},
    ),
    "one that waits for a job that ended": (
        a_parent_that_ended,
        lambda place: place.enqueue("child", child=["parent"]),
        {"parent", "child"},
    ),
    "an id that is used again": (a_parent_that_ended, a_parent, {"parent"}),
    "the end of a job": (a_parent, run_all, {"parent"}),
    "the end of jobs that another waits for": (two_parents_and_a_child, run_all, {"parent", "other", "child"}),
    "the end of a job that is tried again": (lambda place: place.enqueue("retry"), run_all, {"retry"}),
    "the end of a job that failed for good, and of the one that waits": (
        a_child_of_what_fails,
        run_all,
        {"fails", "child"},
    ),
    "a dead letter that is requeued": (something_dead, requeue, {"fails"}),
}


async def told(place: Place, act: Act) -> bool:
    """Do it; whether it was acknowledged."""
    try:
        await act(place)
    except (StoreUnavailable, Dead, JobExists):
        return False
    return True


async def cuts(setup: Act, act: Act) -> list[tuple[int, int, int]]:
    """Every cut: in which store, in its transaction of which number, after how many writes."""
    place = Place()
    await setup(place)
    stores = (place.kv, place.kept)
    before = [len(store.sizes) for store in stores]
    await act(place)
    return [
        (number, turn, kept)
        for number, (store, first) in enumerate(zip(stores, before, strict=True))
        for turn in range(first, len(store.sizes))
        for kept in range(store.sizes[turn] + 1)
    ]


@pytest.mark.parametrize("dies", [False, True], ids=["it goes on", "its process died"])
@pytest.mark.parametrize("case", CASES)
@manual_time
async def test_the_power_fails_after_each_write(case: str, dies: bool) -> None:
    setup, act, jobs = CASES[case]
    for number, turn, kept in await cuts(setup, act):
        place = Place()
        await setup(place)
        existing = {queued.job_id for queued in (*place.there("job.>"), *place.there("deferred.>"))}
        place.ended.clear()
        store = (place.kv, place.kept)[number]
        store.cut_at, store.kills = (turn, kept), dies
        acknowledged = await told(place, act)
        store.kills = False
        where = f"cut after {kept} writes of transaction {turn} of {('the bucket', 'the results')[number]}"
        begun = {queued.job_id for queued in (*place.there("job.>"), *place.there("deferred.>"))}
        await place.go_on()
        left = [entry.key for pattern in ("job.>", "deferred.>", "waiting.>") for entry in place.kv.entries(pattern)]
        assert [key for key in left if (entry := place.kv.peek(key)) and entry.value is not None] == [], where
        ends = await place.results.ends(sorted(jobs))
        must = jobs if acknowledged else existing | begun
        assert {job_id for job_id, result in ends.items() if result.status.ended} >= must, where
        assert {each: times for each, times in place.ended.items() if times > 1} == {}, where
