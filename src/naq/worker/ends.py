"""Writing the ends of jobs so that no end holds up another.

A group of ends is written together. If the store refuses the group, each end is written alone. An end that is refused because
of what is in it (its size, its lifetime, a text that cannot be encoded) is replaced by a small dead letter that says why. An end
that is refused for another reason is returned, to be tried again apart from the others.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from naq.clock import Clock
from naq.exceptions import StoreRejected, StoreUnavailable
from naq.jobs.ending import Ending, Facts, decide, unwritable
from naq.jobs.outcome import Ended as Outcome
from naq.jobs.outcome import Raised
from naq.queue.settle import Settlement, Settling
from naq.worker.claimed import Claimed

__all__ = ["EndWriter", "Refused"]

STORE_REFUSES_ALL = 3
"""Ends that are refused one after the other, without one that is written, before the store itself is taken to refuse."""
TTL_REFUSED = 10165
"""The server's error for a lifetime that it does not accept."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """An end that the store refused, and why."""

    settlement: Settlement
    reason: Exception


class EndWriter:
    """Writes groups of ends."""

    def __init__(self, worker_id: str, settling: Settling, clock: Clock) -> None:
        self._worker_id = worker_id
        self._settling = settling
        self._clock = clock

    def decide(self, claimed: Claimed, outcome: Outcome, started_at: datetime | None) -> Settlement:
        """What follows from the outcome of a job. Never raises: a fault of naq's own is a failure of this job."""
        now = self._clock.now()
        ended_at = None if started_at is None else now
        lines = None if claimed.attempt is None else claimed.attempt.context.log
        log_text = None if lines is None else str(lines)
        facts = Facts(self._worker_id, now, started_at, ended_at, claimed.cancel_reason, log_text)
        try:
            settlement = Settlement(decide(claimed.queued, outcome, facts))
            _log(settlement.ending, outcome)
            return settlement
        except Exception as error:
            log.exception("the end of job %s cannot be decided; it fails", claimed.queued.job_id)
            queued = msgspec.structs.replace(claimed.queued, attempt=claimed.queued.spec.retries + 1)
            ending = decide(queued, Raised(type(error).__name__, str(error)), facts)
            return Settlement(ending)

    async def write(self, group: Sequence[Settlement]) -> list[Refused]:
        """Write ends; those that are `Settlement.settled` afterwards are durable. Returns those that the store refuses for a
        reason that may pass. Raises `StoreError` when the store does not answer, or refuses everything: call it again."""
        try:
            await self._settling.settle(group)
            return []
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one end, the others must be written
            if len(group) > 1:
                log.info("%d ends are written one by one, because together they are refused: %s", len(group), error)
                return await self._one_by_one(group)
            return await self._refused(group[0], error)

    async def bury(self, refused: Refused) -> None:
        """Write a small dead letter in place of an end. Raises what the store raises."""
        settlement, problem = refused.settlement, f"{type(refused.reason).__name__}: {refused.reason}"
        facts = Facts(self._worker_id, self._clock.now())
        log.error("the end of job %s cannot be written, it becomes a dead letter: %s", _id(settlement), problem)
        ending = unwritable(settlement.ending, facts, problem)
        try:
            await self._write_instead(settlement, ending)
        except StoreUnavailable:
            raise
        except Exception as error:
            if ending.dead is None:
                raise
            log.error("the dead letter of job %s is written without the job: %s", _id(settlement), error)
            small = msgspec.structs.replace(ending.dead, job=None)
            await self._write_instead(settlement, dataclasses.replace(ending, dead=small))

    async def _one_by_one(self, group: Sequence[Settlement]) -> list[Refused]:
        refused: list[Refused] = []
        for count, settlement in enumerate(group):
            refused += await self.write([settlement])
            if len(refused) == STORE_REFUSES_ALL == count + 1:
                await self.bury(refused.pop(0))  # raises if the store refuses everything; else these ends are at fault
        return refused

    async def _refused(self, settlement: Settlement, error: Exception) -> list[Refused]:
        refused = Refused(settlement, error)
        if isinstance(error, StoreRejected) and error.code != TTL_REFUSED:
            return [refused]
        await self.bury(refused)
        return []

    async def _write_instead(self, settlement: Settlement, ending: Ending) -> None:
        instead = Settlement(ending, in_schedule=settlement.in_schedule)
        await self._settling.settle([instead])
        settlement.settled = True


def _log(ending: Ending, outcome: Outcome) -> None:
    """The line about a job that failed, with the traceback when it will not be tried again."""
    queued, following = ending.queued, ending.next_attempt
    if following is not None:
        what = f"failed on attempt {queued.attempt} of {queued.spec.retries + 1}"
        when = "at once" if following.due_at is None else f"at {following.due_at:%Y-%m-%d %H:%M:%S} UTC"
        log.warning("job %s (%s) %s, tried again %s: %s", queued.job_id, queued.spec.func, what, when, following.error)
    elif ending.dead is not None:
        dead = ending.dead
        trace = f"\n{outcome.traceback.rstrip()}" if isinstance(outcome, Raised) and outcome.traceback else ""
        log.error("job %s (%s) failed: %s: %s%s", queued.job_id, queued.spec.func, dead.error_type, dead.error, trace)


def _id(settlement: Settlement) -> str:
    return settlement.ending.queued.job_id
