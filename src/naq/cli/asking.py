"""One question to one service: started for it, and stopped afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import typer

from naq.cli.context import options_of

if TYPE_CHECKING:
    from naq.queue.service import JobService
    from naq.schedules.service import ScheduleService

__all__ = ["ask_jobs", "ask_schedules"]

T = TypeVar("T")


def ask_jobs(context: typer.Context, question: Callable[[JobService], Awaitable[T]], *, makes: bool = False) -> T:
    """Ask the job service; ``makes``: the namespace is made if it does not exist."""
    from naq.cli.running import run, service
    from naq.queue.service import JobService

    async def work() -> T:
        async with service(options_of(context), JobService, makes=makes) as jobs:
            return await question(jobs)

    return run(work())


def ask_schedules(context: typer.Context, question: Callable[[ScheduleService], Awaitable[T]]) -> T:
    """Ask the schedule service."""
    from naq.cli.running import run, service
    from naq.schedules.service import ScheduleService

    async def work() -> T:
        async with service(options_of(context), ScheduleService) as schedules:
            return await question(schedules)

    return run(work())
