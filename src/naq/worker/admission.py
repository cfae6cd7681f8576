"""Whether a job that this worker holds may run here and now.

Most jobs need no look-up. The store is asked about those that were handed out before, that an overlap policy may have ended,
that depend on other jobs, or whose function has ``max_concurrent``. A job whose function this worker does not know is passed
on to the others (`naq.worker.known_functions`). A job that was started ``max_deliveries`` times without
an end becomes a dead letter: it probably kills its workers.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError, StoreUnavailable
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Dropped, Ended, Raised, Unrunnable
from naq.jobs.records import DeadJob, DeadReason
from naq.queue.dependencies import Dependencies, Verdict
from naq.schedules.record import Schedule
from naq.schedules.run_end import is_run_of, run_taken
from naq.store.codec import decode, encode
from naq.store.keys import dead_key, schedule_key
from naq.store.port import Committed, Entry, Put, Store, Unknown
from naq.store.records import readable_one
from naq.worker.claimed import Admitted, Claimed
from naq.worker.function_slots import FunctionSlots
from naq.worker.known_functions import KnownFunctions
from naq.worker.starts import Starts
from naq.worker.superseded import why_superseded

__all__ = ["Admission", "Decision", "Forget", "NoSlot", "Refuse"]


@dataclass(frozen=True, slots=True)
class Forget:
    """Only acknowledge it: it ended before, or waits elsewhere."""


@dataclass(frozen=True, slots=True)
class NoSlot:
    """It has to wait for a slot of its function."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It ends without being run."""

    outcome: Ended


Decision = Admitted | Forget | NoSlot | Refuse

RETRY_AFTER = 0.5

log = logging.getLogger(__name__)


class Admission:
    """Decides about one job at a time."""

    def __init__(
        self,
        store: Store,
        known: KnownFunctions,
        dependencies: Dependencies,
        slots: FunctionSlots,
        starts: Starts,
        clock: Clock,
    ) -> None:
        self._store = store
        self._known = known
        self._dependencies = dependencies
        self._slots = slots
        self._starts = starts
        self._clock = clock

    def at_once(self, claimed: Claimed, slot: str | None = None) -> Decision | None:
        """The decision about a job that needs no look-up; ``None``: ask `decide`. ``slot``: it has this one."""
        queued = claimed.queued
        spec = queued.spec
        if not self._known.knows(queued):
            return None
        if slot is None and spec.max_concurrent is not None:
            return NoSlot() if self._slots.waits(spec.line) else None
        if claimed.delivery.delivered > 1 or queued.tracked or spec.depends_on:
            return None
        if self._is_late(claimed):
            return Refuse(Dropped("missed"))
        return Admitted(claimed, slot, starts=1)

    async def decide(self, claimed: Claimed, slot: str | None = None) -> Decision:
        """The decision about a job that needs a look-up; ``slot``: it has this one. Waits while the store cannot be asked."""
        while True:
            try:
                return await self._decide(claimed, slot)
            except StoreError as error:
                log.info("job %s waits: %s", claimed.queued.job_id, error)
                await self._clock.sleep(RETRY_AFTER)

    async def _decide(self, claimed: Claimed, slot: str | None) -> Decision:
        queued, again = claimed.queued, claimed.delivery.delivered > 1
        if self._is_late(claimed):
            return Refuse(Dropped("missed"))
        if again and (ended := await self._died_before(claimed)) is not None:
            return ended
        if queued.tracked and await self._is_superseded(claimed):
            return Refuse(Dropped("cancelled"))
        if not self._known.knows(queued):
            unknown = await self._known.pass_on(claimed.delivery)
            return Forget() if unknown is None else Refuse(unknown)
        if queued.tracked and queued.start_by is not None and (refused := await self._taken(claimed)) is not None:
            return refused
        if queued.spec.depends_on and queued.attempt == 1:
            judgement = await self._dependencies.judge(queued)
            if judgement.verdict is Verdict.NEVER:
                return Refuse(Unrunnable(DeadReason.DEPENDENCY, "DependencyNotMet", judgement.reason))
            if judgement.verdict is Verdict.WAITING:
                return await self._set_aside(claimed)
        if slot is not None or queued.spec.max_concurrent is None:
            return await self._counted(claimed, slot) if again else Admitted(claimed, slot, 1)
        taken = await self._slots.take(queued.spec.line, queued.spec.max_concurrent)
        if taken is None:
            return NoSlot()
        decision = await self._counted(claimed, taken) if again else Admitted(claimed, taken, 1)
        if not isinstance(decision, Admitted):
            self._slots.free(taken)
        return decision

    async def _counted(self, claimed: Claimed, slot: str | None) -> Decision:
        """Count the start of a job that was handed out before."""
        starts = await self._starts.count(claimed.queued)
        if starts is not None:
            return Admitted(claimed, slot, starts)
        text = f"it was started {self._starts.most} times, and each time its worker vanished before it ended"
        return Refuse(Unrunnable(DeadReason.KILLER, "WorkerKilled", text))

    def _is_late(self, claimed: Claimed) -> bool:
        start_by = claimed.queued.start_by
        return start_by is not None and self._clock.now() > start_by

    async def _died_before(self, claimed: Claimed) -> Decision | None:
        """The end in a dead letter of this attempt, whose worker died before it wrote the rest; ``None``: there is none."""
        entry = await self._store.get(dead_key(claimed.queued.job_id))
        if entry is None or entry.value is None:
            return None
        try:
            dead = decode(DeadJob, entry.key, entry.value)
        except RecordUnreadable:
            return None
        if dead.job != claimed.queued:
            return None
        error_type, error = dead.error_type or "", dead.error or ""
        if dead.reason is DeadReason.FAILED:
            return Refuse(Raised(error_type, error, dead.traceback))
        return Refuse(Unrunnable(dead.reason, error_type, error))

    async def _is_superseded(self, claimed: Claimed) -> bool:
        """Whether the overlap policy ended this run before a worker had it."""
        key = schedule_key(claimed.queued.schedule_id or "")
        reason = why_superseded(await self._store.get(key), claimed.queued)
        if reason is not None:
            claimed.cancel_reason = claimed.cancel_reason or reason
        return reason is not None

    async def _taken(self, claimed: Claimed) -> Decision | None:
        """Note in the schedule's record that a worker took this run in time: from then on it holds its place past its start
        deadline. Returns the decision when that came too late, or the run was given up meanwhile."""
        key = schedule_key(claimed.queued.schedule_id or "")
        while not self._is_late(claimed):
            note = _taken(await self._store.get(key), claimed.queued)
            if note is None:
                return Refuse(Dropped("cancelled")) if await self._is_superseded(claimed) else None
            if isinstance(await self._store.transact([note]), Committed):
                return None
        return Refuse(Dropped("missed"))

    async def _set_aside(self, claimed: Claimed) -> Decision:
        outcome = await self._store.transact(self._dependencies.writes(claimed.queued, None))
        if isinstance(outcome, Unknown):
            raise StoreUnavailable(outcome.reason)
        await self._dependencies.check(claimed.queued)
        return Forget()


def _taken(entry: Entry | None, queued: QueuedJob) -> Put | None:
    """The write that notes in the schedule's record that a worker took this run; ``None``: there is nothing to note."""
    schedule = None if entry is None else readable_one(Schedule, entry, log)
    if entry is None or schedule is None or queued.schedule_created_at not in (None, schedule.created_at):
        return None
    if not is_run_of(schedule, queued.job_id, queued.spec.queue):
        return None
    after = run_taken(schedule, queued.job_id)
    return None if after is None else Put(entry.key, encode(after), entry.revision, after.ttl)
