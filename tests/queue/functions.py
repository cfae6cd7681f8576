"""What the jobs of the queue's tests do, besides `tests.worker.functions`."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

from naq.jobs.context import JobContext
from tests.worker.functions import Order, event, released, started


def fail_with_a_file_name() -> None:
    raise FileNotFoundError(2, "No such file", os.fsdecode(b"report-\xff.csv"))


async def report_file_name(context: JobContext, name: str) -> None:
    context.progress(1, 2, os.fsdecode(b"report-\xff.csv"))
    event(started, name).set()
    await event(released, name).wait()


async def about(job: str, func: str) -> str:
    return job + func


async def given(*args: Any, **kwargs: Any) -> list[Any]:
    """The arguments, as they came."""
    return [list(args), kwargs]


async def total(numbers: list[int]) -> int:
    return sum(numbers)


async def an_order(number: int) -> Order:
    return Order(number, datetime(2026, 3, 1, tzinfo=UTC))


async def number_of(order: Order) -> int:
    assert order.at == datetime(2026, 3, 1, tzinfo=UTC)
    return order.number


async def visited(before: list[str], name: str = "next") -> list[str]:
    """The names of the jobs so far, and this one's."""
    await asyncio.sleep(0.05)
    return [*before, name]
