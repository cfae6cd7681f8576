"""Store the jobs once, before any scheduler runs: one that starts later goes on from what is stored."""

from __future__ import annotations

from datetime import UTC, datetime

from apscheduler.schedulers.background import BackgroundScheduler

from benchmarks.peers.apscheduler.jobs import configuration, nothing
from benchmarks.peers.settings import schedule_names


def main() -> None:
    scheduler = BackgroundScheduler(**configuration())
    scheduler.start(paused=True)
    begin = datetime.now(UTC).replace(microsecond=0)
    for name in schedule_names():
        scheduler.add_job(nothing, "interval", seconds=1, start_date=begin, id=name, replace_existing=True)
    scheduler.shutdown()


if __name__ == "__main__":
    main()
