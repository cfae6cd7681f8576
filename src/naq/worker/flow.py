"""The middle of the pipeline: buffered -> admitted -> run -> handed to the finisher."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

from naq.jobs.outcome import Dropped, HandedBack, Outcome
from naq.worker.admission import Admission, Decision, Forget, NoSlot, Refuse
from naq.worker.claimed import Admitted, Claimed, Claims, Stage
from naq.worker.demand import Demand
from naq.worker.execution.run import Attempt, Runner
from naq.worker.finish import Finisher
from naq.worker.function_slots import FunctionSlots

__all__ = ["JobFlow"]


WAIT_FOR_SLOT = 2.0
"""Seconds after which a job that waits for a slot and cannot be kept here is handed out again."""


class JobFlow:
    """Gives slots to jobs, the worker's and those of functions, and follows each job until it ended."""

    def __init__(
        self,
        claims: Claims,
        demand: Demand,
        function_slots: FunctionSlots,
        admission: Admission,
        runner: Runner,
        finisher: Finisher,
    ) -> None:
        self._claims = claims
        self._demand = demand
        self._buffer = demand.buffer
        self._function_slots = function_slots
        self._admission = admission
        self._runner = runner
        self._finisher = finisher
        self._idle = asyncio.Event()
        self._looking_up: set[asyncio.Task[None]] = set()
        self._wake_at: asyncio.TimerHandle | None = None

    def take(self, claimed: Claimed) -> None:
        """A job came."""
        if self._claims.draining:
            self._finisher.give_back(claimed)
        elif claimed.cancel_reason is not None:
            self._finisher.put(claimed, Dropped("cancelled"))
        else:
            self._buffer.put(claimed)
            self.pump()

    def give_back(self, claimed: Claimed) -> None:
        """Let another worker have a job that is not in the buffer any more."""
        self._finisher.give_back(claimed)

    def pump(self) -> None:
        """Give free slots to jobs that wait."""
        while self._has_room() and (claimed := self._function_slots.woken()) is not None:
            self._occupy(claimed)
            self._look_up(self._admit(claimed, woken=True), claimed.queued.job_id)
        while self._has_room() and (claimed := self._buffer.next()) is not None:
            self._occupy(claimed)
            self._decide(claimed)
        if self._wake_at is None and self._buffer and self._has_room() and (seconds := self._buffer.wait()) is not None:
            self._wake_at = asyncio.get_running_loop().call_later(max(0.001, seconds), self._pump_later)
        self._demand.changed.set()

    def cancel(self, claimed: Claimed, reason: str) -> None:
        """Stop this job: now if it waits, or by asking its function."""
        claimed.cancel_reason = reason
        if claimed.stage is Stage.BUFFERED:
            self._buffer.remove(claimed)
            self._finisher.put(claimed, Dropped("cancelled"))
        elif claimed.stage is Stage.SET_ASIDE:
            self._function_slots.remove(claimed)
            self._finisher.put(claimed, Dropped("cancelled"))
        elif claimed.attempt is not None and claimed.stage is Stage.RUNNING:
            self._runner.stop(claimed.attempt, "cancelled")

    def look_for_slots(self, now: datetime) -> None:
        """To be called now and then: slots may have been freed or expired without notice."""
        for claimed in self._function_slots.late(now):
            self._finisher.put(claimed, Dropped("missed"))
        self._function_slots.wake_all()
        self.pump()

    async def drain(self, patience: float, grace: float) -> None:
        """Start no more jobs; wait ``patience`` seconds for those that run, then stop them and wait ``grace`` seconds. What did
        not end is given back."""
        self._claims.draining = True
        for claimed in [*self._buffer.clear(), *self._function_slots.clear()]:
            self._finisher.give_back(claimed)
        await self._wait_idle(patience)
        for attempt in tuple(self._runner.running):
            self._runner.stop(attempt, "drain", grace)
        await self._wait_idle(grace + 0.2)

    async def close(self) -> None:
        """Leave nothing running."""
        if self._wake_at is not None:
            self._wake_at.cancel()
        tasks = tuple(self._looking_up)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _has_room(self) -> bool:
        return self._demand.slots > self._claims.occupied and not self._claims.draining

    async def _wait_idle(self, seconds: float) -> None:
        self._idle.clear()
        if self._claims.occupied:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._idle.wait()

    def _pump_later(self) -> None:
        self._wake_at = None
        self.pump()

    def _vacate(self) -> None:
        self._claims.occupied -= 1
        if self._claims.occupied == 0:
            self._idle.set()

    # --- one job

    def _occupy(self, claimed: Claimed) -> None:
        claimed.stage = Stage.RUNNING
        self._claims.occupied += 1

    def _decide(self, claimed: Claimed) -> None:
        decision = self._admission.at_once(claimed)
        if decision is not None:
            self._act(claimed, decision)
        else:
            self._look_up(self._admit(claimed), claimed.queued.job_id)

    def _look_up(self, work: Coroutine[Any, Any, None], job_id: str) -> None:
        task = asyncio.create_task(work, name=f"admit {job_id}")
        self._looking_up.add(task)
        task.add_done_callback(self._looking_up.discard)

    async def _admit(self, claimed: Claimed, slot: str | None = None, *, woken: bool = False) -> None:
        decision = await self._admission.decide(claimed, slot)
        self._act(claimed, decision, slot, woken=woken)
        self.pump()

    def _act(self, claimed: Claimed, decision: Decision, slot: str | None = None, *, woken: bool = False) -> None:
        if isinstance(decision, Admitted) and not self._claims.draining and claimed.cancel_reason is None:
            claimed.attempt = self._runner.start(
                claimed.queued, lambda attempt, outcome: self._on_end(decision, attempt, outcome)
            )
            if decision.slot is not None and slot is None:
                self._function_slots.wake(claimed.queued.spec.line)  # there may be another one
            return
        self._vacate()
        match decision:
            case Forget():
                self._finisher.acknowledge(claimed)
            case Refuse(outcome):
                self._finisher.put(claimed, outcome)
            case NoSlot():
                self._wait_for_slot(claimed, first=woken)
            case Admitted() if self._claims.draining:
                slot = decision.slot
                self._finisher.give_back(claimed, admitted=decision)
            case Admitted():
                slot = decision.slot
                self._finisher.put(claimed, Dropped("cancelled"))
        if slot is not None:
            self._pass_on(slot, claimed.queued.spec.line)

    def _wait_for_slot(self, claimed: Claimed, *, first: bool) -> None:
        if self._claims.draining:
            self._finisher.give_back(claimed)
        elif claimed.cancel_reason is not None:
            self._finisher.put(claimed, Dropped("cancelled"))
        elif self._demand.is_limited(claimed.delivery.queue) or not self._function_slots.set_aside(
            claimed, first=first
        ):
            self._finisher.give_back(claimed, WAIT_FOR_SLOT)

    def _on_end(self, admitted: Admitted, attempt: Attempt, outcome: Outcome) -> None:
        self._claims.finished += 1
        self._vacate()
        if isinstance(outcome, HandedBack):
            self._finisher.give_back(admitted.claimed, admitted=admitted)
        else:
            self._finisher.ended(admitted, outcome, attempt.started_at)
        self._demand.ran(attempt.seconds)
        slot, line = admitted.slot, attempt.queued.spec.line
        if slot is not None and attempt in self._claims.stuck:
            attempt.on_gone = lambda: self._gone(slot, line)
        elif slot is not None:
            self._pass_on(slot, line)
        self.pump()

    def _pass_on(self, slot: str, line: str) -> None:
        """Give a function's slot to the next job that waits for it, or free it."""
        while self._has_room() and (following := self._function_slots.next(line)) is not None:
            decision = self._admission.at_once(following, slot)
            if isinstance(decision, Refuse):
                self._finisher.put(following, decision.outcome)
                continue
            self._occupy(following)
            if decision is not None:
                self._act(following, decision, slot)
            else:
                self._look_up(self._admit(following, slot), following.queued.job_id)
            return
        self._function_slots.free(slot)

    def _gone(self, slot: str, line: str) -> None:
        """A function returned after it was given up."""
        if not self._claims.draining:  # otherwise it was only left behind
            self._pass_on(slot, line)
