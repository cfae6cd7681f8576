"""The ends of runs in the records of their schedules: how a schedule learns that its run is over.

A schedule that tracks its runs, for an overlap policy, lists those that are open; a run that is never closed would block
it for ever. Other schedules only count runs that failed or were missed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from naq.clock import Clock
from naq.exceptions import StoreUnavailable
from naq.jobs.ending import Ending
from naq.jobs.job import JobStatus
from naq.schedules.record import Schedule
from naq.schedules.run_end import is_run_of, run_ended
from naq.store.codec import encode
from naq.store.keys import schedule_key
from naq.store.port import Committed, Entry, Put, Refused, Store
from naq.store.records import readable_one

__all__ = ["RunEnds", "Settlement"]

AT_ONCE = 400
"""Writes in one transaction."""
ATTEMPTS = 50
"""How often the write of a schedule's record is tried again after another process changed it."""
COUNTED_ALWAYS = frozenset({JobStatus.FAILED, JobStatus.MISSED})
"""Ends that a schedule counts even if it does not track its runs."""

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Settlement:
    """One decision, and how far it is carried out."""

    ending: Ending
    result_written: bool = False
    """Its result is stored."""
    in_schedule: bool = False
    """The schedule's record has the end."""
    repeated: bool = False
    """It was decided by a worker that may have died before the schedule's record had the end: only a run that is still
    open is closed, and nothing is counted twice."""
    settled: bool = False
    """All of it is done except for the acknowledgement."""


class RunEnds:
    """Writes the ends of runs into the records of their schedules."""

    def __init__(self, kv: Store, clock: Clock) -> None:
        self._kv = kv
        self._clock = clock

    async def write(self, group: Sequence[Settlement]) -> None:
        """Write the ends that are not in their schedules yet. Raises `StoreError` when that is not certain: call it again."""
        by_schedule = _by_schedule(group)
        if not by_schedule:
            return
        entries = await self._kv.get_many(list(by_schedule))
        puts = []
        for key, ends in by_schedule.items():
            after = self._after(entries.get(key), ends)
            if after is not None:
                puts.append(Put(key, encode(after), entries[key].revision, after.ttl, spare=True))
            else:
                _mark(ends)
        if 1 < len(puts) <= AT_ONCE and isinstance(await self._kv.transact(list(puts)), Committed):
            for put in puts:
                _mark(by_schedule[put.key])
            return
        for put in puts:
            await self._write_one(put.key, by_schedule[put.key])

    async def _write_one(self, key: str, ends: list[Settlement]) -> None:
        written: bytes | None = None
        for _ in range(ATTEMPTS):
            entry = await self._kv.get(key)
            if entry is not None and entry.value == written:
                break
            after = self._after(entry, ends)
            if after is None or entry is None:
                break
            value = encode(after)
            outcome = await self._kv.transact([Put(key, value, entry.revision, after.ttl, spare=True)])
            if isinstance(outcome, Committed):
                break
            written = None if isinstance(outcome, Refused) else value
        else:
            raise StoreUnavailable(f"{key!r} was changed by other processes {ATTEMPTS} times in a row")
        _mark(ends)

    def _after(self, entry: Entry | None, ends: Sequence[Settlement]) -> Schedule | None:
        """The schedule's record after those ends; ``None`` when there is nothing to write."""
        before = readable_one(Schedule, entry, log)
        if before is None:
            return None
        now = self._clock.now()
        after = before
        for each in ends:
            result = each.ending.result
            queued = each.ending.queued
            if not is_run_of(after, queued.job_id, queued.spec.queue):
                log.warning(
                    "job %s of queue %s is no run of that schedule: its end is not noted",
                    queued.job_id,
                    queued.spec.queue,
                )
                continue
            if result is not None and (not each.repeated or after.has_open(result.job_id)):
                after = run_ended(after, result.job_id, result.status, now) or after
        return None if after is before else after


def _by_schedule(group: Sequence[Settlement]) -> dict[str, list[Settlement]]:
    """The ends that are to be written, by the key of their schedule."""
    found: dict[str, list[Settlement]] = defaultdict(list)
    for each in group:
        queued, result = each.ending.queued, each.ending.result
        if result is None or queued.schedule_id is None or each.in_schedule:
            continue
        if queued.tracked or result.status in COUNTED_ALWAYS:
            found[schedule_key(queued.schedule_id)].append(each)
    return found


def _mark(ends: Sequence[Settlement]) -> None:
    for each in ends:
        each.in_schedule = True
