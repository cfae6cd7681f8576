"""Carrying out the decisions about attempts that ended: many at once, and in an order that survives a crash at any point.

First the dead letters and next attempts are written, then the results, then the ends in the records of the schedules, then
unique keys become free, and then the jobs that waited for these are released. Only when all of that is durable may an attempt
be acknowledged. After a crash in between, the attempt is delivered again, what was written is found (`naq.worker.admission`),
and the rest is done. Every step can be repeated.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import StoreRejected, TransactionTooLarge
from naq.jobs.ending import Ending, Facts, decide
from naq.jobs.history import HistorySink
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.outcome import Dropped, Unrunnable
from naq.jobs.records import DeadReason, StoredResult, is_over
from naq.queue.dependencies import Dependencies
from naq.queue.follow_ups import write_follow_ups
from naq.queue.results import StoredResults
from naq.queue.run_ends import RunEnds, Settlement
from naq.queue.uniqueness import Uniqueness
from naq.store.port import Committed, Delete, Entry, EventSink, Store, Unknown
from naq.timing.duration import LONGEST

__all__ = ["Cancelled", "Settlement", "Settling"]

REFUSED = (StoreRejected, TransactionTooLarge)
"""Errors that may be the fault of one end of a group."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Ids of jobs that ended as cancelled, and may be removed from where they waited."""

    now: set[str]
    before: set[str]
    """Cancelled earlier, by a process that did not come to remove them."""


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
        self.uniqueness = Uniqueness(kv, results, clock)
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
        await self._keep_logs(endings)
        await write_follow_ups(self._kv, endings)
        ended = [(ending.queued, ending.result) for ending in endings if ending.result is not None]
        unwritten = [each.ending for each in unsettled if not each.result_written]
        results = [(ending.result, self._lifetime(ending.queued)) for ending in unwritten if ending.result is not None]
        if results:
            await self._results.write([result for result, _ in results], [lifetime for _, lifetime in results])
        await self._run_ends.write(unsettled)
        if ended:
            await self.uniqueness.ended(ended)
            await self.end_unmet(await self.dependencies.ended([result for _, result in ended]))
        for each in unsettled:
            each.settled = True
        self._history.record(ending.history for ending in endings if ending.history is not None)
        self._events.emit(ending.event for ending in endings if ending.event is not None)

    async def settle_again(self, ended: Sequence[tuple[QueuedJob, StoredResult]]) -> None:
        """Do what follows the results of attempts that were delivered again though these are written.

        The worker that wrote them may have died before the schedules' records had the ends, and a run that stays open
        would block its schedule for ever; or before it released the jobs that waited. Raises `StoreError` when it is not
        certain: call it again.
        """
        await self._run_ends.write(
            [Settlement(Ending(queued, result), repeated=True) for queued, result in ended if queued.tracked]
        )
        await self.uniqueness.ended(ended)
        await self.end_unmet(await self.dependencies.ended_before([queued.job_id for queued, _ in ended]))

    async def end_unmet(self, unmet: Sequence[tuple[QueuedJob, str]]) -> None:
        """End waiting jobs that can never run, because a dependency ended otherwise; each comes with the reason.

        One whose end the store refuses is logged and waits on: every sweep of the dependencies tries it again.
        """
        for queued, reason in unmet:
            outcome = Unrunnable(DeadReason.DEPENDENCY, "DependencyNotMet", reason)
            ending = decide(queued, outcome, Facts(self._settings.instance_id, self._clock.now()))
            try:
                await self.settle([Settlement(ending)])
                await self.dependencies.drop(queued)
            except REFUSED as error:
                log.error("job %s waits for a job that ended otherwise, and cannot be ended: %s", queued.job_id, error)

    async def cancel(self, jobs: Sequence[QueuedJob], reason: str | None) -> Cancelled:
        """End jobs as cancelled that wait; the caller removes those that are returned. The others ended meanwhile.

        In this order a process that dies in between leaves a job that ended as cancelled and may be removed later. A job that
        were removed first would leave a run in its schedule's record that nobody closes. Raises what the store raised, after
        trying each.
        """
        facts = Facts(self._settings.instance_id, self._clock.now(), reason=reason)
        known = await self._results.known([queued.job_id for queued in jobs])
        before = [(queued, result) for queued in jobs if (result := _cancelled(queued, known[queued.job_id][1]))]
        await self.settle_again(before)
        waiting = [queued for queued in jobs if not is_over(queued, known[queued.job_id][1])]
        group = [Settlement(decide(queued, Dropped("cancelled"), facts)) for queued in waiting]
        results = [each.ending.result for each in group if each.ending.result is not None]
        written = await self._results.write_unless_changed(
            results, [self._lifetime(queued) for queued in waiting], [known[queued.job_id][0] for queued in waiting]
        )
        group = [each for each in group if each.ending.queued.job_id in written]
        for each in group:
            each.result_written = True
        await self._settle_each(group)
        return Cancelled({each.ending.queued.job_id for each in group}, {queued.job_id for queued, _ in before})

    async def _settle_each(self, group: Sequence[Settlement]) -> None:
        """Settle them together, or one by one if the store refuses that."""
        try:
            await self.settle(group)
        except REFUSED as error:
            problem: Exception = error
            for each in group:
                try:
                    await self.settle([each])
                except REFUSED as refused:
                    problem = refused
            if not all(each.settled for each in group):
                raise problem from None

    async def remove(self, entry: Entry) -> bool:
        """Delete a queued or deferred attempt as it was read; ``False`` when another process changed it before."""
        outcome = await self._kv.transact([Delete(entry.key, entry.revision)])
        if isinstance(outcome, Unknown):
            return await self._kv.get(entry.key) is None
        return isinstance(outcome, Committed)

    async def _keep_logs(self, endings: Sequence[Ending]) -> None:
        """Write what was logged by attempts that are followed by others, to be kept until the next one could end, and as long
        as the result then."""
        logs, lifetimes = [], []
        for ending in endings:
            if ending.log is not None and ending.next_attempt is not None:
                due_at = ending.next_attempt.due_at
                wait = 0.0 if due_at is None else max(0.0, (due_at - self._clock.now()).total_seconds())
                logs.append(ending.log)
                lifetimes.append(min(LONGEST.total_seconds(), self._lifetime(ending.queued) + wait))
        await self._results.write_logs(logs, lifetimes)

    def _lifetime(self, queued: QueuedJob) -> float:
        """Seconds for which the result is kept; never more than the server can count."""
        ttl = queued.spec.result_ttl
        return self._settings.job_ttl if ttl is None else min(ttl, LONGEST).total_seconds()


def _cancelled(queued: QueuedJob, result: StoredResult | None) -> StoredResult | None:
    """The result, if it says that this attempt was cancelled before."""
    return result if result is not None and result.status is JobStatus.CANCELLED and is_over(queued, result) else None
