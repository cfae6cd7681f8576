"""What a worker says of itself: its presence record, its events, and the log lines that go with them."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections import Counter
from datetime import datetime
from typing import Any

from naq.clock import Clock
from naq.config import Settings
from naq.events import Event, EventType
from naq.jobs.events import job_event
from naq.jobs.functions import Registry
from naq.jobs.job import QueuedJob
from naq.jobs.records import WorkerInfo
from naq.store.port import EventSink
from naq.timing.zone_data import zone_data
from naq.worker.claimed import Claims
from naq.worker.execution.memory import resident_bytes

__all__ = ["Report"]

MOST_FUNCTIONS = 1000
"""Names of functions that fit into a presence record."""

log = logging.getLogger(__name__)


class Report:
    """Facts about one worker. `info` may be called from any thread; the rest is for the worker's event loop."""

    def __init__(self, settings: Settings, clock: Clock, claims: Claims, events: EventSink, registry: Registry) -> None:
        self.started_at: datetime = clock.now()
        self.blocked_for = 0.0
        """Seconds for which the event loop has been blocked; 0: it is not. Set by the heartbeat thread."""
        self._settings = settings
        self._clock = clock
        self._claims = claims
        self._events = events
        self._registry = registry
        self._zones = zone_data().release

    def info(self) -> WorkerInfo:
        """The worker's presence record."""
        settings, claims = self._settings, self._claims
        running = [claimed.queued.job_id for claimed in claims.running()]
        names = self._registry.references
        return WorkerInfo(
            worker_id=settings.instance_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=settings.queues,
            concurrency=settings.concurrency,
            started_at=self.started_at,
            seen_at=self._clock.now(),
            running=tuple(running[:100]),
            running_count=len(running),
            finished=claims.finished,
            failed=claims.failed,
            stuck=len(claims.stuck),
            memory=resident_bytes(),
            blocked_for=round(self.blocked_for, 1),
            draining=claims.draining,
            zones=self._zones,
            functions=names if len(names) <= MOST_FUNCTIONS else None,
            allows=self._registry.patterns,
        )

    def started(self) -> None:
        """The worker takes jobs."""
        queues = self._settings.queues
        self._emit(EventType.WORKER_STARTED, details={"queues": list(queues)})
        log.info("worker %s takes jobs of %s", self._settings.instance_id, ", ".join(queues))

    def stopped(self) -> None:
        """The worker has stopped."""
        self._emit(EventType.WORKER_STOPPED)
        log.info("worker %s stopped", self._settings.instance_id)

    def unblocked(self, seconds: float, job_id: str | None) -> None:
        """The event loop was blocked, and goes on."""
        log.warning("the event loop was blocked for %.1f s%s", seconds, f" by job {job_id}" if job_id else "")
        self._emit(EventType.WORKER_UNBLOCKED, job_id=job_id, details={"seconds": round(seconds, 1)})

    def grown(self, resident: int, grown_by: int) -> None:
        """The process holds much more memory than before. Above ``memory_limit`` it gets a SIGTERM."""
        running = Counter(claimed.queued.spec.func for claimed in self._claims.running())
        shown = ", ".join(f"{func} x{count}" for func, count in running.most_common(5)) or "nothing"
        log.warning(
            "the worker has grown by %d MB to %d MB; it runs %s. A job that leaks should have executor='process'",
            grown_by >> 20,
            resident >> 20,
            shown,
        )
        self._emit(EventType.WORKER_MEMORY, details={"bytes": resident, "grown_by": grown_by, "running": dict(running)})
        limit = self._settings.memory_limit
        if limit is not None and resident > limit:
            log.error("the worker holds more than its %d MB: it drains and ends", limit >> 20)
            signal.raise_signal(signal.SIGTERM)

    def child_grown(self, queued: QueuedJob, resident: int) -> None:
        """The process of a job holds more than ``process_memory_limit``, and is replaced."""
        self._emit(
            EventType.WORKER_MEMORY,
            job_id=queued.job_id,
            schedule_id=queued.schedule_id,
            func=queued.spec.func,
            details={"bytes": resident, "limit": self._settings.process_memory_limit},
        )

    def job_started(self, queued: QueuedJob, now: datetime) -> None:
        """An attempt starts."""
        self._events.emit((job_event(queued, EventType.JOB_STARTED, now, self._settings.instance_id),))

    def _emit(self, kind: EventType, **fields: Any) -> None:
        event = Event(type=kind, timestamp=self._clock.now(), instance_id=self._settings.instance_id, **fields)
        self._events.emit([event])
