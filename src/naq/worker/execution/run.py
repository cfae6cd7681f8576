"""Running one attempt of a job, to an outcome that is a value.

The steps: find the function -> decode its arguments -> middleware -> call it (on the loop, in a thread, in a process) ->
encode what it returned. Nothing that a function does ends the worker: `SystemExit` and `KeyboardInterrupt` fail the job
that raised them. A function that ignores being stopped is given up after a grace: it is reported, its slot is freed, and it
runs on beside the others.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from naq.clock import Clock
from naq.exceptions import InvalidJob, JobCancelled, StoreError, UnknownFunction
from naq.jobs.context import JobContext, bind_context
from naq.jobs.functions import Registry
from naq.jobs.history import HistorySource
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Dropped, HandedBack, Outcome, Raised, Stopped, Unrunnable, raised, returned
from naq.jobs.records import DeadReason
from naq.jobs.target import Target
from naq.store.outage import wait_after
from naq.worker.execution.attempt import Attempt
from naq.worker.execution.middleware import Hooks, Middleware
from naq.worker.execution.resources import Resources

__all__ = ["GRACE", "Attempt", "Caller", "Middleware", "RunOptions", "Runner"]

GRACE = 5.0
"""Seconds that an attempt has to end after it was stopped, before it is given up."""
GIVEN_UP = "ignored being stopped, and was given up; it may still be running"
KILLED = "ignored being stopped, and its process was killed"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a worker runs its jobs."""

    worker_id: str
    middleware: Sequence[Middleware] = ()
    allow_pickle: bool = False
    grace: float = GRACE
    """Seconds that an attempt has to end after it was stopped."""
    resources: Resources = field(default_factory=Resources)
    on_start: Callable[[QueuedJob, datetime], None] | None = None
    """Called with each attempt that starts."""


