"""A cluster of three nodes: nodes die, freeze, are rolled, and too few are left; no fire is lost or repeated."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from naq.jobs.job import Job
from naq.lifecycle import ServiceManager
from naq.scheduler.service import SchedulerService
from naq.schedules.forms.specification import once
from naq.store.nats.event_stream import EventService
from naq.testing.cluster import NatsCluster
from naq.testing.server import NatsServer
from tests.faults.cluster import ClusterFleet, cluster_fleet
from tests.faults.fleet import now
from tests.faults.report import Reports

COUNT = 100
ELECTED = timedelta(seconds=0.2)
"""What a node had taken over when it died may still be committed; fires go on when later ones are made."""


async def kill(world: ClusterFleet, node: NatsServer) -> timedelta:
    """kill -9 of a node, and wait until it is back; how long it took until fires went on without it."""
    struck_at = now()
    await node.kill()
    taken = await world.goes_on(struck_at, ELECTED)
    await node.start()
    await world.cluster.whole()
    return taken


@pytest.mark.slow
async def test_kill_9_of_the_streams_leader_and_a_rolling_restart(tmp_path: Path, reports: Reports) -> None:
    async with cluster_fleet(tmp_path) as world:
        await world.load(COUNT)
        taken = await kill(world, await world.stream_leader())
        for rolled in world.cluster.nodes:
            await rolled.restart()
            await world.cluster.whole()
            await world.recorder.until_fire_after(now())
        verdict = await world.settled()
        fault = "cluster: kill -9 of the node that leads the stream, then all nodes rolled"
        reports.write(fault, verdict, world.recorder, failover=[taken])
    assert verdict.clean, verdict


@pytest.mark.slow
async def test_kill_9_of_a_follower_and_of_the_metas_leader(tmp_path: Path, reports: Reports) -> None:
    async with cluster_fleet(tmp_path) as world:
        await world.load(COUNT)
        _, meta, follower = await world.lead_apart()
        terms = len(world.recorder.terms)
        failover = [await kill(world, node) for node in (follower, meta)]
        terms = len(world.recorder.terms) - terms
        verdict = await world.settled()
        fault = "cluster: kill -9 of a node that follows the stream, then of one that follows it and leads the cluster"
        reports.write(fault, verdict, world.recorder, failover=failover, terms=terms)
    assert verdict.clean, verdict


@pytest.mark.parametrize(
    "seconds", [pytest.param(12, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.long)]
)
async def test_the_node_that_leads_the_stream_freezes(tmp_path: Path, reports: Reports, seconds: int) -> None:
    """For longer than the others take to elect another one. Whoever is connected to it hears nothing, not even of its end."""
    async with cluster_fleet(tmp_path) as world:
        await world.load(COUNT)
        node, terms, struck_at = await world.stream_leader(), len(world.recorder.terms), now()
        node.pause()
        try:
            await asyncio.sleep(seconds)
        finally:
            node.resume()
        healed_at = now()
        taken = await world.goes_on(struck_at, ELECTED)
        await world.cluster.whole()
        await world.sees_changes("after-the-freeze")
        verdict = await world.settled()
        reports.write(
            f"cluster: SIGSTOP of the node that leads the stream for {seconds} s, then CONT",
            verdict,
            world.recorder,
            failover=[taken],
            healing=[world.recorder.steady_after(healed_at)],
            terms=len(world.recorder.terms) - terms,
        )
    assert verdict.clean, verdict


@pytest.mark.parametrize(
    "seconds", [pytest.param(12, marks=pytest.mark.slow), pytest.param(60, marks=pytest.mark.long)]
)
async def test_two_of_three_nodes_are_gone(tmp_path: Path, reports: Reports, seconds: int) -> None:
    """Nothing can be committed, and the leader says so; when they are back, what came due meanwhile is made up for."""
    async with cluster_fleet(tmp_path) as world:
        await world.load(COUNT)
        leader, _, third = await world.lead_apart()
        name = world.recorder.leader
        process = world.schedulers[name]
        said, struck_at = len(process.lines), now()
        await asyncio.gather(leader.kill(), third.kill())
        complaint = await process.line("cannot be", after=said)
        await asyncio.sleep(max(0.0, seconds - (now() - struck_at).total_seconds()))
        none_since = without_quorum(world, struck_at)
        healed_at = now()
        await asyncio.gather(leader.start(), third.start())
        await world.cluster.whole()
        taken = await world.goes_on(healed_at, timedelta())
        await world.sees_changes("after-the-loss")
        verdict = await world.settled()
        events = await world.schedules._events.get_event_history(types=["store_trouble"], since=struck_at)
        told = Counter(event.instance_id for event in events)
        reports.write(
            f"cluster: two of three nodes killed, and back after {seconds} s",
            verdict,
            world.recorder,
            failover=[taken],
            healing=[world.recorder.steady_after(healed_at)],
            told=dict(told),
        )
    assert verdict.clean, verdict
    assert none_since
    assert "ERROR" in complaint, complaint
    assert told[name], "the leader's events say nothing of it"


def without_quorum(world: ClusterFleet, struck_at: datetime) -> bool:
    """Whether nothing was committed once the nodes were gone, but for what was under way."""
    return all(job.enqueued_at < struck_at + ELECTED for _, job in world.recorder.fires)


@pytest.mark.slow
async def test_many_transactions_in_flight_are_not_refused_for_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clustered server refuses a batch that is conditional on a key while another one is: so each lane has its own."""
    async with NatsCluster(tmp_path, 3) as cluster:
        settings = {"nats_url": list(cluster.urls), "replicas": 3, "request_timeout": 10, "connect_timeout": 20}
        async with ServiceManager(settings) as services:
            scheduler = await services.get_service(SchedulerService)
            due_at = datetime.now(UTC) + timedelta(seconds=4)
            job = Job(func="tests.faults.jobs:tick")
            await scheduler.schedule_many([(job, once(due_at), f"b{number}") for number in range(4000)])
            refused = []
            firing = scheduler.partition.firing
            reconcile = firing._reconcile

            async def counted(*arguments: Any) -> Any:
                refused.append(arguments[1])
                return await reconcile(*arguments)

            monkeypatch.setattr(firing, "_reconcile", counted)
            fired = asyncio.Event()
            events = await services.get_service(EventService)
            events.listen(lambda event: fired.set() if firing.fired == 4000 else None)
            async with asyncio.timeout(60):
                await fired.wait()
            assert not refused
