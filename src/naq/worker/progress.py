"""Results of running jobs: that they run, and how far they are.

A job that runs less than `ANNOUNCE_AFTER` is never announced. The write is conditional on what is known of the job, so that
it never hides an end.
"""

from __future__ import annotations

import logging

from naq.clock import Clock
from naq.exceptions import RecordUnreadable, StoreError
from naq.jobs.job import JobStatus, QueuedJob
from naq.jobs.records import Progress, StoredResult
from naq.store.codec import decode, encode
from naq.store.port import Committed, Put, Store
from naq.worker.claimed import Claimed, Claims
from naq.worker.execution.run import Attempt

__all__ = ["Announcer"]

ANNOUNCE_AFTER = 0.3
"""Seconds a job runs before it is announced."""
EVERY = 0.3
AT_ONCE = 200
"""Jobs announced in one round."""

log = logging.getLogger(__name__)


class Announcer:
    """Keeps the results of running jobs up to date."""

    def __init__(self, results: Store, clock: Clock, claims: Claims, ack_wait: float) -> None:
        self._results = results
        self._clock = clock
        self._claims = claims
        self._lifetime = max(10, int(3 * ack_wait))
        self._renew_every = ack_wait
        self._said: dict[Claimed, tuple[float, Progress | None]] = {}
        """When each was announced, and with which progress."""

    async def run(self) -> None:
        """Announce for ever."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self._round()
            except StoreError as error:
                log.debug("running jobs are announced later: %s", error)

    async def _round(self) -> None:
        now, running = self._clock.monotonic(), [claimed for claimed in self._claims.all() if claimed.runs]
        self._said = {claimed: self._said[claimed] for claimed in running if claimed in self._said}
        due = [claimed for claimed in running if self._is_due(claimed, now)][:AT_ONCE]
        if not due:
            return
        entries = await self._results.get_many([claimed.queued.job_id for claimed in due])
        for claimed in due:
            attempt, job_id = claimed.attempt, claimed.queued.job_id
            entry = entries.get(job_id)
            if attempt is None or attempt.ended:
                continue
            self._said[claimed] = now, attempt.context.last_progress
            if entry is not None and entry.value is not None and not self._may_replace(claimed, entry.value):
                continue
            revision = entry.revision if entry is not None else 0
            claimed.announced = True
            put = Put(job_id, encode(_running(claimed.queued, attempt)), revision, self._lifetime)
            if not isinstance(await self._results.transact([put]), Committed):
                log.debug("job %s ended while it was announced", job_id)

    def _is_due(self, claimed: Claimed, now: float) -> bool:
        attempt = claimed.attempt
        if attempt is None or now - attempt.began < ANNOUNCE_AFTER:
            return False
        said_at, progress = self._said.get(claimed, (None, None))
        return said_at is None or now - said_at > self._renew_every or attempt.context.last_progress is not progress

    @staticmethod
    def _may_replace(claimed: Claimed, value: bytes) -> bool:
        """Whether what is known of the job is older than this attempt."""
        try:
            known = decode(StoredResult, claimed.queued.job_id, value)
        except RecordUnreadable:
            return False
        return known.enqueued_at is None or (
            known.enqueued_at <= claimed.queued.enqueued_at
            and not (known.status.ended and known.enqueued_at == claimed.queued.enqueued_at)
        )


def _running(queued: QueuedJob, attempt: Attempt) -> StoredResult:
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
        log=None if attempt.context.log is None else str(attempt.context.log),
    )
