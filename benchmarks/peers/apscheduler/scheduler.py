"""A scheduler in a process of its own."""

from __future__ import annotations

from apscheduler.events import EVENT_JOB_EXECUTED
from apscheduler.schedulers.blocking import BlockingScheduler

from benchmarks.peers.apscheduler.jobs import configuration, record

if __name__ == "__main__":
    scheduler = BlockingScheduler(**configuration())
    scheduler.add_listener(record, EVENT_JOB_EXECUTED)
    scheduler.start()
