"""The scheduler service: one candidate for firing all schedules, and the facade of `naq.schedules.service`.

Every instance holds all schedules in memory and stands by; one leads and fires (`naq.scheduler.partition`). Changes go
straight to the store by compare-and-set, from any instance.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import StoreError, StoreForbidden
from naq.jobs.history_stream import HistoryService
from naq.jobs.result_bucket import ResultBucket
from naq.lifecycle import ServiceManager, Tasks
from naq.scheduler.drift import Drift
from naq.scheduler.elector import ElectorSettings
from naq.scheduler.lease import Lease
from naq.scheduler.listeners import NO_HISTORY, Listeners
from naq.scheduler.partition import Partition, PartitionSettings
from naq.scheduler.presence import NatsPresence
from naq.schedules.entries import quarantined
from naq.schedules.record import ScheduleStatus
from naq.schedules.service import ScheduleService
from naq.schedules.standing import Standing
from naq.store.keys import schedule_key
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.connection import ConnectionService, ConnectionState
from naq.store.nats.event_stream import EventService
from naq.store.nats.server_clock import server_time

__all__ = ["SchedulerService"]

RESERVE_EVERY = 60.0
"""Seconds between two looks at the space that is kept for remedies."""


log = logging.getLogger(__name__)


class SchedulerService(ScheduleService):
    """A `ScheduleService` that also stands for leadership, and fires what is due while it leads."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        connection_service: ConnectionService,
        kv_service: KVStoreService,
        event_service: EventService,
        history_service: HistoryService | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(
            config, connection_service, kv_service, event_service, history_service, clock=clock or SystemClock()
        )
        settings = self.settings
        self._results = ResultBucket(settings, connection_service, self.clock)
        self.partition = Partition(
            kv_service,
            NatsPresence(connection_service, kv_service.names),
            self.clock,
            Listeners(event_service, history_service or NO_HISTORY, self._stopper, self._results),
            PartitionSettings(
                ElectorSettings(
                    instance_id=settings.instance_id,
                    priority=settings.priority,
                    check_interval=settings.leader_check_interval,
                    heartbeat_interval=settings.leader_heartbeat_interval,
                    ttl=settings.leader_lease,
                ),
                settings.fire_batch,
                settings.resync_interval,
            ),
            Drift(self.clock, event_service, settings.instance_id, self._server_time, settings.clock_limit),
        )
        self.schedules.on_written = self.partition.mirror.apply
        self._stop_listening: Callable[[], None] = lambda: None
        self._reserve = Tasks(self.clock)

    async def _server_time(self) -> datetime | None:
        return server_time(await self._connection.stream_service.info(self._kv.names.stream))

    async def _do_initialize(self) -> None:
        await super()._do_initialize()
        await self._open_results()
        self._stop_listening = self._connection.on_state(self._on_state)
        await self.partition.start()
        self._reserve.start("naq reserve", self._keep_reserve)

    async def _open_results(self) -> None:
        try:
            await self._results.initialize()
        except StoreForbidden as error:
            log.warning("the results of jobs cannot be read: a run that nobody closes stays open (%s)", error)

    def _on_state(self, state: ConnectionState) -> None:
        if state is ConnectionState.RESTORED:
            self.partition.mirror.trials.all_at_once()  # its limits may be others now

    async def _keep_reserve(self) -> None:
        """Keep space for remedies in a bucket that has a limit, also one that got it while this runs."""
        while True:
            with contextlib.suppress(StoreError):
                await self._kv.reserve.fill()
            await self.clock.sleep(RESERVE_EVERY)

    async def _do_cleanup(self) -> None:
        self._stop_listening()
        await self._reserve.stop()
        await self.partition.stop()
        await self._results.cleanup()
        await super()._do_cleanup()

    @property
    def is_leader(self) -> bool:
        """Whether this instance leads, and may fire, right now."""
        return self.partition.elector.leads

    @property
    def _is_leader(self) -> bool:
        return self.is_leader

    async def trigger_due_jobs(self) -> list[str]:
        """Fire what is due now, and return the ids of the jobs that this call enqueued; ``[]`` unless this instance leads.

        The service does this by itself at each due instant; call it to fire without waiting for the loop.
        """
        return await self.partition.loop.fire_due()

    async def monitor_schedules(self, interval: float = 60.0) -> AsyncIterator[dict[str, Any]]:
        """A record of how things stand, at once and then every ``interval`` seconds, from counters in memory."""
        while True:
            yield self.status()
            await self.clock.sleep(interval)

    def status(self) -> dict[str, Any]:
        """How things stand, as `monitor_schedules` says it."""
        mirror = self.partition.mirror
        counts = mirror.counts
        return {
            "timestamp": self.clock.now().timestamp(),
            "instance_id": self.settings.instance_id,
            "is_leader": self.is_leader,
            "leader_info": _leader_info(self.partition.elector.leader),
            "total_schedules": mirror.total,
            "active_schedules": counts[ScheduleStatus.ACTIVE],
            "paused_schedules": counts[ScheduleStatus.PAUSED],
            "completed_schedules": counts[ScheduleStatus.COMPLETED],
            "cancelled_schedules": counts[ScheduleStatus.CANCELLED],
            "quarantined_schedules": len(mirror.quarantined),
            "next_due_at": None if (due := mirror.due.next_at()) is None else due.timestamp(),
            "fired": self.partition.firing.fired,
        }

    def _entry(self, standing: Standing) -> dict[str, Any]:
        entry = super()._entry(standing)
        reason = self.partition.mirror.quarantined.get(schedule_key(standing.schedule_id))
        return entry if reason is None else quarantined(entry, reason)


def _leader_info(lease: Lease | None) -> dict[str, Any] | None:
    if lease is None:
        return None
    return {
        "instance_id": lease.instance_id,
        "priority": lease.priority,
        "last_heartbeat": None if lease.last_heartbeat is None else lease.last_heartbeat.timestamp(),
        "became_leader_at": None if lease.became_leader_at is None else lease.became_leader_at.timestamp(),
    }


ServiceManager.register_service("scheduler", SchedulerService)
