"""The worker's settings: its functions, and cron jobs that are due once a second, each at an instant of its own."""

from __future__ import annotations

from typing import Any

from arq import cron
from arq.connections import RedisSettings

from benchmarks.peers.settings import schedule_names, url
from benchmarks.runs import write_run


async def nothing(context: dict[str, Any]) -> None:
    """The trivial job."""


async def record(context: dict[str, Any]) -> None:
    """Write down when it began; the id of a cron job is its name and its time in milliseconds."""
    name, _, milliseconds = context["job_id"].partition(":")
    write_run(name, int(milliseconds) / 1000)


class WorkerSettings:
    """As the documentation has it; as many jobs at a time as naq's worker."""

    redis_settings = RedisSettings.from_dsn(url())
    functions = (nothing,)
    max_jobs = 100
    cron_jobs = tuple(
        cron(record, name=name, second=None, microsecond=number * 1_000_000 // len(schedule_names()))
        for number, name in enumerate(schedule_names())
    )
