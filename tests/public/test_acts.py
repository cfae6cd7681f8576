"""One name for one act: on the client, the application, its synchronous client, the services and the command line."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from naq import Client, Naq
from naq.app.sync import SyncClient
from naq.cli.lazy import LazyCommand
from naq.cli.root import command
from naq.services import AccountService, EventService, JobService, ScheduleService, VerifyService

S, J, E, A, V = ScheduleService, JobService, EventService, AccountService, VerifyService

ACTS: dict[str, tuple[Any, str, str]] = {
    "schedule_job": (S, "schedule_job", "schedule add"),
    "schedule_many": (S, "schedule_many", "sync"),
    "list_schedules": (S, "list_schedules", "schedule ls"),
    "get_schedule": (S, "get_schedule", "schedule show"),
    "update_schedule": (S, "update_schedule", "schedule update"),
    "pause_schedule": (S, "pause_scheduled_job", "schedule pause"),
    "resume_schedule": (S, "resume_scheduled_job", "schedule resume"),
    "cancel_schedule": (S, "cancel_scheduled_job", "schedule cancel"),
    "delete_schedule": (S, "delete_schedule", "schedule delete"),
    "skip_schedule": (S, "skip_next", "schedule skip"),
    "trigger_schedule": (S, "trigger_schedule", "schedule trigger"),
    "backfill_schedule": (S, "backfill_schedule", "schedule backfill"),
    "stop_backfill": (S, "stop_backfill", "schedule backfill"),
    "rename_set": (S, "rename_set", "schedule rename-set"),
    "preview_schedule": (S, "next_times", "schedule preview"),
    "schedule_history": (A, "past", "schedule history"),
    "enqueue": (J, "enqueue", "job add"),
    "enqueue_at": (J, "enqueue", "job add"),
    "enqueue_in": (J, "enqueue", "job add"),
    "enqueue_job": (J, "enqueue", "job add"),
    "enqueue_many": (J, "enqueue_many", "job add"),
    "result": (J, "result", "job show"),
    "get_job": (J, "get", "job show"),
    "list_jobs": (J, "list_jobs", "job ls"),
    "cancel_job": (J, "cancel", "job cancel"),
    "list_dead": (J, "list_dead", "job dead"),
    "requeue_job": (J, "requeue", "job requeue"),
    "requeue_jobs": (J, "requeue_all", "job requeue"),
    "purge_dead": (J, "purge_dead", "job purge"),
    "list_workers": (J, "list_workers", "workers"),
    "queue_info": (J, "queue_info", "queue show"),
    "set_queue_limits": (J, "set_queue_limits", "queue limit"),
    "purge_queue": (J, "purge_queue", "queue purge"),
    "list_events": (E, "get_event_history", "events"),
    "stream_events": (E, "stream_events", "events"),
    "list_alerts": (None, "", "alert ls"),
    "verify": (V, "verify", "verify"),
}
"""Each act of a client, with the service's method and the command. The service's names are those of the service API."""


def commands() -> set[str]:
    def below(group: Any, path: str) -> set[str]:
        found: set[str] = set()
        for name, each in group.commands.items():
            found |= {f"{path}{name}"} if isinstance(each, LazyCommand) else below(each, f"{path}{name} ")
        return found

    return below(command(), "")


def acts_of(kind: type) -> set[str]:
    """Its public methods, besides closing it and declaring functions."""
    declaring = {
        "alert",
        "configure",
        "definitions",
        "job",
        "on_alert",
        "on_worker_start",
        "on_worker_stop",
        "origin",
        "run",
        "schedule",
        "set_name",
        "sink",
    }
    found = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    return found - {"close"} - (declaring if kind is Naq else set()) - {"store_declared"}


@pytest.mark.parametrize("kind", [Client, SyncClient, Naq])
def test_each_face_has_each_act_and_no_other(kind: type) -> None:
    assert acts_of(kind) == ACTS.keys()


@pytest.mark.parametrize("act", ACTS)
def test_the_synchronous_act_takes_what_the_asynchronous_one_takes(act: str) -> None:
    asynchronous, synchronous = inspect.signature(getattr(Client, act)), inspect.signature(getattr(SyncClient, act))
    assert asynchronous.parameters == synchronous.parameters


def test_each_act_is_there_in_a_service_and_on_the_command_line() -> None:
    there = commands()
    for act, (service, method, words) in ACTS.items():
        assert words in there, act
        assert service is None or callable(getattr(service, method)), act


def plain() -> int:
    return 3


async def test_each_act_works(config: dict[str, Any]) -> None:
    """Called once each on one client; the answers are those of a schedule and a job that are there."""
    async with Naq(**config) as app:
        job = app._declarations.call(plain, (), {})
        assert await app.schedule_job(plain, "every 1h", id="a") == "a"
        assert await app.schedule_many([(job, "* * * * *", "b")]) == ["b"]
        assert {each["schedule_id"] for each in await app.list_schedules("active")} == {"a", "b"}
        assert await app.update_schedule("a", note="x") is True
        assert ((await app.get_schedule("a")) or {})["note"] == "x"
        assert await app.pause_schedule("a") is True
        assert await app.resume_schedule("a") is True
        assert await app.skip_schedule("a", 2) is True
        assert len(await app.preview_schedule("a", 3) or ()) == 3
        assert await app.trigger_schedule("a") is not None
        backfill = await app.backfill_schedule("b", "2026-01-01", "2026-01-02")
        assert await app.stop_backfill("b", backfill or "") is True
        assert await app.schedule_history("nothing") == ()
        assert await app.rename_set("nothing", "something") == 0
        assert await app.cancel_schedule("a") is True
        assert await app.delete_schedule("a") is True
        ids = [
            await app.enqueue(plain),
            await app.enqueue_in("1h", plain),
            await app.enqueue_at("2035-01-01T00:00Z", plain),
        ]
        ids += [await app.enqueue_job(job), *await app.enqueue_many([job])]
        assert {each.job_id for each in await app.list_jobs()} >= set(ids)
        assert (await app.get_job(ids[0])) is not None
        assert await app.cancel_job(ids[0]) is True
        assert (await app.list_dead(), await app.requeue_job("x"), await app.requeue_jobs()) == ([], False, 0)
        assert (await app.purge_dead("30d"), await app.list_workers(), await app.list_alerts()) == (0, [], [])
        await app.set_queue_limits("mail", rate=2)
        assert (await app.queue_info("mail")).limits.rate == 2
        assert await app.purge_queue("default") >= 2
        assert (await app.list_events(types=["job_enqueued"]))[0].func == f"{__name__}:plain"
        async for event in app.stream_events(since="1h"):
            assert event.timestamp
            break
        assert (await app.verify(since="1h")).clean is not None


def test_the_same_from_synchronous_code(config: dict[str, Any]) -> None:
    with Naq(**config).sync as naq:
        job_id = naq.enqueue(plain)
        assert naq.cancel_job(job_id) is True
        assert next(iter(naq.stream_events(since="1h"))).type == "job_enqueued"
        assert [each.job_id for each in naq.list_jobs(status="cancelled")] == [job_id]
        assert (naq.list_dead(), naq.requeue_job(job_id), naq.list_workers()) == ([], False, [])
