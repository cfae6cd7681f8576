"""What the jobs of the queue's tests do, besides `tests.worker.functions`."""

from __future__ import annotations

import os

from naq.jobs.context import JobContext
from tests.worker.functions import event, released, started


def fail_with_a_file_name() -> None:
    raise FileNotFoundError(2, "No such file", os.fsdecode(b"report-\xff.csv"))


async def report_file_name(context: JobContext, name: str) -> None:
    context.progress(1, 2, os.fsdecode(b"report-\xff.csv"))
    event(started, name).set()
    await event(released, name).wait()


async def about(job: str, func: str) -> str:
    return job + func
