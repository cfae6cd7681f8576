"""A cluster of three nodes: the node that leads the stream dies, and the nodes are rolled; no fire is lost or repeated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from naq.job import Job
from naq.services.base import ServiceManager
from naq.services.events import EventService
from naq.services.scheduler import SchedulerService
from naq.services.schedules import ScheduleService
from naq.specification import once
from naq.testing.server import NatsCluster
from tests.faults.report import Reports
from tests.faults.world import Process, every_second, judge, recording

COUNT = 100


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[NatsCluster]:
    async with NatsCluster(tmp_path, 3) as running:
        yield running


def settings(cluster: NatsCluster) -> dict[str, Any]:
    return {"nats_url": list(cluster.urls), "replicas": 3, "request_timeout": 10, "connect_timeout": 20}


def environment(cluster: NatsCluster, name: str) -> dict[str, str]:
    return {"NAQ_NATS_URL": ",".join(cluster.urls), "NAQ_REPLICAS": "3", "NAQ_INSTANCE_ID": name}


async def stream_leader(schedules: ScheduleService) -> str:
    info = await schedules._connection.stream_service.info("KV_naq")
    assert info is not None
    return str(info["cluster"]["leader"])


@pytest.mark.slow
async def test_kill_9_of_the_streams_leader_and_a_rolling_restart(cluster: NatsCluster, reports: Reports) -> None:
    processes = [Process(["scheduler"], environment(cluster, name)) for name in ("one", "two")]
    try:
        async with recording(settings(cluster)) as (recorder, schedules):
            for process in processes:
                await process.start()
            made = await every_second(schedules, COUNT, "tests.faults.jobs:tick")
            await recorder.until_nominal(datetime.now(UTC) + timedelta(seconds=2))
            node = cluster.named(await stream_leader(schedules))
            struck_at = datetime.now(UTC)
            await node.kill()
            outage = await recorder.until_fire_after(struck_at + timedelta(seconds=0.2))
            await node.start()
            await cluster.whole()
            for rolled in cluster.nodes:
                await rolled.restart()
                await cluster.whole()
                await recorder.until_fire_after(datetime.now(UTC))
            until = datetime.now(UTC) + timedelta(seconds=1)
            await recorder.until_nominal(until + timedelta(seconds=1))
            verdict = judge(made, until, recorder)
    finally:
        await asyncio.gather(*(process.kill() for process in processes))
    fault = "cluster: kill -9 of the node that leads the stream, then all nodes rolled"
    reports.write(fault, verdict, recorder, failover=[outage + timedelta(seconds=0.2)])
    assert verdict.clean, verdict


@pytest.mark.slow
async def test_many_transactions_in_flight_are_not_refused_for_each_other(
    cluster: NatsCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clustered server refuses a batch that is conditional on a key while another one is: so each lane has its own."""
    async with ServiceManager(settings(cluster)) as services:
        scheduler = await services.get_service(SchedulerService)
        due_at = datetime.now(UTC) + timedelta(seconds=4)
        job = Job(func="tests.faults.jobs:tick")
        await scheduler.schedule_many([(job, once(due_at), f"b{number}") for number in range(4000)])
        refused = []
        firing = scheduler.partition.firing
        reconcile = firing._reconcile

        async def counted(*arguments: Any) -> Any:
            refused.append(arguments[2])
            return await reconcile(*arguments)

        monkeypatch.setattr(firing, "_reconcile", counted)
        fired = asyncio.Event()
        events = await services.get_service(EventService)
        events.listen(lambda event: fired.set() if firing.fired == 4000 else None)
        async with asyncio.timeout(60):
            await fired.wait()
        assert not refused
