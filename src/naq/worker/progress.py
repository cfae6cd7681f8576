"""Saying that a job runs, and how far it is: in its result, for jobs that run long enough for anybody to ask.

A job shorter than `ANNOUNCE_AFTER` is never announced. Announcing is conditional on what is known of the job, so that
it never hides an end.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.context import JobContext
from naq.jobs.job import JobStatus
from naq.jobs.records import StoredResult
from naq.queue.results import ResultService
from naq.store.codec import decode, encode
from naq.store.port import Committed, Put
from naq.worker.claimed import Held, Stage

__all__ = ["Announcer"]

ANNOUNCE_AFTER = 0.3
"""Seconds a job runs before it is announced."""
EVERY = 0.3
AT_ONCE = 200
"""Jobs looked at in one round."""

log = logging.getLogger("naq.announcing")


class Announcer:
    """Keeps the results of running jobs up to date."""

    def __init__(self, results: ResultService, clock: Clock, held: Mapping[int, Held], ack_wait: float) -> None:
        self._results = results
        self._clock = clock
        self._held = held
        self._lifetime = max(10, int(3 * ack_wait))
        self._renew_every = ack_wait
        self._progressed: set[JobContext] = set()
        self._said_at: dict[Held, float] = {}

    def touch(self, context: JobContext) -> None:
        """A job said how far it is. Called from any thread."""
        self._progressed.add(context)

    async def run(self) -> None:
        """Announce for ever."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self._round()
            except StoreError as error:
                log.debug("running jobs are announced later: %s", error)

    async def _round(self) -> None:
        now = self._clock.monotonic()
        progressed, self._progressed = self._progressed, set()
        self._said_at = {held: at for held, at in self._said_at.items() if held.stage is Stage.RUNNING}
        due = [held for held in self._held.values() if self._is_due(held, now, progressed)][:AT_ONCE]
        if not due:
            return
        entries = await self._results.store.get_many([held.queued.job_id for held in due])
        for held in due:
            entry = entries.get(held.queued.job_id)
            self._said_at[held] = now
            if entry is not None and entry.value is not None and not self._may_replace(held, entry.value):
                continue
            if held.attempt is None or held.attempt.ended:
                continue
            put = Put(
                held.queued.job_id, encode(_running(held)), entry.revision if entry is not None else 0, self._lifetime
            )
            held.announced = True
            if not isinstance(await self._results.store.transact([put]), Committed):
                log.debug("job %s ended while it was announced", held.queued.job_id)

    def _is_due(self, held: Held, now: float, progressed: set[JobContext]) -> bool:
        attempt = held.attempt
        if held.stage is not Stage.RUNNING or attempt is None or now - attempt.began < ANNOUNCE_AFTER:
            return False
        said_at = self._said_at.get(held)
        return said_at is None or now - said_at > self._renew_every or attempt.context in progressed

    @staticmethod
    def _may_replace(held: Held, value: bytes) -> bool:
        """Whether what is known of the job is older than this attempt."""
        try:
            known = decode(StoredResult, held.queued.job_id, value)
        except RecordUnreadable:
            return False
        return known.enqueued_at is None or (
            known.enqueued_at <= held.queued.enqueued_at
            and not (known.status.ended and known.enqueued_at == held.queued.enqueued_at)
        )


def _running(held: Held) -> StoredResult:
    queued, attempt = held.queued, held.attempt
    assert attempt is not None
    return StoredResult(
        job_id=queued.job_id,
        status=JobStatus.RUNNING,
        func=queued.spec.func,
        queue=queued.spec.queue,
        attempt=queued.attempt,
        worker_id=attempt.context.worker_id,
        schedule_id=queued.schedule_id,
        nominal_at=queued.nominal_at,
        enqueued_at=queued.enqueued_at,
        started_at=attempt.started_at,
        progress=attempt.context.last_progress,
    )
