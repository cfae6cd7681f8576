"""How a worker gets its jobs: so many in hand as it has slots, of each queue its share, and some more when they are short."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import DeadJob, DeadReason, QueueLimits, StoredResult
from naq.lifecycle import Tasks
from naq.queue.consumers import ensure_consumer
from naq.queue.results import ResultService
from naq.store.codec import decode, encode
from naq.store.keys import Namespace, dead_key, parse_job_key, queue_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.direct_get import entry_value
from naq.store.nats.protocol import parse_delivery
from naq.worker.claimed import ACK, Held, encode_acks
from naq.worker.pulling import Pull
from naq.worker.recheck import Rechecker

__all__ = ["Burial", "Intake", "Load"]

AHEAD = 0.02
"""Seconds of work that wait in a worker beyond its slots: asking for more takes about as long."""
MOST_AHEAD = 500
WAITED_LONG = 1.0
"""Seconds after which a job that waits in the worker shows that the jobs are not as short as they were."""
CALM_DOWN = 5.0
UNSETTLED_LIMIT = 2000
"""Ended jobs that are not written down yet, at which no more are taken: the store is slow or away."""
RETRY_AFTER = 0.5
DOUBT_FOR = 2.0
"""Seconds in which a worker that was away has taken in all that waited at its door."""

log = logging.getLogger("naq.intake")


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker has in hand."""

    slots: int
    occupied: int
    buffered: int
    unsettled: int
    oldest: float | None
    """Since when the job has waited that has waited longest."""


