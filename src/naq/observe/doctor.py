"""`naq doctor` and `naq health`: the checks of `naq.observe.health`, run once. Each problem has a remedy and a code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import NaqError, NoSuchNamespace, SchedulerError, StoreError, StoreForbidden, StoreUnsuitable
from naq.lifecycle import ServiceManager
from naq.observe.health.bucket import check_bucket
from naq.observe.health.conditions import Finding, Level, fine, found
from naq.observe.health.queues import check_queues
from naq.observe.health.records import check_records
from naq.observe.health.schedules import check_schedules
from naq.observe.health.server import check_server, clock_finding, offset_of
from naq.observe.health.zones import check_zone_data, check_zones
from naq.queue.service import JobService
from naq.scheduler.lease import Lease
from naq.store.keys import lease_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.namespaces import require_namespace
from naq.store.records import readable_one

__all__ = ["Finding", "Health", "Level", "check_up", "live", "ready"]

READ_WHEN_READY = 20_000
"""Schedules that readiness reads at most: it is asked every few seconds."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer to "is it well": yes, or what is wrong."""

    well: bool
    findings: tuple[Finding, ...]
    """What is wrong, those first that keep it from being well."""


async def check_up(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Run all checks. A problem is returned as a finding, not raised."""
    clock = clock or SystemClock()
    return [check_zone_data(clock.now()), *await _run(settings, clock, None)]


async def ready(settings: Settings, clock: Clock | None = None) -> Health:
    """Whether schedules fire and jobs can be enqueued now. Reads at most `READ_WHEN_READY` schedules, and no queue."""
    findings = await _run(settings, clock or SystemClock(), READ_WHEN_READY)
    return _health(findings)


async def live(settings: Settings) -> Health:
    """Whether the server answers this machine. Looks at nothing else: a restart would not mend it."""
    async with ServiceManager(settings) as services:
        try:
            connection = await services.get_service(ConnectionService)
            findings = [finding async for finding in check_server(connection)]
        except NaqError as error:
            findings = [_unreachable(error)]
    return _health([each for each in findings if each.code in ("no-connection", "no-answer")])


def _health(findings: list[Finding]) -> Health:
    bad = [each for each in findings if each.level is not Level.OK]
    return Health(all(each.keeps_ready for each in bad), tuple(sorted(bad, key=lambda each: each.keeps_ready)))


def _unreachable(error: NaqError) -> Finding:
    return found("no-connection", "cannot be used", str(error))


async def _run(settings: Settings, clock: Clock, most: int | None) -> list[Finding]:
    """All checks; with ``most`` only those that readiness needs."""
    findings: list[Finding] = []
    async with ServiceManager(settings) as services:
        try:
            connection = await services.get_service(ConnectionService)
        except NaqError as error:
            return [_unreachable(error)]
        try:
            async for finding in _checks(services, connection, clock, most):
                findings.append(finding)
        except StoreUnsuitable as error:
            findings.append(found("bucket-unsuitable", "cannot be used", str(error)))
        except StoreForbidden as error:
            findings.append(found("forbidden", str(error)))
        except (StoreError, SchedulerError) as error:
            findings.append(found("no-answer", "did not respond", str(error)))
        told = {each.found for each in findings}
        findings += [found("forbidden", reason) for reason in connection.refusals if reason not in told]
    return findings


async def _checks(
    services: ServiceManager, connection: ConnectionService, clock: Clock, most: int | None
) -> AsyncIterator[Finding]:
    settings = connection.settings
    async for finding in check_server(connection):
        yield finding
        if finding.code == "no-answer":
            return
    try:
        await require_namespace(connection)
    except NoSuchNamespace as error:
        yield found("no-namespace", str(error))
        return
    store = await services.get_service(KVStoreService)
    offset = await offset_of(connection, clock)
    if offset is None:
        yield found("clock-unknown", "not compared: the server does not send its time")
    else:
        text = f"this machine's clock differs from the server's by {abs(offset.total_seconds()) * 1000:.0f} ms"
        yield clock_finding("this machine's clock", offset) or fine("clock", text)
    async for finding in check_bucket(store, connection, settings):
        yield finding
    async for finding in check_schedules(store, clock.now() + (offset or timedelta()), most):
        yield finding
    if most is None:
        jobs = await services.get_service(JobService)
        async for finding in check_queues(jobs, store):
            yield finding
        lease = readable_one(Lease, await store.get(lease_key(0)))
        for finding in check_zones(lease, await jobs.list_workers()):
            yield finding
        async for finding in check_records(store):
            yield finding
