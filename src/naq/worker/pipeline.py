"""A worker's parts, put together: the pipeline that a job passes, and the tasks beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.jobs.control import Control
from naq.jobs.functions import Registry
from naq.jobs.history_stream import HistoryService
from naq.jobs.run_log import carry_job_ids
from naq.lifecycle import Tasks
from naq.queue.limits import Rates, Slots
from naq.queue.results import ResultService
from naq.queue.settle import Settling
from naq.store.keys import Namespace
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService
from naq.worker.admission import Admission
from naq.worker.buffer import Buffer
from naq.worker.bury import Burial
from naq.worker.claimed import Claims
from naq.worker.demand import Demand
from naq.worker.ends import EndWriter
from naq.worker.execution.calls import Calls
from naq.worker.execution.processes import Processes
from naq.worker.execution.resources import Resources
from naq.worker.execution.run import GRACE, Middleware, Runner, RunOptions
from naq.worker.finish import Finisher
from naq.worker.flow import JobFlow
from naq.worker.function_slots import FunctionSlots
from naq.worker.heartbeat import Heartbeat
from naq.worker.intake import Intake
from naq.worker.known_functions import KnownFunctions
from naq.worker.limits import LimitsFollower
from naq.worker.lives import KnownLife
from naq.worker.progress import Announcer
from naq.worker.questions import Questions
from naq.worker.reception import Reception
from naq.worker.recheck import Lookup, Rechecker
from naq.worker.report import Report
from naq.worker.starts import Starts
from naq.worker.superseded import SupersededRuns
from naq.worker.sweep import DependencySweep, SlotSweep
from naq.worker.trim import Trimmer

__all__ = ["Backend", "Pipeline", "WorkerOptions"]

LAST_WRITES = 0.5
"""Seconds that a stopping worker has to write ends after ``drain_timeout``."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is given besides its settings."""

    registry: Registry = field(default_factory=Registry)
    """The functions that it runs; more may be added until it starts."""
    middleware: Sequence[Middleware] = ()
    weights: Mapping[str, int] = field(default_factory=dict)
    """Jobs of each queue that are taken in turn while all queues have some (default 1)."""
    grace: float = GRACE
    """Seconds that a job has to end after it was stopped."""
    on_start: Sequence[Callable[..., Any]] = ()
    """Functions that make resources when the worker starts (`naq.worker.execution.resources`)."""
    on_stop: Sequence[Callable[..., Any]] = ()
    """Functions that are called when it has stopped, the last one first."""
    clock: Clock | None = None
    """``None``: this machine's, or the server's if that is far from it (`naq.store.nats.server_clock`)."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The services that a worker uses."""

    store: KVStoreService
    results: ResultService
    history: HistoryService
    events: EventService


