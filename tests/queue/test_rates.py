"""The rate of a queue holds for all workers together, also while they come, go and are killed."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from naq.jobs.records import QueueLimits, WorkerInfo
from naq.queue.limits import SETTLE_IN, Rates
from naq.store.codec import encode
from naq.store.port import Entry

STEP = 0.003
"""Seconds between two looks of a worker, about: a busy event loop."""


class Time:
    """A clock that the test sets; wall and monotonic time are one."""

    at = 1e9

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)


class Fleet:
    """Workers of one queue that always have jobs, and when they started one."""

    def __init__(self, rate: float, seed: int) -> None:
        self.time, self.rate, self.dice = Time(), rate, random.Random(seed)
        self.workers: dict[str, Rates] = {}
        self.starts: list[float] = []

    def join(self, name: str) -> None:
        new = Rates(self.time, name, ["q"])  # type: ignore[arg-type]
        new.limits["q"] = QueueLimits(rate=self.rate)
        for other, rates in self.workers.items():
            rates.apply(self._presence(name))
            new.apply(self._presence(other))
        self.workers[name] = new

    def leave(self, name: str) -> None:
        """It says so."""
        del self.workers[name]
        for rates in self.workers.values():
            rates.apply(Entry(f"worker.{name}", None, 1))

    def kill(self, name: str) -> None:
        """The others only see that it says nothing more."""
        del self.workers[name]

    def _presence(self, name: str) -> Entry:
        now = self.time.now()
        return Entry(
            f"worker.{name}", encode(WorkerInfo(worker_id=name, queues=("q",), started_at=now, seen_at=now)), 1
        )

    def run(self, seconds: float) -> None:
        until = self.time.at + seconds
        say_at = 0.0
        while self.time.at < until:
            self.time.at += self.dice.uniform(0.5, 1.5) * STEP
            if self.time.at >= say_at:
                say_at = self.time.at + 10
                for name in self.workers:
                    for other, rates in self.workers.items():
                        if other != name:
                            rates.apply(self._presence(name))
            for rates in self.dice.sample(list(self.workers.values()), len(self.workers)):
                while rates.wait("q") == 0.0:
                    rates.take("q")
                    self.starts.append(self.time.at)

    def most_within(self, seconds: float) -> int:
        """The most starts within any stretch of so many seconds."""
        first = most = 0
        for number, start in enumerate(self.starts):
            while self.starts[first] < start - seconds:
                first += 1
            most = max(most, number - first + 1)
        return most


@pytest.mark.parametrize("rate", [0.5, 2.0, 10.0, 200.0])
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_n_workers_start_no_more_than_the_rate_in_any_second(rate: float, workers: int) -> None:
    """Each had saved one start, so that after a pause n of them came at once."""
    fleet = Fleet(rate, seed=workers)
    for number in range(workers):
        fleet.join(f"w{number}")
    fleet.run(SETTLE_IN + 30)
    for seconds in (1.0, 2.0, 10.0):
        assert fleet.most_within(seconds) <= rate * seconds + max(2, 0.11 * rate)
    assert len(fleet.starts) >= 0.95 * rate * 30 - 1, "and the rate is used"


@pytest.mark.parametrize("seed", range(8))
def test_the_rate_holds_while_workers_come_go_and_are_killed(seed: int) -> None:
    rate = 5.0
    fleet = Fleet(rate, seed)
    fleet.join("w0")
    for number in range(1, 12):
        fleet.run(fleet.dice.uniform(0.1, 8))
        fleet.join(f"w{number}")
        if len(fleet.workers) > 3:
            victim = fleet.dice.choice(list(fleet.workers))
            (fleet.kill if fleet.dice.random() < 0.5 else fleet.leave)(victim)
    fleet.run(60)
    print(f"seed {seed}")
    assert fleet.most_within(1.0) <= rate + 2
    assert fleet.most_within(10.0) <= 10 * rate + 2
    assert len([start for start in fleet.starts if start > fleet.time.at - 20]) >= 0.95 * 20 * rate - 1


def test_a_clock_that_is_set_back_does_not_stop_a_queue() -> None:
    fleet = Fleet(2.0, seed=1)
    fleet.join("w0")
    fleet.run(10)
    before = len(fleet.starts)
    fleet.time.at -= 3600
    fleet.workers["w0"]._from -= 3600
    fleet.run(10)
    assert len(fleet.starts) - before >= 19
