"""A whole scheduler that a test steps by hand: no server, no waiting, no event loop to manage.

::

    with ManualScheduler("2030-03-30T00:00:00Z") as scheduler:
        scheduler.schedule("reports:send", {"type": "cron", "cron": "0 9 * * *", "timezone": "Europe/Berlin"})
        scheduler.advance("3d")
        assert [str(job.nominal_at) for job in scheduler.fired] == [...]

It is the scheduler itself - leader, mirror, plans, transactions - on a `ManualClock` and a `MemoryStore`, and the facade
is `naq.schedules.service.ScheduleActs`, the methods of the schedule service. An hour costs as much as what is due in it.

Its methods are plain functions, so that a test is a plain function too: it runs an event loop of its own, and therefore
cannot be used from a coroutine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

from naq.events import Event
from naq.jobs.functions import Registry
from naq.jobs.history import HistoryRecord
from naq.jobs.job import Job, QueuedJob
from naq.parsing import instant_of
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.listeners import Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.schedules.forms.specification import Form
from naq.schedules.policy import IfExists
from naq.schedules.repository import Schedules
from naq.schedules.service import ScheduleActs
from naq.store.codec import decode
from naq.store.keys import ALL_JOBS
from naq.store.port import Entry
from naq.testing.clock import START, ManualClock, ManualLoop
from naq.testing.inline import InlineWorker, Ran
from naq.testing.link import MemoryClient
from naq.testing.presence import MemoryPresence, Switchboard
from naq.testing.store import MemoryStore
from naq.timing.duration import parse_duration

__all__ = ["ManualScheduler", "Ran"]

NEVER = 1e9
"""Seconds (some thirty years): a lone leader in memory need not renew its lease, and nothing has to be resynchronised."""
NAME = "manual"

T = TypeVar("T")


class ManualScheduler:
    """A scheduler stepped by hand. Use it in a ``with`` statement, or close it.

    ``start`` is where its clock begins: an aware datetime, ISO text or epoch seconds; by default 1 January 2030, UTC.
    Jobs may name any function; `stub` puts another in its place.
    """

    def __init__(self, start: datetime | str | float = START) -> None:
        _refuse_running_loop()
        instant = instant_of(start)
        if instant is None:
            raise ValueError(f"{start!r} is not an instant (an aware datetime, ISO text, epoch seconds)")
        self.fired: list[QueuedJob] = []
        """Every job that went into the queue, in order: fired by a schedule, triggered by hand, or retried."""
        self.events: list[Event] = []
        """Every event, in order."""
        self.history: list[HistoryRecord] = []
        """The nominal times that did not fire, and why."""
        self._loop = ManualLoop()
        self.clock = ManualClock(instant, loop=self._loop)
        """Its clock; ``clock.step_wall(seconds)`` makes the wall clock jump, and `settle` lets it be noticed."""
        self.store = MemoryStore(self.clock)
        """Its store: a test may read it, or write to it."""
        self.store.on_commit.append(self._seen)
        self._registry = Registry(["*"])
        self._worker = InlineWorker(self.store, self.clock, self._registry)
        self._partition = self._made_partition()
        self.service = self._made_service()
        """All methods of the schedule service; `call` awaits one of them."""
        self._closed = False
        self.call(self._partition.start())

    # --- schedules

    def schedule(
        self,
        job: Job | Callable[..., Any] | str,
        schedule: Form,
        *,
        schedule_id: str | None = None,
        if_exists: IfExists | str = IfExists.RAISE,
    ) -> str:
        """Create a schedule that runs ``job`` (a `Job`, a function, or its name); its id.

        ``schedule`` is what `ScheduleService.schedule_job` accepts, and errors are the same.
        """
        return self.call(self.service.schedule_job(job, schedule, schedule_id=schedule_id, if_exists=if_exists))

    def update(self, schedule_id: str, **changes: Any) -> bool:
        """Change it in place; see `ScheduleService.update_schedule`."""
        return self.call(self.service.update_schedule(schedule_id, **changes))

    def pause(self, schedule_id: str, reason: str | None = None) -> bool:
        """Pause it; ``False`` when there is none, or it is not active."""
        return self.call(self.service.pause_scheduled_job(schedule_id, reason=reason))

    def resume(self, schedule_id: str, *, catch_up: bool = False) -> bool:
        """Resume it; ``False`` when there is none, or it is not paused."""
        return self.call(self.service.resume_scheduled_job(schedule_id, catch_up=catch_up))

    def cancel(self, schedule_id: str) -> bool:
        """End it for good; ``False`` when there is none."""
        return self.call(self.service.cancel_scheduled_job(schedule_id))

    def delete(self, schedule_id: str) -> bool:
        """Remove it; ``False`` when there is none."""
        return self.call(self.service.delete_schedule(schedule_id))

    def trigger(self, schedule_id: str) -> str | None:
        """Run it now, besides its plan; the job's id, or ``None`` when there is no such schedule."""
        return self.call(self.service.trigger_schedule(schedule_id))

    def get(self, schedule_id: str) -> dict[str, Any] | None:
        """Its current state, as from `ScheduleService.get_schedule`."""
        return self.call(self.service.get_schedule(schedule_id))

    # --- time

    @property
    def now(self) -> datetime:
        """What its wall clock reads."""
        return self.clock.now()

    def advance(self, duration: float | timedelta | str) -> list[QueuedJob]:
        """Let time pass (seconds, a timedelta, or text such as ``"1h30m"``); the jobs that were fired meanwhile."""
        before = len(self.fired)
        self.call(self.clock.advance(parse_duration(duration, "duration", positive=False)))
        return self.fired[before:]

    def advance_to(self, instant: datetime | str | float) -> list[QueuedJob]:
        """Let time pass until the wall clock reads ``instant``; the jobs that were fired meanwhile."""
        until = instant_of(instant)
        if until is None:
            raise ValueError(f"{instant!r} is not an instant (an aware datetime, ISO text, epoch seconds)")
        return self.advance(until - self.now)

    def settle(self) -> list[QueuedJob]:
        """Do everything that is due now; the jobs that were fired meanwhile."""
        return self.advance(0)

    # --- jobs

    @property
    def queued(self) -> list[QueuedJob]:
        """The jobs in the queues now, the oldest first."""
        return [job for entry in self.store.entries(ALL_JOBS) if (job := _job(entry)) is not None]

    def stub(self, reference: str, func: Callable[..., Any]) -> None:
        """Make jobs that name ``reference`` (``module:function``) call ``func`` instead; the module need not exist."""
        self._registry.add(func, reference)

    def run_jobs(self, queue: str = "default", *, patience: float | timedelta | str = "1d") -> list[Ran]:
        """Run the jobs in a queue now, one after the other, and return how each attempt ended.

        An async job that sleeps takes its time from the scheduler's clock: whatever is due meanwhile is fired. Jobs that
        take longer than ``patience`` altogether, or wait for something that cannot happen, are a `RuntimeError`.
        """
        self._loop.free_until = self._loop.time() + parse_duration(patience, "patience").total_seconds()
        try:
            return self.call(self._worker.run(queue))
        finally:
            self._loop.free_until = 0.0

    # --- the rest

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Await something on the scheduler's own loop, for example a method of `service`."""
        return self._loop.run_until_complete(coroutine)

    def close(self) -> None:
        """Stop it. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._loop.free_until = self._loop.time() + 10.0
        self.call(self._stop())
        self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _stop(self) -> None:
        await self._partition.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_asyncgens()

    def _made_partition(self) -> Partition:
        settings = ElectorSettings(NAME, priority=1, check_interval=NEVER, heartbeat_interval=NEVER, ttl=4 * NEVER)
        presence = MemoryPresence(Switchboard(), MemoryClient(self.store, NAME))
        sink = _Recorder(self.events, self.history)
        return Partition(
            self.store,
            presence,
            self.clock,
            Listeners(sink, sink, self._worker),
            PartitionSettings(settings, batch=400, resync_interval=NEVER),
        )

    def _made_service(self) -> ScheduleActs:
        sink = _Recorder(self.events, self.history)
        schedules = Schedules(self.store, self.clock, sink, NAME)
        schedules.on_given_up = self._worker.stop
        return ScheduleActs(schedules, sink, self.clock)

    def _seen(self, entries: Sequence[Entry]) -> None:
        self.fired += [job for entry in entries if entry.key.startswith("job.") and (job := _job(entry)) is not None]


class _Recorder:
    """Keeps what is emitted and recorded."""

    def __init__(self, events: list[Event], history: list[HistoryRecord]) -> None:
        self._events = events
        self._history = history

    def emit(self, events: Iterable[Event]) -> None:
        """Keep events."""
        self._events.extend(events)

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Keep history."""
        self._history.extend(records)


def _job(entry: Entry) -> QueuedJob | None:
    return None if entry.value is None else decode(QueuedJob, entry.key, entry.value)


def _refuse_running_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError(
        "a ManualScheduler runs an event loop of its own: use it in a plain function (def test_...), not in a coroutine"
    )
