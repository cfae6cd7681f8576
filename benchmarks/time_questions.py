"""What `benchmarks.times` asks a source tree, run in a process of its own with that tree alone: prints JSON.

It imports nothing but `naq.timing.triggers`, which older trees have, too.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from naq.timing.triggers import Cron, Interval, Trigger

ROUNDS = 10_000
CORPUS = Path(__file__).resolve().parent.parent / "tests" / "timing" / "corpus.json"
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
YEAR = timedelta(days=366)


def measured() -> dict[str, float]:
    return {
        "next time of an interval": _next(Interval(timedelta(minutes=5), BEGIN).next_after),
        "next time of a cron in a zone": _next(Cron("*/7 * * * *", "Europe/Berlin").next_after),
        "next time of a cron of weekdays in a zone": _next(Cron("0 9-17 * * MON-FRI", "America/New_York").next_after),
        "next time of a fixed-time cron in a zone": _next(Cron("30 2 * * *", "Europe/Berlin").next_after),
        "next time of a cron with seconds": _next(Cron("*/5 * * * * *").next_after),
    }


def of_corpus() -> dict[str, float]:
    """Milliseconds for the slowest trigger of the corpus."""
    corpus = msgspec.json.decode(CORPUS.read_bytes(), type=list[Trigger])
    size = len(corpus)
    return {
        f"slowest next time of {size} triggers": max(_spent(_asking_next(each)) for each in corpus),
        f"slowest count of a year of {size} triggers": max(_spent(_asking_count(each)) for each in corpus),
    }


def _next(following: Callable[[datetime], datetime | None]) -> float:
    at: datetime | None = BEGIN
    for day in range(YEAR.days):
        following(BEGIN + timedelta(days=day))  # the zone's year is loaded
    began = time.process_time()
    for _ in range(ROUNDS):
        at = following(at if at is not None and at < BEGIN + YEAR else BEGIN)
    return (time.process_time() - began) / ROUNDS * 1e6


def _asking_next(trigger: Trigger) -> Callable[[], object]:
    return lambda: trigger.next_after(BEGIN)


def _asking_count(trigger: Trigger) -> Callable[[], object]:
    return lambda: trigger.count_between(BEGIN, BEGIN + YEAR)


def _spent(question: Callable[[], object]) -> float:
    """Milliseconds of this process, its zones being loaded."""
    question()
    began = time.process_time()
    question()
    return (time.process_time() - began) * 1e3


if __name__ == "__main__":
    json.dump(of_corpus() if "--corpus" in sys.argv else measured(), sys.stdout)
