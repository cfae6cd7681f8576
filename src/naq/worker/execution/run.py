"""Running one attempt of a job: small steps over one value, and an outcome that is a value too.

resolve the function -> decode its arguments -> middleware -> call it (on the loop, in a thread, in a process) -> encode
what it returned. Whatever a user's function does, the worker goes on: `SystemExit` and `KeyboardInterrupt` are failures
of that job alone, and one that ignores being stopped is given up after a grace: it is reported, its slot is freed, and
the others never notice.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from naq.clock import Clock
from naq.exceptions import InvalidJob, JobCancelled, JobTimeout, StoreError, UnknownFunction
from naq.jobs.context import JobContext, bind_context
from naq.jobs.functions import Registry
from naq.jobs.history import HistorySource
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Dropped, HandedBack, Outcome, Raised, Returned, Stopped, Unrunnable, raised
from naq.jobs.records import DeadReason
from naq.jobs.target import Target
from naq.store.codec import encode_json
from naq.store.outage import wait_after
from naq.worker.execution.processes import Child, Processes
from naq.worker.execution.threads import SyncCall, Threads

__all__ = ["Attempt", "Middleware", "Runner", "returned"]

GRACE = 5.0
"""Seconds an attempt has to end after it was stopped, before it is given up."""
POLITE_FOR = 0.5
"""Seconds a sync job has to see by itself that it is to stop, before an exception is raised in it."""
GIVEN_UP = "ignored being stopped, and was given up; it may still be running"
KILLED = "ignored being stopped, and its process was killed"
NULL = msgspec.Raw(b"null")

log = logging.getLogger("naq.execute")


class Middleware:
    """Hooks around every job; override what is needed. Called on the event loop, in the job's task."""

    async def before(self, context: JobContext) -> None:
        """Before the function is called. What it raises counts as raised by the job."""

    async def after(self, context: JobContext, value: Any) -> None:
        """After the function returned ``value``. What it raises is logged."""

    async def error(self, context: JobContext, error: BaseException) -> None:
        """After the function raised, `SystemExit` and cancellation included. What it raises is logged."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One attempt while it runs."""

    queued: QueuedJob
    context: JobContext
    started_at: datetime
    began: float
    on_end: Callable[[Attempt, Outcome], None]
    task: asyncio.Task[None] | None = None
    stop_reason: str | None = None
    calling: bool = False
    """The user's function is being called."""
    ended: bool = False
    killed: bool = False
    """Its process was killed, because it ignored being stopped."""
    call: SyncCall | None = None
    child: Child | None = None
    timers: list[asyncio.TimerHandle] = field(default_factory=list)


