"""A clock stepped by hand, and the event loop that obeys it: hours of a scheduler's life in a millisecond, and the same
hours each time.

::

    @manual_time
    async def test_it_fires_at_nine() -> None:
        clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        ...                                   # start what is to be tested, with this clock
        await clock.advance("9h")             # everything that was due by then has happened, in order

Why a loop of its own, and not a clock alone: a clock that is stepped inside an ordinary loop cannot know when the code
it woke is through, so tests sleep and hope; and `asyncio.timeout`, `asyncio.sleep` and ``call_later`` inside that code
would still go by the machine's time. `ManualLoop` *is* the time. It runs what is ready, first in, first out; only when
nothing is ready does time move, to the next timer and no further than it was told, and then that one timer runs and all
that follows from it. There is nothing to wait for and no thread, socket or signal that could come between: a run is a
function of its program. When everything waits and nobody advances the clock, the run could never end, and that is an
error which names who waits.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar, TypeVarTuple

from naq.timing.duration import parse_duration

__all__ = ["ManualClock", "ManualLoop", "manual_time", "run_in_manual_time"]

FIRST_SECOND = 1000.0
"""What ``monotonic()`` reads at the start: not 0, for on a real machine it is not."""
CLOSED = "Event loop is closed"
MICROSECOND = timedelta(microseconds=1)
START = datetime(2030, 1, 1, tzinfo=UTC)

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class ManualLoop(asyncio.BaseEventLoop):
    """An event loop whose time stands still until `advance` moves it.

    One callback runs at a time, in the order in which they became ready; one timer at a time, in the order of their
    instants and then of their making. Functions given to an executor run at once, in this thread. There is no I/O.
    """

    def __init__(self) -> None:
        super().__init__()
        self.free_until = 0.0
        """The monotonic second up to which time moves by itself when everything waits: to the next timer."""
        self._micros = round(FIRST_SECOND * 1_000_000)
        self._waiting: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[int, int, asyncio.TimerHandle]] = []
        self._goals: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self._cancelled = 0

    @property
    def micros(self) -> int:
        """The monotonic time in whole microseconds; all arithmetic is done in them."""
        return self._micros

    def time(self) -> float:
        """The monotonic time in seconds."""
        return self._micros / 1_000_000

    async def advance(self, micros: int) -> None:
        """Move time on by ``micros``, and return when all that was due by then has happened, and all that followed."""
        goal: asyncio.Future[None] = self.create_future()
        self._count += 1
        heapq.heappush(self._goals, (self._micros + max(0, micros), self._count, goal))
        await goal

    # --- what asyncio asks of a loop

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Run a callback when those that became ready before it are through."""
        if self._closed:  # type: ignore[attr-defined]
            raise RuntimeError(CLOSED)
        handle = asyncio.Handle(callback, args, self, context)
        self._waiting.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback ``delay`` seconds from now."""
        return self.call_at(self._micros / 1_000_000 + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run a callback at a monotonic second."""
        if self._closed:  # type: ignore[attr-defined]
            raise RuntimeError(CLOSED)
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._count += 1
        heapq.heappush(self._timers, (round(when * 1_000_000), self._count, timer))
        return timer

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call ``func`` at once, in this thread."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - whatever the function raises belongs to whoever awaits it
            future.set_exception(error)
        return future

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A timer was cancelled (the name is asyncio's); when most are, the others are gathered anew."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._timers):
            self._timers = [timer for timer in self._timers if timer[2] is not handle and not timer[2].cancelled()]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _run_once(self) -> None:
        """A few steps (the name is asyncio's): the callbacks that are ready; if none is, time moves until one is."""
        waiting = self._waiting
        if not waiting:
            self._pass_time()
        for _ in range(len(waiting)):
            self.execute(waiting.popleft())

    def execute(self, handle: asyncio.Handle) -> None:
        """Run one callback; a simulation may hold it back instead."""
        if not handle._cancelled:
            handle._run()

    def _pass_time(self) -> None:
        timers, goals = self._timers, self._goals
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
            self._cancelled -= 1
        while goals and goals[0][2].done():
            heapq.heappop(goals)
        if timers and timers[0][0] <= (goals[0][0] if goals else self.free_until * 1_000_000):
            when, _, timer = heapq.heappop(timers)
            self._micros = max(self._micros, when)
            self._waiting.append(timer)
        elif goals:
            self._micros, _, goal = heapq.heappop(goals)
            goal.set_result(None)
        elif not self._stopping:  # type: ignore[attr-defined]
            raise RuntimeError(self._stuck())

    def _stuck(self) -> str:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self) if not task.done())
        timer = (
            f"the next timer is {self._timers[0][0] / 1e6 - self.time():.6f} s ahead" if self._timers else "no timer"
        )
        return f"everything waits and nobody advances the clock ({timer}): {', '.join(names) or 'no task'}"


