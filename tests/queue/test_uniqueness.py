"""Jobs of which there is one at a time (``unique_for``): whoever enqueues the same again gets the id of the one that is there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from naq import Naq
from naq.clock import SystemClock
from naq.config import Settings
from naq.events import Event
from naq.exceptions import InvalidJob
from naq.jobs.ending import Facts, decide
from naq.jobs.history import HistoryRecord
from naq.jobs.job import Job, JobStatus, QueuedJob
from naq.jobs.outcome import Returned
from naq.jobs.records import UniqueJob
from naq.lifecycle import ServiceManager
from naq.queue.enqueue import Enqueuer
from naq.queue.results import StoredResults
from naq.queue.service import JobService
from naq.queue.settle import Settlement, Settling
from naq.schedules.forms.specification import parse_job
from naq.store.codec import decode
from naq.store.keys import jobs_of, new_id
from naq.store.nats.event_stream import EventService
from naq.testing.store import MemoryStore
from tests.worker import functions
from tests.worker.conftest import StartWorker, until


def greeting(name: str = "you", **more: Any) -> Job:
    return Job(func=functions.greet, kwargs={"name": name}, **{"unique_for": 0, **more})


async def test_the_second_of_two_equal_jobs_is_the_first(jobs: JobService) -> None:
    first = await jobs.enqueue(greeting("Ada"))
    assert await jobs.enqueue(greeting("Ada")) == first
    assert await jobs.enqueue(Job(func=functions.greet, args=("Ada",), unique_for=0)) == first, "however it is written"
    assert await jobs.enqueue(greeting("Bob")) != first
    assert await jobs.enqueue(functions.greet, "Ada") != first, "a job that need not be unique is not asked about"
    assert len(await jobs.list_jobs()) == 3


async def test_a_job_that_was_there_before_is_said(jobs: JobService, services: ServiceManager) -> None:
    first = await jobs.enqueue(greeting(job_id="first"))
    assert await jobs.enqueue(greeting(job_id="second")) == first
    events = await services.get_service(EventService)
    told = await events.get_event_history(types=["job_duplicate"])
    assert [(each.job_id, each.func) for each in told] == [("first", "tests.worker.functions:greet")]


async def test_it_is_free_again_as_soon_as_the_result_is_there(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    ids = set()
    for _ in range(10):
        job_id = await jobs.enqueue(greeting())
        ids.add(job_id)
        await jobs.result(job_id, timeout=30)
    assert len(ids) == 10


async def test_it_is_held_for_a_time_after_the_end(jobs: JobService, start_worker: StartWorker) -> None:
    await start_worker()
    first = await jobs.enqueue(greeting(unique_for=1, result_ttl=1))
    await jobs.result(first, timeout=30)
    assert await jobs.enqueue(greeting(unique_for=1)) == first

    async def is_free() -> bool:
        return await jobs.enqueue(greeting(unique_for=1)) != first

    await until(is_free)


async def test_it_is_held_while_it_waits_for_its_time_or_is_tried_again(
    jobs: JobService, start_worker: StartWorker
) -> None:
    later = await jobs.enqueue(greeting("later"), delay="1h")
    after = await jobs.enqueue(greeting("after", depends_on=[later]))
    assert await jobs.enqueue(greeting("later")) == later
    assert await jobs.enqueue(greeting("after")) == after
    failing = Job(func=functions.fail, retries=1, backoff="1h", unique_for=0)
    first = await jobs.enqueue(failing)
    await start_worker()

    async def failed_once() -> bool:
        info = await jobs.get(first)
        return info is not None and info.status is JobStatus.DEFERRED

    await until(failed_once)
    assert await jobs.enqueue(failing) == first
    assert await jobs.cancel(first)
    assert await jobs.enqueue(failing) != first, "a cancelled job holds nothing"


async def test_of_many_that_enqueue_the_same_at_once_one_does(
    services: ServiceManager, config: dict[str, Any], start_worker: StartWorker
) -> None:
    async with ServiceManager(config) as other:
        both = [await services.get_service(JobService), await other.get_service(JobService)]
        ids = await asyncio.gather(*(both[i % 2].enqueue(greeting(str(i // 20), unique_for="1h")) for i in range(60)))
        many = await both[0].enqueue_many([greeting(str(i % 5), unique_for="1h") for i in range(50)])
    assert [len(set(ids[i * 20 : (i + 1) * 20])) for i in range(3)] == [1] * 3
    assert (set(many) > set(ids), len(set(many))) == (True, 5)
    assert len(await both[0].list_jobs()) == 5


async def test_what_is_equal_can_be_said_by_a_key(jobs: JobService) -> None:
    text = [await jobs.enqueue(greeting(name, unique_key="hello-{name}")) for name in ("Ada", "Bob", "Ada")]
    assert (text[0] == text[2], len(set(text))) == (True, 2)
    made = [await jobs.enqueue(greeting(name, unique_key=lambda name: name[0])) for name in ("Ada", "Alan", "Bob")]
    assert (made[0] == made[1], len(set(made))) == (True, 2)
    alone = [await jobs.enqueue(Job(func=functions.greet, args=(name,), unique_key="x")) for name in "ab"]
    assert len(set(alone)) == 1, "a key alone is unique until the end"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"unique_for": -1}, "job.unique_for = -1: must not be negative"),
        ({"unique_for": "soon"}, "job.unique_for"),
        ({"unique_key": 3}, "job.unique_key = 3: must be text, or a function"),
        ({"unique_key": "{nome}"}, r"\{nome\} is not an argument that is known by name \(known: name\)"),
        ({"unique_key": "{"}, "job.unique_key"),
        ({"unique_key": ""}, "must give text"),
        ({"unique_key": lambda name: None}, "must give text or a whole number, not None"),
        ({"unique_key": lambda name: 1 / 0}, "raised ZeroDivisionError"),
        ({"unique_key": "a\udcff"}, "UTF-8"),
    ],
)
async def test_what_cannot_be_a_key_is_refused(jobs: JobService, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidJob, match=said):
        await jobs.enqueue(greeting(**options))
    assert await jobs.list_jobs() == []


async def test_a_dead_letter_that_is_requeued_holds_its_key_again(jobs: JobService, start_worker: StartWorker) -> None:
    worker = await start_worker()
    first = await jobs.enqueue(Job(func=functions.fail, unique_for=0))
    assert (await jobs.wait(first, timeout=30)).status is JobStatus.FAILED
    await worker.stop()
    assert await jobs.requeue(first)
    assert await jobs.enqueue(Job(func=functions.fail, unique_for=0)) == first


async def test_declared_functions_are_unique_by_their_declaration(config: dict[str, Any]) -> None:
    async with Naq(**config) as app:
        send = app.job(unique_for="1h", unique_key="{name}")(functions.greet)
        assert await app.enqueue(send, "Ada") == await app.enqueue(send, name="Ada")
        assert len(await app.list_jobs()) == 1


class Nothing:
    def emit(self, events: Iterable[Event]) -> None: ...
    def record(self, records: Iterable[HistoryRecord]) -> None: ...


class Memory:
    """A queue in memory, where power failures can be had."""

    def __init__(self) -> None:
        clock, settings = SystemClock(), Settings(instance_id="test")
        self.store, self.results = MemoryStore(clock), StoredResults(MemoryStore(clock))
        self.settling = Settling(settings, self.store, self.results, Nothing(), Nothing(), clock)
        self.enqueuer = Enqueuer(settings, self.store, self.results, self.settling, Nothing(), clock)

    async def enqueue(self, job: Job) -> str:
        return (await self.enqueuer.enqueue([(new_id(), parse_job(job), True)], None))[0]

    def queued(self) -> list[QueuedJob]:
        entries = self.store.entries(jobs_of("*"))
        return [decode(QueuedJob, entry.key, entry.value) for entry in entries if entry.value is not None]


@pytest.mark.parametrize("kept", [0, 1, 2])
async def test_a_power_failure_in_the_middle_leaves_neither_two_jobs_nor_a_key_without_one(kept: int) -> None:
    memory = Memory()
    memory.store.power_fails_after = kept
    ids = {await memory.enqueue(greeting()) for _ in range(3)}
    assert len(ids) == len(memory.queued()) == 1


@pytest.mark.parametrize("held_for", [0, "1h"])
async def test_a_worker_that_died_before_it_let_go_of_the_key_holds_up_nothing(held_for: Any) -> None:
    memory = Memory()
    first = await memory.enqueue(greeting(unique_for=held_for))
    (queued,) = memory.queued()
    now = SystemClock().now()
    ending = decide(queued, Returned(msgspec.Raw(b"3")), Facts("w", now, now, now))
    assert ending.result is not None
    await memory.results.write([ending.result], [60])
    held = await memory.enqueue(greeting(unique_for=held_for)) == first
    assert held == bool(held_for)
    await memory.settling.settle_again([(queued, ending.result)])  # what the next worker does with the delivery
    await memory.settling.settle([Settlement(ending)])
    assert (await memory.enqueue(greeting(unique_for=held_for)) == first) == held


@pytest.mark.parametrize("held_for", [0, "1h"])
async def test_the_record_of_a_key_does_not_outlive_its_use(held_for: Any) -> None:
    memory = Memory()
    await memory.enqueue(greeting(unique_for=held_for))
    (queued,) = memory.queued()
    now = SystemClock().now()
    await memory.settling.settle([Settlement(decide(queued, Returned(msgspec.Raw(b"3")), Facts("w", now, now, now)))])
    left = [decode(UniqueJob, each.key, each.value) for each in memory.store.entries("unique.>") if each.value]
    assert [each.ended for each in left] == ([True] if held_for else [])
