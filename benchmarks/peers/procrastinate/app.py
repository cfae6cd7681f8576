"""The application: a periodic task, once for each schedule; every worker defers what is due."""

from __future__ import annotations

from procrastinate import App, PsycopgConnector

from benchmarks.peers.settings import schedule_names, url
from benchmarks.runs import write_run

app = App(connector=PsycopgConnector(conninfo=url()))


@app.task
async def record(timestamp: int, schedule: str) -> None:
    """Write down when it began, and for which time it was deferred."""
    write_run(schedule, float(timestamp))


for name in schedule_names():
    app.periodic(cron="* * * * * *", periodic_id=name, task_kwargs={"schedule": name})(record)
