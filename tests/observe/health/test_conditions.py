"""Each row of docs/reference/health.md: the condition is made on a real server, and every face is asked."""

from __future__ import annotations

import contextlib
import zoneinfo
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nats
import pytest

from naq.clock import SystemClock
from naq.config import load_settings
from naq.exceptions import NoSuchNamespace, StoreError
from naq.jobs.job import Job
from naq.jobs.records import DeadJob, DeadReason, WorkerInfo
from naq.lifecycle import ServiceManager
from naq.observe import doctor
from naq.observe.health.conditions import CONDITIONS, Finding, Level, Seen, few, found, size_text
from naq.observe.verify.service import VerifyService
from naq.queue.consumers import ensure_consumer
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.schedules.record import Schedule
from naq.schedules.service import ScheduleService
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, lease_key, schedule_key, worker_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.namespaces import require_namespace
from naq.testing.server import NatsServer, until
from naq.timing import zone_data

NOW = datetime.now(UTC)
Make = Callable[["World"], Awaitable[None]]
MAKERS: dict[str, Make] = {}
HELD_ELSEWHERE = {
    "torn-batches": "tests/store/nats/test_connection.py: needs a server that is older",
    "replica-behind": "tests/observe/health/test_replicas.py: needs a cluster",
}


def makes(code: str) -> Callable[[Make], Make]:
    def register(make: Make) -> Make:
        MAKERS[code] = make
        return make

    return register


@dataclass
class World:
    """A namespace in which a condition is made, and the settings with which the faces are asked."""

    config: dict[str, Any]
    directory: Path
    patch: pytest.MonkeyPatch
    stack: contextlib.AsyncExitStack

    @contextlib.asynccontextmanager
    async def services(self) -> AsyncIterator[ServiceManager]:
        async with ServiceManager(self.config) as manager:
            yield manager

    @contextlib.asynccontextmanager
    async def store(self) -> AsyncIterator[KVStoreService]:
        async with self.services() as services:
            yield await services.get_service(KVStoreService)

    async def made(self) -> None:
        """The namespace exists."""
        async with self.store():
            pass

    async def put(self, key: str, value: bytes) -> None:
        async with self.store() as store:
            await store.put(key, value)

    async def edit_bucket(self, **changes: Any) -> None:
        async with self.store() as store:
            info = await store.connection.stream_service.info(store.names.stream)
            assert info is not None
            await store.connection.api(f"STREAM.UPDATE.{store.names.stream}", {**info["config"], **changes})

    async def server(self, config: str) -> NatsServer:
        """A server of its own, that the faces are asked about from now on."""
        server = await self.stack.enter_async_context(NatsServer(self.directory / "own", config=config))
        self.config["nats_url"] = server.url
        return server

    async def schedule(self, schedule_id: str, **fields: Any) -> None:
        """An hourly schedule, with some fields of its record as they should not be."""
        async with self.services() as services:
            schedules = await services.get_service(ScheduleService)
            await schedules.schedule_job(Job(func="shop:greet"), {"cron": "0 * * * *"}, schedule_id=schedule_id)
            store = await services.get_service(KVStoreService)
            entry = await store.get(schedule_key(schedule_id))
            assert entry is not None
            assert entry.value is not None
            record = decode(Schedule, entry.key, entry.value)
            await store.put(entry.key, encode(record.evolve(**fields)))

    async def job(self, queue: str) -> None:
        async with self.services() as services:
            await (await services.get_service(JobService)).enqueue(Job(func="shop:greet", queue=queue))

    async def worker(self, **fields: Any) -> None:
        info = WorkerInfo(worker_id="w", started_at=NOW, **({"seen_at": SystemClock().now()} | fields))
        await self.put(worker_key("w"), encode(info))


async def leads(services: ServiceManager) -> None:
    """Run a scheduler, until it leads."""
    scheduler = await services.get_service(SchedulerService)

    async def is_leader() -> bool:
        return scheduler.is_leader

    await until(is_leader, lambda: "it does not lead")


# --- the rows


@makes("no-connection")
async def _(world: World) -> None:
    server = await world.server("max_connections: 1")
    await world.stack.enter_async_context(await nats.connect(server.url))
    world.config["connect_timeout"] = 1


@makes("no-answer")
async def _(world: World) -> None:
    server = NatsServer(world.directory / "bare")
    configuration = server._configuration
    world.patch.setattr(
        server,
        "_configuration",
        lambda: "\n".join(line for line in configuration().splitlines() if not line.startswith("jetstream")),
    )
    await world.stack.enter_async_context(server)
    world.config["nats_url"] = server.url


