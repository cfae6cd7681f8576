"""The application: its tasks, and the schedules of beat."""

from __future__ import annotations

from typing import Any

from celery import Celery

from benchmarks.peers.settings import schedule_names, url
from benchmarks.runs import write_run

app = Celery("peers", broker=f"{url()}/0", backend=f"{url()}/1")


@app.task
def nothing() -> None:
    """The trivial job; Celery has no async ones."""


@app.task(ignore_result=True)
def record(schedule: str, nominal: float | None = None) -> None:
    """Write down when it began."""
    write_run(schedule, nominal)


@app.on_after_configure.connect
def schedules(sender: Celery, **_: Any) -> None:
    """Once a second each."""
    for name in schedule_names():
        sender.add_periodic_task(1.0, record.s(name), name=name)