class ManualClock:
    """A `naq.clock.Clock` that stands still until `advance`, on a `ManualLoop`.

    The loop holds the monotonic time, so all clocks of one loop share it. The wall clock is each clock's own: it starts
    at ``start`` (aware) and runs with the monotonic time, and `set_wall` and `step_wall` make it jump, as a machine's
    does when somebody corrects it. A clock that was made outside of a loop belongs to the loop that first runs it.
    """

    def __init__(self, start: datetime = START, *, loop: ManualLoop | None = None) -> None:
        if start.tzinfo is None:
            raise ValueError("the start of a ManualClock must be aware, for example datetime(2030, 1, 1, tzinfo=UTC)")
        self._base = start.astimezone(UTC)
        self._bound = 0
        self._loop: ManualLoop | None = None
        self._alarms: dict[asyncio.Timeout, datetime] = {}
        if loop is not None:
            self._bind(loop)
        else:
            self._find()

    def now(self) -> datetime:
        """The wall clock, aware, in UTC, to the microsecond."""
        loop = self._find()
        return self._base if loop is None else self._base + (loop.micros - self._bound) * MICROSECOND

    def monotonic(self) -> float:
        """Seconds that passed; never jumps."""
        loop = self._find()
        return FIRST_SECOND if loop is None else loop.time()

    async def sleep(self, seconds: float) -> None:
        """Return after ``seconds`` of monotonic time."""
        self._own()
        await asyncio.sleep(max(0.0, seconds))

    async def wait(self, wake: asyncio.Event, until: datetime | None) -> None:
        """Return when ``wake`` is set or the wall clock reads ``until`` or later, also when it gets there by a jump."""
        self._own()
        if until is None:
            await wake.wait()
            return
        while not wake.is_set() and (remaining := until - self.now()) > timedelta(0):
            alarm = asyncio.timeout(remaining.total_seconds())
            self._alarms[alarm] = until
            try:
                async with alarm:
                    await wake.wait()
            except TimeoutError:
                pass  # the loop looks at the clock again
            finally:
                del self._alarms[alarm]

    async def advance(self, duration: float | timedelta | str) -> None:
        """Let time pass: seconds, a timedelta, or text such as ``"90s"``, ``"1h30m"``.

        Timers and waits run in the order of their instants, each with all that follows from it before the next; when
        this returns, nothing that is due is left undone. Raises `InvalidInput` for a negative duration: only the wall clock
        goes back (`step_wall`).
        """
        await self._own().advance(parse_duration(duration, "duration", positive=False) // MICROSECOND)

    async def advance_to(self, instant: datetime) -> None:
        """Let time pass until the wall clock reads ``instant``."""
        await self.advance(instant - self.now())

    async def settle(self) -> None:
        """Return when everything that is due now has happened."""
        await self._own().advance(0)

    def set_wall(self, instant: datetime) -> None:
        """Set the wall clock, and nothing else; whoever waits for an instant sees the new time at once."""
        self.step_wall((instant - self.now()).total_seconds())

    def step_wall(self, seconds: float) -> None:
        """Move the wall clock by ``seconds`` (back when negative), and nothing else."""
        self._base += timedelta(seconds=seconds)
        if self._alarms and self._loop is not None:
            self._loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        for alarm, until in self._alarms.items():
            if not alarm.expired():
                alarm.reschedule(self.monotonic() + max(0.0, (until - self.now()).total_seconds()))

    def skewed(self, seconds: float = 0.0) -> ManualClock:
        """Another machine's clock: the same monotonic time, and a wall clock of its own that is ``seconds`` ahead."""
        other = ManualClock(self._base + timedelta(seconds=seconds))
        other._loop, other._bound = self._find(), self._bound
        return other

    def _find(self) -> ManualLoop | None:
        if self._loop is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return None
            if not isinstance(loop, ManualLoop):
                raise RuntimeError("a ManualClock needs a ManualLoop: run the test with naq.testing.clock.manual_time")
            self._bind(loop)
        return self._loop

    def _own(self) -> ManualLoop:
        loop = self._find()
        if loop is None:
            raise RuntimeError("time passes only inside a running ManualLoop")
        return loop

    def _bind(self, loop: ManualLoop) -> None:
        self._loop, self._bound = loop, loop.micros


def run_in_manual_time(main: Coroutine[Any, Any, T], loop: Callable[[], ManualLoop] = ManualLoop) -> T:
    """Run a coroutine to its end on a loop whose time is stepped by hand. What it left running is cancelled."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


def manual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make an async test an ordinary one that runs on a loop of its own whose time is stepped by hand.

    No plugin is needed, and its fixtures must not be async ones: those run on another loop.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return run_in_manual_time(test(*args, **kwargs))

    return run