class Caller(Protocol):
    """How functions are called (`naq.worker.execution.calls.Calls`)."""

    async def call(self, attempt: Attempt, target: Target, args: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function returns, or an `Outcome`. Raises what the function raises."""
        ...

    def stop(self, attempt: Attempt) -> None:
        """Ask the function that is being called to stop."""
        ...

    async def close(self) -> None:
        """End whatever functions were called in."""
        ...


class Runner:
    """Runs attempts side by side."""

    def __init__(
        self,
        options: RunOptions,
        registry: Registry,
        history: HistorySource,
        clock: Clock,
        caller: Caller,
        stuck: set[Attempt] | None = None,
    ) -> None:
        """``stuck`` is filled with the attempts that were given up and still run."""
        self.running: set[Attempt] = set()
        self.stuck: set[Attempt] = stuck if stuck is not None else set()
        self._options = options
        self._registry = registry
        self._history = history
        self._clock = clock
        self._hooks = Hooks(options.middleware)
        self._caller = caller
        self._variables = contextvars.copy_context()
        """The context variables as they are now: every attempt starts from these, whatever started it."""

    def start(self, queued: QueuedJob, on_end: Callable[[Attempt, Outcome], None]) -> Attempt:
        """Start an attempt. ``on_end`` is called once, on the loop, with its outcome; it must not raise."""
        now = self._clock.now()
        context = JobContext(queued, worker_id=self._options.worker_id, started_at=now)
        attempt = Attempt(queued, context, now, self._clock.monotonic(), on_end)
        self.running.add(attempt)
        if queued.spec.timeout is not None:
            attempt.later(queued.spec.timeout.total_seconds(), lambda: self.stop(attempt, "timeout"))
        attempt.task = asyncio.create_task(
            self._run(attempt), name=f"job {queued.job_id}", context=self._variables.copy()
        )
        if self._options.on_start is not None:
            self._options.on_start(queued, now)
        return attempt

    def stop(self, attempt: Attempt, reason: str, grace: float | None = None) -> None:
        """Stop an attempt: ``timeout``, ``cancelled`` or ``drain``. The first reason counts. It has ``grace`` seconds to end,
        by default those of the options."""
        if attempt.ended or attempt.stop_reason is not None:
            return
        attempt.stop_reason = reason
        attempt.context.ask_to_stop(reason)
        if attempt.calling:  # otherwise it sees the reason before it calls its function
            self._caller.stop(attempt)
            attempt.later(self._options.grace if grace is None else grace, lambda: self._give_up(attempt))

    async def close(self) -> None:
        """Give up what still runs, and end all threads and processes."""
        leftover = [*self.running, *self.stuck]
        tasks = [attempt.task for attempt in leftover if attempt.task is not None]
        for attempt in leftover:
            self._end(attempt, HandedBack())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=min(1.0, self._options.grace))
        await self._caller.close()

    # --- the steps

    async def _run(self, attempt: Attempt) -> None:
        try:
            outcome = await self._outcome(attempt)
        except BaseException as error:  # noqa: BLE001 - a GeneratorExit that the job awaited is thrown past `_outcome`
            outcome = raised(error)
        finally:
            if attempt in self.stuck:
                self.stuck.discard(attempt)
                log.warning("job %s, which was given up, has ended", attempt.queued.job_id)
                if attempt.on_gone is not None:
                    attempt.on_gone()
        self._end(attempt, outcome)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        try:
            target, args, kwargs = self._resolve(attempt.queued)
        except UnknownFunction as error:
            return Unrunnable(DeadReason.UNKNOWN_FUNCTION, "UnknownFunction", error.reason)
        except InvalidJob as error:
            return Unrunnable(DeadReason.BAD_ARGUMENTS, "BadArguments", str(error))
        if target.takes_context and attempt.queued.schedule_id is not None:
            await self._find_previous_success(attempt, attempt.queued.schedule_id)
        if attempt.stop_reason is not None:
            return self._stopped_before(attempt.stop_reason, attempt)
        attempt.calling = True
        attempt.context.args, attempt.context.kwargs = tuple(args), kwargs
        try:
            bind_context(attempt.context)
            await self._hooks.before(attempt.context)
            value = await self._caller.call(attempt, target, args, kwargs)
        except BaseException as error:  # noqa: BLE001 - a user's function: nothing it raises may end the worker
            attempt.calling = False
            return await self._failed(attempt, error)
        attempt.calling = False
        if isinstance(value, Raised | Unrunnable):
            return await self._failed(attempt, RuntimeError(f"{value.error_type}: {value.error}"), value)
        await self._hooks.after(attempt.context, value)
        return returned(value)

    def _stopped_before(self, reason: str, attempt: Attempt) -> Outcome:
        """The outcome of an attempt that was stopped before its function was called."""
        if reason == "drain":
            return HandedBack()
        if reason == "timeout":
            return Stopped(reason, self._clock.monotonic() - attempt.began)
        return Dropped(reason)

    def _resolve(self, queued: QueuedJob) -> tuple[Target, list[Any], dict[str, Any]]:
        target, spec = self._registry.target(queued.spec.func, queued.job_id), queued.spec
        args, kwargs = target.arguments(spec, allow_pickle=self._options.allow_pickle)
        if target.parameters.resources:
            bound = target.parameters.bind(args, kwargs)
            given = set() if bound is None else set(bound.arguments)
            made = self._options.resources.of(target, spec.executor)
            kwargs |= {name: value for name, value in made.items() if name not in given}
        return target, args, kwargs

    async def _find_previous_success(self, attempt: Attempt, schedule_id: str) -> None:
        """Put it into the context. Asked until there is an answer: "none" and "could not ask" are different."""
        tries, job_id = 0, attempt.queued.job_id
        while attempt.stop_reason is None:
            try:
                last = await self._history.last_success(schedule_id)
            except StoreError as error:
                tries += 1
                if tries == 1:
                    log.warning("job %s waits for its schedule's history: %s", job_id, error)
                await self._clock.sleep(wait_after(tries, error, job_id))
            else:
                attempt.context.previous_success_at = None if last is None else last.succeeded_for
                return

    async def _failed(self, attempt: Attempt, error: BaseException, known: Outcome | None = None) -> Outcome:
        await self._hooks.error(attempt.context, error)
        reason, ran = attempt.stop_reason, self._clock.monotonic() - attempt.began
        if reason == "drain":
            return HandedBack()
        if reason is not None:
            return Stopped(reason, ran, KILLED if attempt.killed else None)
        if known is not None:
            return known
        if isinstance(error, JobCancelled):
            return Stopped("cancelled", ran)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            log.warning(
                "job %s raised %s: it failed, and the worker goes on", attempt.queued.job_id, type(error).__name__
            )
        return raised(error)

    def _give_up(self, attempt: Attempt) -> None:
        """Its grace is over. A process is killed; a thread or a task cannot be, and is left behind."""
        if attempt.ended:
            return
        queued, reason = attempt.queued, attempt.stop_reason or "cancelled"
        deaf = f"job {queued.job_id} ({queued.spec.func}) was stopped ({reason}) and ignores it"
        if attempt.child is not None:
            log.error("%s: its process is killed", deaf)
            attempt.killed = True
            attempt.child.kill()
            return
        log.error("%s: it is given up; it keeps running beside the others", deaf)
        self.stuck.add(attempt)
        ran = self._clock.monotonic() - attempt.began
        self._end(attempt, HandedBack() if reason == "drain" else Stopped(reason, ran, GIVEN_UP))

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        self.running.discard(attempt)
        attempt.end(outcome, self._clock.monotonic())