class Burial:
    """What becomes of a job whose record cannot be read: a dead letter that holds it as it is."""

    def __init__(
        self,
        connection: ConnectionService,
        kv: KVStoreService,
        results: ResultService,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._connection = connection
        self._kv = kv
        self._results = results
        self._clock = clock
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def bury(self, key: str, value: bytes, reply: bytes, error: RecordUnreadable) -> None:
        """Write the dead letter and acknowledge; without waiting."""
        self._start(self._bury(key, value, reply, error), f"bury {key}")

    def acknowledge(self, reply: bytes) -> None:
        """There is nothing to run; without waiting."""
        self._start(self._acknowledge(reply), "acknowledge")

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _acknowledge(self, reply: bytes) -> None:
        try:
            await self._connection.client.send(encode_acks([reply], ACK))
        except StoreError as problem:
            log.debug("a removed job is acknowledged when it comes again: %s", problem)

    async def stop(self) -> None:
        """Give up what is not done; it comes again."""
        for task in tuple(self._tasks):
            task.cancel()
            await asyncio.wait((task,))

    async def _bury(self, key: str, value: bytes, reply: bytes, error: RecordUnreadable) -> None:
        log.error("%s", error)
        queue, job_id, attempt = _place(key)
        now = self._clock.now()
        worker_id = self._settings.instance_id
        dead = DeadJob(
            job_id=job_id,
            reason=DeadReason.UNREADABLE,
            died_at=now,
            raw=value.decode(errors="replace"),
            key=key,
            error_type="RecordUnreadable",
            error=error.reason,
            worker_id=worker_id,
        )
        result = StoredResult(
            job_id=job_id,
            status=JobStatus.FAILED,
            queue=queue,
            attempt=attempt,
            error_type="RecordUnreadable",
            error=error.reason,
            worker_id=worker_id,
            ended_at=now,
        )
        while True:
            try:
                await self._kv.put(dead_key(job_id), encode(dead))
                await self._results.write([result], [self._settings.job_ttl])
                await self._connection.client.send(encode_acks([reply], ACK))
                return
            except StoreError as problem:
                log.info("a record that cannot be read is set aside later: %s", problem)
                await self._clock.sleep(RETRY_AFTER)


class Intake:
    """Asks for jobs as long as the worker can take some."""

    def __init__(
        self,
        connection: ConnectionService,
        kv: KVStoreService,
        settings: Settings,
        clock: Clock,
        held: dict[int, Held],
        weights: Mapping[str, int],
        load: Callable[[], Load],
        on_job: Callable[[Held], None],
        rechecker: Rechecker,
        burial: Burial,
    ) -> None:
        self.wake = asyncio.Event()
        """Set when more may be asked for."""
        self._connection = connection
        self._kv = kv
        self._settings = settings
        self._names = Namespace(settings.namespace)
        self._clock = clock
        self._held = held
        self._weights = weights
        self._load = load
        self._on_job = on_job
        self._rechecker = rechecker
        self._burial = burial
        self._doubtful_until: dict[str, int] = {}
        """By queue: jobs up to this sequence were there before we began to ask."""
        self._doubtful_before = 0.0
        """Jobs that came before this instant (monotonic) may have been at the door for long."""
        self._service_time = 1.0
        self._congested_until = 0.0
        self._retry_at: dict[str, float] = {}
        self._stop_listening: Callable[[], None] | None = None
        self._pulls = [
            Pull(
                connection,
                clock,
                queue,
                f"{self._names.stream}.{self._names.consumer(queue)}",
                self._on_frame,
                self.wake.set,
            )
            for queue in settings.queues
        ]

    async def start(self, tasks: Tasks) -> None:
        """Ask from now on. Raises `StoreError` when the consumers cannot be made."""
        self._rechecker.connected()
        for pull in self._pulls:
            await self._mend(pull)
        self._stop_listening = self._connection.on_state(self._on_state)
        self.wake.set()
        tasks.start("naq recheck", self._rechecker.run)
        tasks.start("naq pull", self._ask_for_ever)
        tasks.start("naq pull watch", self._watch)

    async def stop(self) -> None:
        """Ask for nothing more. Jobs that were on their way still come before this returns."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        for pull in self._pulls:
            await pull.stop()
        await self._burial.stop()

    def renew(self, queue: str) -> None:
        """The limits of a queue changed: have its consumer follow them, and ask anew."""
        for pull in self._pulls:
            if pull.queue == queue:
                pull.lose("its limits changed")

    def ran(self, seconds: float) -> None:
        """A job ran for so long."""
        self._service_time += 0.05 * (seconds - self._service_time)

    def was_away(self) -> None:
        """The worker took nothing in for a while: what was on its way to it may have been handed out again meanwhile."""
        self._rechecker.connected()
        self._doubtful_before = self._clock.monotonic() + DOUBT_FOR

    @property
    def ahead(self) -> int:
        """How many jobs may wait in the worker beyond its slots."""
        if self._clock.monotonic() < self._congested_until:
            return 0
        return min(MOST_AHEAD, int(AHEAD * self._settings.concurrency / max(self._service_time, 1e-6)))

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.RESTORED:
            self._rechecker.connected()
            for pull in self._pulls:
                pull.lose("the connection was restored")

    async def _ask_for_ever(self) -> None:
        while True:
            await self.wake.wait()
            self.wake.clear()
            for pull in self._pulls:
                try:
                    await self._ask(pull)
                except StoreError as error:
                    log.info("no jobs of queue %s can be asked for: %s", pull.queue, error)
                    pull.lose("asking failed")
                    self._retry_at[pull.queue] = self._clock.monotonic() + RETRY_AFTER

    async def _ask(self, pull: Pull) -> None:
        if pull.broken == "stopped" or self._clock.monotonic() < self._retry_at.get(pull.queue, 0.0):
            return
        if pull.broken is not None:
            await self._mend(pull)
        wanted = self._share(pull)
        if wanted > pull.outstanding and pull.outstanding <= wanted // 2:
            await pull.ask(wanted - pull.outstanding)

    def _share(self, pull: Pull) -> int:
        """How many jobs of the queue may be on their way to this worker."""
        load = self._load()
        free = load.slots + self.ahead - load.occupied - load.buffered - len(self._rechecker)
        if free <= 0 or load.unsettled > UNSETTLED_LIMIT:
            return 0
        return math.ceil(free * self._weights[pull.queue] / sum(self._weights.values()))

    async def _mend(self, pull: Pull) -> None:
        entry = await self._kv.get(queue_key(pull.queue))
        limits = QueueLimits()
        if entry is not None and entry.value is not None:
            limits = decode(QueueLimits, entry.key, entry.value)
        await ensure_consumer(self._connection, self._names, self._settings, pull.queue, limits)
        self._doubtful_until[pull.queue] = await self._kv.last_revision(f"job.{pull.queue}.>")
        await pull.restart()

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(RETRY_AFTER)
            now = self._clock.monotonic()
            oldest = self._load().oldest
            if oldest is not None and now - oldest > WAITED_LONG:
                self._congested_until = now + CALM_DOWN
            for pull in self._pulls:
                pull.check()
            self.wake.set()

    def _on_frame(self, pull: Pull, subject: bytes, reply: bytes, headers: bytes, data: bytes) -> None:
        delivery = parse_delivery(reply)
        known = self._held.get(delivery.stream_seq)
        key = self._names.key(subject.decode())
        if known is not None:
            if known.key == key:
                known.reply = reply  # handed out again, though it is still here: a heartbeat was lost
            return  # of another life of the bucket: it comes again when the one that has its number is through
        value = entry_value(headers, data)
        if value is None:
            self._burial.acknowledge(reply)  # what was queued there was removed before anybody had it
            return
        try:
            queued = decode(QueuedJob, key, value)
        except RecordUnreadable as error:
            self._burial.bury(key, value, reply, error)
            return
        held = Held(pull.queue, key, reply, delivery.stream_seq, delivery.delivered, queued, self._clock.monotonic())
        self._held[delivery.stream_seq] = held
        doubtful = (
            held.delivered > 1
            or held.stream_seq <= self._doubtful_until[pull.queue]
            or held.taken_at < self._doubtful_before
        )
        if doubtful:
            self._rechecker.add(held)
        else:
            self._on_job(held)


def _place(key: str) -> tuple[str, str, int]:
    """Queue, job id and attempt that a key below ``job`` names; of one that is no job's, what it can be shown by."""
    try:
        return parse_job_key(key)
    except ValueError:
        _, queue, rest = key.split(".", 2)
        return queue, rest, 1
