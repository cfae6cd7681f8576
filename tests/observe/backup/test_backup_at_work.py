"""A backup of a system that fires hundreds of times a second, restored to another server; and kills in the middle."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from naq import Job, Naq, every
from naq.jobs.history_stream import HistoryService
from naq.lifecycle import ServiceManager
from naq.observe.backup.file import Foot
from naq.observe.backup.making import BackupService
from naq.observe.backup.restoring import RestoreService
from naq.observe.verify.service import VerifyService
from naq.queue.results import ResultService
from naq.schedules.record import Schedule
from naq.store.codec import decode
from naq.store.keys import ALL_SCHEDULES
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Committed, Put
from naq.testing.cluster import nats_cluster
from naq.testing.server import NatsServer
from tests.faults.world import Process

SCHEDULES = 400
"""Each fires once a second."""
BACKUPS = 3
KEYS = [f"schedule.s{number}" for number in range(50)]
MANY = 60_000
"""Records; the commands say something after each 10,000."""
PATIENCE = 60.0


async def greet() -> str:
    return "hello"


@pytest.mark.slow
async def test_what_was_backed_up_under_load_lacks_nothing_up_to_its_moment(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "first") as first, NatsServer(tmp_path / "second") as second:
        app = Naq(first.url, concurrency=100)
        app.job(greet)
        stop, ready = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(app.run(stop=stop, ready=lambda services: ready.set()))
        async with asyncio.timeout(PATIENCE):
            await ready.wait()
            await app.schedule_many([(Job(func=greet), every("1s"), f"s{number}") for number in range(SCHEDULES)])
            ended = app.stream_events(types=["job_completed"], since="1h")
            for _ in range(3 * SCHEDULES):
                await anext(ended)
        feet = []
        async with ServiceManager({"nats_url": first.url}) as services:
            maker = await services.get_service(BackupService)
            for number in range(BACKUPS):
                feet.append(await maker.make(tmp_path / f"{number}.gz"))
        stop.set()
        await task
        for number, foot in enumerate(feet):
            await _is_complete(second, f"restored-{number}", tmp_path / f"{number}.gz", foot)


async def _is_complete(server: NatsServer, namespace: str, file: Path, foot: Foot) -> None:
    async with ServiceManager({"nats_url": server.url, "namespace": namespace}) as services:
        await (await services.get_service(RestoreService)).restore(file)
        kv = await services.get_service(KVStoreService)
        schedules = [
            decode(Schedule, entry.key, entry.value or b"") async for page in kv.scan(ALL_SCHEDULES) for entry in page
        ]
        verdict = await (await services.get_service(VerifyService)).verify(since="10m", patience="1h")
    assert len(schedules) == SCHEDULES
    assert verdict.figures.fired >= 3 * SCHEDULES
    assert verdict.clean, verdict
    assert not verdict.figures.unproven, verdict


@pytest.mark.slow
async def test_a_backup_of_a_cluster_is_restored_with_other_replicas(tmp_path: Path) -> None:
    """Fifty records are overwritten together all the time; any of three replicas answers what is read."""
    async with nats_cluster(3) as cluster:
        async with ServiceManager({"nats_url": list(cluster.urls), "replicas": 3}) as services:
            kv = await services.get_service(KVStoreService)
            for kind in (EventService, HistoryService, ResultService):
                await services.get_service(kind)
            maker, file = await services.get_service(BackupService), tmp_path / "naq-backup.gz"
            enough = asyncio.Event()

            async def overwrite() -> None:
                number, revisions = 0, dict.fromkeys(KEYS, 0)
                while not enough.is_set():
                    number += 1
                    outcome = await kv.transact([Put(key, str(number).encode(), revisions[key]) for key in KEYS])
                    assert isinstance(outcome, Committed), outcome
                    revisions = dict(zip(KEYS, outcome.revisions, strict=True))

            task = asyncio.create_task(overwrite())
            while not await kv.get_many(KEYS):
                assert not task.done()
            await maker.make(file)
            enough.set()
            await task
        async with ServiceManager({"nats_url": cluster.urls[1], "namespace": "alone"}) as services:
            await (await services.get_service(RestoreService)).restore(file)
            restored = await services.get_service(KVStoreService)
            numbers = {entry.value for entry in (await restored.get_many(KEYS)).values()}
            info = await restored.connection.stream_service.info("KV_alone")
    assert len(numbers) == 1
    assert info is not None
    assert info["config"]["num_replicas"] == 1


@pytest.mark.slow
async def test_a_kill_in_the_middle_leaves_no_file_and_no_half_restore(tmp_path: Path) -> None:
    async with NatsServer(tmp_path / "server") as server:
        await _fill(server)
        file = tmp_path / "naq-backup.gz"
        await _killed_at(server, " records", "backup", str(file))
        assert not file.exists()
        await _done(server, "backup", str(file))
        await _killed_at(server, " records", "--namespace", "other", "restore", str(file))
        await _done(server, "--namespace", "other", "restore", str(file))
        async with ServiceManager({"nats_url": server.url, "namespace": "other"}) as services:
            kv = await services.get_service(KVStoreService)
            assert sum([len(page) async for page in kv.keys(">")]) == MANY


async def _fill(server: NatsServer) -> None:
    async with ServiceManager({"nats_url": server.url}) as services:
        kv = await services.get_service(KVStoreService)
        for start in range(0, MANY, 500):
            await kv.transact([Put(f"schedule.s{number}", b"{}", 0) for number in range(start, start + 500)])


def _process(server: NatsServer, *arguments: str) -> Process:
    return Process(["--nats-url", server.url, *arguments], {}, logs=True)


async def _killed_at(server: NatsServer, words: str, *arguments: str) -> None:
    process = _process(server, *arguments)
    await process.start(words)
    process.signal(signal.SIGKILL)
    assert await process.ended() == -signal.SIGKILL


async def _done(server: NatsServer, *arguments: str) -> None:
    process = _process(server, *arguments)
    await process.launch()
    assert await process.ended() == 0, process.lines
