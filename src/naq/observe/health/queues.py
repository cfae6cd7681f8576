"""Queues and workers: who serves them, which are paused, and which jobs do not end."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from naq.jobs.records import DeadReason, WorkerInfo
from naq.observe.diagnosis.jobs import counted, start_worker
from naq.observe.health.conditions import Finding, fine, found
from naq.observe.health.server import CLOCK_OF_OTHERS, clock_finding
from naq.queue.consumers import find_consumer
from naq.queue.service import JobService
from naq.store.keys import ALL_DEAD, ALL_JOBS, ALL_WORKERS, is_queue, queue_in
from naq.store.nats.bucket import KVStoreService
from naq.store.records import readable_one

__all__ = ["check_queues"]

log = logging.getLogger(__name__)


async def check_queues(jobs: JobService, store: KVStoreService) -> AsyncIterator[Finding]:
    """The workers that are alive, every queue with jobs or a worker, and dead letters."""
    served: set[str] = set()
    count = 0
    async for page in store.scan_stored(ALL_WORKERS):
        for stored in page:
            worker = readable_one(WorkerInfo, stored.entry, log)
            if worker is None:
                continue
            count += 1
            served |= set(worker.queues)
            whose, late = f"the clock of the worker {worker.worker_id}", stored.stored_at - worker.seen_at
            off = clock_finding(whose, late, CLOCK_OF_OTHERS)
            if off is not None:
                yield off
            for finding in _worker(worker):
                yield finding
    yield fine("workers", f"{count}, for the queues {', '.join(sorted(served))}" if served else "none")
    queued = {queue_in(key) for key in await store.names_of(ALL_JOBS)}
    for queue in sorted(queued | served):
        if not is_queue(queue):
            continue  # a worker's record may say anything
        async for finding in _queue(jobs, store, queue):
            yield finding
    async for finding in _dead(jobs, store):
        yield finding


def _worker(worker: WorkerInfo) -> list[Finding]:
    findings = []
    if worker.stuck:
        text = f"{worker.worker_id} holds {counted(worker.stuck, 'job')} that ignored being stopped"
        findings.append(found("worker-stuck", text))
    if worker.blocked_for:
        text = f"a job has been blocking the event loop of {worker.worker_id} for {worker.blocked_for:.0f} s"
        findings.append(found("worker-blocked", text))
    return findings


async def _queue(jobs: JobService, store: KVStoreService, queue: str) -> AsyncIterator[Finding]:
    info = await jobs.queue_info(queue)
    if info.limits.paused:
        if info.waiting:
            text = f"{queue!r} is paused, with {counted(info.waiting, 'job')} in it"
            yield found("queue-paused", text, f"naq queue limit {queue} --resume")
        return
    consumer = await find_consumer(store.connection, store.names, queue)
    if consumer is not None and consumer.get("paused"):
        name = store.names.consumer(queue)
        text = f"the consumer {name} of the queue {queue!r} is paused, with {counted(info.waiting, 'job')} in it"
        yield found("consumer-paused", text, f"nats consumer resume {store.names.stream} {name}")
    if info.waiting and not info.workers:
        text = f"{counted(info.waiting, 'job')} in {queue!r}, and no worker serves it"
        yield found("queue-unserved", text, start_worker(queue))


async def _dead(jobs: JobService, store: KVStoreService) -> AsyncIterator[Finding]:
    dead = await store.names_of(ALL_DEAD)
    for letter in await jobs.list_dead(reason=DeadReason.UNWRITABLE, limit=20) if dead else []:
        text = f"the end of job {letter.job_id} could not be written: {letter.error}"
        yield found("refused-end", text, f"see why: naq job show {letter.job_id}")
    if dead:
        yield found("dead-letters", f"{counted(len(dead), 'job')} that will not be retried")
