"""A run that nobody closes does not hold up its schedule for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from naq.events import Event
from naq.jobs.job import Job, JobSpec, JobStatus, QueuedJob
from naq.jobs.records import StoredResult, WorkerInfo
from naq.lifecycle import ServiceManager
from naq.scheduler import open_runs
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.listeners import Listeners
from naq.scheduler.open_runs import Fate, fate
from naq.scheduler.partition import Partition, PartitionSettings
from naq.scheduler.service import SchedulerService
from naq.schedules.policy import Overlap, Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import new_schedule
from naq.store.codec import decode, encode
from naq.store.keys import job_key, worker_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Delete, Put
from naq.testing.clock import ManualClock, manual_time
from naq.testing.link import MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.server import until
from naq.testing.store import MemoryStore
from naq.timing.triggers import Interval
from tests.scheduler.test_loop import stop
from tests.simulation.node import Silence

SPEC = JobSpec(func="reports:send")


def report() -> None:
    """The function that is to be run."""


class Scene:
    """One scheduler in memory, and a schedule that fires every two seconds unless its run is open."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.began = self.clock.now()
        self.store, self.results = MemoryStore(self.clock), MemoryStore(self.clock)
        self.partition = Partition(
            self.store,
            MemoryPresence(Switchboard(), MemoryClient(self.store, "n0")),
            self.clock,
            Listeners(Silence(), results=self.results),
            PartitionSettings(ElectorSettings("n0", 1, check_interval=0.25, heartbeat_interval=1, ttl=5), 400, 15),
        )
        trigger, policy = Interval(timedelta(seconds=2), self.began), Policy(overlap=Overlap.SKIP)
        self.put(new_schedule("s", SPEC, trigger, policy, self.began))

    def put(self, schedule: Schedule) -> None:
        self.store.commit([Put("schedule.s", encode(schedule))])

    @property
    def schedule(self) -> Schedule:
        entry = self.store.peek("schedule.s")
        assert entry is not None
        assert entry.value is not None
        return decode(Schedule, entry.key, entry.value)

    def jobs(self) -> list[str]:
        return [entry.key for entry in self.store.entries("job.>") if entry.value is not None]

    def ends(self, status: JobStatus) -> None:
        """The one job ends, and its message is trimmed; the worker dies before it closes the run."""
        (run,) = self.schedule.open_runs
        result = StoredResult(job_id=run.job_id, status=status, enqueued_at=run.fired_at)
        self.results.commit([Put(run.job_id, encode(result), None, 3600)])
        self.store.commit([Delete(job_key("default", run.job_id))])


@manual_time
@pytest.mark.parametrize(("status", "errors"), [(JobStatus.COMPLETED, 0), (JobStatus.FAILED, 1)])
async def test_a_run_whose_worker_died_before_it_closed_it(status: JobStatus, errors: int) -> None:
    scene = Scene()
    await scene.partition.start()
    await scene.clock.advance(2)
    scene.ends(status)
    await scene.clock.advance(20)
    assert scene.schedule.runs == 2
    assert scene.schedule.error_count == errors
    assert scene.partition.open_runs.lost == 0
    await stop(scene.partition, scene.clock)


@manual_time
async def test_a_job_that_is_nowhere_is_lost_unless_a_worker_says_that_it_has_it() -> None:
    scene = Scene()
    await scene.partition.start()
    await scene.clock.advance(2)
    (run,) = scene.schedule.open_runs
    worker = WorkerInfo(worker_id="w", started_at=scene.began, seen_at=scene.began, running=(run.job_id,))
    scene.store.commit([Put(worker_key("w"), encode(worker), None, 60), Delete(job_key("default", run.job_id))])
    await scene.clock.advance(50)
    assert scene.schedule.runs == 1, "the worker has it"
    await scene.clock.advance(40)
    assert scene.schedule.runs > 1
    assert scene.schedule.error_count == scene.partition.open_runs.lost == 1
    await stop(scene.partition, scene.clock)