class Pipeline:
    """One start of a worker, from the first request for jobs to the last acknowledgement. Made on its event loop."""

    def __init__(self, settings: Settings, backend: Backend, options: WorkerOptions, resources: Resources) -> None:
        self.claims = Claims()
        self._clock = options.clock or backend.store.connection.clock
        machine = options.clock or SystemClock()  # so that doctor sees it when it is wrong
        self.report = Report(settings, machine, self.claims, backend.events, options.registry)
        self._settings = settings
        self._backend = backend
        self._options = options
        self._resources = resources
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._tasks = Tasks(self._clock)
        self._build_middle()
        self._build_ends()

    def _build_middle(self) -> None:
        """From the buffer to the acknowledgement."""
        settings, backend, options, claims = self._settings, self._backend, self._options, self.claims
        clock, store, worker_id = self._clock, backend.store, settings.instance_id
        weights = {queue: max(1, options.weights.get(queue, 1)) for queue in settings.queues}
        self._rates = Rates(clock, worker_id, settings.queues)
        self._slots = Slots(store, worker_id)
        self._function_slots = FunctionSlots(self._slots)
        self._settling = Settling(settings, store, backend.results, backend.history, backend.events, clock)
        starts = Starts(settings, backend.results.store, backend.history, backend.events, clock)
        processes = Processes(settings.process_memory_limit, self.report.child_grown)
        run = RunOptions(
            worker_id,
            options.middleware,
            settings.allow_pickle,
            options.grace,
            self._resources,
            self.report.job_started,
        )
        calls = Calls(processes, options.grace, settings.allow_pickle)
        self._runner = Runner(run, options.registry, backend.history, clock, calls, claims.stuck)
        ends = EndWriter(worker_id, self._settling, clock)
        self._finisher = Finisher(store.connection, ends, starts, clock, claims)
        self._finisher.life = self._life = KnownLife(store, clock)
        buffer = Buffer(weights, self._rates)
        self._demand = Demand(settings.concurrency, weights, clock, claims, buffer)
        known = KnownFunctions(settings, options.registry, store, clock)
        admission = Admission(store, known, self._settling.dependencies, self._function_slots, starts, clock)
        self._flow = JobFlow(claims, self._demand, self._function_slots, admission, self._runner, self._finisher)

    def _build_ends(self) -> None:
        """What brings jobs in, and what runs beside them."""
        settings, backend, claims = self._settings, self._backend, self.claims
        clock, store, worker_id = self._clock, backend.store, settings.instance_id
        names = Namespace(settings.namespace)
        self._control = Control(store.connection, names, store)
        lookup = Lookup(worker_id, store, backend.results, self._settling, self._control)
        self._rechecker = Rechecker(lookup, self._flow, self._finisher, self._demand, clock)
        burial = Burial(store.connection, store, backend.results, clock, settings)
        self._reception = Reception(names, clock, claims, burial, self._rechecker, self._flow)
        self._reception.life = lambda: self._life.number
        self._intake = Intake(settings, store.connection, store, clock, self._demand, self._reception)
        self._limits = LimitsFollower(store, self._rates, self._function_slots, self._intake, self._flow)
        self._questions = Questions(worker_id, claims, self._flow)
        self._trimmer = Trimmer(store.connection, names, clock, settings.queues)
        self._announcer = Announcer(backend.results.store, clock, claims, settings.ack_wait)
        self._superseded = SupersededRuns(store, backend.results.store, clock, claims, self._flow.cancel)
        self._sweep = DependencySweep(self._settling, clock)
        self._slot_sweep = SlotSweep(self._flow, clock)
        self._heartbeat = Heartbeat(settings, clock, claims, self._slots.taken, self.report)
        self._heartbeat.is_valid = self._life.knows
        self._heartbeat.loop_watch.on_unblocked.append(self._reception.was_away)
        claims.on_released += [
            lambda ended: self._trimmer.touch(ended.claimed.delivery.queue),
            lambda ended: self._demand.changed.set(),
        ]

    async def start(self) -> None:
        """Take jobs from now on. Raises `StoreError`."""
        carry_job_ids()
        await self._heartbeat.start()
        for line in await self._control.serve(self._settings.instance_id, self._questions.answer):
            self._closers.append(line.unsubscribe)
        await self._limits.read()
        for number in range(2):
            self._tasks.start(f"naq settle {number}", self._finisher.run)
        self._tasks.start("naq settle again", self._finisher.run_again)
        self._tasks.start("naq trim", self._trimmer.run)
        self._tasks.start("naq announce", self._announcer.run)
        self._tasks.start("naq superseded", self._superseded.run)
        self._tasks.start("naq limits", self._limits.run)
        self._tasks.start("naq dependencies", self._sweep.run)
        self._tasks.start("naq slots", self._slot_sweep.run)
        self._tasks.start("naq recheck", self._rechecker.run)
        await self._intake.start(self._tasks)

    async def drain(self) -> None:
        """Take no more jobs, let those that run end within ``drain_timeout``, and give the others back.

        The grace of jobs that must be stopped is part of ``drain_timeout``: at most half of it.
        """
        clock, limit = self._clock, self._settings.drain_timeout
        deadline, grace = clock.monotonic() + limit, min(self._options.grace, limit / 2)
        self.claims.draining = True
        self._heartbeat.wake_up()
        await self._intake.stop()
        await self._flow.drain(max(0.0, deadline - grace - clock.monotonic()), grace)
        await self._finisher.finish(max(LAST_WRITES, deadline - clock.monotonic()))
        if self._backend.store.connection.is_connected:
            await self._trimmer.trim()

    async def close(self) -> None:
        """End every task, thread and process."""
        await self._flow.close()
        await self._tasks.stop()
        while self._closers:
            await self._closers.pop()()
        await self._runner.close()
        await self._function_slots.close()
        await self._heartbeat.stop()
        self.claims.clear()
