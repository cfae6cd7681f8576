"""`naq doctor`: checks the server, the bucket, clocks, schedules and queues once. Each problem has a remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import NaqError, RecordUnreadable, SchedulerError, StoreError
from naq.jobs.records import DeadReason
from naq.lifecycle import ServiceManager
from naq.observe.diagnosis.jobs import NO_LEADER, START_SCHEDULER, counted, start_worker
from naq.queue.service import JobService
from naq.scheduler.leader import find_leader
from naq.schedules.planning.soundness import flaw_of
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.repository import Schedules
from naq.schedules.stored import Unreadable
from naq.schedules.transitions import decided_ahead
from naq.store.keys import ALL_DEAD, ALL_JOBS, Namespace, queue_in
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.bucket_config import mending_command, mirrors_of, unsuitable
from naq.store.nats.connection import TEARS_BATCHES, ConnectionService
from naq.store.nats.event_stream import EventService
from naq.timing.zones import tzdata_version

__all__ = ["Finding", "Level", "check_up"]

CLOCK_WARNING = 0.5
"""Seconds of difference between this machine's clock and the server's that give a warning."""
CLOCK_ERROR = 5.0


class Level(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check."""

    level: Level
    subject: str
    found: str
    remedy: str | None = None
    """What to do; ``None`` when it is fine."""


async def check_up(settings: Settings, clock: Clock | None = None) -> list[Finding]:
    """Run all checks. A problem is returned as a finding, not raised."""
    findings = [Finding(Level.OK, "time zones", f"tzdata {tzdata_version()}")]
    async with ServiceManager(settings) as services:
        try:
            connection = await services.get_service(ConnectionService)
        except NaqError as error:
            return [*findings, Finding(Level.ERROR, "server", "cannot be used", str(error))]
        findings += [finding async for finding in _server(connection, clock or SystemClock())]
        try:
            store = await services.get_service(KVStoreService)
        except NaqError as error:
            return [*findings, Finding(Level.ERROR, "bucket", "cannot be used", str(error))]
        findings.append(
            Finding(Level.OK, "bucket", f"{settings.namespace!r}: atomic publish, direct get, message TTLs")
        )
        try:
            findings += [finding async for finding in _store(store, connection, settings)]
            findings += [finding async for finding in _schedules(services, store, settings)]
            findings += [finding async for finding in _jobs(await services.get_service(JobService), store)]
        except (StoreError, SchedulerError) as error:
            findings.append(Finding(Level.ERROR, "store", "did not respond", str(error)))
    return findings


async def _server(connection: ConnectionService, clock: Clock) -> AsyncIterator[Finding]:
    version = connection.client.connected_server_version
    text = f"{connection.where}, version {version.major}.{version.minor}.{version.patch}"
    if connection.tears_batches:
        yield Finding(Level.ERROR, "server", text, TEARS_BATCHES)
    else:
        yield Finding(Level.OK, "server", text)
    try:
        began = clock.now()
        info = await connection.api("INFO")
        ended = clock.now()
    except NaqError as error:
        yield Finding(Level.ERROR, "JetStream", "does not respond", str(error))
        return
    used, limit = info.get("storage", 0), info.get("limits", {}).get("max_storage", -1)
    quota = "" if limit in (-1, 0) else f" of {limit / 1e9:.1f} GB"
    text = f"{info.get('streams', 0)} streams, {used / 1e6:.1f} MB stored{quota}"
    full = limit > 0 and used > 0.9 * limit
    remedy = "increase the account's max_storage, or delete data that is not needed" if full else None
    yield Finding(Level.WARNING if full else Level.OK, "JetStream", text, remedy)
    yield await _clock_offset(connection, began, ended, clock)


async def _clock_offset(connection: ConnectionService, began: datetime, ended: datetime, clock: Clock) -> Finding:
    """Compares this machine's clock with the server's, which sends its time with stream information."""
    names = Namespace(connection.settings.namespace)
    try:
        began = clock.now()
        info = await connection.api(f"STREAM.INFO.{names.stream}")
        ended = clock.now()
    except StoreError:
        return Finding(Level.OK, "clock", "not compared: the bucket does not exist yet")
    stamp = str(info.get("ts", ""))
    if not stamp:
        return Finding(Level.WARNING, "clock", "not compared: the server does not send its time", "upgrade the server")
    there = datetime.fromisoformat(stamp)
    offset = (there - (began + (ended - began) / 2)).total_seconds()
    text = f"the server's clock is {abs(offset) * 1000:.0f} ms {'ahead' if offset > 0 else 'behind'}"
    if abs(offset) >= CLOCK_WARNING:
        level = Level.ERROR if abs(offset) >= CLOCK_ERROR else Level.WARNING
        return Finding(level, "clock", text, "synchronise both clocks (NTP): fires come early or late by this much")
    return Finding(Level.OK, "clock", text)


