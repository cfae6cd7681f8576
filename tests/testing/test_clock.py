"""The clock that is stepped by hand, and the loop that obeys it."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta

import pytest

from naq.clock import Clock
from naq.exceptions import InvalidInput
from naq.testing.clock import ManualClock, ManualLoop, manual_time, run_in_manual_time

START = datetime(2030, 5, 1, 9, 0, tzinfo=UTC)
HOUR = 3600.0


def seconds_after(clock: Clock, start: datetime = START) -> float:
    return (clock.now() - start).total_seconds()


@manual_time
async def test_time_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(START)
    began = clock.monotonic()
    await asyncio.sleep(0)
    assert (clock.now(), clock.monotonic()) == (START, began)
    await clock.advance(90)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(seconds=90), began + 90)


@manual_time
async def test_durations_are_seconds_timedeltas_or_text() -> None:
    clock = ManualClock(START)
    await clock.advance(timedelta(minutes=1))
    await clock.advance("1h30m")
    await clock.advance(0.5)
    await clock.advance_to(START + timedelta(hours=2))
    assert seconds_after(clock) == 2 * HOUR
    with pytest.raises(InvalidInput):
        await clock.advance(-1)


@manual_time
async def test_sleepers_wake_in_the_order_of_their_instants() -> None:
    clock = ManualClock(START)
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, seconds_after(clock)))

    tasks = [asyncio.create_task(sleeper(name, seconds)) for name, seconds in (("c", 3), ("a", 1), ("b", 2), ("d", 9))]
    await clock.advance(5)
    assert woken == [("a", 1), ("b", 2), ("c", 3)]
    assert seconds_after(clock) == 5
    await clock.advance(4)
    assert woken[-1] == ("d", 9.0)
    await asyncio.gather(*tasks)


@manual_time
async def test_all_that_follows_from_one_timer_is_done_before_the_next_one_of_the_same_instant() -> None:
    clock = ManualClock(START)
    steps: list[str] = []

    async def worker(name: str) -> None:
        await clock.sleep(1)
        for step in range(3):
            steps.append(f"{name}{step}")
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(worker(name)) for name in "ab"]
    await clock.advance(1)
    assert steps == ["a0", "a1", "a2", "b0", "b1", "b2"]
    await asyncio.gather(*tasks)


@manual_time
async def test_asyncio_itself_obeys_the_clock() -> None:
    clock = ManualClock(START)

    async def patient() -> str:
        try:
            async with asyncio.timeout(HOUR):
                await asyncio.Event().wait()
        except TimeoutError:
            pass
        return f"until {seconds_after(clock)}"

    task = asyncio.create_task(patient())
    called: list[float] = []
    asyncio.get_running_loop().call_later(60, lambda: called.append(seconds_after(clock)))
    await clock.advance(HOUR - 1)
    assert called == [60]
    assert not task.done()
    await clock.advance(1)
    assert task.done()
    assert task.result() == "until 3600.0"


@manual_time
async def test_wait_ends_with_the_event_or_the_instant() -> None:
    clock = ManualClock(START)
    wake = asyncio.Event()
    by_event = asyncio.create_task(clock.wait(wake, START + timedelta(hours=1)))
    by_instant = asyncio.create_task(clock.wait(asyncio.Event(), START + timedelta(seconds=10)))
    by_event_alone = asyncio.create_task(clock.wait(wake, None))
    await clock.wait(asyncio.Event(), START)  # it reads that already
    await clock.advance(10)
    assert [by_event.done(), by_instant.done(), by_event_alone.done()] == [False, True, False]
    wake.set()
    await clock.settle()
    assert [by_event.done(), by_event_alone.done()] == [True, True]
    assert wake.is_set()


@manual_time
async def test_wait_can_be_cancelled() -> None:
    clock = ManualClock(START)
    task = asyncio.create_task(clock.wait(asyncio.Event(), START + timedelta(hours=1)))
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@manual_time
async def test_a_step_of_the_wall_clock_moves_nothing_else() -> None:
    clock = ManualClock(START)
    other = clock.skewed(30)
    began = clock.monotonic()
    napping = asyncio.create_task(clock.sleep(5))
    clock.step_wall(-HOUR)
    assert (seconds_after(clock), seconds_after(other), clock.monotonic()) == (-HOUR, 30, began)
    clock.set_wall(START + timedelta(days=1))
    assert (clock.now(), clock.monotonic()) == (START + timedelta(days=1), began)
    await clock.settle()
    assert not napping.done()
    await clock.advance(5)
    assert napping.done()
    assert (seconds_after(other), other.monotonic()) == (35, began + 5)


@manual_time
async def test_a_jump_of_the_wall_clock_ends_a_wait_for_an_instant_at_once_or_makes_it_longer() -> None:
    clock = ManualClock(START)
    forward = asyncio.create_task(clock.wait(asyncio.Event(), START + timedelta(hours=1)))
    await clock.settle()
    clock.step_wall(HOUR)
    await clock.settle()
    assert forward.done()
    back = asyncio.create_task(clock.wait(asyncio.Event(), START + timedelta(hours=1, seconds=10)))
    await clock.settle()
    clock.step_wall(-60)
    await clock.advance(69)
    assert not back.done()
    await clock.advance(1)
    assert back.done()


def test_when_nobody_advances_the_clock_it_says_so() -> None:
    async def stuck() -> None:
        asyncio.get_running_loop().call_later(60, lambda: None)
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match=r"nobody advances the clock \(the next timer is 60\.0.* s ahead\): Task-"):
        run_in_manual_time(stuck())


def test_a_loop_that_is_free_needs_nobody() -> None:
    def free() -> ManualLoop:
        loop = ManualLoop()
        loop.free_until = math.inf
        return loop

    async def main() -> float:
        clock = ManualClock(START)
        await asyncio.sleep(HOUR)
        return seconds_after(clock)

    assert run_in_manual_time(main(), free) == HOUR


def test_a_clock_outside_of_a_loop_shows_its_start() -> None:
    clock = ManualClock(START)
    assert clock.now() == START

    async def main() -> None:
        await clock.advance(1)

    run_in_manual_time(main())
    assert seconds_after(clock) == 1


def test_a_naive_start_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        ManualClock(datetime(2030, 1, 1))  # noqa: DTZ001 - that is the point


async def test_an_ordinary_loop_is_refused() -> None:
    with pytest.raises(RuntimeError, match="manual_time"):
        await ManualClock(START).advance(1)


@manual_time
async def test_an_executor_runs_at_once() -> None:
    assert await asyncio.to_thread(sum, [1, 2, 3]) == 6
    with pytest.raises(ZeroDivisionError):
        await asyncio.to_thread(divmod, 1, 0)


@manual_time
async def test_many_cancelled_timers_do_not_pile_up() -> None:
    clock = ManualClock(START)
    for _ in range(1000):
        async with asyncio.timeout(HOUR):
            await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ManualLoop)
    assert len(loop._timers) < 200
    await clock.advance(1)
