"""A worker's jobs on their way: from the buffer through admission and running to the decision about their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import StoreError
from naq.jobs.ending import Facts, decide
from naq.jobs.outcome import Dropped, HandedBack, Outcome
from naq.queue.limits import Rates, Slots
from naq.store.port import EventSink
from naq.worker.admission import Admission, Admit, Decision, Forget, Later, Refuse, needs_thought
from naq.worker.buffer import Buffer
from naq.worker.claimed import Held, Stage
from naq.worker.execution.run import Attempt, Runner
from naq.worker.finish import Finisher
from naq.worker.intake import Load

__all__ = ["JobFlow"]

RETRY_AFTER = 0.5

log = logging.getLogger("naq.worker")


class JobFlow:
    """Gives slots to jobs, and sees each to its end. Everything but `count` happens on the event loop."""

    def __init__(
        self,
        worker_id: str,
        slots: int,
        clock: Clock,
        events: EventSink,
        buffer: Buffer,
        rates: Rates,
        admission: Admission,
        function_slots: Slots,
        runner: Runner,
        finisher: Finisher,
        on_free: Callable[[float | None], None],
    ) -> None:
        """``on_free`` is called when more jobs may be asked for, with the time that one ran."""
        self.occupied = 0
        """Slots in use."""
        self.finished = 0
        self.failed = 0
        self.draining = False
        self._worker_id = worker_id
        self._slots = slots
        self._clock = clock
        self._events = events
        self._buffer = buffer
        self._rates = rates
        self._admission = admission
        self._function_slots = function_slots
        self._runner = runner
        self._finisher = finisher
        self._on_free = on_free
        self._idle = asyncio.Event()
        self._side_tasks: set[asyncio.Task[None]] = set()
        self._wake_at: asyncio.TimerHandle | None = None

    def load(self) -> Load:
        """What is in hand."""
        return Load(self._slots, self.occupied, len(self._buffer), len(self._finisher), self._buffer.oldest())

    def take(self, held: Held) -> None:
        """A job came."""
        if self.draining:
            self._finisher.give_back(held)
        elif held.cancel_reason is not None:
            self._occupy(held)
            self._over(held, Dropped("cancelled"))
        else:
            held.stage = Stage.BUFFERED
            self._buffer.put(held)
            self.pump()

    def pump(self) -> None:
        """Give free slots to jobs that wait."""
        while self.occupied < self._slots and not self.draining:
            held = self._buffer.next(lambda queue: self._rates.wait(queue) == 0.0)
            if held is None:
                break
            self._rates.take(held.queue)
            self._begin(held)
        if self._buffer and self.occupied < self._slots and not self.draining and self._wake_at is None:
            seconds = min(self._rates.wait(queue) for queue in self._buffer.queues())
            self._wake_at = asyncio.get_running_loop().call_later(max(0.001, seconds), self._pump_now)
        self._on_free(None)

    def cancel(self, held: Held, reason: str) -> None:
        """Somebody wants this job to stop."""
        held.cancel_reason = reason
        if held.stage is Stage.BUFFERED:
            self._buffer.remove(held)
            self._occupy(held)
            self._over(held, Dropped("cancelled"))
        elif held.attempt is not None and held.stage is Stage.RUNNING:
            self._runner.stop(held.attempt, "cancelled")

    def release_slot(self, held: Held) -> None:
        """The job is through; its function's slot is free for another."""
        if held.slot is not None:
            self._aside(self._free_function_slot(held.slot))

    async def drain(self, patience: float, grace: float) -> None:
        """Begin nothing more; wait for what runs, then stop it. What did not end is handed back."""
        self.draining = True
        for held in self._buffer.clear():
            self._finisher.give_back(held)
        await self._wait_idle(patience)
        for attempt in tuple(self._runner.running):
            self._runner.stop(attempt, "drain")
        await self._wait_idle(grace)

    async def close(self) -> None:
        """Leave nothing running."""
        if self._wake_at is not None:
            self._wake_at.cancel()
        tasks = tuple(self._side_tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _wait_idle(self, seconds: float) -> None:
        self._idle.clear()
        if self.occupied:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._idle.wait()

    def _pump_now(self) -> None:
        self._wake_at = None
        self.pump()

    def _occupy(self, held: Held) -> None:
        held.stage = Stage.RUNNING
        self.occupied += 1

    def _vacate(self) -> None:
        self.occupied -= 1
        if self.occupied == 0:
            self._idle.set()

    # --- one job

    def _begin(self, held: Held) -> None:
        self._occupy(held)
        start_by = held.queued.start_by
        if needs_thought(held):
            self._aside(self._think(held))
        elif start_by is not None and self._clock.now() > start_by:
            self._over(held, Dropped("missed"))
        else:
            self._run(held)

    async def _think(self, held: Held) -> None:
        while True:
            try:
                self._act(held, await self._admission.decide(held))
                break
            except StoreError as error:
                log.info("job %s waits: %s", held.queued.job_id, error)
                await self._clock.sleep(RETRY_AFTER)
        self.pump()

    def _act(self, held: Held, decision: Decision) -> None:
        match decision:
            case Forget():
                self._vacate()
                self._finisher.acknowledge(held)
            case Later(seconds):
                self._vacate()
                self._finisher.give_back(held, seconds)
            case Refuse(outcome):
                self._over(held, outcome)
            case Admit() if self.draining:
                self._over(held, HandedBack())
            case Admit() if held.cancel_reason is not None:
                self._over(held, Dropped("cancelled"))
            case Admit():
                self._run(held)

    def _run(self, held: Held) -> None:
        queued = held.queued
        held.starts = max(1, held.starts)
        held.attempt = self._runner.start(queued, lambda attempt, outcome: self._on_end(held, attempt, outcome))
        event = Event(
            type=EventType.JOB_STARTED,
            timestamp=held.attempt.started_at,
            instance_id=self._worker_id,
            schedule_id=queued.schedule_id,
            job_id=queued.job_id,
            func=queued.spec.func,
            queue=queued.spec.queue,
            attempt=queued.attempt,
            nominal_at=queued.nominal_at,
        )
        self._events.emit((event,))

    def _on_end(self, held: Held, attempt: Attempt, outcome: Outcome) -> None:
        self.finished += 1
        self._over(held, outcome, attempt.started_at)
        self._on_free(self._clock.monotonic() - attempt.began)
        self.pump()

    def _over(self, held: Held, outcome: Outcome, started_at: datetime | None = None) -> None:
        """An attempt is over, whether or not it was run."""
        self._vacate()
        if isinstance(outcome, HandedBack):
            self._finisher.give_back(held)
            return
        now = self._clock.now()
        ended_at = None if started_at is None else now
        ending = decide(held.queued, outcome, Facts(self._worker_id, now, started_at, ended_at, held.cancel_reason))
        if ending.dead is not None or ending.next_attempt is not None:
            self.failed += 1
        self._finisher.put(held, ending)

    # --- on the side

    def _aside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._side_tasks.add(task)
        task.add_done_callback(self._side_tasks.discard)

    async def _free_function_slot(self, slot: str) -> None:
        try:
            await self._function_slots.free([slot])
        except StoreError as error:
            log.info("a slot frees itself later: %s", error)
