"""A bucket with a limit that is full: what makes it emptier, and what stops it from filling, still works."""

from __future__ import annotations

from typing import Any

import pytest

from naq.exceptions import StoreError, StoreFull
from naq.jobs.job import Job
from naq.jobs.records import DeadJob, DeadReason
from naq.lifecycle import ServiceManager
from naq.queue.service import JobService
from naq.scheduler.service import SchedulerService
from naq.store.codec import encode
from naq.store.keys import dead_key, reserve_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.reserve import PARTS
from naq.store.port import Delete, Put

LIMIT = 400_000


async def limited(services: ServiceManager, limit: int = LIMIT) -> KVStoreService:
    """The bucket, with a limit, and the space that is kept in it."""
    store = await services.get_service(KVStoreService)
    info = await store.connection.stream_service.info(store.names.stream)
    assert info is not None
    await store.connection.api(f"STREAM.UPDATE.{store.names.stream}", {**info["config"], "max_bytes": limit})
    await store.reserve.fill()
    return store


async def filled(store: KVStoreService) -> None:
    """Write until nothing more is taken, not even a little."""
    number = 0
    for size in (2000, 200, 1):
        with pytest.raises(StoreFull):
            while True:
                await store.put(f"filler.{number}", b"x" * size)
                number += 1


async def parts(store: KVStoreService) -> int:
    return len(await store.get_many([reserve_key(number) for number in range(PARTS)]))


async def test_a_full_bucket_lets_pause_cancel_and_purge(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        store = await limited(services)
        scheduler = await services.get_service(SchedulerService)
        jobs = await services.get_service(JobService)
        for name in ("paused", "cancelled", "deleted"):
            await scheduler.schedule_job(Job(func="m:f"), {"cron": "0 0 1 1 *"}, schedule_id=name)
        for number in range(30):
            await jobs.enqueue(Job(func="m:f", job_id=f"j{number}"))
        letter = DeadJob(job_id="d", reason=DeadReason.FAILED, died_at=scheduler.clock.now())
        await store.transact([Put(dead_key(f"d{number}"), encode(letter)) for number in range(20)])
        await filled(store)
        with pytest.raises(StoreError, match="maximum bytes"):
            await jobs.enqueue(Job(func="m:f"))

        assert await scheduler.pause_scheduled_job("paused", reason="the bucket is full, and this is a long reason")
        assert await scheduler.cancel_scheduled_job("cancelled")
        assert await scheduler.delete_schedule("deleted")
        await jobs.set_queue_limits("default", paused=True)
        assert (await jobs.queue_info("default")).limits.paused
        assert await jobs.cancel("j0")
        assert await jobs.purge_queue("default") == 29
        assert await jobs.purge_dead() == 20

        assert await jobs.enqueue(Job(func="m:f")), "there is space again"
        await store.reserve.fill()
        assert await parts(store) == PARTS


async def test_many_remedies_do_not_use_up_the_space_that_is_kept(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        store = await limited(services)
        scheduler = await services.get_service(SchedulerService)
        for number in range(25):
            await scheduler.schedule_job(Job(func="m:f"), {"cron": "0 0 1 1 *"}, schedule_id=f"s{number}")
        await filled(store)
        for number in range(25):
            assert await scheduler.pause_scheduled_job(f"s{number}", reason="full")
        assert await parts(store) == PARTS


async def test_what_is_no_remedy_never_gets_the_space(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        store = await limited(services)
        await store.put("known", b"1")
        await filled(store)
        for writes in ([Put("new", b"1")], [Put("new", b"1"), Put("known", b"2", None, None, True)]):
            with pytest.raises(StoreFull, match="--max-bytes=-1"):
                await store.transact(writes)
        assert await parts(store) == PARTS
        assert await store.transact([Delete("known")])


async def test_a_bucket_without_a_limit_keeps_nothing(config: dict[str, Any]) -> None:
    async with ServiceManager(config) as services:
        store = await services.get_service(KVStoreService)
        await store.reserve.fill()
        assert await parts(store) == 0
