"""The application that the workers of the benchmarks run."""

from __future__ import annotations

from benchmarks.runs import write_run
from naq import Naq
from naq.jobs.context import JobContext

app = Naq()


@app.job
async def nothing() -> None:
    """The trivial job."""


@app.job
async def record(context: JobContext) -> None:
    """Write down when it began, for which nominal time, and when that was fired."""
    nominal_at = context.nominal_at
    nominal = None if nominal_at is None else nominal_at.timestamp()
    write_run(str(context.schedule_id), nominal, context.fired_at.timestamp())
