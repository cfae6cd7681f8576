"""How jobs ended, as the bucket of results holds it: the result itself, or the mark that outlives a short-lived one."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from naq.jobs.records import StoredResult
from naq.store.keys import ended_key
from naq.store.port import Store
from naq.store.records import readable

__all__ = ["belongs", "read_ends"]

log = logging.getLogger(__name__)


async def read_ends(results: Store, job_ids: Sequence[str]) -> dict[str, StoredResult]:
    """What is known of several jobs, by id: that they run, or how they ended. Without values. Raises `StoreError`."""
    entries = await results.get_many([*job_ids, *map(ended_key, job_ids)])
    found: dict[str, StoredResult] = {}
    for _, result in readable(StoredResult, entries.values(), log):
        other = found.get(result.job_id)
        if other is None or (result.status.ended, result.attempt) > (other.status.ended, other.attempt):
            found[result.job_id] = result
    return found


def belongs(result: StoredResult, created_at: datetime) -> bool:
    """Whether a result says how a job of the schedule that was created at ``created_at`` ended, and not how one of an earlier
    schedule with the same id did."""
    return result.status.ended and (result.enqueued_at is None or result.enqueued_at >= created_at)
