"""On a real server: a system that works is clean, and what is done to it by hand is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq import Naq
from naq.exceptions import InvalidInput
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, JobSpec, QueuedJob
from naq.lifecycle import ServiceManager
from naq.observe.verify import service as verifying
from naq.observe.verify.service import VerifyService
from naq.observe.verify.verdict import Kind, Verdict
from naq.queue.results import ResultService
from naq.scheduler.service import SchedulerService
from naq.schedules.declared import define
from naq.schedules.record import Schedule
from naq.store.codec import decode, encode
from naq.store.keys import job_id, job_key, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Delete, Put
from naq.timing.triggers import Cron, Interval
from naq.worker.service import WorkerOptions, WorkerService
from tests.worker.conftest import FUNCTIONS, until

FIRES = 10
FORM = {"type": "interval", "interval": 0.1, "max_runs": FIRES, "catch_up": None, "coalesce": "all"}
JOB = "tests.worker.functions:process_id"


class World:
    """A namespace with a scheduler, and ways to meddle with it."""

    def __init__(self, services: ServiceManager, config: dict[str, Any]) -> None:
        self.services = services
        self.config = config

    async def start(self) -> World:
        self.scheduler = await self.services.get_service(SchedulerService)
        self.kv = await self.services.get_service(KVStoreService)
        self.events = await self.services.get_service(EventService)
        self.history = await self.services.get_service(HistoryService)
        self.results = await self.services.get_service(ResultService)
        self.verifier = await self.services.get_service(VerifyService)
        return self

    async def record(self, name: str) -> Schedule:
        found = await self.scheduler.schedules.get(name)
        assert found is not None
        return found

    async def put(self, record: Schedule) -> None:
        await self.kv.put(schedule_key(record.schedule_id), encode(record))

    async def lives(self, name: str) -> Schedule:
        """A schedule that fires ten times, whose jobs are all run; its record."""
        await self.scheduler.schedule_job(JOB, FORM, schedule_id=name)
        worker = await self.worker()
        try:
            await until(lambda: self.is_through(name))
        finally:
            await worker.cleanup()
        return await self.record(name)

    async def worker(self) -> WorkerService:
        worker = WorkerService(
            {**self.config, "instance_id": "worker"},
            self.kv,
            self.events,
            self.results,
            self.history,
            WorkerOptions(registry=Registry([FUNCTIONS])),
        )
        await worker.start()
        return worker

    async def is_through(self, name: str) -> bool:
        return len([line for line in await self.history.history(name) if line.outcome.fired]) == FIRES

    async def take_away(self, record: Schedule, nominal: datetime) -> None:
        """Remove every trace of one fire."""
        identity = job_id(record.schedule_id, nominal)
        await self.kv.transact([Delete(job_key(record.job.queue, identity))])
        await self.results.forget(identity)
        lines = [line for line in reversed(await self.history.history(record.schedule_id)) if line.job_id != identity]
        await self.history.forget(record.schedule_id)
        self.history.record(lines)
        events = [event for event in await self.events.get_event_history() if event.job_id != identity]
        await self.events.streams.purge(self.events.names.events_stream)
        self.events.emit(events)
        await self.events.outbox.flush()

    async def enqueue(self, name: str, nominal: datetime, queue: str, enqueued_at: datetime) -> None:
        """Put a job of a schedule into a queue, by hand."""
        job = QueuedJob(
            job_id=job_id(name, nominal),
            spec=JobSpec(func=JOB, queue=queue),
            enqueued_at=enqueued_at,
            schedule_id=name,
            nominal_at=nominal,
        )
        await self.kv.transact([Put(job_key(queue, job.job_id), encode(job))])

    async def verify(self, *names: str, **more: Any) -> Verdict:
        return await self.verifier.verify(*names, **more)


@pytest.fixture
async def world(services: ServiceManager, config: dict[str, Any]) -> AsyncIterator[World]:
    yield await World(services, config).start()


def kinds(verdict: Verdict) -> list[tuple[Kind, str, int]]:
    return [(each.kind, each.schedule_id, each.count) for each in (*verdict.findings, *verdict.unproven)]


async def test_a_system_that_works_is_clean(world: World) -> None:
    record = await world.lives("s")
    await world.scheduler.trigger_schedule("s")
    verdict = await world.verify()
    assert kinds(verdict) == []
    assert verdict.clean
    assert (verdict.figures.schedules, verdict.figures.nominal_times, verdict.figures.fired) == (1, FIRES, FIRES)
    assert record.last_nominal_at is not None
    part = await world.verify(since=record.last_nominal_at - timedelta(seconds=0.25))
    assert (part.figures.nominal_times, part.figures.fired) == (3, 3)
    async with Naq(**world.config) as app:
        again = await app.verify("s", since=timedelta(hours=1))
    assert (again.figures, again.findings) == (verdict.figures, ())


async def test_a_fire_without_any_trace_is_unproven_as_long_as_it_was_counted_and_else_lost(world: World) -> None:
    record = await world.lives("s")
    assert isinstance(record.trigger, Interval)
    assert record.last_nominal_at is not None
    nominal = record.last_nominal_at - 3 * record.trigger.every
    await world.take_away(record, nominal)
    trimmed = await world.verify()
    assert kinds(trimmed) == [(Kind.UNPROVEN, "s", 1)]
    assert trimmed.clean
    assert f"the counters say {FIRES} fired" in trimmed.unproven[0].why
    await world.put(record.evolve(runs=FIRES - 1))
    never = await world.verify()
    assert kinds(never) == [(Kind.LOST, "s", 1)]
    assert never.findings[0].nominal_at == nominal
    assert not never.clean


async def test_a_second_job_of_a_nominal_time_is_a_duplicate(world: World) -> None:
    record = await world.lives("s")
    assert record.last_nominal_at is not None
    await world.enqueue("s", record.last_nominal_at, "default", record.last_nominal_at + timedelta(minutes=1))
    assert kinds(await world.verify()) == [(Kind.DUPLICATE, "s", 1)]


async def test_two_first_attempts_in_two_queues_are_a_duplicate_whatever_they_say(world: World) -> None:
    await world.scheduler.schedule_job(JOB, {**FORM, "max_runs": 1}, schedule_id="s")
    await until(lambda: _has_fired(world, "s", 1))
    record = await world.record("s")
    assert record.last_nominal_at is not None and record.last_run_at is not None
    await world.enqueue("s", record.last_nominal_at, "mail", record.last_run_at)
    assert kinds(await world.verify()) == [(Kind.DUPLICATE, "s", 1)]


async def test_a_job_of_a_paused_schedule_is_unexplained(world: World) -> None:
    await world.scheduler.schedule_job(JOB, {"type": "interval", "interval": 3600}, schedule_id="s")
    await world.scheduler.pause_scheduled_job("s")
    record = await world.record("s")
    assert record.next_nominal_at is not None
    assert (await world.verify()).clean
    await world.enqueue("s", record.next_nominal_at, "default", record.created_at)
    verdict = await world.verify()
    assert kinds(verdict) == [(Kind.UNEXPLAINED, "s", 1)]
    assert "it is paused since" in verdict.findings[0].why


async def test_a_schedule_that_nobody_leads_is_overdue(world: World) -> None:
    await world.scheduler.schedule_job(JOB, {"type": "interval", "interval": 0.1}, schedule_id="s")
    await until(lambda: _has_fired(world, "s", 2))
    await world.scheduler.cleanup()
    await asyncio.sleep(0.3)  # two more come due
    verdict = await world.verify(patience="50ms")
    assert [(each.kind, each.schedule_id) for each in verdict.findings] == [(Kind.OVERDUE, "s")]
    assert "no scheduler leads" in verdict.findings[0].why
    assert verdict.figures.overdue == verdict.findings[0].count >= 1
    patient = await world.verify(patience="1h")
    assert patient.clean
    assert patient.figures.waiting >= verdict.figures.overdue


async def test_a_record_that_cannot_be_read_or_planned_is_told_and_the_others_are_judged(world: World) -> None:
    await world.scheduler.schedule_job(JOB, {"type": "interval", "interval": 3600}, schedule_id="good")
    await world.kv.put(schedule_key("bad"), b"rubbish")
    good = await world.record("good")
    nowhere = good.evolve(schedule_id="nowhere", trigger=Cron("0 9 * * *", "Mars/Base"))
    await world.put(nowhere)
    verdict = await world.verify()
    assert sorted(kinds(verdict)) == [(Kind.QUARANTINED, "bad", 0), (Kind.QUARANTINED, "nowhere", 0)]
    assert verdict.figures.schedules == 3
    assert kinds(await world.verify("bad")) == [(Kind.QUARANTINED, "bad", 0)]


async def test_only_what_is_asked_about_is_judged(world: World) -> None:
    for name in ("one", "two"):
        await world.scheduler.schedule_job(JOB, {"type": "interval", "interval": 3600}, schedule_id=name)
    verdict = await world.verify("one", "three")
    assert verdict.figures.schedules == 1
    assert verdict.absent == ("three",)
    assert not verdict.clean
    for bad in ("yesterday", "2999-01-01", "0s"):
        with pytest.raises(InvalidInput, match="since"):
            await world.verify(since=bad)


async def test_a_change_at_the_very_instant_of_a_fire_costs_nothing(world: World) -> None:
    """Whoever wins, the record knows where the counters stood."""
    await world.scheduler.schedule_job(JOB, {**FORM, "interval": 0.03, "max_runs": 50_000}, schedule_id="s")
    for _ in range(20):
        await world.scheduler.pause_scheduled_job("s")
        await world.scheduler.resume_scheduled_job("s", catch_up=True)
    await until(lambda: _has_fired(world, "s", 60))
    await world.scheduler.pause_scheduled_job("s")
    entry = await world.kv.get(schedule_key("s"))
    assert entry is not None and entry.value is not None
    record = decode(Schedule, entry.key, entry.value)
    assert record.counted_from is not None
    assert record.counted_from.runs == record.runs
    verdict = await world.verify()
    assert kinds(verdict) == []


async def test_schedules_that_another_application_removed_are_named(world: World) -> None:
    """Two applications with one module name, each of which pruned what the other had declared."""
    mine, theirs = (define(name, Job(func=JOB), "every 1h") for name in ("mine", "theirs"))
    for definitions in ((mine,), (theirs,), (mine,)):
        await world.scheduler.sync(definitions, "tasks", prune=True, actor="declared:tasks")
    verdict = await world.verify()
    assert kinds(verdict) == [(Kind.UNPROVEN, "mine", 0), (Kind.UNPROVEN, "theirs", 0)]
    again, removed = verdict.unproven
    assert "it was removed once, at" in again.why
    assert "by declared:tasks, and made again at" in again.why
    assert "it was removed from the declared set 'tasks' at" in removed.why
    await world.scheduler.sync((), "tasks", prune=True)
    assert {each.schedule_id for each in (await world.verify()).unproven} == {"mine", "theirs"}, "nothing is left"
    assert kinds(await world.verify(since=datetime.now(UTC))) == []


async def test_a_one_time_schedule_that_was_made_again_is_not_said_to_be_well(world: World) -> None:
    once = {"type": "once", "run_at": datetime.now(UTC) + timedelta(seconds=0.1)}
    await world.scheduler.schedule_job(JOB, once, schedule_id="once")
    await until(lambda: _has_fired(world, "once", 1))
    await world.scheduler.delete_schedule("once")
    await world.scheduler.schedule_job(JOB, {**once, "catch_up": "1h"}, schedule_id="once")

    async def decided() -> bool:
        return (await world.record("once")).skipped == 1

    await until(decided)
    verdict = await world.verify()
    assert kinds(verdict) == [(Kind.UNPROVEN, "once", 0)]
    assert (verdict.figures.fired, verdict.figures.not_fired) == (0, 1)


async def test_asked_again_and_again_while_everything_moves_it_never_cries(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fires, ends of jobs, changes and deletions go on in the midst of reading; a batch is a few schedules."""
    monkeypatch.setattr(verifying, "SCHEDULES_AT_ONCE", 3)
    monkeypatch.setattr(verifying, "READ_AT_ONCE", 2)
    names = [f"s{number}" for number in range(10)]
    form = {"type": "interval", "interval": 0.05, "catch_up": None, "coalesce": "all"}
    for name in names:
        await world.scheduler.schedule_job(JOB, form, schedule_id=name)
    worker = await world.worker()
    verdict = await world.verify()
    rounds = 0
    try:
        while rounds < 24 or verdict.figures.fired < 100:
            verdict = await world.verify()
            assert verdict.findings == ()
            name = names[rounds % len(names)]
            match rounds % 4:
                case 0:
                    if not await world.scheduler.pause_scheduled_job(name):
                        await world.scheduler.resume_scheduled_job(name, catch_up=True)
                case 1:
                    await world.scheduler.update_schedule(name, schedule={**form, "interval": 0.07})
                case 2:
                    await world.scheduler.skip_next(name, 2)
                case _:
                    if rounds < 24:
                        await world.scheduler.delete_schedule(name)
                        await world.scheduler.schedule_job(JOB, form, schedule_id=name)
            rounds += 1
    finally:
        await worker.cleanup()
    assert verdict.shortened == ()


async def _has_fired(world: World, name: str, times: int) -> bool:
    return (await world.record(name)).runs >= times
