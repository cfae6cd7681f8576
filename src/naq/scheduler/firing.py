"""Firing: from keys that are due to committed transactions.

For every due key an `Intent` is made: the writes that advance the schedule and enqueue its jobs, planned from one
revision of its record. Intents are packed into a transaction that is fenced by the leader's epoch. What comes back is a
value, and each has one answer:

- committed: the mirror takes over what was written, and the facts are emitted;
- refused: nothing was done, and the store does not say why. The keys are read again. What moved is taken over, what
  did not move is planned again; a transaction that is refused though nothing moved is halved, so that one bad record
  never holds up the others;
- unknown: the same reading tells whether it was done. It is never guessed;
- too large, or with a name that makes no key: halved; a single intent that is so is quarantined;
- forbidden: halved, for it may concern one queue only; a single intent waits for its next try;
- rejected, or nobody answers: the store takes nothing now, so everything waits (`naq.scheduler.retries`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from naq.clock import Clock
from naq.events import Event, EventType
from naq.exceptions import (
    InvalidInput,
    RecordUnreadable,
    StoreError,
    StoreForbidden,
    StoreRejected,
    StoreUnavailable,
    TransactionTooLarge,
)
from naq.jobs.history import HistoryRecord, HistorySink
from naq.jobs.job import QueuedJob
from naq.scheduler.lease import Term
from naq.scheduler.mirror import Head, Mirror
from naq.scheduler.retries import Rest
from naq.schedules.planning.plan import Fire, Plan, plan
from naq.schedules.planning.soundness import PLANNING_ERRORS, flaw_text
from naq.schedules.record import Schedule, ScheduleStatus
from naq.store.codec import decode, encode
from naq.store.keys import backfill_job_id, check_queue, epoch_key, job_id, job_key
from naq.store.port import Check, Committed, Delete, Entry, EventSink, JobStopper, Put, Refused, Store, Write

__all__ = ["Firing", "Intent"]

MESSAGES_AT_ONCE = 990
"""Writes in one transaction: below the server's limit of 1000, with room for the fence."""
MISSING_AGAIN = 0.2
"""Seconds for which a key waits that the store says it does not hold, or holds as it was before."""
MISSING_LIMIT = 5
"""Times in a row that a record may be missing from the store before it is forgotten."""

log = logging.getLogger("naq.firing")


class Intent(msgspec.Struct, frozen=True, gc=False):
    """What one due key is to become, planned from one revision of its record."""

    key: str
    revision: int
    value: bytes | None
    """The advanced record; ``None``: the key is deleted (a deferred job that goes into the queue)."""
    jobs: tuple[tuple[str, bytes], ...]
    """Keys and records of the jobs to enqueue."""
    job_ids: tuple[str, ...]
    events: list[Event]
    head: Head
    """Status and due time of the advanced record."""
    plan: Plan | None = None
    """The plan, when more follows from it than writes: non-fires to record, jobs to end."""

    @property
    def size(self) -> int:
        """How many writes it takes."""
        return 1 + len(self.jobs)

    def writes(self) -> list[Write]:
        """The writes, each with its condition."""
        advance = Delete(self.key, self.revision) if self.value is None else Put(self.key, self.value, self.revision)
        return [advance, *[Put(key, record, 0) for key, record in self.jobs]]


