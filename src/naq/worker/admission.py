"""Whether a job that was handed to this worker is to be run here and now. Asked only of those that need a thought.

Others (`naq.worker.recheck`) have seen to it that it has not ended before. One that came, and was started too often
without an end, is taken for a killer of workers.
"""

from __future__ import annotations

from dataclasses import dataclass

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import RecordUnreadable, StoreUnavailable
from naq.jobs.outcome import Dropped, Outcome, Raised, Unrunnable
from naq.jobs.records import DeadJob, DeadReason
from naq.queue.dependencies import Dependencies, Verdict
from naq.queue.limits import Slots
from naq.store.codec import decode
from naq.store.keys import dead_key, schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.port import Unknown
from naq.worker.claimed import Held
from naq.worker.starts import Starts
from naq.worker.superseded import why_superseded

__all__ = ["Admission", "Admit", "Forget", "Later", "Refuse", "needs_thought"]


@dataclass(frozen=True, slots=True)
class Admit:
    """Run it."""


@dataclass(frozen=True, slots=True)
class Forget:
    """It ended before, or waits elsewhere: acknowledge it, and that is all."""


@dataclass(frozen=True, slots=True)
class Later:
    """Hand it back, to come again after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """It ends without being run."""

    outcome: Outcome


Decision = Admit | Forget | Later | Refuse

WAIT_FOR_SLOT = 0.2
LONGEST_WAIT_FOR_SLOT = 2.0


def needs_thought(held: Held) -> bool:
    """Whether the store must be asked before this job is run; most jobs are simply run."""
    spec = held.queued.spec
    return held.delivered > 1 or held.queued.tracked or spec.max_concurrent is not None or bool(spec.depends_on)


class Admission:
    """Asks the store about a job that needs it."""

    def __init__(
        self,
        settings: Settings,
        kv: KVStoreService,
        dependencies: Dependencies,
        slots: Slots,
        starts: Starts,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._kv = kv
        self._dependencies = dependencies
        self._slots = slots
        self._starts = starts
        self._clock = clock

    async def decide(self, held: Held) -> Decision:
        """What to do with the job. Raises `StoreError` when the store cannot be asked."""
        queued = held.queued
        if queued.start_by is not None and self._clock.now() > queued.start_by:
            return Refuse(Dropped("missed"))
        if held.delivered > 1 and (ended := await self._died_before(held)) is not None:
            return ended
        if queued.tracked and await self._is_superseded(held):
            return Refuse(Dropped("cancelled"))
        if queued.spec.depends_on and queued.attempt == 1:
            verdict, reason = await self._dependencies.verdict(queued)
            if verdict is Verdict.NEVER:
                return Refuse(Unrunnable(DeadReason.DEPENDENCY, "DependencyNotMet", reason))
            if verdict is Verdict.WAITING:
                return await self._set_aside(held)
        if queued.spec.max_concurrent is not None:
            held.slot = await self._slots.take(queued.spec.func, queued.spec.max_concurrent)
            if held.slot is None:
                return Later(min(LONGEST_WAIT_FOR_SLOT, WAIT_FOR_SLOT * held.delivered))
        if held.delivered > 1 and await self._starts.count(held):
            await self._slots.free([held.slot] if held.slot else [])
            text = f"it was started {self._settings.max_deliveries} times, and each time its worker vanished before it ended"
            return Refuse(Unrunnable(DeadReason.KILLER, "WorkerKilled", text))
        return Admit()

    async def _died_before(self, held: Held) -> Decision | None:
        """A dead letter of this attempt lies there, but its worker died before it wrote the rest: end it as it was decided."""
        entry = await self._kv.get(dead_key(held.queued.job_id))
        if entry is None or entry.value is None:
            return None
        try:
            dead = decode(DeadJob, entry.key, entry.value)
        except RecordUnreadable:
            return None
        if dead.job != held.queued:
            return None
        error_type, error = dead.error_type or "", dead.error or ""
        if dead.reason is DeadReason.FAILED:
            return Refuse(Raised(error_type, error, dead.traceback))
        return Refuse(Unrunnable(dead.reason, error_type, error))

    async def _is_superseded(self, held: Held) -> bool:
        """Whether the overlap policy ended this run before a worker had it."""
        reason = why_superseded(await self._kv.get(schedule_key(held.queued.schedule_id or "")), held.queued)
        if reason is not None:
            held.cancel_reason = held.cancel_reason or reason
        return reason is not None

    async def _set_aside(self, held: Held) -> Decision:
        outcome = await self._kv.transact(self._dependencies.writes(held.queued, None))
        if isinstance(outcome, Unknown):
            raise StoreUnavailable(outcome.reason)
        await self._dependencies.check(held.queued)
        return Forget()
