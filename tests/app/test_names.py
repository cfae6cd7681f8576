"""Names that survive a rename or a move of a function, and the queue of an application."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from naq import Job, Naq, every
from naq.exceptions import InvalidJob
from naq.lifecycle import ServiceManager

HANG = 30.0


async def send(number: int) -> str:
    return f"sent {number}"


def compute(number: int) -> int:
    return number * 2


async def other() -> None:
    """Another function."""


@asynccontextmanager
async def running(app: Naq) -> AsyncIterator[None]:
    """The application runs a scheduler and a worker."""
    stop, ready = asyncio.Event(), asyncio.Event()

    def is_ready(services: ServiceManager) -> None:
        ready.set()

    task = asyncio.create_task(app.run(stop=stop, ready=is_ready))
    await asyncio.wait({task, asyncio.create_task(ready.wait())}, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield
    finally:
        stop.set()
        await task


async def test_what_was_stored_under_a_former_name_runs_after_a_rename(config: dict[str, Any]) -> None:
    before, app = Naq(**config), Naq(**config)
    app.job(name="billing:send", aliases=["old_module:send_mail"])(send)
    hourly = every("1h")
    async with before, app:
        names = ["old_module:send_mail", "billing:send", f"{__name__}:send"]
        ids: list[str] = [await before.enqueue(name, number) for number, name in enumerate(names)]
        ids.append(await before.enqueue_in(0.2, "old_module:send_mail", 3))
        await before.schedule_job(Job(func="old_module:send_mail", args=[4]), hourly, id="nightly")
        async with running(app):
            ids.append(await app.trigger_schedule("nightly") or "")
            assert [await app.result(job_id, timeout=HANG) for job_id in ids] == [
                f"sent {number}" for number in range(5)
            ]


async def test_jobs_and_schedules_are_stored_under_the_stable_name(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.schedule(every("1h"), id="nightly", args=[1])(send)
    app.job(name="billing:send", retries=2)(send)
    assert [each.job.func for each in app.definitions()] == ["billing:send"]
    async with app:
        info = await app.get_job(await app.enqueue(send, 1))
    assert info is not None
    assert (info.func, info.retries) == ("billing:send", 2)


async def test_a_function_with_a_name_runs_in_a_process(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(name="billing:compute", executor="process")(compute)
    async with app, running(app):
        assert await app.result(await app.enqueue(compute, 21), timeout=HANG) == 42


def test_a_name_that_another_function_has_is_refused(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(name="billing:send", aliases=["old:send"])(send)
    for taken in ({"name": "billing:send"}, {"aliases": ["old:send"]}, {"name": f"{__name__}:send"}):
        with pytest.raises(InvalidJob, match="another function of this application has this name"):
            app.job(**taken)(other)
    with pytest.raises(InvalidJob, match="name = 'send'"):
        app.job(name="send")(other)


async def test_applications_with_names_do_not_share_a_queue(config: dict[str, Any]) -> None:
    billing, reports = Naq(name="billing", **config), Naq(name="team.reports", **config)
    billing.job(send)
    reports.job(queue="mail")(other)
    reports.job(compute)
    assert (billing.settings.queues, reports.settings.queues) == (("billing", "default"), ("team-reports", "default"))
    async with billing, reports:
        infos = [
            await billing.get_job(await billing.enqueue(send, 1)),
            await reports.get_job(await reports.enqueue(compute, 1)),
            await reports.get_job(await reports.enqueue(other)),
        ]
    assert [info.queue for info in infos if info is not None] == ["billing", "team-reports", "mail"]


async def test_jobs_that_were_queued_before_the_application_had_a_name_are_run(config: dict[str, Any]) -> None:
    before, after = Naq(**config), Naq(name="billing", **config)
    before.job(send)
    after.job(send)
    async with before, after:
        job_id = await before.enqueue(send, 1)
        async with running(after):
            assert await after.result(job_id, timeout=HANG) == "sent 1"


def test_queues_that_were_given_are_served_and_no_others(config: dict[str, Any]) -> None:
    assert Naq(name="billing", **config, queues="mail").settings.queues == ("mail",)
    app = Naq(name="billing", **config)
    app.configure({"queues": ["mail"]})
    assert app.settings.queues == ("mail",)


async def test_two_applications_without_a_name_are_told_that_they_share_a_queue(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "naq.app")
    one, two = Naq(**config, instance_id="one"), Naq(**config, instance_id="two")
    one.job(send)
    two.job(compute)
    async with one, two, running(one), running(two):
        ids: list[str] = [await one.enqueue(send, number) for number in range(4)]
        ids += [await two.enqueue(compute, number) for number in range(4)]
        results = [await one.result(job_id, timeout=HANG) for job_id in ids]
        assert results == ["sent 0", "sent 1", "sent 2", "sent 3", 0, 2, 4, 6]
        assert await one.list_dead() == []
    lines = [record.getMessage() for record in caplog.records if "another application" in record.getMessage()]
    assert len(lines) == 1
    assert lines[0].startswith("queue default is also served by worker one of another application")
