"""The application: a periodic task, once for each schedule; every worker defers what is due.

What a killed worker had in hand is brought back as the documentation says, but looked for every five seconds, not ten minutes.
"""

from __future__ import annotations

from procrastinate import App, JobContext, PsycopgConnector

from benchmarks.peers.settings import schedule_names, url
from benchmarks.runs import write_run

app = App(connector=PsycopgConnector(conninfo=url()))


@app.task
async def record(timestamp: int, schedule: str) -> None:
    """Write down when it began, and for which time it was deferred."""
    write_run(schedule, float(timestamp))


for name in schedule_names():
    app.periodic(cron="* * * * * *", periodic_id=name, task_kwargs={"schedule": name})(record)


@app.periodic(cron="* * * * * */5")
@app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
async def retry_stalled_jobs(context: JobContext, timestamp: int) -> None:
    """Queue again what workers without a heartbeat for 30 seconds had in hand."""
    for job in await app.job_manager.get_stalled_jobs():
        await app.job_manager.retry_job(job)
