"""Records besides schedules, jobs and the lease that cannot be read: each is left alone, and named."""

from __future__ import annotations

from collections.abc import AsyncIterator

from naq.jobs.published import DeclaredFunction
from naq.jobs.records import QueueLimits, UniqueJob, WaitingFor, WorkerInfo
from naq.observe.alerts.alert import AlertRecord
from naq.observe.health.conditions import Finding, found
from naq.schedules.ownership import DeclaredSet
from naq.store.keys import ALERTS, ALL_FUNCTIONS, ALL_QUEUES, ALL_UNIQUE, ALL_WAITING, ALL_WORKERS
from naq.store.port import Store
from naq.store.records import read_all

__all__ = ["check_records"]

KINDS: tuple[tuple[str, type[object]], ...] = (
    (ALL_QUEUES, QueueLimits),
    (ALL_WORKERS, WorkerInfo),
    (ALL_WAITING, WaitingFor),
    (ALL_UNIQUE, UniqueJob),
    (ALL_FUNCTIONS, DeclaredFunction),
    (f"{ALERTS}.>", AlertRecord),
    ("set.>", DeclaredSet),
)
MOST = 20
"""Records that are named of each kind."""


async def check_records(store: Store) -> AsyncIterator[Finding]:
    """Every record of `KINDS` that cannot be read."""
    for pattern, kind in KINDS:
        named = 0
        async for entries in store.scan(pattern):
            for _, error in read_all(kind, entries).unreadable:
                named += 1
                if named <= MOST:
                    yield found("record-unreadable", str(error))
