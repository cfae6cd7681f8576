"""Carrying out the decisions about attempts that ended: many at once, and in an order that survives a crash at any point.

First the dead letters and next attempts are written, then the results, then the ends in the records of the schedules, and
then the jobs that waited for these are released. Only when all of that is durable may an attempt be acknowledged. After a
crash in between, the attempt is delivered again, what was written is found (`naq.worker.admission`), and the rest is
done. Every step can be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import StoreUnavailable, TransactionTooLarge
from naq.jobs.ending import Ending, Facts, decide
from naq.jobs.history import HistorySink
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Dropped, Unrunnable
from naq.jobs.records import DeadJob, DeadReason, StoredResult
from naq.queue.dependencies import Dependencies
from naq.queue.results import StoredResults
from naq.queue.run_ends import RunEnds, Settlement
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, deferred_key, is_dead, job_key
from naq.store.port import Committed, Delete, Entry, EventSink, Put, Store, Unknown

__all__ = ["Settlement", "Settling", "queue_put"]

AT_ONCE = 400
"""Writes in one transaction."""

log = logging.getLogger("naq.settling")


def queue_put(queued: QueuedJob) -> Put:
    """The write that stores an attempt that must not exist yet: as deferred when it has a time, else in its queue."""
    if queued.due_at is not None:
        return Put(deferred_key(queued.job_id, queued.attempt), encode(queued), 0)
    return Put(job_key(queued.spec.queue, queued.job_id, queued.attempt), encode(queued), 0)


class Settling:
    """Writes the ends of attempts."""

    def __init__(
        self,
        settings: Settings,
        kv: Store,
        results: StoredResults,
        history: HistorySink,
        events: EventSink,
        clock: Clock,
    ) -> None:
        self.dependencies = Dependencies(kv, results, clock, settings.instance_id)
        self._settings = settings
        self._kv = kv
        self._results = results
        self._run_ends = RunEnds(kv, clock)
        self._history = history
        self._events = events
        self._clock = clock

    async def settle(self, group: Sequence[Settlement]) -> None:
        """Carry out decisions; on return they are durable. Raises `StoreError` when that is not certain: call it again."""
        unsettled = [each for each in group if not each.settled]
        if not unsettled:
            return
        endings = [each.ending for each in unsettled]
        await self._write_follow_ups(endings)
        ended = [(ending.queued, ending.result) for ending in endings if ending.result is not None]
        if ended:
            lifetimes = [self._lifetime(queued) for queued, _ in ended]
            await self._results.write([result for _, result in ended], lifetimes)
        await self._run_ends.write(unsettled)
        if ended:
            await self.end_unmet(await self.dependencies.ended([result.job_id for _, result in ended]))
        for each in unsettled:
            each.settled = True
        self._history.record(ending.history for ending in endings if ending.history is not None)
        self._events.emit(ending.event for ending in endings if ending.event is not None)

    async def close_runs(self, ended: Sequence[tuple[QueuedJob, StoredResult]]) -> None:
        """Close the runs of attempts that were delivered again though their results are written.

        The worker that wrote those may have died before the schedules' records had the ends, and a run that stays open
        would block its schedule for ever. Raises `StoreError` when it is not certain: call it again.
        """
        await self._run_ends.write(
            [Settlement(Ending(queued, result), repeated=True) for queued, result in ended if queued.tracked]
        )

    async def end_unmet(self, unmet: Sequence[tuple[QueuedJob, str]]) -> None:
        """End waiting jobs that can never run, because a dependency ended otherwise; each comes with the reason."""
        for queued, reason in unmet:
            outcome = Unrunnable(DeadReason.DEPENDENCY, "DependencyNotMet", reason)
            ending = decide(queued, outcome, Facts(self._settings.instance_id, self._clock.now()))
            await self.settle([Settlement(ending)])
            await self.dependencies.drop(queued)

    async def cancel(self, jobs: Sequence[QueuedJob], reason: str | None) -> None:
        """End jobs as cancelled that were removed from where they waited."""
        facts = Facts(self._settings.instance_id, self._clock.now(), reason=reason)
        await self.settle([Settlement(decide(queued, Dropped("cancelled"), facts)) for queued in jobs])

    async def remove(self, entry: Entry) -> bool:
        """Delete a queued or deferred attempt as it was read; ``False`` when another process changed it before."""
        outcome = await self._kv.transact([Delete(entry.key, entry.revision)])
        if isinstance(outcome, Unknown):
            return await self._kv.get(entry.key) is None
        return isinstance(outcome, Committed)

    def _lifetime(self, queued: QueuedJob) -> float:
        ttl = queued.spec.result_ttl
        return self._settings.job_ttl if ttl is None else ttl.total_seconds()

    async def _write_follow_ups(self, endings: Sequence[Ending]) -> None:
        """Write dead letters and next attempts."""
        puts: dict[str, Put] = {}
        for ending in endings:
            if ending.next_attempt is not None:
                put = queue_put(ending.next_attempt)
                puts[put.key] = put
            if ending.dead is not None:
                put = Put(dead_key(ending.dead.job_id), encode(ending.dead))
                puts[put.key] = put
        writes = list(puts.values())
        for start in range(0, len(writes), AT_ONCE):
            await self._write_group(writes[start : start + AT_ONCE])

    async def _write_group(self, puts: list[Put]) -> None:
        """Write them together if possible, else one by one: a next attempt may exist from an earlier try."""
        try:
            if isinstance(await self._kv.transact(list(puts)), Committed):
                return
        except TransactionTooLarge:
            log.debug("a group of %d ends is too large for one transaction", len(puts))
        for put in puts:
            try:
                outcome = await self._kv.transact([put])
            except TransactionTooLarge as error:
                outcome = await self._kv.transact([_smaller(put, error)])
            if isinstance(outcome, Unknown):
                raise StoreUnavailable(outcome.reason)


def _smaller(put: Put, error: TransactionTooLarge) -> Put:
    """A dead letter without its traceback, or a next attempt without its error; raises ``error`` if that changes nothing."""
    if is_dead(put.key):
        dead = decode(DeadJob, put.key, put.value)
        return Put(put.key, encode(msgspec.structs.replace(dead, traceback=None, error=None)), put.expect)
    queued = decode(QueuedJob, put.key, put.value)
    if queued.error is None:
        raise error
    return Put(put.key, encode(msgspec.structs.replace(queued, error=None)), put.expect)
