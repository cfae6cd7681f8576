"""The application face: declarations, their options, what is stored of them, and the way from synchronous code."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq import Naq, cron, every
from naq.exceptions import InvalidInput, InvalidJob, InvalidSchedule
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService


async def send(region: str) -> str:
    return f"sent {region}"


def plain() -> int:
    return 3


async def test_declared_options_reach_the_queue(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(queue="mail", retries=3)(send)
    async with app:
        job_id = await app.enqueue(send, "eu")
        info = await (await app.jobs()).get(job_id)
    assert info is not None
    assert (info.queue, info.retries, str(info.status)) == ("mail", 3, "queued")


def test_bad_declarations_are_refused_at_once(config: dict[str, Any]) -> None:
    app = Naq(**config)
    with pytest.raises(InvalidJob, match="is a lambda"):
        app.job(lambda: None)
    with pytest.raises(InvalidJob, match=r"job\.retries"):
        app.job(retries=-1)(send)
    with pytest.raises(InvalidSchedule, match="cron"):
        app.schedule(cron("61 * * * *"))
    app.schedule(every("1s"))(plain)
    with pytest.raises(InvalidSchedule, match="is declared twice"):
        app.schedule(every("2s"))(plain)
    with pytest.raises(InvalidInput, match="id"):
        app.schedule(every("2s"), id="not an id")(plain)


async def test_declared_schedules_are_a_set(config: dict[str, Any]) -> None:
    first = Naq(name="billing", **config)
    first.schedule(every("1h"), id="stays")(plain)
    first.schedule(every("1h"), id="goes")(plain)
    second = Naq(name="billing", **config)
    second.schedule(every("2h"), id="stays")(plain)
    second.schedule(every("1h"), id="by-hand")(plain)
    async with ServiceManager(config) as services:
        scheduler = await services.get_service(SchedulerService)
        await first.schedule_job(plain, every("1h"), id="by-hand")
        await first.store_declared(scheduler)
        before = {entry["schedule_id"]: entry for entry in await scheduler.list_schedules()}
        assert before.keys() == {"stays", "goes", "by-hand"}
        changes = await second.store_declared(scheduler)
        after = {entry["schedule_id"]: entry for entry in await scheduler.list_schedules()}
        assert after.keys() == {"stays", "by-hand"}
        assert after["stays"]["schedule"]["interval"] == 7200
        assert after["stays"]["created_at"] == before["stays"]["created_at"]
        assert after["by-hand"]["declared_in"] is None
        assert {change.schedule_id: str(change.kind) for change in changes} == {
            "stays": "update",
            "goes": "remove",
            "by-hand": "refuse",
        }
    await first.close()


async def test_running_scheduler_and_worker_together(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(send)
    app.job(plain)
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.create_task(app.run(stop=stop, ready=ready.set_result))
    async with asyncio.timeout(30):
        await ready
        assert await app.result(await app.enqueue(send, "eu"), timeout=20) == "sent eu"
        assert await app.result(await app.enqueue(plain), timeout=20) == 3
        assert await app.result(await app.enqueue_in("50ms", send, "later"), timeout=20) == "sent later"
        await app.schedule_job(send, every("50ms", max_runs=2), args=["us"], id="us")
        job_id = await app.trigger("us")
        assert job_id is not None
        assert await app.result(job_id, timeout=20) == "sent us"
        stop.set()
        await running
    await app.close()


def test_from_synchronous_code(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(queue="mail")(send)
    with app.sync as naq:
        job_id = naq.enqueue(send, "eu")
        assert naq.schedule_job(send, every("1h"), args=["eu"], id="hourly") == "hourly"
        assert naq.pause("hourly") is True
        assert naq.get_schedule("hourly")["status"] == "paused"
        assert naq.delete("hourly") is True
        assert naq.get_schedule("nobody") is None

    async def look() -> str | None:
        async with ServiceManager(config) as services:
            info = await (await services.get_service(JobService)).get(job_id)
            return None if info is None else info.queue

    assert asyncio.run(look()) == "mail"


async def test_the_synchronous_face_refuses_async_code(config: dict[str, Any]) -> None:
    app = Naq(**config)
    with pytest.raises(RuntimeError, match="await the app's own methods"):
        app.sync.enqueue(send, "eu")
    app.sync.close()


async def test_configuring_later_wins_over_the_first_configuration(config: dict[str, Any]) -> None:
    app = Naq(**{**config, "namespace": "first"})
    app.configure({"namespace": config["namespace"], "concurrency": 3})
    assert (app.settings.namespace, app.settings.concurrency) == (config["namespace"], 3)
    async with app:
        assert await app.schedules() == []


async def test_a_job_that_is_too_large_names_its_field(config: dict[str, Any]) -> None:
    app = Naq(**config)
    async with app:
        with pytest.raises(InvalidJob, match=r"job\.args .*larger than the server accepts"):
            await app.enqueue(send, "x" * 2_000_000)
