"""Firing: due records are planned, packed into transactions, and committed for one leader's term.

Each due record becomes an `Intent` (`naq.scheduler.intents`), planned from one revision. Intents are packed into a
transaction that is fenced by the leader's epoch. Each outcome has one answer:

- committed: the mirror takes over what was written, and the facts are emitted;
- refused, or no answer: the keys are read again (`naq.scheduler.reconcile`). What moved is taken over; what did not
  move is planned again. A transaction that is refused though nothing moved is halved, so that one bad record never
  holds up the others;
- too large, or a name that makes no valid key: halved; a single such record is quarantined;
- forbidden: halved, because it may concern one queue only; a single one is retried later;
- rejected, or the store is away: everything waits (`naq.scheduler.retries`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from naq.clock import Clock
from naq.events import Event
from naq.exceptions import (
    InvalidInput,
    StoreError,
    StoreForbidden,
    StoreRejected,
    StoreUnavailable,
    TransactionTooLarge,
)
from naq.jobs.ends import read_ends
from naq.jobs.records import StoredResult
from naq.scheduler.intents import NOTHING_ENDED, Intent, NotDue, Planner, Unplannable
from naq.scheduler.lease import Term
from naq.scheduler.listeners import Listeners
from naq.scheduler.mirror import Due, Mirror
from naq.scheduler.reconcile import keys_of, reconcile
from naq.scheduler.retries import Retries
from naq.schedules.planning.decision import Plan
from naq.store.keys import epoch_key
from naq.store.port import Check, Committed, Entry, Refused, Store, Unknown, Write

__all__ = ["Fired", "Firing"]

MESSAGES_AT_ONCE = 990
"""Writes in one transaction: below the server's limit of 1000, with room for the fence."""
MISSING_AGAIN = 0.2
"""Seconds until a record is tried again that the store does not hold, or holds in an older revision."""
MISSING_LIMIT = 5
"""Times in a row that a record may be missing from the store before it is forgotten."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fired:
    """The result of committing some intents."""

    job_ids: list[str]
    """Jobs that were enqueued."""
    holds: bool
    """Whether the term is still the store's; ``False``: another instance leads now."""


