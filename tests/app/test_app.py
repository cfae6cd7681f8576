"""The application face: declarations, their options, what is stored of them, and the way from synchronous code."""

from __future__ import annotations

import asyncio
import sys
import types
from typing import Any

import pytest

from naq import Job, Naq, cron, every
from naq.exceptions import ConfigError, InvalidInput, InvalidJob, InvalidSchedule, SetConflict
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
        info = await app.get_job(job_id)
    assert info is not None
    assert (info.queue, info.retries, str(info.status)) == ("mail", 3, "queued")


def test_bad_declarations_are_refused_at_once(config: dict[str, Any]) -> None:
    app = Naq(**config)
    with pytest.raises(InvalidJob, match="not a lambda"):
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
        assert after.keys() == {"stays", "goes", "by-hand"}, "nothing is removed unless that is asked for"
        assert after["stays"]["schedule"]["interval"] == 7200
        assert after["stays"]["created_at"] == before["stays"]["created_at"]
        assert after["by-hand"]["declared_in"] is None
        assert {change.schedule_id: str(change.kind) for change in changes} == {
            "stays": "update",
            "goes": "keep",
            "by-hand": "refuse",
        }
    await first.close()


def application(monkeypatch: pytest.MonkeyPatch, module: str, *ids: str, name: str | None = None, **config: Any) -> Naq:
    """The application ``module:app``, which declares these schedules."""
    made = types.ModuleType(module)
    monkeypatch.setitem(sys.modules, module, made)
    vars(made).update(Naq=Naq, every=every, config=config, set_name=name, ids=ids)
    code = (
        "app = Naq(name=set_name, **config)\n"
        "def greet() -> None: ...\n"
        "app.job(greet)\n"
        "for each in ids: app.schedule(every('1h'), id=each)(greet)\n"
    )
    exec(code, vars(made))
    found = vars(made)["app"]
    assert isinstance(found, Naq)
    return found