async def _store(store: KVStoreService, connection: ConnectionService, settings: Settings) -> AsyncIterator[Finding]:
    info = await connection.stream_service.info(store.names.stream)
    config: dict[str, Any] = {} if info is None else info["config"]
    cluster: dict[str, Any] = {} if info is None else info.get("cluster") or {}
    wrong = unsuitable(config) if config else []
    for each in wrong:
        remedy = mending_command(store.names, [each]) or "back up the bucket and create it again"
        yield Finding(Level.ERROR, "bucket", each.reason, remedy)
    for mirror in await mirrors_of(connection, store.names.stream):
        text = f"the stream {mirror} mirrors it: the server lets a mirror answer reads of the bucket, and it may lack records"
        remedy = f"remove it (nats stream rm {mirror}), and copy with sources instead of a mirror"
        yield Finding(Level.ERROR, "bucket", text, remedy)
    replicas = int(config.get("num_replicas", 1))
    if cluster.get("name") and replicas < 3:
        remedy = f"nats stream edit {store.names.stream} --replicas=3, or set replicas = 3 before the bucket is created"
        yield Finding(Level.WARNING, "replicas", f"{replicas}, on the cluster {cluster['name']!r}", remedy)
    else:
        yield Finding(Level.OK, "replicas", str(replicas))
    behind = [peer["name"] for peer in cluster.get("replicas", []) if not peer.get("current")]
    if behind:
        yield Finding(Level.WARNING, "replicas", f"behind: {', '.join(behind)}", "check those nodes")
    if settings.embedded:
        yield Finding(Level.OK, "sync on write", "always (embedded server)")
    elif replicas == 1:
        text = "unknown: a server does not tell clients how often it syncs"
        remedy = (
            "set jetstream { sync_interval: always } on the server, or a power failure can lose acknowledged writes"
        )
        yield Finding(Level.WARNING, "sync on write", text, remedy)


async def _schedules(services: ServiceManager, store: KVStoreService, settings: Settings) -> AsyncIterator[Finding]:
    try:
        lease = await find_leader(store, store.connection, SystemClock().now())
    except RecordUnreadable as error:
        yield Finding(Level.ERROR, "leader", str(error), "delete the key; a scheduler creates it again")
    else:
        if lease is None:
            yield Finding(Level.WARNING, "leader", NO_LEADER, START_SCHEDULER)
        else:
            yield Finding(Level.OK, "leader", lease.instance_id)
    events = await services.get_service(EventService)
    total, bad = 0, []
    silent: list[tuple[str, datetime]] = []
    now = SystemClock().now()
    async for page in Schedules(store, SystemClock(), events, settings.instance_id).pages():
        total += len(page)
        for record in page:
            if (flawed := _flawed(record)) is not None:
                bad.append(flawed)
            elif isinstance(record, Schedule) and (ahead := decided_ahead(record, now)) is not None:
                silent.append((record.schedule_id, ahead))
    yield Finding(Level.OK, "schedules", str(total))
    for record in bad[:20]:
        remedy = f"repair the record, or delete it: naq schedule delete {record.schedule_id}"
        yield Finding(Level.ERROR, "schedule", f"{record.schedule_id} is quarantined: {record.reason}", remedy)
    for name, ahead in silent[:20]:
        found = f"{name} skipped {ahead.isoformat()}: a scheduler's clock was ahead and decided it too early"
        yield Finding(Level.ERROR, "schedule", found, f"plan it again: naq schedule aim {name}")


def _flawed(record: Schedule | Unreadable) -> Unreadable | None:
    """The record, if it is quarantined; ``None``: it is fine."""
    if isinstance(record, Unreadable):
        return record
    flaw = flaw_of(record) if record.status is ScheduleStatus.ACTIVE else None
    return None if flaw is None else Unreadable(record.schedule_id, flaw)


async def _jobs(jobs: JobService, store: KVStoreService) -> AsyncIterator[Finding]:
    """Checks that every queue with jobs has workers, and reports dead letters."""
    workers = await jobs.list_workers()
    served = {queue for worker in workers for queue in worker.queues}
    yield Finding(
        Level.OK, "workers", f"{len(workers)}, for the queues {', '.join(sorted(served))}" if served else "none"
    )
    for worker in workers:
        if worker.blocked_for:
            text = f"a job has been blocking the event loop of {worker.worker_id} for {worker.blocked_for:.0f} s"
            yield Finding(Level.WARNING, "worker", text, "see where: naq events --type worker_blocked --since 1h")
    queued = {queue_in(key) for key in await store.names_of(ALL_JOBS)}
    for queue in sorted(queued):
        info = await jobs.queue_info(queue)
        if info.limits.paused and info.waiting:
            yield Finding(Level.WARNING, "queue", f"{queue!r} is paused, with {counted(info.waiting, 'job')} in it")
        elif info.waiting and not info.workers:
            found = f"{counted(info.waiting, 'job')} in {queue!r}, and no worker serves it"
            yield Finding(Level.WARNING, "queue", found, start_worker(queue))
    dead = await store.names_of(ALL_DEAD)
    for letter in await jobs.list_dead(reason=DeadReason.UNWRITABLE, limit=20) if dead else []:
        text = f"the end of job {letter.job_id} could not be written: {letter.error}"
        yield Finding(Level.ERROR, "end of a job", text, f"see why: naq job show {letter.job_id}")
    if dead:
        text = f"{counted(len(dead), 'job')} that will not be retried"
        yield Finding(Level.WARNING, "dead letters", text, "see naq job dead, then naq job requeue or naq job purge")
