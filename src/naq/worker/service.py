"""The worker service: pulls jobs of its queues, runs them, and writes down how they ended.

::

    pulled (intake) -> buffered -> admitted (admission) -> run (engine.execute) -> decided (engine.ending)
           -> settled in groups (finishing, settling) -> acknowledged -> trimmed (trimming)

A job is in this worker's hand (`held`) from the first to the last but one of these; as long as it is, the heartbeat thread tells
the server so. Asking for jobs keeps as many in hand as there are slots, and some more when jobs are so short that
asking would take longer than running.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.jobs.control import Control, Question, Reply
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import QueuedJob
from naq.jobs.records import WorkerInfo
from naq.lifecycle import BaseService, ServiceManager, Tasks
from naq.queue.limits import Rates, Slots
from naq.queue.results import ResultService
from naq.queue.settle import Settling
from naq.store.keys import Namespace
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService
from naq.store.nats.event_stream import EventService
from naq.worker.admission import Admission
from naq.worker.buffer import Buffer
from naq.worker.claimed import Held, Stage
from naq.worker.execution.memory import resident_bytes
from naq.worker.execution.run import GRACE, Middleware, Runner
from naq.worker.finish import Finisher
from naq.worker.flow import JobFlow
from naq.worker.heartbeat import Heartbeat
from naq.worker.intake import Burial, Intake
from naq.worker.progress import Announcer
from naq.worker.recheck import Rechecker
from naq.worker.starts import Starts
from naq.worker.superseded import SupersededRuns
from naq.worker.trim import Trimmer

__all__ = ["WorkerService"]

LIMIT_PATTERNS = ("queue.>", "worker.>")
BUSY_ELSEWHERE = 0.5
"""Seconds after which a job that another worker is busy with comes again."""
SWEEP_EVERY = 30.0
"""Seconds between two looks after jobs that wait for others."""

log = logging.getLogger("naq.worker")


class WorkerService(BaseService):
    """Runs the jobs of some queues. `initialize` prepares it; it takes jobs from `start` on, so that functions can be
    registered before; `stop` (or `cleanup`) drains it."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        kv_service: KVStoreService,
        event_service: EventService,
        result_service: ResultService,
        history_service: HistoryService,
        *,
        registry: Registry | None = None,
        middleware: Sequence[Middleware] = (),
        weights: Mapping[str, int] | None = None,
        grace: float = GRACE,
        clock: Clock | None = None,
    ) -> None:
        """``weights``: how many jobs of each queue are taken when all have some (default 1 each). ``grace``: seconds that
        a job has to end after it was stopped.

        A worker that holds more than ``memory_limit`` of the settings sends its process a SIGTERM, to be drained and
        started anew by whoever supervises it."""
        super().__init__(config)
        self.clock: Clock = clock or SystemClock()
        self.names = Namespace(self.settings.namespace)
        self.worker_id = self.settings.instance_id
        self.registry = registry if registry is not None else Registry()
        """What this worker runs; add functions before `start`."""
        self.registry.allow(self.settings.allow_functions)
        self.held: dict[int, Held] = {}
        """Jobs in hand, by their sequence in the stream."""
        self._connection = connection_service
        self._kv = kv_service
        self._events = event_service
        self._results = result_service
        self._history = history_service
        self._middleware = tuple(middleware)
        self._weights = {queue: max(1, (weights or {}).get(queue, 1)) for queue in self.settings.queues}
        self._grace = grace
        self._started = False
        self._closers: list[Callable[[], Any]] = []
        self._started_at = self.clock.now()

    # --- lifecycle

    async def _do_initialize(self) -> None:
        for service in (self._connection, self._kv, self._events, self._results, self._history):
            await service.initialize()
        if self.settings.allow_pickle:
            log.warning("this worker accepts pickled arguments: whoever can write jobs can run any code in it")
        self._build()

    def _build(self) -> None:
        """Make the parts anew: what a stop leaves behind, e.g. a thread that ignores it, is none of theirs."""
        settings, clock, kv, connection = self.settings, self.clock, self._kv, self._connection
        self._settling = Settling(settings, kv, self._results, self._history, self._events, clock)
        self._dependencies = self._settling.dependencies
        self._rates = Rates(clock, self.worker_id, settings.queues)
        self._trimmer = Trimmer(connection, self.names, clock, settings.queues)
        starts = Starts(settings, self._results, self._history, self._events, clock)
        self._finisher = Finisher(connection, self._settling, starts, clock, self._on_released)
        self._announcer = Announcer(self._results, clock, self.held, settings.ack_wait)
        self._runner = Runner(
            self.registry,
            clock,
            self.worker_id,
            self._history,
            middleware=self._middleware,
            allow_pickle=settings.allow_pickle,
            on_progress=self._announcer.touch,
            on_stuck=lambda: self._heartbeat.changed(),  # made later
            on_swollen=self._on_swollen,
            process_memory_limit=settings.process_memory_limit,
            grace=self._grace,
        )
        slots = Slots(kv, self.worker_id)
        self._flow = JobFlow(
            self.worker_id,
            settings.concurrency,
            clock,
            self._events,
            Buffer(self._weights),
            self._rates,
            Admission(settings, kv, self._dependencies, slots, starts, clock),
            slots,
            self._runner,
            self._finisher,
            self._on_free,
        )
        self._superseded = SupersededRuns(kv, self._results, clock, self.held, self._flow.cancel)
        self._build_intake(slots)

    def _build_intake(self, slots: Slots) -> None:
        settings, clock, kv, connection = self.settings, self.clock, self._kv, self._connection
        self._control = Control(connection, self.names, kv)
        self._rechecker = Rechecker(
            self.worker_id,
            kv,
            self._results,
            self._control,
            clock,
            self._settling.close_runs,
            on_clear=self._flow.take,
            on_ended=self._finisher.acknowledge,
            on_elsewhere=lambda held: self._finisher.give_back(held, BUSY_ELSEWHERE),
        )
        burial = Burial(connection, kv, self._results, clock, settings)
        self._intake = Intake(
            connection,
            kv,
            settings,
            clock,
            self.held,
            self._weights,
            self._flow.load,
            self._flow.take,
            self._rechecker,
            burial,
        )
        self._heartbeat = Heartbeat(
            settings, clock, self.held, slots.taken, self.info, self._on_blocked, self._on_memory
        )
        self._tasks = Tasks(clock)

    async def _do_cleanup(self) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take jobs from now on. Initializes first if need be; idempotent."""
        await self.initialize()
        if self._started:
            return
        self._started = True
        self._started_at = self.clock.now()
        self._build()
        try:
            await self._heartbeat.start()
            for line in await self._control.serve(self.worker_id, self._on_question):
                self._closers.append(line.unsubscribe)
            self._limits_seen = await self._read_limits()
            for number in range(2):
                self._tasks.start(f"naq settle {number}", self._finisher.run)
            self._tasks.start("naq trim", self._trimmer.run)
            self._tasks.start("naq announce", self._announcer.run)
            self._tasks.start("naq superseded", self._superseded.run)
            self._tasks.start("naq limits", self._follow_limits)
            self._tasks.start("naq dependencies", self._sweep)
            await self._intake.start(self._tasks)
        except BaseException:
            await self.stop()
            raise
        self._emit(EventType.WORKER_STARTED, details={"queues": list(self.settings.queues)})
        log.info("worker %s takes jobs of %s", self.worker_id, ", ".join(self.settings.queues))

    async def stop(self) -> None:
        """Drain: take no more jobs, let those that run end within ``drain_timeout``, hand the others back. Idempotent."""
        if not self._started:
            return
        self._flow.draining = True
        self._heartbeat.changed()
        try:
            await self._intake.stop()
            for held in self._rechecker.clear():
                self._finisher.give_back(held)
            await self._flow.drain(self.settings.drain_timeout, self._grace + 1.0)
            await self._finisher.finish(self.settings.request_timeout)
            if self._connection.is_connected:
                await self._trimmer.trim()
        finally:
            await self._flow.close()
            await self._tasks.stop()
            while self._closers:
                await self._closers.pop()()
            await self._runner.close()
            await self._heartbeat.stop()
            self.held.clear()
            self._started = False
        self._emit(EventType.WORKER_STOPPED)
        log.info("worker %s stopped", self.worker_id)

    def info(self) -> WorkerInfo:
        """What this worker says of itself. May be called from any thread."""
        running = [held.queued.job_id for held in list(self.held.values()) if held.stage is Stage.RUNNING]
        return WorkerInfo(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self.settings.queues,
            concurrency=self.settings.concurrency,
            started_at=self._started_at,
            seen_at=self.clock.now(),
            running=tuple(running[:100]),
            running_count=len(running),
            finished=self._flow.finished,
            failed=self._flow.failed,
            stuck=len(self._runner.stuck),
            memory=resident_bytes(),
            blocked_for=round(self._heartbeat.blocked_for, 1),
            draining=self._flow.draining,
        )

    def _on_free(self, ran_for: float | None) -> None:
        if ran_for is not None:
            self._intake.ran(ran_for)
        self._intake.wake.set()

    def _on_released(self, held: Held) -> None:
        """A job is acknowledged or handed back."""
        self.held.pop(held.stream_seq, None)
        self._trimmer.touch(held.queue)
        self._flow.release_slot(held)
        self._intake.wake.set()

    # --- what others want

    def _on_question(self, question: Question) -> Reply:
        if question.held:
            return Reply(self.worker_id, held=tuple(held.queued.job_id for held in self.held.values()))
        if question.who_has:
            busy = {each.queued.job_id for each in self.held.values() if each.stage in (Stage.RUNNING, Stage.SETTLING)}
            return Reply(self.worker_id, held=tuple(job_id for job_id in question.who_has if job_id in busy))
        has = False
        for held in tuple(self.held.values()):
            if held.queued.job_id == question.cancel and held.stage in (Stage.DOUBTFUL, Stage.BUFFERED, Stage.RUNNING):
                has = True
                self._flow.cancel(held, question.reason or "cancelled")
        return Reply(self.worker_id, has)

    def _on_blocked(self, seconds: float, job_id: str | None) -> None:
        log.warning("the event loop was blocked for %.1f s%s", seconds, f" by job {job_id}" if job_id else "")
        self._intake.was_away()
        self._emit(EventType.WORKER_UNBLOCKED, job_id=job_id, details={"seconds": round(seconds, 1)})

    def _on_memory(self, resident: int, grown_by: int) -> None:
        """The process grew a lot: tell, and stop as for SIGTERM if it is more than it may have."""
        running = Counter(held.queued.spec.func for held in self.held.values() if held.stage is Stage.RUNNING)
        shown = ", ".join(f"{func} x{count}" for func, count in running.most_common(5)) or "nothing"
        log.warning(
            "the worker has grown by %d MB to %d MB; it runs %s. A job that leaks should have executor='process'",
            grown_by >> 20,
            resident >> 20,
            shown,
        )
        self._emit(EventType.WORKER_MEMORY, details={"bytes": resident, "grown_by": grown_by, "running": dict(running)})
        limit = self.settings.memory_limit
        if limit is not None and resident > limit:
            log.error("the worker holds more than its %d MB: it drains and ends", limit >> 20)
            signal.raise_signal(signal.SIGTERM)

    def _on_swollen(self, queued: QueuedJob, resident: int) -> None:
        """The process of a job holds more than it may: it is replaced."""
        self._emit(
            EventType.WORKER_MEMORY,
            job_id=queued.job_id,
            schedule_id=queued.schedule_id,
            func=queued.spec.func,
            details={"bytes": resident, "limit": self.settings.process_memory_limit},
        )

    async def _read_limits(self) -> int:
        """Read what holds now; the revision up to which it was read."""
        revision = 0
        for pattern in LIMIT_PATTERNS:
            async for entries in self._kv.scan(pattern):
                for entry in entries:
                    self._rates.apply(entry)
                revision = max(revision, entries[-1].revision)
        return revision

    async def _follow_limits(self) -> None:
        async for entries in self._kv.watch(LIMIT_PATTERNS, self._limits_seen):
            for entry in entries:
                self._rates.apply(entry)
                if entry.key.startswith("queue."):
                    self._intake.renew(entry.key.partition(".")[2])
            self._limits_seen = entries[-1].revision
            self._flow.pump()

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_EVERY)
            try:
                await self._settling.end_unmet(await self._dependencies.sweep())
            except StoreError as error:
                log.info("jobs that wait for others are looked after later: %s", error)

    def _emit(self, kind: EventType | str, **fields: Any) -> None:
        event = Event(type=kind, timestamp=self.clock.now(), instance_id=self.worker_id, **fields)
        self._events.emit([event])


ServiceManager.register_service("worker", WorkerService)