class Firing:
    """Plans due keys and commits them for one leader's term."""

    def __init__(
        self,
        store: Store,
        mirror: Mirror,
        clock: Clock,
        sink: EventSink,
        instance_id: str,
        partition: int | str = 0,
        *,
        history: HistorySink | None = None,
        stopper: JobStopper | None = None,
    ) -> None:
        self.fired = 0
        """Jobs enqueued by this instance so far."""
        self._store = store
        self._mirror = mirror
        self._clock = clock
        self._sink = sink
        self._instance_id = instance_id
        self._partition = partition
        self._history = history or _Nobody()
        self._stopper = stopper or _Nobody()
        self._in_flight: set[str] = set()
        self._enqueued_already: set[str] = set()
        """Keys of jobs that the store held already when they were to be enqueued: their schedules advance without them."""
        self.rest = Rest(clock, sink, instance_id, mirror.requeue, mirror.changed.set)
        """What waits for its next try."""
        self._missing: Counter[str] = Counter()

    def collect(self, term: Term, lane: int, now: datetime, limit: int) -> list[Intent]:
        """Plan up to ``limit`` due keys, and mark them as in flight until `commit` is through with them.

        The keys that cannot be planned are quarantined. Fewer than ``limit`` may come back while more is due.
        """
        intents: list[Intent] = []
        size = 0
        keys = iter(self._mirror.due.pop_due(now, limit))
        for key in keys:
            if key in self._in_flight:
                continue  # requeued from its record when the transaction that has it is through
            intent = self._intent(key, term.epochs[lane], now)
            if intent is None:
                continue
            if size + intent.size > MESSAGES_AT_ONCE and intents:
                self._put_back([key, *keys])  # full: whatever would be planned now is planned again for the next one
                break
            size += intent.size
            self._in_flight.add(key)
            intents.append(intent)
        return intents

    def _put_back(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in self._in_flight:
                self._mirror.requeue(key)

    async def prepare(self, term: Term, lane: int) -> None:
        """Tell the store that a transaction in this lane comes soon. Failing to is harmless."""
        with contextlib.suppress(StoreError):
            await self._store.expect(self._fence(term, lane))

    def _fence(self, term: Term, lane: int) -> Check:
        return Check(epoch_key(lane, self._partition), term.epochs[lane])

    async def commit(self, term: Term, lane: int, intents: Sequence[Intent]) -> tuple[list[str], bool]:
        """Commit the intents in one transaction, or several if need be.

        Returns the ids of the jobs that were enqueued, and whether the term is still the store's: ``False`` means that
        another instance leads now. Never raises for what the store does; every key is back in the due-queue, where its
        record says, when this returns.
        """
        done: list[str] = []
        holds = True
        try:
            pending = [list(intents)]
            while pending and holds:
                part = pending.pop()
                halves, holds = await self._commit_part(term, lane, part, done)
                pending.extend(halves)
        finally:
            for intent in intents:
                self._in_flight.discard(intent.key)
                if intent.key not in self.rest.keys:
                    self._mirror.requeue(intent.key)
        return done, holds

    async def _commit_part(
        self, term: Term, lane: int, intents: list[Intent], done: list[str]
    ) -> tuple[list[list[Intent]], bool]:
        """One transaction. Returns what is to be tried in smaller parts, and whether the term holds."""
        fence = self._fence(term, lane)
        writes: list[Write] = [fence]
        for intent in intents:
            writes.extend(intent.writes())
        try:
            outcome = await self._store.transact(writes)
        except (TransactionTooLarge, InvalidInput) as error:
            if len(intents) > 1:
                return _halves(intents), True
            self._mirror.quarantine(intents[0].key, str(error))
            return [], True
        except StoreForbidden as error:
            if len(intents) > 1:
                return _halves(intents), True
            self.rest.refuse(intents[0].key, error)
            return [], True
        except StoreError as error:
            self.rest.close(error)
            return [], True
        if isinstance(outcome, Committed):
            self._took_effect(intents, outcome.revisions[1:], done)
            return [], True
        return await self._reconcile(fence, intents, outcome.reason, isinstance(outcome, Refused), done)

    async def _reconcile(
        self, fence: Check, intents: list[Intent], reason: str, refused: bool, done: list[str]
    ) -> tuple[list[list[Intent]], bool]:
        """Read again what the transaction was about, and learn from it what happened."""
        keys = [fence.key, *(intent.key for intent in intents)]
        keys += [key for intent in intents for key, _ in intent.jobs]
        try:
            entries = await self._store.get_many(keys)
        except StoreError as error:
            self.rest.close(error)
            return [], True
        epoch = entries.get(fence.key)
        holds = epoch is not None and epoch.revision == fence.revision
        unmoved: list[Intent] = []
        for intent in intents:
            entry = entries.get(intent.key)
            if _is_done(intent, entry, entries):
                self._facts([intent], done)
                if entry is None:
                    self._mirror.remove(intent.key)
            if entry is None:
                self._missing_again(intent.key)
                continue
            self._missing.pop(intent.key, None)
            if entry.revision < intent.revision:
                # A replica that lags, or another store under the same name: not to be asked again without a pause.
                self.rest.put([intent.key], MISSING_AGAIN)
            elif entry.revision != intent.revision:
                self._mirror.apply(entry)
            elif taken := [key for key, _ in intent.jobs if key in entries]:
                # Enqueued before, under this very identity: the schedule advances, and the job is not repeated.
                self._enqueued_already.update(taken)
            else:
                unmoved.append(intent)
        if not holds:
            return [], False
        log.debug("a transaction of %d was not committed (%s); %d unmoved", len(intents), reason, len(unmoved))
        if refused and len(unmoved) == len(intents):
            if len(intents) > 1:
                return _halves(intents), True
            self.rest.refuse(intents[0].key, StoreRejected(reason))
        elif not refused and len(unmoved) == len(intents):
            self.rest.close(StoreUnavailable(reason))
        return [], True

    def _missing_again(self, key: str) -> None:
        """The store says that a record is not there. Usually the watch says so too in a moment; a replica that lags may
        also not have it *yet*, so only a record that stays away is forgotten."""
        self._missing[key] += 1
        if self._missing[key] < MISSING_LIMIT:
            self.rest.put([key], MISSING_AGAIN)
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
        self.rest.succeeded(intent.key for intent in intents)
        self._facts(intents, done)

    def _facts(self, intents: Sequence[Intent], done: list[str]) -> None:
        events: list[Event] = []
        for intent in intents:
            done.extend(intent.job_ids)
            events.extend(intent.events)
            self.fired += len(intent.job_ids)
            if intent.plan is not None:
                self._follow_up(intent.plan)
        self._sink.emit(events)

    def _follow_up(self, decided: Plan) -> None:
        """What a committed plan asks for besides writes. What is lost with this process can be spared: the workers see for
        themselves what the record says of their runs (`naq.worker.superseded`)."""
        now = self._clock.now()
        schedule_id = decided.schedule.schedule_id
        self._history.record(non_fire.record(schedule_id, now) for non_fire in decided.non_fires)
        overdue = (*decided.cancel_jobs, *decided.terminate_jobs)
        if overdue:
            self._stopper.stop(overdue, f"schedule {schedule_id!r} is due again (overlap policy)")

    async def forget(self) -> None:
        """The store is another one: what was learned about keys says nothing any more, and nobody waits."""
        await self.rest.stop()
        self._enqueued_already.clear()
        self._missing.clear()

    def _intent(self, key: str, epoch: int, now: datetime) -> Intent | None:
        held = self._mirror.get(key)
        if held is None:
            return None
        revision, value = held
        try:
            if key.startswith("schedule."):
                return self._scheduled(key, revision, value, epoch, now)
            return self._deferred(key, revision, value, epoch, now)
        except RecordUnreadable as error:
            self._mirror.quarantine(key, error.reason)
        except PLANNING_ERRORS as error:
            self._mirror.quarantine(key, flaw_text(error))
        return None

    def _scheduled(self, key: str, revision: int, value: bytes, epoch: int, now: datetime) -> Intent | None:
        schedule = decode(Schedule, key, value)
        check_queue(schedule.job.queue, "job.queue")
        decided = plan(schedule, now)
        advanced = decided.schedule
        if advanced is schedule:
            self._mirror.requeue(key)
            return None
        jobs, identities, events = [], [], []
        for fire in decided.fires:
            identity = _identity(schedule, fire)
            target = job_key(schedule.job.queue, identity)
            if target in self._enqueued_already:
                continue
            jobs.append((target, encode(self._queued(schedule, revision, fire, identity, epoch, now))))
            identities.append(identity)
            events.append(self._triggered(schedule, fire, identity, now))
        if decided.non_fires or advanced.status is ScheduleStatus.COMPLETED:
            events += self._more_events(decided, now)
        return Intent(
            key,
            revision,
            encode(advanced),
            tuple(jobs),
            tuple(identities),
            events,
            (advanced.status.value, advanced.next_run_at),
            decided if decided.non_fires or decided.cancel_jobs or decided.terminate_jobs else None,
        )

    def _queued(
        self, schedule: Schedule, revision: int, fire: Fire, identity: str, epoch: int, now: datetime
    ) -> QueuedJob:
        return QueuedJob(
            job_id=identity,
            spec=schedule.job,
            enqueued_at=now,
            enqueued_by=self._instance_id,
            schedule_id=schedule.schedule_id,
            nominal_at=fire.nominal_at,
            next_at=fire.next_at,
            previous_at=fire.previous_at,
            start_by=fire.start_by,
            tracked=fire.tracked,
            planned_from=revision if fire.tracked else 0,
            schedule_created_at=schedule.created_at if fire.tracked else None,
            epoch=epoch,
        )

    def _deferred(self, key: str, revision: int, value: bytes, epoch: int, now: datetime) -> Intent:
        waiting = decode(QueuedJob, key, value)
        check_queue(waiting.spec.queue, "spec.queue")
        record = waiting.evolve(enqueued_at=now, enqueued_by=self._instance_id, epoch=epoch, due_at=None)
        target = job_key(waiting.spec.queue, waiting.job_id, waiting.attempt)
        event = self._event(
            EventType.JOB_ENQUEUED,
            now,
            schedule_id=waiting.schedule_id,
            job_id=waiting.job_id,
            func=waiting.spec.func,
            queue=waiting.spec.queue,
            attempt=waiting.attempt,
        )
        jobs = () if target in self._enqueued_already else ((target, encode(record)),)
        return Intent(key, revision, None, jobs, (waiting.job_id,) if jobs else (), [event], (None, None))

    def _triggered(self, schedule: Schedule, fire: Fire, identity: str, now: datetime) -> Event:
        return Event(
            type=EventType.SCHEDULED_JOB_TRIGGERED,
            timestamp=now,
            instance_id=self._instance_id,
            schedule_id=schedule.schedule_id,
            job_id=identity,
            func=schedule.job.func,
            queue=schedule.job.queue,
            nominal_at=fire.nominal_at,
        )

    def _more_events(self, decided: Plan, now: datetime) -> Iterable[Event]:
        """What there is to tell of a plan besides its fires."""
        schedule = decided.schedule
        for non_fire in decided.non_fires:
            yield self._event(
                EventType.FIRE_MISSED if non_fire.reason.is_missed else EventType.FIRE_SKIPPED,
                now,
                schedule_id=schedule.schedule_id,
                func=schedule.job.func,
                queue=schedule.job.queue,
                nominal_at=non_fire.last_at,
                reason=non_fire.reason,
                details={"count": non_fire.count, "first_at": non_fire.first_at.isoformat()},
            )
        if schedule.status is ScheduleStatus.COMPLETED:
            yield self._event(EventType.SCHEDULE_COMPLETED, now, schedule_id=schedule.schedule_id)

    def _event(self, kind: EventType, now: datetime, **about: Any) -> Event:
        return Event(type=kind, timestamp=now, instance_id=self._instance_id, **about)


class _Nobody:
    """Stands where nobody wants to hear of non-fires, and no worker is to be told to stop."""

    def record(self, records: Iterable[HistoryRecord]) -> None:
        """Do nothing."""

    def stop(self, job_ids: Sequence[str], reason: str) -> None:
        """Do nothing."""


def _identity(schedule: Schedule, fire: Fire) -> str:
    if fire.backfill_id is not None:
        return backfill_job_id(schedule.schedule_id, fire.backfill_id, fire.nominal_at)
    return job_id(schedule.schedule_id, fire.nominal_at)


def _halves(intents: list[Intent]) -> list[list[Intent]]:
    middle = len(intents) // 2
    return [intents[middle:], intents[:middle]]


def _is_done(intent: Intent, entry: Entry | None, entries: dict[str, Entry]) -> bool:
    """Whether the store holds what the intent was to write, so that an unanswered transaction was done."""
    if intent.value is None:
        return entry is None and all(key in entries for key, _ in intent.jobs)
    return entry is not None and entry.revision != intent.revision and entry.value == intent.value
