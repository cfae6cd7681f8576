"""Stopping runs that newer ones have taken the place of, when nobody told this worker to.

Under the overlap policies ``cancel_other`` and ``terminate_other`` a leader writes its decision into the schedule's record,
and tells the workers afterwards. Should it die in between, or its word be lost, the record still says which runs are to
end. So each worker looks at the schedules of its own runs from time to time. Most schedules keep no open runs; a worker that
has no run of the others in hand asks for nothing.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.job import QueuedJob
from naq.jobs.records import StoredResult, is_over
from naq.queue.results import ResultService
from naq.schedules.record import Schedule
from naq.schedules.run_end import Superseded, superseded
from naq.store.codec import decode
from naq.store.keys import schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Entry
from naq.worker.claimed import Held, Stage

__all__ = ["SupersededRuns", "why_superseded"]

EVERY = 5.0
"""Seconds between two looks."""

log = logging.getLogger("naq.superseded")


def why_superseded(entry: Entry | None, queued: QueuedJob) -> Superseded | None:
    """`naq.schedules.run_end.superseded` of a schedule's record as it was read; ``None`` too if it is gone or unreadable."""
    if not queued.tracked or entry is None or entry.value is None:
        return None
    try:
        schedule = decode(Schedule, entry.key, entry.value)
    except RecordUnreadable:
        return None
    return superseded(schedule, entry.revision, queued)


class SupersededRuns:
    """Looks after the runs that a worker has in hand."""

    def __init__(
        self,
        kv: KVStoreService,
        results: ResultService,
        clock: Clock,
        held: Mapping[int, Held],
        stop: Callable[[Held, str], None],
    ) -> None:
        self._kv = kv
        self._results = results
        self._clock = clock
        self._held = held
        self._stop = stop

    async def run(self) -> None:
        """Look for ever."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self.look()
            except StoreError as error:
                log.info("whether newer runs have taken the place of running ones is looked at later: %s", error)

    async def look(self) -> None:
        """Look once, and have those stopped that are to end. Raises `StoreError` when that is not sure: look again."""
        by_schedule: dict[str, list[Held]] = defaultdict(list)
        for held in self._held.values():
            if held.queued.tracked and _runs(held):
                by_schedule[schedule_key(held.queued.schedule_id or "")].append(held)
        if not by_schedule:
            return
        entries = await self._kv.get_many(list(by_schedule))
        found = {
            held: reason
            for key, group in by_schedule.items()
            for held in group
            if (reason := why_superseded(entries.get(key), held.queued)) is not None
        }
        for held in await self._not_ended(list(found)):
            if _runs(held):
                log.info("job %s is stopped: %s", held.queued.job_id, found[held])
                self._stop(held, found[held])

    async def _not_ended(self, found: Sequence[Held]) -> list[Held]:
        """Those that did not end elsewhere: a worker that was thought dead may have a job whose end another one told."""
        if not found:
            return []
        results = await self._results.store.get_many([held.queued.job_id for held in found])
        return [held for held in found if not _may_have_ended(held.queued, results.get(held.queued.job_id))]


def _runs(held: Held) -> bool:
    """Whether it runs, and nobody asked it to stop."""
    return held.stage is Stage.RUNNING and held.attempt is not None and held.cancel_reason is None


def _may_have_ended(queued: QueuedJob, entry: Entry | None) -> bool:
    if entry is None or entry.value is None:
        return False
    try:
        return is_over(queued, decode(StoredResult, entry.key, entry.value))
    except RecordUnreadable:
        return True
