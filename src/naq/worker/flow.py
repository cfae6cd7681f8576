"""The middle of the pipeline: buffered -> admitted -> run -> handed to the finisher."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from naq.jobs.outcome import Dropped, HandedBack, Outcome
from naq.worker.admission import Admission, Decision, Forget, Later, Refuse
from naq.worker.buffer import Buffer
from naq.worker.claimed import Admitted, Claimed, Claims, Stage
from naq.worker.demand import Demand
from naq.worker.execution.run import Attempt, Runner
from naq.worker.finish import Finisher

__all__ = ["JobFlow"]


class JobFlow:
    """Gives the worker's slots to jobs, and follows each until it ended."""

    def __init__(
        self,
        claims: Claims,
        buffer: Buffer,
        demand: Demand,
        admission: Admission,
        runner: Runner,
        finisher: Finisher,
    ) -> None:
        self._claims = claims
        self._buffer = buffer
        self._demand = demand
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
        while self._has_room() and (claimed := self._buffer.next()) is not None:
            self._begin(claimed)
        if self._has_room() and self._wake_at is None and (seconds := self._buffer.wait()) is not None:
            self._wake_at = asyncio.get_running_loop().call_later(max(0.001, seconds), self._pump_later)
        self._demand.changed.set()

    def cancel(self, claimed: Claimed, reason: str) -> None:
        """Stop this job: now if it waits, or by asking its function."""
        claimed.cancel_reason = reason
        if claimed.stage is Stage.BUFFERED:
            self._buffer.remove(claimed)
            self._finisher.put(claimed, Dropped("cancelled"))
        elif claimed.attempt is not None and claimed.stage is Stage.RUNNING:
            self._runner.stop(claimed.attempt, "cancelled")

    async def drain(self, patience: float, grace: float) -> None:
        """Start no more jobs; wait ``patience`` seconds for those that run, then stop them and wait ``grace`` seconds. What did
        not end is given back."""
        self._claims.draining = True
        for claimed in self._buffer.clear():
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

    def _begin(self, claimed: Claimed) -> None:
        claimed.stage = Stage.RUNNING
        self._claims.occupied += 1
        decision = self._admission.at_once(claimed)
        if decision is not None:
            self._act(claimed, decision)
        else:
            self._look_up(self._admit(claimed), claimed.queued.job_id)

    def _look_up(self, work: Coroutine[Any, Any, None], job_id: str) -> None:
        task = asyncio.create_task(work, name=f"admit {job_id}")
        self._looking_up.add(task)
        task.add_done_callback(self._looking_up.discard)

    async def _admit(self, claimed: Claimed) -> None:
        self._act(claimed, await self._admission.decide(claimed))
        self.pump()

    def _act(self, claimed: Claimed, decision: Decision) -> None:
        match decision:
            case Forget():
                self._vacate()
                self._finisher.acknowledge(claimed)
            case Later(seconds):
                self._vacate()
                self._finisher.give_back(claimed, seconds)
            case Refuse(outcome):
                self._vacate()
                self._finisher.put(claimed, outcome)
            case Admitted() if self._claims.draining:
                self._vacate()
                self._finisher.give_back(claimed, admitted=decision)
            case Admitted() if claimed.cancel_reason is not None:
                self._vacate()
                self._finisher.put(claimed, Dropped("cancelled"))
            case Admitted():
                claimed.attempt = self._runner.start(
                    claimed.queued, lambda attempt, outcome: self._on_end(decision, attempt, outcome)
                )

    def _on_end(self, admitted: Admitted, attempt: Attempt, outcome: Outcome) -> None:
        self._claims.finished += 1
        self._vacate()
        if isinstance(outcome, HandedBack):
            self._finisher.give_back(admitted.claimed, admitted=admitted)
        else:
            self._finisher.ended(admitted, outcome, attempt.started_at)
        self._demand.ran(attempt.seconds)
        self.pump()
