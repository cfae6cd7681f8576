"""A restore of the bucket under a busy worker: what it acknowledges afterwards belongs to the life before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.queue.consumers import find_consumer
from naq.queue.results import ResultService
from naq.queue.service import JobService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.store.nats.protocol import encode_request
from naq.testing.server import NatsServer, until
from naq.worker.service import WorkerOptions, WorkerService
from tests.faults.backup import WrittenMeanwhile, back_up, restore
from tests.worker import functions
from tests.worker.conftest import FUNCTIONS

JOBS = 60
HANG = 60


async def test_an_acknowledgement_from_before_a_restore_loses_no_job(tmp_path: Path) -> None:
    """The sequence of the job that ran in the meantime is that of another job in the restored bucket."""
    async with NatsServer(tmp_path) as server, ServiceManager({"nats_url": server.url}) as services:
        store = await services.get_service(KVStoreService)
        jobs = await services.get_service(JobService)
        connection = store.connection
        worker = WorkerService(
            {"nats_url": server.url, "instance_id": "w", "concurrency": 1},
            store,
            await services.get_service(EventService),
            await services.get_service(ResultService),
            await services.get_service(HistoryService),
            WorkerOptions(registry=Registry([FUNCTIONS])),
        )
        await worker.start()
        try:
            while True:
                try:
                    backup = await back_up(connection, store.names.stream)
                    break
                except WrittenMeanwhile:
                    pass  # the worker's sign of life
            held = await jobs.enqueue(functions.hold, "h")
            async with asyncio.timeout(HANG):
                await functions.event(functions.started, "h").wait()
            entry = await store.get(f"job.default.{held}")
            assert entry is not None
            life = store.life
            await connection.stream_service.delete(store.names.stream)
            await restore(connection, store.names.stream, backup)
            consumer = {"durable_name": store.names.consumer("default"), "ack_policy": "explicit", "ack_wait": 10**12}
            consumer |= {"filter_subject": store.names.subject("job.default.>"), "max_deliver": -1}
            name = f"{store.names.stream}.{store.names.consumer('default')}"
            request = {"stream_name": store.names.stream, "config": consumer}
            await connection.api(f"CONSUMER.CREATE.{name}.{consumer['filter_subject']}", request)
            others = await jobs.enqueue_many([Job(func=functions.note, args=[f"n{each}"]) for each in range(JOBS)])
            found = await store.get_many([f"job.default.{other}" for other in others])
            assert entry.revision in {each.revision for each in found.values()}, "no job has its sequence now"
            pull = json.dumps({"batch": JOBS, "no_wait": True}).encode()
            await connection.client.send(encode_request(f"$JS.API.CONSUMER.MSG.NEXT.{name}", "elsewhere", pull))
            functions.event(functions.released, "h").set()
            assert await jobs.result(held, timeout=HANG) == "h"

            async def is_known() -> bool:
                return store.life > life

            await until(is_known, lambda: "the restore was not noticed")

            async def none_lost() -> bool:
                info = await find_consumer(connection, store.names, "default")
                assert info is not None
                ended = [await jobs.get(other) for other in others]
                done = sum(1 for each in ended if each is not None and each.status.ended)
                waiting = int(info["num_pending"]) + int(info["num_ack_pending"])
                assert waiting + done >= JOBS, f"{waiting} wait, {done} ran, of {JOBS}"
                return len(worker_holds()) == 0

            def worker_holds() -> list[object]:
                return list(worker.info().running)

            await until(none_lost, lambda: "the worker does not come to rest")
        finally:
            functions.event(functions.released, "h").set()
            await worker.cleanup()
