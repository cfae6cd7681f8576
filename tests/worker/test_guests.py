"""What a user may do who may only enqueue in one queue, and what docs/security.md says is not prevented."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from naq.exceptions import StoreForbidden
from naq.jobs.form import parse_job
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job, QueuedJob
from naq.lifecycle import ServiceManager
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.store.codec import encode
from naq.store.keys import job_key, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.port import Put
from naq.testing.server import NatsServer
from naq.worker.service import WorkerOptions, WorkerService
from tests.worker.conftest import FUNCTIONS

GUEST = '{ publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$KV.naq.job.guest.>"], subscribe: "_INBOX.>" }'
USERS = (
    f"authorization {{ users: [ {{user: admin, password: pw}}, {{user: guest, password: pw, permissions: {GUEST}}} ] }}"
)
RETURNS = "tests.worker.functions:add"


@asynccontextmanager
async def server_of(directory: Path) -> AsyncIterator[tuple[ServiceManager, KVStoreService]]:
    """A server; the administrator's services, and the guest's store."""
    async with NatsServer(directory, config=USERS) as server:
        login = {"nats_url": server.url, "nats_password": "pw"}
        async with ServiceManager({**login, "nats_user": "admin"}) as services:
            await services.get_service(JobService)
            async with ServiceManager({**login, "nats_user": "guest"}) as guest:
                yield services, await guest.get_service(KVStoreService)


def queued(job_id: str, queue: str, *args: Any) -> bytes:
    spec = parse_job(Job(func=RETURNS, args=args, queue=queue))
    return encode(QueuedJob(job_id=job_id, spec=spec, enqueued_at=datetime.now(UTC)))


@asynccontextmanager
async def worker_of(services: ServiceManager) -> AsyncIterator[None]:
    kv = await services.get_service(KVStoreService)
    worker = WorkerService(
        dataclasses.replace(kv.settings, queues=("guest", "vip"), instance_id="w"),
        kv,
        await services.get_service(EventService),
        await services.get_service(ResultService),
        await services.get_service(HistoryService),
        WorkerOptions(registry=Registry([FUNCTIONS])),
    )
    await worker.start()
    try:
        yield
    finally:
        await worker.cleanup()


async def test_a_guest_enqueues_in_its_queue_and_writes_nothing_else(tmp_path: Path) -> None:
    async with server_of(tmp_path) as (services, guest):
        await guest.transact([Put(job_key("guest", "mine"), queued("mine", "guest", 1, 2))])
        for key in (job_key("vip", "j"), schedule_key("s"), "lease.0", "queue.guest", "dead.j"):
            with pytest.raises(StoreForbidden):
                await guest.transact([Put(key, b"{}")])
        jobs = await services.get_service(JobService)
        async with worker_of(services):
            assert await jobs.result("mine", timeout=60) == 3


async def test_a_guest_who_knows_the_id_of_a_job_can_have_its_result_replaced(tmp_path: Path) -> None:
    """Not prevented (docs/security.md, decision 0019): results are named by job, not by queue."""
    async with server_of(tmp_path) as (services, guest):
        jobs = await services.get_service(JobService)
        async with worker_of(services):
            await jobs.enqueue(Job(func=RETURNS, args=(1, 2), job_id="known", queue="vip"))
            assert await jobs.result("known", timeout=60) == 3
            await guest.transact([Put(job_key("guest", "known"), queued("known", "guest", 40, 2))])
            async with asyncio.timeout(60):
                while await jobs.result("known", timeout=60) != 42:
                    pass


async def test_arguments_and_results_are_stored_as_they_are(tmp_path: Path) -> None:
    async with server_of(tmp_path) as (services, _):
        jobs, kv = await services.get_service(JobService), await services.get_service(KVStoreService)
        await jobs.enqueue(Job(func=RETURNS, args=(31337, 1), job_id="j"))
        entry = await kv.get(job_key("default", "j"))
        assert entry is not None
        assert b"31337" in (entry.value or b"")
