"""The worker service: pulls jobs of its queues, runs them, and writes down how they ended.

::

    pulled (pulling) -> buffered -> admitted (admission) -> run (engine.execute) -> decided (engine.ending)
           -> settled in groups (settling) -> acknowledged -> trimmed (trimming)

A job is in this worker's hand (`held`) from the first to the last but one of these; as long as it is, the heartbeat thread tells
the server so. Asking for jobs keeps as many in hand as there are slots, and some more when jobs are so short that
asking would take longer than running.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.engine.ending import Ending, Facts, decide
from naq.engine.execute import GRACE, Attempt, Middleware, Runner
from naq.engine.outcome import Dropped, HandedBack, Outcome
from naq.engine.registry import Registry
from naq.engine.tasks import Tasks
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.job_records import WorkerInfo
from naq.names import Namespace
from naq.services.admission import Admission, Forget, Later, Refuse, needs_thought
from naq.services.announcing import Announcer
from naq.services.base import BaseService, ServiceManager
from naq.services.buffer import Buffer
from naq.services.connection import ConnectionService
from naq.services.control import Control, Question, Reply
from naq.services.dependencies import Dependencies
from naq.services.events import EventService
from naq.services.finishing import Finisher
from naq.services.heartbeat import Heartbeat, resident_bytes
from naq.services.held import Held, Stage
from naq.services.history import HistoryService
from naq.services.intake import Burial, Intake, Load
from naq.services.kv_stores import KVStoreService
from naq.services.limits import Rates, Slots
from naq.services.results import ResultService
from naq.services.settling import Settling
from naq.services.trimming import Trimmer

__all__ = ["WorkerService"]

RETRY_AFTER = 0.5
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
        a job has to end after it was stopped."""
        super().__init__(config)
        self.clock: Clock = clock or SystemClock()
        self.names = Namespace(self.settings.namespace)
        self.worker_id = self.settings.instance_id
        self.registry = registry if registry is not None else Registry()
        """What this worker runs; add functions before `start`."""
        self.registry.allow(self.settings.allow_functions)
        self.held: dict[int, Held] = {}
        """Jobs in hand, by their sequence in the stream."""
        self.slots = self.settings.concurrency
        self.occupied = 0
        """Slots in use."""
        self.finished = 0
        self.failed = 0
        self.draining = False
        self._connection = connection_service
        self._kv = kv_service
        self._events = event_service
        self._results = result_service
        self._history = history_service
        self._middleware = tuple(middleware)
        self._weights = {queue: max(1, (weights or {}).get(queue, 1)) for queue in self.settings.queues}
        self._grace = grace
        self._started = False
        self._idle = asyncio.Event()
        self._thoughts: set[asyncio.Task[None]] = set()
        self._closers: list[Callable[[], Any]] = []
        self._wake_at: asyncio.TimerHandle | None = None
        self._started_at = self.clock.now()

    # --- lifecycle

    async def _do_initialize(self) -> None:
        for service in (self._connection, self._kv, self._events, self._results, self._history):
            await service.initialize()
        settings, clock = self.settings, self.clock
        self._dependencies = Dependencies(self._kv, self._results, clock, self.worker_id)
        self._settling = Settling(
            settings, self._kv, self._results, self._dependencies, self._history, self._events, clock
        )
        self._function_slots = Slots(self._kv, self.worker_id)
        self._admission = Admission(settings, self._kv, self._results, self._dependencies, self._function_slots, clock)
        self._rates = Rates(clock, self.worker_id, settings.queues)
        self._trimmer = Trimmer(self._connection, self.names, clock, settings.queues)
        self._finisher = Finisher(self._connection, self._settling, clock, self._on_released)
        self._announcer = Announcer(self._results, clock, self.held, settings.ack_wait)
        self._buffer = Buffer(self._weights)
        self._intake = Intake(
            self._connection,
            self._kv,
            settings,
            clock,
            self.held,
            self._weights,
            self._load,
            self._take,
            Burial(self._connection, self._kv, self._results, clock, settings),
        )
        self._runner = Runner(
            self.registry,
            clock,
            self.worker_id,
            middleware=self._middleware,
            allow_pickle=settings.allow_pickle,
            on_progress=self._announcer.touch,
            grace=self._grace,
        )
        self._heartbeat = Heartbeat(settings, clock, self.held, self._function_slots.taken, self.info, self._on_blocked)
        self._tasks = Tasks(clock)
        if settings.allow_pickle:
            log.warning("this worker accepts pickled arguments: whoever can write jobs can run any code in it")

    async def _do_cleanup(self) -> None:
        await self.stop()

    async def start(self) -> None:
        """Take jobs from now on. Initializes first if need be; idempotent."""
        await self.initialize()
        if self._started:
            return
        self._started = True
        self.draining = False
        self._started_at = self.clock.now()
        try:
            await self._heartbeat.start()
            control = await Control(self._connection, self.names).serve(self._on_question)
            self._closers.append(control.unsubscribe)
            for number in range(2):
                self._tasks.start(f"naq settle {number}", self._finisher.run)
            self._tasks.start("naq trim", self._trimmer.run)
            self._tasks.start("naq announce", self._announcer.run)
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
        self.draining = True
        try:
            await self._intake.stop()
            for held in self._buffer.clear():
                self._finisher.give_back(held)
            await self._wait_idle(self.settings.drain_timeout)
            for attempt in tuple(self._runner.running):
                self._runner.stop(attempt, "drain")
            await self._wait_idle(self._grace + 1.0)
            await self._finisher.finish(self.settings.request_timeout)
            if self._connection.is_connected:
                await self._trimmer.trim()
        finally:
            for task in tuple(self._thoughts):
                task.cancel()
            await self._tasks.stop()
            while self._closers:
                await self._closers.pop()()
            if self._wake_at is not None:
                self._wake_at.cancel()
            await self._runner.close()
            await self._heartbeat.stop()
            self.held.clear()
            self._started = False
        self._emit(EventType.WORKER_STOPPED)
        log.info("worker %s stopped", self.worker_id)

    async def _wait_idle(self, seconds: float) -> None:
        """Until no job has a slot, at most so long."""
        self._idle.clear()
        if self.occupied == 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def info(self) -> WorkerInfo:
        """What this worker says of itself. May be called from any thread."""
        running = [held.queued.job_id for held in list(self.held.values()) if held.stage is Stage.RUNNING]
        return WorkerInfo(
            worker_id=self.worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=self.settings.queues,
            concurrency=self.slots,
            started_at=self._started_at,
            seen_at=self.clock.now(),
            running=tuple(running[:100]),
            running_count=len(running),
            finished=self.finished,
            failed=self.failed,
            stuck=len(self._runner.stuck),
            memory=resident_bytes(),
            blocked_for=round(self._heartbeat.blocked_for, 1),
            draining=self.draining,
        )

    # --- from the buffer to an end

    def _load(self) -> Load:
        return Load(self.slots, self.occupied, len(self._buffer), len(self._finisher), self._buffer.oldest())

    def _take(self, held: Held) -> None:
        """A job came (`Intake`)."""
        if self.draining:
            self._finisher.give_back(held)
            return
        self._buffer.put(held)
        self.pump()

    def pump(self) -> None:
        """Give free slots to buffered jobs."""
        while self.occupied < self.slots and not self.draining:
            held = self._buffer.next(lambda queue: self._rates.wait(queue) == 0.0)
            if held is None:
                break
            self._rates.take(held.queue)
            self._begin(held)
        if self._buffer and self.occupied < self.slots:
            self._pump_later(min(self._rates.wait(queue) for queue in self._buffer.queues()))
        self._intake.wake.set()

    def _pump_later(self, seconds: float) -> None:
        if self._wake_at is None or self._wake_at.cancelled():
            self._wake_at = asyncio.get_running_loop().call_later(max(0.001, seconds), self._pump_now)

    def _pump_now(self) -> None:
        self._wake_at = None
        self.pump()

    def _begin(self, held: Held) -> None:
        held.stage = Stage.RUNNING
        self.occupied += 1
        if needs_thought(held):
            task = asyncio.create_task(self._think(held), name=f"admit {held.queued.job_id}")
            self._thoughts.add(task)
            task.add_done_callback(self._thoughts.discard)
        elif held.queued.start_by is not None and self.clock.now() > held.queued.start_by:
            self._over(held, Dropped("missed"))
        else:
            self._run(held)

    async def _think(self, held: Held) -> None:
        while True:
            try:
                decision = await self._admission.decide(held)
                break
            except StoreError as error:
                log.info("job %s waits: %s", held.queued.job_id, error)
                await self.clock.sleep(RETRY_AFTER)
        match decision:
            case Forget():
                self._free_slot(held)
                self._finisher.acknowledge(held)
            case Later(seconds):
                self._free_slot(held)
                self._finisher.give_back(held, seconds)
            case Refuse(outcome):
                self._over(held, outcome)
            case _ if held.cancel_reason is not None:
                self._over(held, Dropped("cancelled"))
            case _:
                self._run(held)
        self.pump()

    def _run(self, held: Held) -> None:
        queued = held.queued
        held.attempt = self._runner.start(queued, lambda attempt, outcome: self._on_end(held, attempt, outcome))
        self._emit(
            EventType.JOB_STARTED,
            at=held.attempt.started_at,
            schedule_id=queued.schedule_id,
            job_id=queued.job_id,
            queue=queued.spec.queue,
            attempt=queued.attempt,
            nominal_at=queued.nominal_at,
        )

    def _on_end(self, held: Held, attempt: Attempt, outcome: Outcome) -> None:
        ended_at = self.clock.monotonic()
        self._intake.ran(ended_at - attempt.began)
        self.finished += 1
        self._over(held, outcome, attempt)
        self.pump()

    def _over(self, held: Held, outcome: Outcome, attempt: Attempt | None = None) -> None:
        """An attempt is over, whether or not it was run."""
        self._free_slot(held)
        if isinstance(outcome, HandedBack):
            self._finisher.give_back(held)
            return
        now = self.clock.now()
        facts = Facts(
            worker_id=self.worker_id,
            now=now,
            started_at=None if attempt is None else attempt.started_at,
            ended_at=None if attempt is None else now,
            reason=held.cancel_reason,
        )
        ending: Ending = decide(held.queued, outcome, facts)
        if ending.dead is not None or ending.next_attempt is not None:
            self.failed += 1
        self._finisher.put(held, ending)

    def _free_slot(self, held: Held) -> None:
        self.occupied -= 1
        if self.occupied == 0:
            self._idle.set()

    def _on_released(self, held: Held) -> None:
        """A job is acknowledged or handed back (`Finisher`)."""
        self.held.pop(held.stream_seq, None)
        self._trimmer.touch(held.queue)
        if held.slot is not None:
            self._background(self._function_slots.free([held.slot]))
        self._intake.wake.set()

    def _background(self, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except StoreError as error:
                log.info("a slot frees itself later: %s", error)

        task = asyncio.create_task(guarded())
        self._thoughts.add(task)
        task.add_done_callback(self._thoughts.discard)

    # --- what others want

    def _on_question(self, question: Question) -> Reply:
        if question.held:
            return Reply(self.worker_id, held=tuple(held.queued.job_id for held in self.held.values()))
        has = False
        for held in tuple(self.held.values()):
            if held.queued.job_id == question.cancel and held.stage in (Stage.BUFFERED, Stage.RUNNING):
                has = True
                self._cancel(held, question.reason or "cancelled")
        return Reply(self.worker_id, has)

    def _cancel(self, held: Held, reason: str) -> None:
        held.cancel_reason = reason
        if held.stage is Stage.BUFFERED:
            self._buffer.remove(held)
            held.stage = Stage.RUNNING
            self.occupied += 1
            self._over(held, Dropped("cancelled"))
        elif held.attempt is not None:
            self._runner.stop(held.attempt, "cancelled")

    def _on_blocked(self, seconds: float, job_id: str | None) -> None:
        log.warning("the event loop was blocked for %.1f s%s", seconds, f" by job {job_id}" if job_id else "")
        self._emit("worker_blocked", job_id=job_id, details={"seconds": round(seconds, 1)})

    async def _follow_limits(self) -> None:
        for pattern in ("queue.>", "worker.>"):
            async for entries in self._kv.scan(pattern):
                for entry in entries:
                    self._rates.apply(entry)
        async for entries in self._kv.watch(["queue.>", "worker.>"]):
            for entry in entries:
                self._rates.apply(entry)
                if entry.key.startswith("queue."):
                    self._intake.renew(entry.key.partition(".")[2])
            self.pump()

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_EVERY)
            try:
                await self._settling.look_after(await self._dependencies.sweep())
            except StoreError as error:
                log.info("jobs that wait for others are looked after later: %s", error)

    def _emit(self, kind: EventType | str, *, at: Any = None, **fields: Any) -> None:
        event = Event(type=kind, timestamp=at or self.clock.now(), instance_id=self.worker_id, **fields)
        self._events.emit([event])


ServiceManager.register_service("worker", WorkerService)
