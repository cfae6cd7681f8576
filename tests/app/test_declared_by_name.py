"""Functions that are enqueued by name, in a process that does not have their module: what was declared of them holds too."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq import Naq, every
from naq.exceptions import InvalidJob
from naq.jobs.form import job_form
from naq.jobs.job import Job, QueuedJob
from naq.jobs.published import publish
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.schedules.service import ScheduleService
from naq.store.codec import decode
from naq.store.keys import function_key
from naq.store.nats.bucket import KVStoreService
from tests.worker import functions

GREET = "tests.worker.functions:greet"


async def has_run(app: Naq) -> None:
    """Start the application as `naq run` does, and stop it when all is there."""
    stop = asyncio.Event()
    async with asyncio.timeout(60):
        await app.run(stop=stop, ready=lambda services: stop.set())


async def stored(services: ServiceManager, job_id: str) -> dict[str, Any]:
    kv = await services.get_service(KVStoreService)
    (entry,) = (await kv.get_many([f"job.*.{job_id}"])).values()
    return job_form(decode(QueuedJob, entry.key, entry.value or b"").spec)


async def test_a_job_by_name_has_the_queue_and_the_retries_that_were_declared(
    config: dict[str, Any], services: ServiceManager
) -> None:
    app = Naq(**config)
    app.job(queue="mail", retries=3, backoff="30s", retry_on=[OSError], timeout="5m")(functions.greet)
    await has_run(app)
    options = {"queue": "mail", "retries": 3, "timeout": 300.0, "retry_on": ["OSError"]}
    async with Naq(**config) as client:
        by_client = await client.enqueue(GREET, "Ada")
        chosen = await client.enqueue_job(Job(func=GREET, args=["Ada"], queue="post"))
    by_service = await (await services.get_service(JobService)).enqueue(GREET, "Ada")
    for job_id in (by_client, by_service):
        form = await stored(services, job_id)
        assert {name: form[name] for name in options} == options
        assert form["backoff"]["delay"] == 30
    assert ((await stored(services, chosen))["queue"], (await stored(services, chosen))["retries"]) == ("post", 3)


async def test_a_schedule_by_name_has_them_too(config: dict[str, Any], services: ServiceManager) -> None:
    app = Naq(**config)
    app.job(queue="mail", retries=3)(functions.greet)
    await has_run(app)
    schedules = await services.get_service(ScheduleService)
    await schedules.schedule_job(GREET, every("1h"), schedule_id="one")
    await schedules.schedule_many([(Job(func=GREET), every("1h"), "two")])
    for schedule_id in ("one", "two"):
        entry = await schedules.get_schedule(schedule_id)
        assert entry is not None
        assert (entry["job"]["queue"], entry["job"]["retries"]) == ("mail", 3)


async def test_an_option_that_is_no_longer_declared_no_longer_holds(
    config: dict[str, Any], services: ServiceManager
) -> None:
    kv = await services.get_service(KVStoreService)
    await publish(kv, {GREET: (functions.greet, {"queue": "mail"})})
    await publish(kv, {GREET: (functions.greet, {})})
    assert (await stored(services, await (await services.get_service(JobService)).enqueue(GREET, "Ada")))[
        "queue"
    ] == "default"


async def test_what_a_newer_naq_wrote_is_left_alone(services: ServiceManager) -> None:
    kv = await services.get_service(KVStoreService)
    await kv.put(function_key(GREET), {"v": 99, "func": GREET})
    await publish(kv, {GREET: (functions.greet, {"queue": "mail"})})
    assert (await kv.get_json(function_key(GREET)))["v"] == 99
    assert (await stored(services, await (await services.get_service(JobService)).enqueue(GREET, "Ada")))[
        "queue"
    ] == "default"


async def test_a_unique_job_by_name_is_the_one_that_was_enqueued_with_the_function(
    config: dict[str, Any], services: ServiceManager
) -> None:
    app = Naq(**config)
    app.job(unique_for="1h", unique_key="{b}-{{x}}")(functions.add)
    app.job(unique_for="1h")(functions.greet)
    async with app:
        first, second = await app.enqueue(functions.add, 1), await app.enqueue(functions.greet, "Ada")
        assert await app.enqueue(GREET, name="Ada") == second, "by name, where it is known"
    await has_run(app)
    async with Naq(**config) as client:
        assert await client.enqueue("tests.worker.functions:add", a=2, b=0) == first
        assert await client.enqueue(GREET, name="Ada") == second


async def test_a_key_that_only_the_module_can_make_is_refused_by_name(
    config: dict[str, Any], services: ServiceManager
) -> None:
    kv = await services.get_service(KVStoreService)
    await publish(kv, {GREET: (functions.greet, {"unique_for": 0, "unique_key": lambda name: name})})
    jobs = await services.get_service(JobService)
    with pytest.raises(InvalidJob, match="was declared with a function as unique_key"):
        await jobs.enqueue(GREET, "Ada")
    assert await jobs.list_jobs() == []
    assert await jobs.enqueue(Job(func=GREET, args=["Ada"], unique_key="hello"))
