"""Carrying out decisions about attempts that ended, many at once and in an order that survives a crash anywhere.

First the dead letters and next attempts, then the results, then the ends in the schedules' records, then whoever waited for the
job; only when all that is durable may the attempt be acknowledged. After a crash in between, the attempt comes again,
what was written is found (`naq.worker.admission`), and the rest is done. Every step can be repeated.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreUnavailable, TransactionTooLarge
from naq.jobs.ending import Ending, Facts, decide
from naq.jobs.history import HistorySink
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.outcome import Unrunnable
from naq.jobs.records import DeadJob, DeadReason, StoredResult
from naq.queue.dependencies import Dependencies
from naq.queue.results import ResultService
from naq.schedules.record import Schedule
from naq.schedules.run_end import run_ended
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, deferred_key, job_key, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Refused, Unknown

__all__ = ["Settlement", "Settling"]

AT_ONCE = 400
"""Writes in one transaction."""
ATTEMPTS = 50
"""Times that a schedule's record is tried again after a lost race."""
TOLD_ALWAYS = frozenset({JobStatus.FAILED, JobStatus.MISSED})
"""Ends that a schedule counts even if it does not track its runs."""

log = logging.getLogger("naq.settling")


@dataclass(slots=True, eq=False)
class Settlement:
    """One decision, and how far it is carried out."""

    ending: Ending
    told: bool = False
    """Its end is in the schedule's record."""
    again: bool = False
    """It was decided by a worker that may have died before the schedule's record had it: only an open run is closed."""
    settled: bool = False
    """All of it is done, but for the acknowledgement."""