async def test_the_last_declared_schedule_is_named_when_nothing_is_declared_any_more(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with ServiceManager(config) as services:
        scheduler = await services.get_service(SchedulerService)
        await application(monkeypatch, "shop.tasks", "nightly", **config).store_declared(scheduler)
        emptied = application(monkeypatch, "shop.tasks", **config)
        await emptied.store_declared(scheduler)
        assert "does not declare these schedules any more, and they go on: nightly" in caplog.text
        await scheduler.sync(emptied.definitions(), emptied.set_name() or "", prune=True)
        assert await scheduler.list_schedules() == []
        await application(monkeypatch, "shop.tasks", "nightly", **config).store_declared(scheduler)
        assert await scheduler.list_schedules() == [], "the release from before is no longer the newest"


async def test_two_applications_that_share_a_set_are_named_at_the_start(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = application(monkeypatch, "billing.tasks", "invoices", name="tasks", **config)
    second = application(monkeypatch, "shop.tasks", "orders", name="tasks", **config)
    async with ServiceManager(config) as services:
        scheduler = await services.get_service(SchedulerService)
        await first.store_declared(scheduler)
        with pytest.raises(SetConflict, match=r"declared by billing\.tasks:app and by shop\.tasks:app"):
            await second.store_declared(scheduler)
        assert [each["schedule_id"] for each in await scheduler.list_schedules()] == ["invoices"]
        await first.store_declared(scheduler)


async def test_the_number_of_a_release_decides_which_one_is_older(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ServiceManager(config) as services:
        scheduler = await services.get_service(SchedulerService)
        await application(monkeypatch, "shop.tasks", "a", "b", release=8, **config).store_declared(scheduler)
        await application(monkeypatch, "shop.tasks", "a", "c", release=7, **config).store_declared(scheduler)
        assert {each["schedule_id"] for each in await scheduler.list_schedules()} == {"a", "b"}
        monkeypatch.setenv("NAQ_RELEASE", "9")
        await application(monkeypatch, "shop.tasks", "a", "c", **config).store_declared(scheduler)
        assert {each["schedule_id"] for each in await scheduler.list_schedules()} == {"a", "b", "c"}


def test_an_application_knows_where_it_is_defined(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Ours(Naq):
        def __init__(self, **config: Any) -> None:
            super().__init__(**config)

    found = application(monkeypatch, "shop.tasks", "a", **config)
    assert (found.origin(), found.set_name()) == ("shop.tasks:app", "shop.tasks")
    assert Naq(**config).origin() is None, "it is no variable of this module"
    ours = Ours(**config)
    monkeypatch.setattr(sys.modules[__name__], "ours", ours, raising=False)
    assert ours.origin() == f"{__name__}:ours"
    with pytest.raises(ConfigError, match="release"):
        Naq(release=-1, **config)


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
        job_id = await app.trigger_schedule("us")
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
        assert naq.pause_schedule("hourly") is True
        entry = naq.get_schedule("hourly")
        assert entry is not None
        assert entry["status"] == "paused"
        assert naq.delete_schedule("hourly") is True
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
        assert await app.list_schedules() == []


async def test_a_job_that_is_too_large_names_its_field(config: dict[str, Any]) -> None:
    app = Naq(**config)
    async with app:
        with pytest.raises(InvalidJob, match=r"job\.args .*larger than the server accepts"):
            await app.enqueue(send, "x" * 2_000_000)


def names(at: str, func: str, delay: str = "") -> str:
    """Its parameters are called as those of `enqueue_at` and `enqueue_in`."""
    return f"{at} {func} {delay}"


async def test_parameters_of_a_function_may_have_any_name(config: dict[str, Any]) -> None:
    async with Naq(**config) as app:
        await app.enqueue(names, at="a", func="b")
        await app.enqueue_at("2030-01-01T09:00Z", names, at="a", func="b", delay="c")
        await app.enqueue_in("5m", names, at="a", func="b", delay="c")
        assert len(await app.list_jobs()) == 3


async def test_a_job_with_an_id_keeps_what_its_function_was_declared_with(config: dict[str, Any]) -> None:
    app = Naq(**config)
    app.job(queue="mail", retries=3)(send)
    async with app:
        job_id = await app.enqueue_job(Job(func=send, args=["eu"], job_id="report-1", retries=5))
        info = await app.get_job(job_id)
        await app.schedule_job(Job(func=send, args=["eu"]), every("1h"), id="hourly")
        entry = await app.get_schedule("hourly")
    assert info is not None
    assert (info.job_id, info.queue, info.retries) == ("report-1", "mail", 5)
    assert entry is not None
    assert (entry["job"]["queue"], entry["job"]["retries"]) == ("mail", 3)


def test_arguments_that_do_not_fit_are_refused_where_a_schedule_is_declared(config: dict[str, Any]) -> None:
    app = Naq(**config)
    with pytest.raises(InvalidJob, match="missing a required argument: 'region'"):
        app.schedule(every("1h"))(send)
    app.schedule(every("1h"), args=["eu"])(send)


async def test_a_backfill_can_be_stopped(config: dict[str, Any]) -> None:
    async with Naq(**config) as app:
        await app.schedule_job(plain, cron("* * * * *"), id="minutely")
        backfill_id = await app.backfill_schedule("minutely", "2026-01-01", "2026-01-02")
        assert backfill_id is not None
        assert await app.stop_backfill("minutely", backfill_id) is True
        assert await app.stop_backfill("minutely", backfill_id) is False
        assert await app.stop_backfill("nothing", backfill_id) is False


async def test_events_of_a_type_that_does_not_exist_are_refused(config: dict[str, Any]) -> None:
    async with Naq(**config) as app:
        with pytest.raises(InvalidInput, match="did you mean 'job_failed'"):
            await app.list_events(types=["job_faild"])
        await app.enqueue(plain)
        (event,) = await app.list_events(types=["job_enqueued"], since="1h")
    assert event.func == f"{__name__}:plain"