@makes("forbidden")
async def _(world: World) -> None:
    """It may do all but read the records."""
    deny = 'publish: { deny: ["$JS.API.DIRECT.GET.>"] }'
    server = await world.server(
        "authorization { users: [ {user: all, password: pw}, "
        f"{{user: few, password: pw, permissions: {{ {deny} }} }} ] }}"
    )
    url = server.url
    world.config["nats_url"] = url.replace("nats://", "nats://all:pw@")
    async with world.services() as services:
        await services.get_service(VerifyService)
    world.config["nats_url"] = url.replace("nats://", "nats://few:pw@")


@makes("clock-off")
async def _(world: World) -> None:
    async with world.store():
        pass
    real = SystemClock.now
    world.patch.setattr(SystemClock, "now", lambda self: real(self) + timedelta(seconds=40))


@makes("clock-unknown")
async def _(world: World) -> None:
    ask = ConnectionService.api

    async def without_time(self: ConnectionService, *given: Any, **named: Any) -> dict[str, Any]:
        return {key: value for key, value in (await ask(self, *given, **named)).items() if key != "ts"}

    await world.made()
    world.patch.setattr(ConnectionService, "api", without_time)


@makes("no-namespace")
async def _(world: World) -> None:
    """Nothing is there."""


@makes("bucket-unsuitable")
async def _(world: World) -> None:
    await world.edit_bucket(max_age=int(3600e9))


@makes("mirrored")
async def _(world: World) -> None:
    async with world.store() as store:
        stream = store.names.stream
        await store.connection.stream_service.ensure(
            {"name": f"{stream}_copy", "mirror": {"name": stream}, "storage": "memory"}
        )


@makes("space")
async def _(world: World) -> None:
    await world.edit_bucket(max_bytes=100_000)
    await world.put("big", b"x" * 97_000)


@makes("few-replicas")
async def _(world: World) -> None:
    async with world.services() as services:
        await services.get_service(VerifyService)
    world.config["replicas"] = 3


@makes("sync-unknown")
async def _(world: World) -> None:
    """It is so on every server that is not the embedded one."""
    await world.made()


@makes("no-leader")
@makes("overdue")
async def _(world: World) -> None:
    past = (NOW - timedelta(hours=2)).replace(minute=0, second=0, microsecond=0)
    await world.schedule("late", created_at=past - timedelta(minutes=1), next_nominal_at=past, next_run_at=past)


@makes("lease-unreadable")
async def _(world: World) -> None:
    await world.put(lease_key(), b"rubbish")


@makes("quarantined")
async def _(world: World) -> None:
    await world.put(schedule_key("bad"), b"rubbish")


@makes("decided-ahead")
async def _(world: World) -> None:
    ahead = (NOW + timedelta(days=9)).replace(minute=0, second=0, microsecond=0)
    await world.schedule(
        "ahead",
        last_run_at=ahead,
        last_nominal_at=ahead,
        next_nominal_at=ahead + timedelta(hours=1),
        next_run_at=ahead + timedelta(hours=1),
        runs=1,
    )


@makes("refused-end")
async def _(world: World) -> None:
    letter = DeadJob(job_id="j", reason=DeadReason.UNWRITABLE, died_at=NOW, error="the result was too large")
    await world.put(dead_key("j"), encode(letter))


@makes("record-unreadable")
async def _(world: World) -> None:
    await world.put("queue.mail", b'{"v": 99}')


@makes("consumer-paused")
async def _(world: World) -> None:
    async with world.services() as services:
        jobs, store = await services.get_service(JobService), await services.get_service(KVStoreService)
        await jobs.enqueue(Job(func="shop:greet", queue="mail"))
        limits = await jobs.queues.limits("mail")
        await ensure_consumer(store.connection, store.names, store.settings, "mail", limits)
        consumer = f"{store.names.stream}.{store.names.consumer('mail')}"
        await store.connection.api(f"CONSUMER.PAUSE.{consumer}", {"pause_until": "2199-01-01T00:00:00Z"})


@makes("zones-old")
async def _(world: World) -> None:
    await world.made()
    for name in ("UTC", "tzdata.zi"):
        (world.directory / name).write_text("# version 2019a\n")
    world.patch.setattr(zoneinfo, "TZPATH", (str(world.directory),))
    world.patch.setattr(zone_data, "_package_data", lambda: None)


@makes("zones-differ")
async def _(world: World) -> None:
    await world.worker(zones="2019a")


@makes("worker-stuck")
async def _(world: World) -> None:
    await world.worker(stuck=2)


@makes("worker-blocked")
async def _(world: World) -> None:
    await world.worker(blocked_for=12.0)


@makes("queue-paused")
async def _(world: World) -> None:
    await world.job("mail")
    async with world.services() as services:
        await (await services.get_service(JobService)).set_queue_limits("mail", paused=True)


@makes("queue-unserved")
async def _(world: World) -> None:
    await world.job("mail")