class Settling:
    """Writes the ends of attempts."""

    def __init__(
        self,
        settings: Settings,
        kv: KVStoreService,
        results: ResultService,
        dependencies: Dependencies,
        history: HistorySink,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._kv = kv
        self._results = results
        self._dependencies = dependencies
        self._history = history
        self._events = events
        self._clock = clock

    async def settle(self, group: Sequence[Settlement]) -> None:
        """Carry out decisions; on return they are durable. Raises `StoreError` when that is not sure: call it again."""
        open_ones = [each for each in group if not each.settled]
        if not open_ones:
            return
        endings = [each.ending for each in open_ones]
        await self._write_follow_ups(endings)
        ended = [ending for ending in endings if ending.result is not None]
        results = [ending.result for ending in ended if ending.result is not None]
        if results:
            await self._results.write(results, [self._lifetime(ending.queued) for ending in ended])
        await self._tell_schedules(open_ones)
        if results:
            await self.look_after(await self._dependencies.ended([result.job_id for result in results]))
        for each in open_ones:
            each.settled = True
        self._history.record(ending.history for ending in endings if ending.history is not None)
        self._events.emit(ending.event for ending in endings if ending.event is not None)

    async def tell_again(self, ended: Sequence[tuple[QueuedJob, StoredResult]]) -> None:
        """Attempts that came again though their results are written: whoever wrote those may have died before the
        schedules' records had the ends, and an open run that nobody ends would hold its schedule for ever.

        Raises `StoreError` when that is not sure: call it again."""
        await self._tell_schedules(
            [Settlement(Ending(queued, result), again=True) for queued, result in ended if queued.tracked]
        )

    async def look_after(self, never: Sequence[tuple[QueuedJob, str]]) -> None:
        """End jobs that can never run, because one that they depend on ended otherwise."""
        for queued, reason in never:
            outcome = Unrunnable(DeadReason.DEPENDENCY, "DependencyNotMet", reason)
            ending = decide(queued, outcome, Facts(self._settings.instance_id, self._clock.now()))
            await self.settle([Settlement(ending)])
            await self._dependencies.drop(queued)

    def _lifetime(self, queued: QueuedJob) -> float:
        ttl = queued.spec.result_ttl
        return self._settings.job_ttl if ttl is None else ttl.total_seconds()

    # --- dead letters and next attempts

    async def _write_follow_ups(self, endings: Sequence[Ending]) -> None:
        puts: dict[str, Put] = {}
        for ending in endings:
            following = ending.next_attempt
            if following is not None:
                key = (
                    deferred_key(following.job_id, following.attempt)
                    if following.due_at is not None
                    else job_key(following.spec.queue, following.job_id, following.attempt)
                )
                puts[key] = Put(key, encode(following), 0)
            if ending.dead is not None:
                key = dead_key(ending.dead.job_id)
                puts[key] = Put(key, encode(ending.dead))
        writes = list(puts.values())
        for start in range(0, len(writes), AT_ONCE):
            await self._write_group(writes[start : start + AT_ONCE])

    async def _write_group(self, puts: list[Put]) -> None:
        """Write them together if that goes, else one by one: a next attempt that exists was written by an earlier try."""
        try:
            if isinstance(await self._kv.transact(list(puts)), Committed):
                return
        except TransactionTooLarge:
            log.debug("a group of %d ends is too large for one transaction", len(puts))
        for put in puts:
            try:
                outcome = await self._kv.transact([put])
            except TransactionTooLarge as error:
                outcome = await self._kv.transact([self._smaller(put, error)])
            if isinstance(outcome, Unknown):
                raise StoreUnavailable(outcome.reason)

    def _smaller(self, put: Put, error: TransactionTooLarge) -> Put:
        """A dead letter without its traceback, a next attempt without its error: they fitted once."""
        if put.key.startswith("dead."):
            dead = decode(DeadJob, put.key, put.value)
            return Put(put.key, encode(msgspec.structs.replace(dead, traceback=None, error=None)), put.expect)
        queued = decode(QueuedJob, put.key, put.value)
        if queued.error is None:
            raise error
        return Put(put.key, encode(msgspec.structs.replace(queued, error=None)), put.expect)

    # --- the schedules' records

    async def _tell_schedules(self, group: Sequence[Settlement]) -> None:
        by_schedule: dict[str, list[Settlement]] = defaultdict(list)
        for each in group:
            queued, result = each.ending.queued, each.ending.result
            if result is None or queued.schedule_id is None or each.told:
                continue
            if queued.tracked or result.status in TOLD_ALWAYS:
                by_schedule[schedule_key(queued.schedule_id)].append(each)
        if not by_schedule:
            return
        entries = await self._kv.get_many(list(by_schedule))
        puts = []
        for key, ends in by_schedule.items():
            value = self._after(entries.get(key), ends)
            if value is not None:
                puts.append(Put(key, value, entries[key].revision))
            else:
                _mark(ends)
        if len(puts) > 1 and len(puts) <= AT_ONCE and isinstance(await self._kv.transact(list(puts)), Committed):
            for put in puts:
                _mark(by_schedule[put.key])
            return
        for put in puts:
            await self._tell_schedule(put.key, by_schedule[put.key])

    async def _tell_schedule(self, key: str, ends: list[Settlement]) -> None:
        written: bytes | None = None
        for _ in range(ATTEMPTS):
            entry = await self._kv.get(key)
            if entry is not None and entry.value == written:
                break
            value = self._after(entry, ends)
            if value is None or entry is None:
                break
            outcome = await self._kv.transact([Put(key, value, entry.revision)])
            if isinstance(outcome, Committed):
                break
            written = None if isinstance(outcome, Refused) else value
        else:
            raise StoreUnavailable(f"{key!r} is changed by others all the time")
        _mark(ends)

    def _after(self, entry: Entry | None, ends: Sequence[Settlement]) -> bytes | None:
        """The schedule's record after those ends; ``None`` when there is nothing to write."""
        if entry is None or entry.value is None:
            return None
        try:
            before = decode(Schedule, entry.key, entry.value)
        except RecordUnreadable as error:
            log.warning("the end of a run cannot be told: %s", error)
            return None
        now = self._clock.now()
        after = before
        for each in ends:
            result = each.ending.result
            if result is not None and (not each.again or after.has_open(result.job_id)):
                after = run_ended(after, result.job_id, result.status, now) or after
        return None if after is before else encode(after)

    # --- removal

    async def remove(self, entry: Entry) -> bool:
        """Delete a queued or deferred attempt as it was read; whether nobody was faster."""
        outcome = await self._kv.transact([Delete(entry.key, entry.revision)])
        if isinstance(outcome, Unknown):
            found = await self._kv.get(entry.key)
            return found is None
        return isinstance(outcome, Committed)


def _mark(ends: Sequence[Settlement]) -> None:
    for each in ends:
        each.told = True
