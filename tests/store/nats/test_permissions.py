"""What each role may do on a server that holds it to `naq permissions`, and what it is refused."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from naq import Client, Event, FailedTimes, Job, JobFailed, Naq, every
from naq.cli import run as naq_command
from naq.cli.permissions import as_server
from naq.clock import SystemClock
from naq.config import load_settings
from naq.exceptions import StoreError, StoreForbidden
from naq.lifecycle import ServiceManager
from naq.scheduler.leader import find_leader
from naq.store.keys import Namespace
from naq.store.nats import denials
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.permissions import Permissions, Role, permissions
from naq.testing.server import NatsServer, until

NAMES = Namespace("naq")
PATIENCE = 60.0
VIOLATION = re.compile(r"(Publish|Subscription) Violation.*")


def users(**others: Permissions) -> str:
    """Users named after their roles, each with an inbox of its own, and ``admin``, who may do everything."""
    found = {str(role): permissions([role], NAMES, inbox=f"_INBOX_{role}") for role in Role} | others
    lines = [f"{{ user: {name}, password: pw, {as_server(each)} }}" for name, each in found.items()]
    return "authorization { users: [ { user: admin, password: pw }\n" + "\n".join(lines) + "] }"


def login(server: NatsServer, user: str, **more: Any) -> dict[str, Any]:
    inbox = "_INBOX" if user == "admin" else f"_INBOX_{user}"
    return {"nats_url": server.url, "nats_user": user, "nats_password": "pw", "inbox_prefix": inbox, **more}


@asynccontextmanager
async def connected(server: NatsServer, user: str, **more: Any) -> AsyncIterator[ConnectionService]:
    async with ConnectionService(login(server, user, **more)) as connection:
        yield connection


async def eventually(question: Callable[[], Awaitable[bool]], what: str) -> None:
    await until(question, lambda: f"{what} did not happen")


@asynccontextmanager
async def running(app: Naq, *, scheduler: bool) -> AsyncIterator[None]:
    """The application as a scheduler or as a worker, started."""
    stop, ready = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        app.run(scheduler=scheduler, worker=not scheduler, stop=stop, ready=lambda services: ready.set())
    )
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait((task, asyncio.create_task(ready.wait())), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield
    finally:
        stop.set()
        await task


async def greet(name: str = "world") -> str:
    return f"hello {name}"


async def fail() -> None:
    raise RuntimeError("no stock")


async def again() -> None:
    raise RuntimeError("not yet")


async def patient() -> None:
    await asyncio.sleep(PATIENCE)


def shop(server: NatsServer, user: str) -> Naq:
    """An application that uses everything that a role may have to do something for."""
    app = Naq(**login(server, user), name="shop")
    app.job(max_concurrent=1)(greet)
    app.job(fail)
    app.job(retries=1, backoff="0.1s")(again)
    app.job(patient)
    app.schedule(every("1h"), id="declared")(greet)
    app.alert(FailedTimes(1), lambda alert: None)
    return app


def violations(server: NatsServer) -> list[str]:
    return [found[0] for found in VIOLATION.finditer(server.log_file.read_text())]


async def change_everything(client: Naq) -> None:
    """What a client may do: schedules, jobs, limits."""
    assert await client.result(await client.enqueue(greet, "Ada"), timeout=PATIENCE) == "hello Ada"
    first = await client.enqueue_in("0.2s", greet)
    last = await client.enqueue_job(Job(func=greet, depends_on=[first], unique_for="1h"))
    assert await client.result(last, timeout=PATIENCE) == "hello world"
    for broken in (fail, again):
        failed = await client.enqueue(broken)
        with pytest.raises(JobFailed):
            await client.result(failed, timeout=PATIENCE)
        assert await client.requeue_job(failed)
    await change_jobs(client)
    await change_schedules(client)


async def change_jobs(client: Naq) -> None:
    running = await client.enqueue(patient)
    await eventually(lambda: has_status(client, running, "running"), "the job's start")
    assert await client.cancel_job(running)
    await eventually(lambda: has_status(client, running, "cancelled"), "the job's end")
    await client.set_queue_limits("default", paused=True)
    waiting = await client.enqueue(greet)
    assert await client.cancel_job(waiting)
    await client.enqueue(greet)
    await client.purge_queue("default")
    await client.set_queue_limits("default", paused=False, rate=1000.0)
    await client.purge_dead(older_than="0s")


async def change_schedules(client: Naq) -> None:
    await client.schedule_job(greet, every("1s"), id="often")
    await eventually(lambda: has_run(client, "often"), "a run")
    assert await client.pause_schedule("often", reason="lunch")
    assert await client.resume_schedule("often")
    assert await client.update_schedule("often", interval="2s")
    fired = await client.trigger_schedule("often")
    assert fired is not None
    await client.result(fired, timeout=PATIENCE)
    assert await client.delete_schedule("often")


async def has_status(client: Client, job_id: str, status: str) -> bool:
    job = await client.get_job(job_id)
    return job is not None and job.status == status


async def has_run(client: Client, schedule_id: str) -> bool:
    return bool(await client.list_jobs(status="completed", schedule_id=schedule_id))


READING = (
    "schedule ls",
    "schedule show declared",
    "schedule preview declared",
    "schedule history declared",
    "job ls",
    "job show {job}",
    "job dead",
    "queue show default",
    "workers",
    "leader",
    "events --no-follow --since 1h",
    "alert ls --all",
    "lint",
    "verify",
    "doctor --json",
)
"""Commands that only read."""


def read_everything(server: NatsServer, job: str, complaints: list[str]) -> None:
    """What a viewer may do, by the command line, in a thread of its own."""
    options = ["--nats-url", f"nats://viewer:pw@127.0.0.1:{server.port}"]
    for line in READING:
        code = naq_command([*options, *line.format(job=job).split()])
        if code != 0:
            complaints.append(f"naq {line}: exit code {code}")


@pytest.mark.slow
async def test_each_role_does_its_work_and_is_refused_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAQ_INBOX_PREFIX", "_INBOX_viewer")
    complaints: list[str] = []
    async with NatsServer(tmp_path, config=users()) as server:
        async with (
            running(shop(server, "scheduler"), scheduler=True),
            running(shop(server, "worker"), scheduler=False),
            shop(server, "client") as client,
        ):
            await change_everything(client)
            job = await client.enqueue(patient)
            await eventually(lambda: has_status(client, job, "running"), "the job's start")
            assert violations(server) == []
            await asyncio.to_thread(read_everything, server, job, complaints)
            await follow_events(server, client)
            assert await client.cancel_job(job)
        asked = [line for line in violations(server) if "naq.leader." not in line and "naq.control." not in line]
    assert (complaints, asked) == ([], [])
    assert [record.message for record in caplog.records if "forbids" in record.message and record.levelno > 20] == []


async def follow_events(server: NatsServer, client: Client) -> None:
    """A viewer hears of an event that a client caused."""
    async with Client(load_settings(login(server, "viewer"))) as viewer:
        heard: asyncio.Future[Event] = asyncio.ensure_future(anext(viewer.stream_events(types=["job_scheduled"])))
        while not heard.done():
            await client.schedule_job("reports:send", every("1h"))
            await asyncio.wait((heard,), timeout=1.0)
        assert heard.result().type == "job_scheduled"


JS = "$JS.API"
REFUSED = (
    ("viewer", "$KV.naq.schedule.x", "changing a schedule"),
    ("viewer", "$KV.naq.job.default.x", "enqueueing a job"),
    ("viewer", "naq.events", "sending an event"),
    ("viewer", "naq.history.x", "writing history"),
    ("viewer", "naq.control.one.w", "stopping a job"),
    ("viewer", "naq.leader.0.term", "asking for the leadership"),
    ("viewer", f"{JS}.CONSUMER.CREATE.KV_naq.x", "having the server publish for him"),
    ("viewer", f"{JS}.CONSUMER.CREATE.naq_events.x", "having the server publish for him"),
    ("viewer", f"{JS}.CONSUMER.MSG.NEXT.KV_naq.worker_default", "taking a job"),
    ("viewer", f"{JS}.STREAM.CREATE.other", "making a stream"),
    ("viewer", f"{JS}.STREAM.DELETE.KV_naq", "deleting the bucket"),
    ("viewer", f"{JS}.STREAM.PURGE.KV_naq", "emptying the bucket"),
    ("viewer", f"{JS}.DIRECT.GET.KV_other", "reading another namespace"),
    ("client", "$KV.naq.lease.0", "taking the lease"),
    ("client", "$KV.naq.epoch.0.0", "fencing off the leader"),
    ("client", "$KV.naq.worker.x", "passing for a worker"),
    ("client", "$JS.ACK.KV_naq.worker_default.1.1.1.1.1", "acknowledging a job"),
    ("client", f"{JS}.CONSUMER.MSG.NEXT.KV_naq.worker_default", "taking a job"),
    ("client", f"{JS}.CONSUMER.DELETE.KV_naq.worker_default", "deleting a queue's consumer"),
    ("client", f"{JS}.CONSUMER.CREATE.KV_naq.x", "having the server publish for him"),
    ("client", f"{JS}.STREAM.PURGE.KV_naq", "emptying the bucket"),
    ("client", f"{JS}.STREAM.UPDATE.KV_naq", "changing the bucket"),
    ("client", f"{JS}.STREAM.DELETE.KV_naq", "deleting the bucket"),
    ("client", "$KV.other.schedule.x", "changing another namespace"),
    ("worker", "$KV.naq.lease.0", "taking the lease"),
    ("worker", "$KV.naq.epoch.0.0", "fencing off the leader"),
    ("worker", "$KV.naq.queue.default", "changing a queue's limits"),
    ("worker", "$KV.naq.set.shop", "declaring schedules"),
    ("worker", "naq.leader.0.term", "asking for the leadership"),
    ("worker", f"{JS}.STREAM.CREATE.KV_naq", "making the bucket"),
    ("worker", f"{JS}.STREAM.DELETE.KV_naq", "deleting the bucket"),
    ("worker", f"{JS}.STREAM.SNAPSHOT.KV_naq", "copying the bucket"),
    ("worker", "$KV.other.job.default.x", "another namespace's jobs"),
    ("mail", f"{JS}.CONSUMER.MSG.NEXT.KV_naq.worker_default", "taking a job of a queue that is not its own"),
    ("mail", "$JS.ACK.KV_naq.worker_default.1.1.1.1.1", "acknowledging a job of another queue"),
    ("scheduler", f"{JS}.CONSUMER.MSG.NEXT.KV_naq.worker_default", "taking a job"),
    ("scheduler", "$JS.ACK.KV_naq.worker_default.1.1.1.1.1", "acknowledging a job"),
    ("scheduler", "$KV.naq.worker.x", "passing for a worker"),
    ("scheduler", f"{JS}.STREAM.DELETE.KV_naq", "deleting the bucket"),
    ("scheduler", f"{JS}.STREAM.PURGE.KV_naq", "emptying the bucket"),
    ("scheduler", f"{JS}.STREAM.UPDATE.KV_naq", "changing the bucket"),
    ("scheduler", "$KV.other.schedule.x", "another namespace's schedules"),
)
"""User, subject of a publish, and what it would be."""
UNHEARD = (
    ("viewer", "_INBOX_worker.>"),
    ("viewer", "_INBOX.>"),
    ("viewer", "$KV.naq.>"),
    ("client", "_INBOX_scheduler.>"),
    ("client", "naq.control.>"),
    ("client", "naq.leader.>"),
    ("worker", "naq.leader.>"),
    ("worker", "naq.events"),
    ("scheduler", "naq.control.>"),
    ("scheduler", "_INBOX_worker.>"),
)
"""User, and a subject that is not for its ears."""


async def test_each_role_is_refused_what_is_not_its_own(tmp_path: Path) -> None:
    mail = permissions([Role.WORKER], NAMES, queues=["mail"], inbox="_INBOX_mail")
    let_through = []
    async with NatsServer(tmp_path, config=users(mail=mail)) as server:
        for user in {row[0] for row in REFUSED}:
            async with connected(server, user) as connection:
                for of, subject, what in REFUSED:
                    if of == user and not await _is_refused(connection, subject):
                        let_through.append(f"{user}: {what} ({subject})")
                for of, subject in UNHEARD:
                    if of == user:
                        await connection.client.subscribe_raw(subject, lambda *frame: None)
                await connection.client.round_trip(PATIENCE)
        log = server.log_file.read_text()
    refused = [
        (user, subject)
        for user, subject in UNHEARD
        if re.search(rf'user:{user}".*Subscription Violation - Subject "{re.escape(subject)}"', log)
    ]
    assert (let_through, refused) == ([], list(UNHEARD))


async def _is_refused(connection: ConnectionService, subject: str) -> bool:
    try:
        await connection.ask(subject, b"{}", timeout=PATIENCE)
    except StoreForbidden as error:
        return f"'{subject}'" in str(error)
    except StoreError:
        return False
    return False


async def test_a_leader_that_was_not_to_be_heard_is_seen_once_it_may_listen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(denials, "ASK_AGAIN_AFTER", 0.2)
    full = permissions([Role.SCHEDULER], NAMES, inbox="_INBOX_scheduler")
    deaf = Permissions(full.publish, ("_INBOX_scheduler.>",), answers=True)
    async with (
        NatsServer(tmp_path, config=users(scheduler=deaf)) as server,
        running(shop(server, "scheduler"), scheduler=True),
        ServiceManager(login(server, "admin")) as those,
    ):
        store = await those.get_service(KVStoreService)

        async def is_seen() -> bool:
            return await find_leader(store, store.connection, SystemClock().now()) is not None

        assert not await is_seen()
        await server.reload(users())
        await eventually(is_seen, "seeing the leader")
    said = [record.message for record in caplog.records if "forbids" in record.message]
    assert len(said) == 1, said
    assert re.search(r"forbids this user to subscribe to 'naq\.leader\.0\.\S+': give .* \(naq\.leader\.>\)", said[0])


async def test_a_user_who_may_not_hear_answers_is_told_so(tmp_path: Path) -> None:
    async with NatsServer(tmp_path, config=users()) as server:
        wrong: dict[str, Any] = {**login(server, "viewer"), "inbox_prefix": "_INBOX"}
        with pytest.raises(StoreForbidden, match=r"subscribe to '_INBOX\.\S+': give it that permission"):
            async with ServiceManager(wrong) as services:
                await services.get_service(KVStoreService)


async def test_a_missing_permission_is_one_line_and_names_the_subject_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with NatsServer(tmp_path, config=users()) as server, connected(server, "viewer") as connection:
        for number in range(50):
            with pytest.raises(StoreForbidden, match=rf"publish to '\$KV\.naq\.schedule\.Daily-{number}'"):
                await connection.ask(f"$KV.naq.schedule.Daily-{number}", b"")
        with pytest.raises(StoreForbidden):
            await connection.ask("$KV.naq.set.Shop", b"")
    said = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert [line[line.index("forbids") :] for line in said] == [
        "forbids this user to publish to '$KV.naq.schedule.Daily-0': give it that permission ($KV.naq.schedule.*)",
        "forbids this user to publish to '$KV.naq.set.Shop': give it that permission ($KV.naq.set.*)",
    ]
