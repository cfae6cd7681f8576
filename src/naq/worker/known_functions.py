"""Jobs whose function this worker does not know: passed on to the workers that do, and not ended.

During a rolling deploy old and new workers serve the same queue, and two applications may share one. So a job that this
worker cannot run is put back: it waits as a deferred job, and the leader queues it again, after half a second at first and
half as long again each time, up to a minute (several times within seconds, because chance may bring it back here). It stays
the same attempt and is not counted as started. What is left of it in the queue is acknowledged, and replaced by the leader:
a deletion would be delivered, too, and of two workers the same one would get the job each time. Only when it was passed on
for ``unknown_function_wait`` (a day) it becomes a dead letter.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from naq.clock import Clock
from naq.config import Settings
from naq.exceptions import StoreUnavailable
from naq.jobs.functions import Registry
from naq.jobs.job import QueuedJob
from naq.jobs.outcome import Unrunnable
from naq.jobs.records import DeadReason
from naq.store.codec import encode
from naq.store.keys import deferred_key
from naq.store.port import Check, Committed, Put, Store
from naq.timing.duration import duration_text
from naq.worker.claimed import Delivery

__all__ = ["KnownFunctions"]

FIRST_WAIT = timedelta(seconds=0.5)
LONGEST_WAIT = timedelta(minutes=1)
GROWTH = 1.5
MOST_GROWTH = 20

log = logging.getLogger(__name__)


class KnownFunctions:
    """The functions of this worker, and what becomes of jobs with another."""

    def __init__(self, settings: Settings, registry: Registry, store: Store, clock: Clock) -> None:
        self._settings = settings
        self._registry = registry
        self._store = store
        self._clock = clock
        self._logged: set[str] = set()

    def knows(self, queued: QueuedJob) -> bool:
        """Whether this worker can run the job's function."""
        return self._registry.knows(queued.spec.func)

    async def pass_on(self, delivery: Delivery) -> Unrunnable | None:
        """Put a job back for workers that know its function; ``None``: done, and the delivery is to be acknowledged.

        Returns the job's end when it was passed on for too long. Raises `StoreError`: call it again.
        """
        queued, now = delivery.queued, self._clock.now()
        since, longest = queued.unknown_since or now, timedelta(seconds=self._settings.unknown_function_wait)
        if now - since >= longest:
            return _end_of(queued, longest, self._registry.references)
        waits = queued.evolve(
            due_at=_due_at(queued, now, since + longest), unknown_since=since, passed_on=queued.passed_on + 1
        )
        put = Put(deferred_key(queued.job_id, queued.attempt), encode(waits), 0)
        outcome = await self._store.transact([put, Check(delivery.key, delivery.stream_seq)])
        if not isinstance(outcome, Committed):
            there = await self._store.get_many([put.key, delivery.key])
            done = put.key in there and there[put.key].revision > delivery.stream_seq
            if not done and delivery.key in there and there[delivery.key].revision == delivery.stream_seq:
                raise StoreUnavailable(f"it could not be passed on: {outcome.reason}")
        self._log(queued.spec.func, delivery.queue)
        return None

    def _log(self, func: str, queue: str) -> None:
        """Log it once for each function."""
        if func not in self._logged:
            self._logged.add(func)
            log.warning(
                "this worker does not know the function %s: its jobs in queue %s are passed on to other workers",
                func,
                queue,
            )


def _due_at(queued: QueuedJob, now: datetime, end: datetime) -> datetime:
    """When it is queued again: in time to be recorded as missed by its deadline, or to end."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * GROWTH ** min(queued.passed_on, MOST_GROWTH))
    return min(now + wait, max(end, now + FIRST_WAIT), max(queued.start_by or end, now + FIRST_WAIT))


def _end_of(queued: QueuedJob, longest: timedelta, known: tuple[str, ...]) -> Unrunnable:
    here = f"; the last of them knows {', '.join(sorted(known)[:8])}" if known else ""
    times = f", and passed it on {queued.passed_on} times" if queued.passed_on else ""
    text = (
        f"no worker that took it within {duration_text(longest)} knows the function {queued.spec.func!r}{times}: start one "
        f"with the module that declares it (naq worker MODULE:APP), or with allow_functions{here}"
    )
    return Unrunnable(DeadReason.UNKNOWN_FUNCTION, "UnknownFunction", text)
