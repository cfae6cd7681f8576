"""One record that cannot be read, of any kind, leaves every view as it is but for a line about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from naq.config import load_settings
from naq.exceptions import RecordUnreadable
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.observe.alerts.memory import stored_alerts
from naq.observe.diagnosis.listing import ListService
from naq.observe.diagnosis.service import AccountService
from naq.observe.doctor import check_up
from naq.observe.verify.service import VerifyService
from naq.queue.consumers import find_consumer
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.worker.service import WorkerOptions, WorkerService

BAD = {
    "rubbish": b"\xff\x00 no record",
    "newer": b'{"v": 99, "shape": "unheard of"}',
    "other": b'{"v": 1, "job_id": 7, "name": [], "worker_id": null, "queues": "x", "sequence": "x", "rule": 4, "alert": 5}',
    "empty": b"",
}
KEYS = (
    "schedule.bad",
    "job.default.bad",
    "job.default.bad2.2",
    "job.bad",
    "job.a:b.bad",
    "job.default.s/x.3",
    "deferred.bad.1",
    "deferred.bad",
    "dead.bad",
    "dead.a.b",
    "waiting.other.bad",
    "slot.0011223344556677.0",
    "queue.default",
    "queue.a.b",
    "queue.bad",
    "worker.bad",
    "worker.a.b",
    "alert.app.rule.bad",
    "watch.app",
    "watch.app.rule",
    "set.bad",
    "lease.0",
)
RESULTS = ("bad", "s/x", "bad.0", "starts.bad.1", "ended.bad")
PATIENCE = 60

View = Callable[[], Awaitable[object]]


def report() -> None:
    """The function that is to be run."""


async def views(services: ServiceManager, config: dict[str, Any]) -> dict[str, View]:
    jobs = await services.get_service(JobService)
    events = await services.get_service(EventService)
    store = await services.get_service(KVStoreService)
    scheduler = await services.get_service(SchedulerService)
    diagnosis = await services.get_service(AccountService)
    listing = await services.get_service(ListService)
    verify = await services.get_service(VerifyService)

    async def queues() -> object:
        return [await jobs.queue_info(name) for name in await jobs.queues.names()]

    async def doctor() -> object:
        found = await check_up(load_settings(config))
        codes = {each.code for each in found}
        assert {"quarantined", "record-unreadable"} <= codes, codes
        return found

    return {
        "naq workers": jobs.list_workers,
        "naq queue ls": queues,
        "naq queue show": lambda: jobs.queue_info("default"),
        "naq job ls": jobs.list_jobs,
        "naq job ls --queue": lambda: jobs.list_jobs(queue="default"),
        "naq job show": lambda: jobs.get("bad"),
        "naq job show, why": lambda: diagnosis.job("bad"),
        "naq job show of another": lambda: diagnosis.job("s/x"),
        "naq job dead": jobs.list_dead,
        "naq job cancel": lambda: jobs.cancel("s/x"),
        "completion of job ids": jobs.known_ids,
        "naq schedule ls": listing.schedules,
        "list_schedules": scheduler.list_schedules,
        "naq schedule show": lambda: diagnosis.schedule("s"),
        "naq schedule show of the bad one": lambda: diagnosis.schedule("bad"),
        "naq alert ls": lambda: stored_alerts(store),
        "naq doctor": doctor,
        "naq verify": verify.verify,
        "naq leader": listing.leader,
        "naq events": events.get_event_history,
        "naq schedule history": lambda: diagnosis.past("s", 10),
    }


@pytest.mark.parametrize("value", BAD)
async def test_every_view_shows_the_rest(config: dict[str, Any], value: str) -> None:
    async with ServiceManager(config) as services:
        shown = await views(services, config)
        scheduler = await services.get_service(SchedulerService)
        await scheduler.schedule_job(Job(func=report), {"interval": 3600}, schedule_id="s")
        store = await services.get_service(KVStoreService)
        results = (await services.get_service(ResultService)).names
        streams = [store.names.events_subject, store.names.history_subject("s"), store.names.history_subject("bad")]
        for subject in [*map(store.names.subject, KEYS), *map(results.subject, RESULTS), *streams]:
            await store.connection.client.publish(subject, BAD[value])
        await store.connection.client.flush()
        broken: dict[str, str] = {}
        for name, view in shown.items():
            try:
                await view()
            except RecordUnreadable as error:
                broken[name] = f"one record breaks it: {error}"
            except Exception as error:  # noqa: BLE001 - which views break is what the test is about
                broken[name] = repr(error)
        assert not broken, "\n".join(f"{name}: {text}" for name, text in broken.items())


@pytest.mark.parametrize("value", ["rubbish", "newer"])
async def test_an_unreadable_limit_of_one_queue_does_not_stop_the_worker_of_others(
    config: dict[str, Any], value: str
) -> None:
    """Its own queue goes on as well, with the limits that its consumer has."""
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        jobs = await services.get_service(JobService)
        await jobs.set_queue_limits("mail", max_concurrent=3)
        await store.connection.client.publish(store.names.subject("queue.mail"), BAD[value])
        await store.connection.client.flush()
        worker = WorkerService(
            {**config, "queues": ["mail", "default"]},
            store,
            await services.get_service(EventService),
            await services.get_service(ResultService),
            await services.get_service(HistoryService),
            WorkerOptions(registry=Registry(["tests.observe.test_unreadable_records:*"])),
        )
        await worker.start()
        try:
            for queue in ("default", "mail"):
                assert await jobs.result(await jobs.enqueue(Job(func=report, queue=queue)), timeout=PATIENCE) is None
            await store.connection.client.publish(store.names.subject("queue.default"), BAD[value])
            for queue in ("default", "mail"):
                assert await jobs.result(await jobs.enqueue(Job(func=report, queue=queue)), timeout=PATIENCE) is None
            consumer = await find_consumer(store.connection, store.names, "mail")
            assert consumer is not None
            assert consumer["config"]["max_ack_pending"] == 3, "limits that cannot be read are not taken for none"
        finally:
            await worker.cleanup()
