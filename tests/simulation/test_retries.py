"""What waits for its next try: told once, ever more patiently, and woken as soon as there is hope."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import pairwise

import pytest

from naq.events import Event
from naq.exceptions import StoreForbidden, StoreRejected, StoreUnavailable
from naq.scheduler.retries import Retries
from naq.testing.clock import ManualClock, manual_time

FULL = StoreRejected("full", 10077)


class Facts:
    """An `EventSink` that remembers."""

    def __init__(self) -> None:
        self.types: list[str] = []

    def emit(self, events: Iterable[Event]) -> None:
        self.types += [event.type for event in events]


class Bench:
    """A `Rest`, and what came out of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.facts = Facts()
        self.queued: list[str] = []
        self.woken = 0
        self.retries = Retries(self.clock, self.facts, "n0", self.queued.append, self._wake)

    def _wake(self) -> None:
        self.woken += 1


@manual_time
async def test_a_store_that_refuses_is_told_once_and_asked_once_a_second(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    tries: list[float] = []
    with caplog.at_level(logging.ERROR, "naq"):
        began = bench.clock.monotonic()
        while bench.clock.monotonic() < began + 50:
            tries.append(bench.clock.monotonic())
            bench.retries.close(FULL)
            bench.retries.close(FULL)  # another lane
            while not bench.retries.open:
                await bench.clock.advance(0.01)
    waits = [after - before for before, after in pairwise(tries)]
    assert waits[0] < 0.05
    assert 0.7 <= max(waits) <= 1.26
    assert bench.facts.types == ["store_trouble"]
    assert [record.message for record in caplog.records] == ["no schedule can be fired: full"]
    bench.retries.succeeded(["a"])
    assert bench.facts.types == ["store_trouble", "store_recovered"]
    assert not bench.retries.probing
    await bench.retries.stop()


@manual_time
async def test_a_store_that_does_not_answer_is_asked_at_least_every_second() -> None:
    bench = Bench()
    for _ in range(20):
        bench.retries.close(StoreUnavailable("nobody answers"))
        await bench.clock.advance(1.26)
        assert bench.retries.open


@manual_time
async def test_of_many_that_are_refused_one_tries_each_second_and_the_others_rarely() -> None:
    bench = Bench()
    bench.queued += [f"k{number}" for number in range(20)]
    tries: list[float] = []
    began = bench.clock.monotonic()
    while bench.clock.monotonic() < began + 60:
        queued, bench.queued[:] = list(bench.queued), []
        for key in queued:
            tries.append(bench.clock.monotonic())
            bench.retries.refuse(key, StoreForbidden("no permission"))
        await bench.clock.advance(0.05)
    gaps = [after - before for before, after in pairwise(tries)]
    assert max(gaps) <= 1.35
    assert len(tries) < 20 * 30
    await bench.retries.stop()


@manual_time
async def test_one_that_is_mended_wakes_all_that_were_refused() -> None:
    bench = Bench()
    for _ in range(12):
        for key in ("a", "b", "c"):
            bench.retries.refuse(key, StoreForbidden("no permission"))
    assert bench.retries.open, "others are not concerned"
    bench.queued.clear()
    bench.retries.succeeded(["x"])
    assert bench.queued == []
    bench.retries.succeeded(["a"])
    assert bench.queued == ["b", "c"]
    bench.retries.succeeded(["b", "c"])
    assert bench.facts.types == ["store_trouble", "store_recovered"]
    await bench.retries.stop()


@manual_time
async def test_a_change_of_leadership_opens_at_once() -> None:
    bench = Bench()
    for _ in range(12):
        bench.retries.close(FULL)
        bench.retries.reopen()
    assert bench.retries.open
    assert bench.woken == 12
    await bench.retries.stop()