@manual_time
async def test_while_no_run_is_open_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look every ten seconds made a year of a manual clock, in which nothing is due, take minutes."""
    looks: list[datetime] = []
    look = open_runs.OpenRuns.look

    async def counted(self: open_runs.OpenRuns) -> None:
        looks.append(scene.clock.now())
        await look(self)

    monkeypatch.setattr(open_runs.OpenRuns, "look", counted)
    scene = Scene()
    schedule = scene.schedule
    await scene.partition.start()
    await scene.clock.advance(2)
    scene.store.commit([Delete("schedule.s")])
    await scene.clock.advance(60)
    looks.clear()
    await scene.clock.advance(3600)
    assert looks == []
    began = scene.clock.now()
    scene.put(schedule.evolve(next_nominal_at=began, next_run_at=began))
    await scene.clock.advance(2)
    scene.ends(JobStatus.COMPLETED)
    await scene.clock.advance(20)
    assert scene.schedule.runs == 2
    assert len(looks) >= 2
    await stop(scene.partition, scene.clock)


@manual_time
async def test_a_run_that_takes_long_goes_on() -> None:
    scene = Scene()
    await scene.partition.start()
    await scene.clock.advance(600)
    assert scene.schedule.runs == len(scene.jobs()) == 1
    await stop(scene.partition, scene.clock)


@manual_time
async def test_a_record_that_went_back_does_not_repeat_what_ran_and_was_trimmed() -> None:
    """As after a power failure, or a restore of the bucket but not of the results."""
    scene = Scene()
    await scene.partition.start()
    before = scene.schedule
    await scene.clock.advance(2)
    scene.ends(JobStatus.COMPLETED)
    await scene.clock.advance(1.8)
    scene.put(before)
    await scene.clock.advance(0.1)
    assert scene.jobs() == [], "it ran before"
    assert scene.schedule.runs == 1
    assert scene.schedule.open_runs == (), "nobody would close it"
    await scene.clock.advance(0.5)
    assert len(scene.jobs()) == 1, "the next one"
    await stop(scene.partition, scene.clock)


def test_the_result_of_an_earlier_schedule_with_the_same_id_does_not_count() -> None:
    began = ManualClock().now()
    schedule = new_schedule("s", SPEC, Interval(timedelta(seconds=2), began), Policy(), began)
    old = StoredResult(job_id="s/1", status=JobStatus.COMPLETED, enqueued_at=began - timedelta(seconds=1))
    new = StoredResult(job_id="s/1", status=JobStatus.COMPLETED, enqueued_at=began)
    queued = QueuedJob(job_id="s/1", spec=SPEC, enqueued_at=began)
    assert fate(schedule, [], old, False) is Fate.LOST
    assert fate(schedule, [], new, True) is Fate.ENDED
    assert fate(schedule, [queued], new, False) is Fate.ENDED, "it is not trimmed yet"
    assert fate(schedule, [queued], old, False) is Fate.GOES_ON
    assert fate(schedule, [None], new, False) is Fate.GOES_ON, "its record cannot be read"


@pytest.mark.parametrize("form", [{"interval": 0.2, "overlap": "skip"}, {"delay": 0.2, "first": "now"}])
async def test_a_schedule_goes_on_after_an_administrator_purged_the_jobs(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, form: dict[str, Any]
) -> None:
    monkeypatch.setattr(open_runs, "EVERY", 0.3)
    monkeypatch.setattr(open_runs, "AGAIN", 0.3)
    async with ServiceManager(config) as services:
        scheduler = await services.get_service(SchedulerService)
        store = await services.get_service(KVStoreService)
        told: list[Event] = []
        (await services.get_service(EventService)).listen(
            lambda event: told.append(event) if event.type == "job_lost" else None
        )

        async def runs() -> int:
            return int((await scheduler.get_schedule("s") or {})["runs"])

        async def fired() -> bool:
            return await runs() == 1

        async def fires_again() -> bool:
            return await runs() > 1 and bool(told)

        await scheduler.schedule_job(Job(func=report), form, schedule_id="s")
        await until(fired, lambda: "it never fired")
        await store.connection.stream_service.purge(store.names.stream, store.names.subject("job.>"))
        await until(fires_again, lambda: "it waits for a run whose job was purged")
        assert told[0].schedule_id == "s"