class Firing:
    """Plans due records and commits them for one leader's term."""

    def __init__(
        self,
        store: Store,
        mirror: Mirror,
        clock: Clock,
        listeners: Listeners,
        instance_id: str,
        partition: int | str = 0,
    ) -> None:
        self.fired = 0
        """Jobs enqueued by this instance so far."""
        self.retries = Retries(clock, listeners.events, instance_id, mirror.requeue, mirror.changed.set)
        """Keys that wait for their next try."""
        self._store = store
        self._mirror = mirror
        self._clock = clock
        self._listeners = listeners
        self._partition = partition
        self._planner = Planner(instance_id)
        self._in_flight: set[str] = set()
        self._enqueued_before: dict[str, datetime] = {}
        """Keys of jobs that the store held already when they were to be enqueued, and when those fired: their schedules
        advance without them."""
        self._missing: Counter[str] = Counter()

    def collect(self, term: Term, lane: int, now: datetime, limit: int) -> list[Intent]:
        """Plan up to ``limit`` due records; they count as in flight until `commit` is done with them.

        Records that cannot be planned are quarantined. Fewer than ``limit`` may come back while more is due.
        """
        intents: list[Intent] = []
        size = 0
        due = iter(self._mirror.pop_due(now, limit))
        for each in due:
            if each.key in self._in_flight:
                continue  # queued again from its record when its transaction is done
            intent = self._intent(each, term.epochs[lane], now)
            if intent is None:
                continue
            if size + intent.size > MESSAGES_AT_ONCE and intents:
                self._put_back([each, *due])  # full: planning more now would be wasted
                break
            size += intent.size
            self._in_flight.add(intent.key)
            intents.append(intent)
        return intents

    def _intent(
        self, due: Due, epoch: int, now: datetime, ends: Mapping[str, StoredResult] = NOTHING_ENDED
    ) -> Intent | None:
        planned = self._planner.intent(due, epoch, now, self._enqueued_before, ends)
        if isinstance(planned, Intent):
            return planned
        match planned:
            case NotDue():
                self._mirror.release(due.key)
                self._mirror.requeue(due.key)
            case Unplannable(reason):
                self._mirror.quarantine(due.key, reason)
        return None

    def _put_back(self, due: Iterable[Due]) -> None:
        for each in due:
            if each.key not in self._in_flight:
                self._mirror.requeue(each.key)

    async def prepare(self, term: Term, lane: int) -> None:
        """Tell the store that a transaction in this lane comes soon. Failing to is harmless."""
        with contextlib.suppress(StoreError):
            await self._store.expect(self._fence(term, lane))

    def _fence(self, term: Term, lane: int) -> Check:
        return Check(epoch_key(lane, self._partition), term.epochs[lane])

    async def commit(self, term: Term, lane: int, intents: Sequence[Intent]) -> Fired:
        """Commit the intents in one transaction, or several if need be.

        Never raises for what the store does. When it returns, every key is back in the due-queue as its record says.
        """
        done: list[str] = []
        holds = True
        try:
            pending = [await self._without_ended(intents, term.epochs[lane])]
            while pending and holds:
                part = pending.pop()
                again = await self._commit_part(self._fence(term, lane), part, done) if part else []
                holds = again is not None
                pending.extend(again or ())
        finally:
            for intent in intents:
                self._in_flight.discard(intent.key)
                if intent.key not in self.retries.keys:
                    self._mirror.requeue(intent.key)
        return Fired(done, holds)

    async def _without_ended(self, intents: Sequence[Intent], epoch: int) -> list[Intent]:
        """The intents, those that would enqueue a job that ended before planned again without it.

        When results cannot be read, nothing is held up by that: the jobs are enqueued.
        """
        asks = [job_id for intent in intents for job_id in intent.asks]
        if not asks or self._listeners.results is None:
            return list(intents)
        try:
            ends = await read_ends(self._listeners.results, asks)
        except StoreError as error:
            log.info("whether late fires ran before is not known: %s", error)
            return list(intents)
        kept: list[Intent | None] = []
        for intent in intents:
            ended = {job_id: ends[job_id] for job_id in intent.asks if job_id in ends}
            kept.append(self._planned_again(intent.key, epoch, ended) if ended else intent)
        return [intent for intent in kept if intent is not None]

    def _planned_again(self, key: str, epoch: int, ended: Mapping[str, StoredResult]) -> Intent | None:
        held = self._mirror.get(key)
        return None if held is None else self._intent(Due(key, *held), epoch, self._clock.now(), ended)

    async def _commit_part(self, fence: Check, intents: list[Intent], done: list[str]) -> list[list[Intent]] | None:
        """One transaction. Returns the parts to try next, ``None`` when the term is over."""
        writes: list[Write] = [fence]
        for intent in intents:
            writes.extend(intent.writes())
        try:
            outcome = await self._store.transact(writes)
        except (TransactionTooLarge, InvalidInput) as error:
            if len(intents) > 1:
                return _halves(intents)
            self._mirror.quarantine(intents[0].key, str(error))
            return []
        except StoreForbidden as error:
            if len(intents) > 1:
                return _halves(intents)
            self.retries.refuse(intents[0].key, error)
            return []
        except StoreError as error:
            self.retries.close(error)
            return []
        if isinstance(outcome, Committed):
            self._took_effect(intents, outcome.revisions[1:], done)
            return []
        return await self._reconcile(fence, intents, outcome, done)

    async def _reconcile(
        self, fence: Check, intents: list[Intent], outcome: Refused | Unknown, done: list[str]
    ) -> list[list[Intent]] | None:
        """Learn from the store what became of a transaction. Returns as `_commit_part`."""
        try:
            entries = await self._store.get_many(keys_of(fence, intents))
        except StoreError as error:
            self.retries.close(error)
            return []
        found = reconcile(fence, intents, entries)
        self._facts(found.done, done)
        for intent in found.done:
            if intent.key not in entries:
                self._mirror.remove(intent.key)
        for intent in found.absent:
            self._missing_again(intent.key)
        for intent in intents:
            if intent.key in entries:
                self._missing.pop(intent.key, None)
        for intent in found.behind:
            self.retries.put([intent.key], MISSING_AGAIN)
        for entry in found.moved:
            self._mirror.apply(entry)
        self._enqueued_before |= found.enqueued_before
        if not found.holds:
            return None
        if len(found.unmoved) < len(intents):
            return []
        return self._nothing_moved(intents, outcome)

    def _nothing_moved(self, intents: list[Intent], outcome: Refused | Unknown) -> list[list[Intent]]:
        """A transaction failed, and none of its keys changed."""
        log.debug("a transaction of %d was not committed, and nothing moved: %s", len(intents), outcome.reason)
        if not isinstance(outcome, Refused):
            self.retries.close(StoreUnavailable(outcome.reason))
        elif len(intents) > 1:
            return _halves(intents)
        else:
            self.retries.refuse(intents[0].key, StoreRejected(outcome.reason))
        return []

    def _missing_again(self, key: str) -> None:
        """The store does not hold a record. Usually the watch says so too in a moment; a replica that lags may also
        not have it *yet*, so only a record that stays away is forgotten."""
        self._missing[key] += 1
        if self._missing[key] < MISSING_LIMIT:
            self.retries.put([key], MISSING_AGAIN)
        else:
            del self._missing[key]
            self._mirror.remove(key)

    def _took_effect(self, intents: Sequence[Intent], revisions: Sequence[int], done: list[str]) -> None:
        if self._missing:
            for intent in intents:
                self._missing.pop(intent.key, None)
        position = 0
        for intent in intents:
            self._mirror.apply(Entry(intent.key, intent.value, revisions[position]), intent.head)
            position += intent.size
        self.retries.succeeded(intent.key for intent in intents)
        self._facts(intents, done)

    def _facts(self, intents: Sequence[Intent], done: list[str]) -> None:
        events: list[Event] = []
        for intent in intents:
            done.extend(intent.job_ids)
            events.extend(intent.events)
            self.fired += len(intent.job_ids)
            if intent.plan is not None:
                self._follow_up(intent.plan)
        self._listeners.events.emit(events)

    def _follow_up(self, decided: Plan) -> None:
        """What a committed plan asks for besides writes. If this process dies first nothing breaks: workers also read
        from the schedule's record that a run is to end (`naq.worker.superseded`)."""
        now = self._clock.now()
        schedule_id = decided.schedule.schedule_id
        self._listeners.history.record(non_fire.record(schedule_id, now) for non_fire in decided.non_fires)
        overdue = (*decided.cancel_jobs, *decided.terminate_jobs)
        if overdue:
            self._listeners.stopper.stop(overdue, f"schedule {schedule_id!r} is due again (overlap policy)")

    async def forget(self) -> None:
        """The store was replaced: what was learned about keys no longer holds, and all retries end."""
        await self.retries.stop()
        self._enqueued_before.clear()
        self._missing.clear()


def _halves(intents: list[Intent]) -> list[list[Intent]]:
    middle = len(intents) // 2
    return [intents[middle:], intents[:middle]]
