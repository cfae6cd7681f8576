"""Confirms time-based conditions with the stored records before an alert fires.

An event can be lost with the process that emitted it, so a missing event proves nothing. The result shows whether a run
ended, the history whether a schedule's run succeeded, and the mirror which schedules exist.
"""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from naq.exceptions import RecordUnreadable
from naq.jobs.history_stream import HistoryService
from naq.jobs.job import JobStatus
from naq.observe.alerts.alert import AlertRecord
from naq.observe.alerts.board import Watched
from naq.observe.alerts.rules import NotRunSince, Rule, RunningLongerThan
from naq.observe.alerts.standing import Standing
from naq.queue.service import JobService
from naq.scheduler.mirror import Mirror
from naq.schedules.record import ScheduleStatus
from naq.store.codec import decode
from naq.store.keys import schedule_key

__all__ = ["Confirmation"]

SLICE = 500
"""Schedules checked before the event loop gets a turn."""


class _Job(msgspec.Struct, frozen=True):
    func: str
    queue: str = "default"


class _Policy(msgspec.Struct, frozen=True):
    start_at: datetime | None = None


class _Head(msgspec.Struct, frozen=True):
    """The fields of a schedule's record that are needed."""

    schedule_id: str
    created_at: datetime
    job: _Job
    policy: _Policy = _Policy()
    status: ScheduleStatus = ScheduleStatus.ACTIVE
    resumed_at: datetime | None = None
    v: int = 1


class Confirmation:
    """Reads standings from the stored records."""

    def __init__(self, mirror: Mirror, jobs: JobService, history: HistoryService) -> None:
        self._mirror = mirror
        self._jobs = jobs
        self._history = history

    async def renewed(
        self, rule: Rule, subject: str, standing: Standing | None, record: AlertRecord | None
    ) -> Standing | None:
        """The standing according to the records; ``None``: nothing to watch. Raises `StoreError`."""
        if isinstance(rule, RunningLongerThan):
            return await self._run(subject, standing, record)
        if isinstance(rule, NotRunSince):
            return await self._schedule(subject, standing)
        return standing

    async def schedules(self, rule: Rule) -> list[Watched]:
        """The active schedules that a rule watches. Yields to the event loop in between."""
        found = []
        for number, key in enumerate(self._mirror.schedule_keys()):
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            watched = self._watched(key, rule)
            if watched is not None:
                found.append(watched)
        return found

    async def _run(self, job_id: str, standing: Standing | None, record: AlertRecord | None) -> Standing | None:
        try:
            info = await self._jobs.get(job_id)
        except RecordUnreadable:
            return standing
        if info is None or info.status.ended or info.status is JobStatus.DEFERRED:
            return None
        began = info.started_at if info.status is JobStatus.RUNNING else None
        if standing is None:
            since = began or (None if record is None else record.alert.since)
            return Standing(
                subject=job_id,
                schedule_id=info.schedule_id,
                func=info.func,
                queue=info.queue,
                job_id=job_id,
                attempt=info.attempt,
                since=since,
            )
        if began is None or standing.since is None or began <= standing.since:
            return standing
        return standing.evolve(since=began, attempt=info.attempt)

    async def _schedule(self, schedule_id: str, standing: Standing | None) -> Standing | None:
        watched = self._watched(schedule_key(schedule_id), None)
        if standing is None or standing.since is None or watched is None:
            return None
        known = max(standing.since, watched.since or standing.since)
        last = await self._history.last_success(schedule_id)
        if last is None:
            return standing.evolve(since=known)
        return standing.evolve(since=max(known, last.at), job_id=last.job_id)

    def _watched(self, key: str, rule: Rule | None) -> Watched | None:
        """An active schedule, if the rule watches it; if its record cannot be read, it stays watched if it was."""
        value = self._mirror.peek(key)
        if value is None:
            return None
        try:
            head = decode(_Head, key, value)
        except RecordUnreadable:
            return Watched(key.partition(".")[2])
        job = head.job
        if head.status is not ScheduleStatus.ACTIVE or not (
            rule is None or rule.fits(head.schedule_id, job.func, job.queue)
        ):
            return None
        began = (head.created_at, head.resumed_at, head.policy.start_at)
        return Watched(head.schedule_id, max(filter(None, began)), job.func, job.queue)