class Runner:
    """Runs attempts, in parallel, as many as it is given."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        worker_id: str,
        history: HistorySource,
        *,
        middleware: Sequence[Middleware] = (),
        allow_pickle: bool = False,
        on_progress: Callable[[JobContext], None] | None = None,
        on_swollen: Callable[[QueuedJob, int], None] | None = None,
        process_memory_limit: int | None = None,
        on_stuck: Callable[[], None] = lambda: None,
        grace: float = GRACE,
    ) -> None:
        """``on_stuck`` is called when `stuck` has changed; ``on_swollen(job, bytes)`` when the process of a job holds more than
        ``process_memory_limit`` bytes after it, and is replaced."""
        self.running: set[Attempt] = set()
        self.stuck: set[Attempt] = set()
        """Attempts that were given up and still run."""
        self._registry = registry
        self._clock = clock
        self._worker_id = worker_id
        self._history = history
        self._middleware = tuple(middleware)
        self._allow_pickle = allow_pickle
        self._on_progress = on_progress
        self._on_stuck = on_stuck
        self._grace = grace
        self._threads = Threads()
        self._processes = Processes(process_memory_limit, on_swollen)

    def start(self, queued: QueuedJob, on_end: Callable[[Attempt, Outcome], None]) -> Attempt:
        """Begin an attempt. ``on_end`` is called once, on the loop, with its outcome; it must not raise."""
        now = self._clock.now()
        context = JobContext(queued, worker_id=self._worker_id, started_at=now, on_progress=self._on_progress)
        attempt = Attempt(queued, context, now, self._clock.monotonic(), on_end)
        self.running.add(attempt)
        if queued.spec.timeout is not None:
            self._later(attempt, queued.spec.timeout.total_seconds(), lambda: self.stop(attempt, "timeout"))
        attempt.task = asyncio.create_task(self._run(attempt), name=f"job {queued.job_id}")
        return attempt

    def stop(self, attempt: Attempt, reason: str) -> None:
        """Have an attempt end: ``timeout``, ``cancelled`` or ``drain``. The first reason counts."""
        if attempt.ended or attempt.stop_reason is not None:
            return
        attempt.stop_reason = reason
        attempt.context.ask_to_stop(reason)
        if not attempt.calling:
            return  # it sees the reason before it calls its function
        if attempt.child is not None:
            attempt.child.ask_to_stop(reason)
        elif attempt.call is not None:
            self._later(attempt, min(POLITE_FOR, self._grace / 2), lambda: self._interrupt(attempt))
        elif attempt.task is not None:
            attempt.task.cancel()
        self._later(attempt, self._grace, lambda: self._give_up(attempt))

    async def close(self) -> None:
        """Give up whatever still runs, and end all threads and processes."""
        leftover = [*self.running, *self.stuck]
        tasks = [attempt.task for attempt in leftover if attempt.task is not None]
        for attempt in leftover:
            self._end(attempt, HandedBack())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=min(1.0, self._grace))
        self._threads.close()
        await self._processes.close()

    # --- the pipeline

    async def _run(self, attempt: Attempt) -> None:
        try:
            outcome = await self._outcome(attempt)
        except BaseException as error:  # noqa: BLE001 - a GeneratorExit that the job awaited is thrown past `_outcome`
            outcome = raised(error)
        finally:
            if attempt in self.stuck:
                self.stuck.discard(attempt)
                self._on_stuck()
                log.warning("job %s, which was given up, ended at last", attempt.queued.job_id)
        self._end(attempt, outcome)

    async def _outcome(self, attempt: Attempt) -> Outcome:
        queued = attempt.queued
        try:
            target = self._registry.target(queued.spec.func, queued.job_id)
            args, kwargs = target.arguments(queued.spec, allow_pickle=self._allow_pickle)
        except UnknownFunction as error:
            return Unrunnable(DeadReason.UNKNOWN_FUNCTION, "UnknownFunction", error.reason)
        except InvalidJob as error:
            return Unrunnable(DeadReason.BAD_ARGUMENTS, "BadArguments", str(error))
        if target.takes_context and queued.schedule_id is not None:
            await self._learn_previous_success(attempt, queued.schedule_id)
        if attempt.stop_reason is not None:
            return HandedBack() if attempt.stop_reason == "drain" else Dropped(attempt.stop_reason)
        attempt.calling = True
        try:
            bind_context(attempt.context)
            for middleware in self._middleware:
                await middleware.before(attempt.context)
            value = await self._call(attempt, target, args, kwargs)
        except BaseException as error:  # noqa: BLE001 - a user's function: nothing it raises may end the worker
            attempt.calling = False
            return await self._failed(attempt, error)
        attempt.calling = False
        if isinstance(value, Raised | Unrunnable):
            return await self._failed(attempt, RuntimeError(f"{value.error_type}: {value.error}"), value)
        for middleware in reversed(self._middleware):
            await _guarded(middleware.after(attempt.context, value))
        return returned(value)

    async def _learn_previous_success(self, attempt: Attempt, schedule_id: str) -> None:
        """Put it into the context; asked until there is an answer, for "none" is not "could not ask"."""
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

    async def _call(self, attempt: Attempt, target: Target, args: list[Any], kwargs: dict[str, Any]) -> Any:
        if attempt.queued.spec.executor == "process":
            return await self._in_process(attempt)
        if target.takes_context:
            args = [attempt.context, *args]
        if target.is_async:
            return await target.func(*args, **kwargs)
        attempt.call = self._threads.call(lambda: target.func(*args, **kwargs))
        value = await attempt.call.future
        attempt.call = None
        return await value if inspect.isawaitable(value) else value

    async def _in_process(self, attempt: Attempt) -> Outcome:
        child = await self._processes.take()
        attempt.child = child
        if attempt.stop_reason is not None:
            child.ask_to_stop(attempt.stop_reason)
        try:
            return await child.run(attempt.queued, attempt.context, allow_pickle=self._allow_pickle)
        finally:
            attempt.child = None
            await self._processes.give_back(child)

    async def _failed(self, attempt: Attempt, error: BaseException, known: Outcome | None = None) -> Outcome:
        for middleware in reversed(self._middleware):
            await _guarded(middleware.error(attempt.context, error))
        reason = attempt.stop_reason
        if reason == "drain":
            return HandedBack()
        if reason is not None:
            return Stopped(reason, self._clock.monotonic() - attempt.began, KILLED if attempt.killed else None)
        if known is not None:
            return known
        if isinstance(error, JobCancelled):
            return Stopped("cancelled", self._clock.monotonic() - attempt.began)
        if isinstance(error, SystemExit | KeyboardInterrupt):
            log.warning(
                "job %s raised %s: it failed, and the worker goes on", attempt.queued.job_id, type(error).__name__
            )
        return raised(error)

    # --- stopping

    def _later(self, attempt: Attempt, seconds: float, action: Callable[[], None]) -> None:
        attempt.timers.append(asyncio.get_running_loop().call_later(seconds, action))

    def _interrupt(self, attempt: Attempt) -> None:
        if attempt.call is not None and not attempt.ended:
            attempt.call.interrupt(JobTimeoutInterrupt if attempt.stop_reason == "timeout" else JobStopInterrupt)

    def _give_up(self, attempt: Attempt) -> None:
        """It had its grace. A process is killed; anything else cannot be, and is left behind."""
        if attempt.ended:
            return
        if attempt.child is not None:
            log.error("%s: its process is killed", self._deaf(attempt))
            attempt.killed = True
            attempt.child.kill()
            return
        log.error("%s: it is given up; it keeps running beside the others", self._deaf(attempt))
        self.stuck.add(attempt)
        self._on_stuck()
        reason = attempt.stop_reason or "cancelled"
        ran = self._clock.monotonic() - attempt.began
        self._end(attempt, HandedBack() if reason == "drain" else Stopped(reason, ran, GIVEN_UP))

    def _deaf(self, attempt: Attempt) -> str:
        queued = attempt.queued
        said = f"was stopped ({attempt.stop_reason}) {self._grace} s ago and ignores it"
        return f"job {queued.job_id} ({queued.spec.func}) {said}"

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        if attempt.ended:
            return
        attempt.ended = True
        for timer in attempt.timers:
            timer.cancel()
        self.running.discard(attempt)
        attempt.on_end(attempt, outcome)


class JobTimeoutInterrupt(JobTimeout):
    """Raised inside a sync job whose time is up."""

    def __init__(self) -> None:
        super().__init__("", "its time is up")


class JobStopInterrupt(JobCancelled):
    """Raised inside a sync job that is to stop."""

    def __init__(self) -> None:
        super().__init__("")


def returned(value: Any) -> Returned:
    """The outcome that a returned value is."""
    if value is None:
        return Returned(NULL)
    if isinstance(value, Returned):
        return value
    try:
        return Returned(encode_json(value, "result"))
    except InvalidJob:
        kind = type(value).__qualname__
        return Returned(NULL, f"the job returned a {kind} that is not JSON; nothing was kept of it")


async def _guarded(hook: Any) -> None:
    try:
        await hook
    except Exception:
        log.exception("a middleware failed; the job is not concerned")
