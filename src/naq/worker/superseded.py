"""Stopping runs that a newer run replaced, when the leader's request to stop them was lost.

Under the overlap policies ``cancel_other`` and ``terminate_other`` a leader writes its decision into the schedule's record,
and then asks the workers to stop the run. If it dies in between, or the request is lost, the record still names the runs
that must end. So each worker reads the schedules of its own tracked runs every few seconds. A worker without tracked runs
reads nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.job import QueuedJob
from naq.jobs.records import StoredResult, is_over
from naq.schedules.record import Schedule
from naq.schedules.run_end import Superseded, superseded
from naq.store.codec import decode
from naq.store.keys import schedule_key
from naq.store.port import Entry, Store
from naq.worker.claimed import Claimed, Claims

__all__ = ["SupersededRuns", "why_superseded"]

EVERY = 5.0
"""Seconds between two checks."""

log = logging.getLogger(__name__)


def why_superseded(entry: Entry | None, queued: QueuedJob) -> Superseded | None:
    """`naq.schedules.run_end.superseded` of a schedule's record as it was read; ``None`` also when it is gone or unreadable."""
    if not queued.tracked or entry is None or entry.value is None:
        return None
    try:
        schedule = decode(Schedule, entry.key, entry.value)
    except RecordUnreadable:
        return None
    return superseded(schedule, entry.revision, queued)


class SupersededRuns:
    """Checks the tracked runs that a worker holds."""

    def __init__(
        self,
        store: Store,
        results: Store,
        clock: Clock,
        claims: Claims,
        stop: Callable[[Claimed, str], None],
    ) -> None:
        self._store = store
        self._results = results
        self._clock = clock
        self._claims = claims
        self._stop = stop

    async def run(self) -> None:
        """Check for ever."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self.look()
            except StoreError as error:
                log.info("whether running jobs were replaced by newer runs is checked later: %s", error)

    async def look(self) -> None:
        """Check once, and stop the runs that must end. Raises `StoreError` when the store cannot be asked."""
        by_schedule: dict[str, list[Claimed]] = defaultdict(list)
        for claimed in self._claims.all():
            if claimed.queued.tracked and _runs(claimed):
                by_schedule[schedule_key(claimed.queued.schedule_id or "")].append(claimed)
        if not by_schedule:
            return
        entries = await self._store.get_many(list(by_schedule))
        found = {
            claimed: reason
            for key, group in by_schedule.items()
            for claimed in group
            if (reason := why_superseded(entries.get(key), claimed.queued)) is not None
        }
        for claimed in await self._not_ended(list(found)):
            if _runs(claimed):
                log.info("job %s is stopped: %s", claimed.queued.job_id, found[claimed])
                self._stop(claimed, found[claimed])

    async def _not_ended(self, found: Sequence[Claimed]) -> list[Claimed]:
        """The runs that did not end elsewhere: this worker may have been taken for dead, and another one ended the job."""
        if not found:
            return []
        results = await self._results.get_many([claimed.queued.job_id for claimed in found])
        return [claimed for claimed in found if not _may_have_ended(claimed.queued, results.get(claimed.queued.job_id))]


def _runs(claimed: Claimed) -> bool:
    """Whether it runs and was not asked to stop."""
    return claimed.runs and claimed.cancel_reason is None


def _may_have_ended(queued: QueuedJob, entry: Entry | None) -> bool:
    if entry is None or entry.value is None:
        return False
    try:
        return is_over(queued, decode(StoredResult, entry.key, entry.value))
    except RecordUnreadable:
        return True
