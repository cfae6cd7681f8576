"""The scheduler service against a real server: the contract of the facade."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.events import Event
from naq.exceptions import InvalidInput, InvalidJob, InvalidSchedule, ScheduleExists, SchedulerError
from naq.jobs.job import Job, QueuedJob
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.schedules.service import ScheduleService
from naq.store.codec import decode
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Entry

HOURLY = {"type": "interval", "interval": 3600}


def report(region: str = "eu", full: bool = False) -> str:
    return region


@pytest.fixture
async def scheduler(services: ServiceManager) -> SchedulerService:
    return await services.get_service(SchedulerService)


@pytest.fixture
async def store(services: ServiceManager) -> KVStoreService:
    return await services.get_service(KVStoreService)


class Facts:
    """Waits for events that this process emits."""

    def __init__(self, events: EventService) -> None:
        self.seen: list[Event] = []
        self._changed = asyncio.Event()
        events.listen(self._on_event)

    def _on_event(self, event: Event) -> None:
        self.seen.append(event)
        self._changed.set()

    async def until(self, enough: Callable[[list[Event]], bool]) -> None:
        async with asyncio.timeout(30):
            while not enough(self.seen):
                self._changed.clear()
                await self._changed.wait()

    def fires(self, schedule_id: str) -> list[Event]:
        return [it for it in self.seen if it.type == "scheduled_job_triggered" and it.schedule_id == schedule_id]


@pytest.fixture
async def facts(services: ServiceManager) -> Facts:
    return Facts(await services.get_service(EventService))


async def queued(store: KVStoreService) -> list[QueuedJob]:
    found: list[Entry] = []
    async for page in store.scan("job.>"):
        found += page
    return [decode(QueuedJob, entry.key, entry.value) for entry in found if entry.value is not None]


async def test_the_example_of_the_service_api(services: ServiceManager) -> None:
    scheduler_service = await services.get_service(SchedulerService)
    job = Job(job_id="scheduled_job_1", func=report, args=["eu", True])
    schedule_id = await scheduler_service.schedule_job(
        job=job, schedule={"type": "interval", "interval": 3600, "max_runs": 10}
    )
    assert scheduler_service._is_leader
    assert await scheduler_service.trigger_due_jobs() == []
    assert await scheduler_service.pause_scheduled_job(schedule_id)
    assert await scheduler_service.resume_scheduled_job(schedule_id)
    assert await scheduler_service.cancel_scheduled_job(schedule_id)
    async for data in scheduler_service.monitor_schedules():
        assert data["is_leader"] is True
        assert data["leader_info"]["instance_id"] == scheduler_service.settings.instance_id
        break


async def test_a_schedule_as_a_dict(scheduler: SchedulerService) -> None:
    before = datetime.now(UTC).timestamp()
    await scheduler.schedule_job(Job(func=report, args=["eu"]), {**HOURLY, "max_runs": 10}, schedule_id="daily")
    entry = await scheduler.get_schedule("daily")
    assert entry is not None
    assert entry["schedule_id"] == "daily"
    assert entry["job"]["func"].endswith(":report")
    assert entry["job"]["args"] == ["eu"]
    assert before <= entry["created_at"] <= before + 30
    assert entry["next_run_at"] == pytest.approx(entry["created_at"] + 3600)
    assert (entry["status"], entry["runs"], entry["max_runs"]) == ("active", 0, 10)
    assert (entry["last_run_at"], entry["error_count"]) == (None, 0)
    assert "paused_at" not in entry


async def test_none_and_false_mean_there_is_none(scheduler: SchedulerService) -> None:
    assert await scheduler.get_schedule("nobody") is None
    assert await scheduler.pause_scheduled_job("nobody") is False
    assert await scheduler.resume_scheduled_job("nobody") is False
    assert await scheduler.cancel_scheduled_job("nobody") is False
    assert await scheduler.delete_schedule("nobody") is False
    assert await scheduler.trigger_schedule("nobody") is None
    assert await scheduler.list_schedules() == []


async def test_a_function_or_its_name_alone_is_scheduled(scheduler: SchedulerService) -> None:
    by_itself = await scheduler.schedule_job(report, HOURLY)
    by_name = await scheduler.schedule_job(f"{__name__}:report", HOURLY)
    for schedule_id in (by_itself, by_name):
        entry = await scheduler.get_schedule(schedule_id)
        assert entry is not None
        assert entry["job"]["func"] == f"{__name__}:report"
    with pytest.raises(InvalidJob, match="must be a Job, a function, or a function name"):
        await scheduler.schedule_job(3, HOURLY)  # type: ignore[arg-type]


async def test_the_states_of_a_schedule(scheduler: SchedulerService) -> None:
    await scheduler.schedule_job(Job(func=report), HOURLY, schedule_id="s")
    assert await scheduler.resume_scheduled_job("s") is False
    assert await scheduler.pause_scheduled_job("s", reason="holiday", actor="ann") is True
    paused = await scheduler.get_schedule("s")
    assert paused is not None
    assert (paused["status"], paused["next_run_at"], paused["pause_reason"]) == ("paused", None, "holiday")
    assert paused["paused_at"] > 0
    assert await scheduler.pause_scheduled_job("s") is False
    assert await scheduler.resume_scheduled_job("s") is True
    assert await scheduler.cancel_scheduled_job("s") is True
    cancelled = await scheduler.get_schedule("s")
    assert cancelled is not None
    assert (cancelled["status"], cancelled["next_run_at"]) == ("cancelled", None)
    assert await scheduler.pause_scheduled_job("s") is False


async def test_listing_is_newest_first_and_by_status(scheduler: SchedulerService) -> None:
    for name in ("a", "b", "c"):
        await scheduler.schedule_job(Job(func=report), HOURLY, schedule_id=name)
    await scheduler.pause_scheduled_job("b")
    assert [entry["schedule_id"] for entry in await scheduler.list_schedules()] == ["c", "b", "a"]
    assert [entry["schedule_id"] for entry in await scheduler.list_schedules("paused")] == ["b"]
    with pytest.raises(InvalidSchedule, match="status = 'sleeping'"):
        await scheduler.list_schedules("sleeping")


async def test_an_id_is_taken_once(scheduler: SchedulerService) -> None:
    await scheduler.schedule_job(Job(func=report, args=[1]), HOURLY, schedule_id="s")
    with pytest.raises(ScheduleExists, match="'s' exists already"):
        await scheduler.schedule_job(Job(func=report, args=[2]), HOURLY, schedule_id="s")
    await scheduler.schedule_job(Job(func=report, args=[3]), HOURLY, schedule_id="s", if_exists="keep")
    kept = await scheduler.get_schedule("s")
    assert kept is not None
    assert kept["job"]["args"] == [1]
    await scheduler.schedule_job(Job(func=report, args=[4]), HOURLY, schedule_id="s", if_exists="replace")
    replaced = await scheduler.get_schedule("s")
    assert replaced is not None
    assert replaced["job"]["args"] == [4]
    assert replaced["created_at"] == kept["created_at"]


async def test_a_cancelled_schedule_is_not_replaced_without_a_word(scheduler: SchedulerService) -> None:
    await scheduler.schedule_job(Job(func=report, args=[1]), HOURLY, schedule_id="s")
    await scheduler.cancel_scheduled_job("s")
    with pytest.raises(ScheduleExists, match="'s' was cancelled, which is final: delete it"):
        await scheduler.schedule_job(Job(func=report, args=[2]), HOURLY, schedule_id="s", if_exists="replace")
    assert await scheduler.schedule_job(Job(func=report), HOURLY, schedule_id="s", if_exists="keep") == "s"


async def test_a_deleted_id_is_free_again(scheduler: SchedulerService) -> None:
    await scheduler.schedule_job(Job(func=report, args=[1]), HOURLY, schedule_id="s")
    assert await scheduler.delete_schedule("s") is True
    assert await scheduler.get_schedule("s") is None
    await scheduler.schedule_job(Job(func=report, args=[2]), HOURLY, schedule_id="s")
    entry = await scheduler.get_schedule("s")
    assert entry is not None
    assert entry["job"]["args"] == [2]


async def test_fires_are_jobs_with_their_nominal_times(
    scheduler: SchedulerService, store: KVStoreService, facts: Facts
) -> None:
    await scheduler.schedule_job(
        Job(func=report, args=["eu"], queue="mail"),
        {"type": "interval", "interval": 0.05, "max_runs": 4},
        schedule_id="fast",
    )
    await facts.until(lambda seen: any(it.type == "schedule_completed" for it in seen))
    entry = await scheduler.get_schedule("fast")
    assert entry is not None
    assert (entry["status"], entry["runs"]) == ("completed", 4)
    jobs = await queued(store)
    first = datetime.fromtimestamp(entry["created_at"], UTC)
    assert [job.nominal_at for job in jobs] == [first + number * timedelta(seconds=0.05) for number in (1, 2, 3, 4)]
    assert {job.schedule_id for job in jobs} == {"fast"}
    assert {job.spec.queue for job in jobs} == {"mail"}
    assert all(job.enqueued_at >= job.nominal_at for job in jobs if job.nominal_at is not None)
    assert len({job.job_id for job in jobs}) == 4
    assert [event.job_id for event in facts.fires("fast")] == [job.job_id for job in jobs]


async def test_no_fire_after_an_acknowledged_pause(
    scheduler: SchedulerService, store: KVStoreService, facts: Facts
) -> None:
    await scheduler.schedule_job(Job(func=report), {"type": "interval", "interval": 0.02}, schedule_id="fast")
    for round_number in range(1, 21):
        before = len(facts.fires("fast"))
        await facts.until(lambda seen, before=before: len(facts.fires("fast")) > before)  # type: ignore[misc]
        assert await scheduler.pause_scheduled_job("fast")
        revision = await store.last_revision("schedule.fast")
        # Time for three more fires, had the pause not held. A late one would have a higher revision than the pause.
        await asyncio.sleep(0.06)
        newest = await store.last_revision("job.>")
        assert newest < revision, f"round {round_number}: a job at {newest} behind the pause at {revision}"
        assert await scheduler.resume_scheduled_job("fast")


async def test_triggering_twice_gives_two_jobs_and_moves_nothing(
    scheduler: SchedulerService, store: KVStoreService
) -> None:
    await scheduler.schedule_job(Job(func=report), {**HOURLY, "max_runs": 1}, schedule_id="s")
    before = await scheduler.get_schedule("s")
    first, second = await scheduler.trigger_schedule("s"), await scheduler.trigger_schedule("s")
    assert first != second
    after = await scheduler.get_schedule("s")
    assert before is not None
    assert after is not None
    assert after["next_run_at"] == before["next_run_at"]
    assert (after["runs"], after["manual_runs"], after["status"]) == (0, 2, "active")
    assert {job.job_id for job in await queued(store)} == {first, second}


async def test_many_schedules_are_created_together(scheduler: SchedulerService) -> None:
    ids = await scheduler.schedule_many([(Job(func=report, args=[n]), HOURLY, f"s{n}") for n in range(1234)])
    assert ids == [f"s{n}" for n in range(1234)]
    assert len(await scheduler.list_schedules()) == 1234
    with pytest.raises(ScheduleExists):
        await scheduler.schedule_many([(Job(func=report), HOURLY, "s7"), (Job(func=report), HOURLY, "new")])


async def test_every_change_is_an_audit_event(scheduler: SchedulerService, facts: Facts) -> None:
    await scheduler.schedule_job(Job(func=report), HOURLY, schedule_id="s", actor="ann")
    await scheduler.pause_scheduled_job("s", reason="holiday", actor="bob")
    await scheduler.resume_scheduled_job("s", actor="cid")
    await scheduler.cancel_scheduled_job("s", actor="dan")
    changes = [event for event in facts.seen if event.schedule_id == "s"]
    assert [(event.type, event.actor) for event in changes] == [
        ("job_scheduled", "ann"),
        ("schedule_paused", "bob"),
        ("schedule_resumed", "cid"),
        ("schedule_cancelled", "dan"),
    ]
    assert changes[1].reason == "holiday"
    assert changes[1].details["status"] == {"from": "active", "to": "paused"}


async def test_a_client_sees_and_changes_the_same_schedules(
    config: dict[str, Any], scheduler: SchedulerService
) -> None:
    async with ServiceManager(config) as other:
        client = await other.get_service(ScheduleService)
        await client.schedule_job(Job(func=report), HOURLY, schedule_id="theirs")
        assert await client.pause_scheduled_job("theirs")
    entry = await scheduler.get_schedule("theirs")
    assert entry is not None
    assert entry["status"] == "paused"


async def test_rubbish_in_the_bucket_is_quarantined_and_stops_nobody(
    scheduler: SchedulerService, store: KVStoreService, facts: Facts
) -> None:
    await store.put("schedule.rubbish", b"\xff\x00 not a record")
    await store.put("schedule.newer", b'{"v": 99, "schedule_id": "newer", "shape": "unheard of"}')
    bad = b'{"schedule_id":"zero","job":{"func":"m:f"},"trigger":{"type":"interval","every":"PT0S",'
    bad += b'"anchor":"2020-01-01T00:00:00Z"},"created_at":"2020-01-01T00:00:00Z",'
    bad += b'"next_nominal_at":"2020-01-01T00:00:00Z","next_run_at":"2020-01-01T00:00:00Z"}'
    await store.put("schedule.zero", bad)
    await scheduler.schedule_job(Job(func=report), {"type": "interval", "interval": 0.05}, schedule_id="good")
    await facts.until(lambda seen: sum(it.type == "schedule_quarantined" for it in seen) >= 3)
    before = len(facts.fires("good"))
    await facts.until(lambda seen: len(facts.fires("good")) >= before + 3)
    listed = {entry["schedule_id"]: entry for entry in await scheduler.list_schedules()}
    assert listed["rubbish"]["status"] == "quarantined"
    assert "upgrade this instance" in listed["newer"]["reason"]
    assert "zero" in listed
    assert listed["zero"]["status"] == "quarantined"
    assert listed["zero"]["reason"]
    assert (await store.get("schedule.rubbish")) is not None
    assert scheduler.status()["quarantined_schedules"] == 3
    assert await scheduler.delete_schedule("rubbish") is True
    with pytest.raises(SchedulerError, match="'newer' is quarantined"):
        await scheduler.pause_scheduled_job("newer")


@pytest.mark.parametrize(
    ("job", "schedule", "schedule_id", "message"),
    [
        (Job(func=lambda: None), HOURLY, None, "not a lambda"),
        (Job(func="nonsense"), HOURLY, None, "module:qualname"),
        (Job(func=report, args=[object()]), HOURLY, None, "job.args"),
        (Job(func=report, queue="a b"), HOURLY, None, "job.queue"),
        (Job(func=report, args=["x" * 2_000_000]), HOURLY, None, "job.args"),
        (Job(func=report), HOURLY, "no spaces please", "schedule_id = 'no spaces please'"),
        (Job(func=report), {"type": "cron", "cron": "61 * * * *"}, None, "schedule.cron"),
        (Job(func=report), {"type": "cron", "cron": "0 0 30 2 *"}, None, "schedule"),
        (Job(func=report), {"type": "cron", "cron": "* * * * *", "timezone": "Mars/Base"}, None, "Mars/Base"),
        (Job(func=report), {"type": "once", "run_at": "2001-01-01T00:00:00Z"}, None, "schedule.run_at"),
        (Job(func=report), {"type": "interval", "interval": 0}, None, "schedule.interval"),
        (Job(func=report), {"type": "interval", "intervall": 5}, None, "interval"),
        (Job(func=report), {"type": "sometimes"}, None, "schedule.type"),
    ],
)
async def test_bad_input_is_one_clear_error_and_nothing_is_written(
    scheduler: SchedulerService, store: KVStoreService, job: Job, schedule: Any, schedule_id: str | None, message: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        await scheduler.schedule_job(job, schedule, schedule_id=schedule_id)
    assert message in str(caught.value)
    assert all(problem.example or problem.advice for problem in caught.value.problems)
    assert isinstance(caught.value, InvalidJob | InvalidSchedule | InvalidInput)
    assert await store.last_revision("schedule.>") == 0


async def test_a_store_that_cannot_be_asked_is_an_exception(services: ServiceManager) -> None:
    scheduler = await services.get_service(ScheduleService)
    await scheduler._connection.cleanup()
    for question in (
        scheduler.get_schedule("s"),
        scheduler.list_schedules(),
        scheduler.pause_scheduled_job("s"),
        scheduler.cancel_scheduled_job("s"),
        scheduler.delete_schedule("s"),
    ):
        with pytest.raises(SchedulerError, match="could not"):
            await question


async def test_two_schedulers_one_leads_and_the_other_takes_over(config: dict[str, Any]) -> None:
    async with (
        ServiceManager({**config, "instance_id": "one"}) as first,
        ServiceManager({**config, "instance_id": "two"}) as second,
    ):
        one = await first.get_service(SchedulerService)
        two = await second.get_service(SchedulerService)
        assert (one.is_leader, two.is_leader) == (True, False)
        info = two.status()["leader_info"]
        assert info["instance_id"] == "one"
        facts = Facts(await second.get_service(EventService))
        await first.cleanup()
        await facts.until(lambda seen: any(it.type == "scheduler_became_leader" for it in seen))
        assert two.is_leader
        assert not one.is_leader


async def test_a_higher_priority_is_handed_the_leadership(config: dict[str, Any]) -> None:
    async with (
        ServiceManager({**config, "instance_id": "low"}) as first,
        ServiceManager({**config, "instance_id": "high", "priority": 9}) as second,
    ):
        low = await first.get_service(SchedulerService)
        assert low.is_leader
        facts = Facts(await second.get_service(EventService))
        high = await second.get_service(SchedulerService)
        await facts.until(lambda seen: any(it.type == "scheduler_became_leader" for it in seen))
        assert high.is_leader
        assert not low.is_leader