@makes("dead-letters")
async def _(world: World) -> None:
    await world.put(dead_key("j"), encode(DeadJob(job_id="j", reason=DeadReason.FAILED, died_at=NOW)))


# --- the faces


async def verified(config: dict[str, Any]) -> Seen:
    """What ``naq verify`` makes of it: its exit code."""
    try:
        async with ServiceManager(config) as services:
            await require_namespace(await services.get_service(ConnectionService))
            verdict = await (await services.get_service(VerifyService)).verify(since="3h")
    except NoSuchNamespace:
        return Seen.FAILS
    except StoreError:
        return Seen.CANNOT_ASK
    return Seen.NO if verdict.clean else Seen.FAILS


@pytest.fixture
async def world(config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with contextlib.AsyncExitStack() as stack:
        yield World({**config, "request_timeout": 3}, tmp_path, monkeypatch, stack)


@pytest.mark.parametrize("code", sorted(CONDITIONS.keys() - HELD_ELSEWHERE.keys()))
async def test_every_face_says_what_the_table_says(world: World, code: str) -> None:
    await MAKERS[code](world)
    condition, settings = CONDITIONS[code], load_settings(world.config)
    findings = await doctor.check_up(settings)
    mine = [each for each in findings if each.code == code]
    assert mine, findings
    assert mine[0].level is condition.level
    assert mine[0].subject == condition.subject
    assert all(each.remedy for each in mine)
    health = await doctor.ready(settings)
    assert health.well is (condition.ready or condition.level is not Level.ERROR), health.findings
    if not health.well:
        assert code in {each.code for each in health.findings if not each.keeps_ready}
    assert await verified(world.config) is condition.verify


def test_every_row_has_its_test() -> None:
    assert MAKERS.keys() | HELD_ELSEWHERE.keys() == CONDITIONS.keys()
    assert not MAKERS.keys() & HELD_ELSEWHERE.keys()


async def test_a_system_that_is_well_is_ready_and_live(world: World) -> None:
    async with world.services() as services:
        await leads(services)
        settings = load_settings(world.config)
        assert [each for each in await doctor.check_up(settings) if each.level is Level.ERROR] == []
        assert (await doctor.ready(settings)).well
        assert await doctor.live(settings) == doctor.Health(True, ())


async def test_live_is_only_whether_the_server_answers(world: World) -> None:
    await MAKERS["overdue"](world)
    assert (await doctor.live(load_settings(world.config))).well
    dead = {**world.config, "nats_url": "nats://127.0.0.1:1", "connect_timeout": 1}
    health = await doctor.live(load_settings(dead))
    assert (health.well, [each.code for each in health.findings]) == (False, ["no-connection"])


async def test_clocks_of_a_worker_and_a_leader_are_compared_with_the_servers(world: World) -> None:
    await world.worker(seen_at=SystemClock().now() + timedelta(minutes=3))
    off = [each for each in await doctor.check_up(load_settings(world.config)) if each.code == "clock-off"]
    assert [each.found.partition(" is ")[0] for each in off] == ["the clock of the worker w"]
    assert "180" in off[0].found or "179" in off[0].found
    assert "ahead of" in off[0].found


async def test_a_bucket_from_80_per_cent_on_is_a_warning(world: World) -> None:
    await world.edit_bucket(max_bytes=100_000)
    await world.put("big", b"x" * 82_000)
    (full,) = [each for each in await doctor.check_up(load_settings(world.config)) if each.code == "space"]
    assert full.level is Level.WARNING
    assert full.found.startswith("the bucket is 8")
    assert full.found.endswith(" KB of 100 KB")


async def test_an_account_that_is_full_is_seen_and_its_error_has_a_remedy(world: World) -> None:
    """Error 10002."""
    server = await world.server(
        "accounts: { a: { users: [{user: u, password: pw}], jetstream: { max_file: 60KB } } }\nno_auth_user: u"
    )
    world.config["nats_url"] = server.url
    async with world.store() as store:
        with pytest.raises(StoreError, match="max_file"):
            for number in range(80):
                await store.put(f"k.{number}", b"x" * 1000)
    full = [each for each in await doctor.check_up(load_settings(world.config)) if each.code == "space"]
    assert [each.found.partition(" is ")[0] for each in full] == ["the account"]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (312, "312 B"), (4_200, "4.2 KB"), (99_950, "100.0 KB"), (1.5e9, "1.5 GB"), (3e12, "3.0 TB")],
)
def test_sizes_are_printed_in_a_unit_that_says_something(size: float, text: str) -> None:
    assert size_text(size) == text


def test_many_of_a_sort_are_counted() -> None:
    many: list[Finding] = few([found("overdue", str(number)) for number in range(30)])
    assert len(many) == 21
    assert many[-1].found == "and 10 more"
