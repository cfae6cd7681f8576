"""The list of schedules, with the last outcome of each, and who leads: what is asked most, so it loads little."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from naq.clock import Clock, SystemClock
from naq.config import Settings
from naq.exceptions import RecordUnreadable
from naq.jobs.history_stream import HistoryService
from naq.lifecycle import BaseService, ServiceManager
from naq.scheduler.leader import find_leader
from naq.schedules.standing import Standing, standings
from naq.store.nats.bucket import KVStoreService

__all__ = ["NO_LEADER", "START_SCHEDULER", "ListService", "Listed"]

NO_LEADER = "no scheduler leads: nothing fires"
START_SCHEDULER = "start a scheduler (naq scheduler)"


@dataclass(frozen=True, slots=True)
class Listed:
    """A schedule in the list."""

    standing: Standing
    last_outcome: str | None
    """Of the newest attempt or nominal time in its history; ``None``: the history is empty."""


class ListService(BaseService):
    """Lists schedules, and says who leads. Read-only."""

    def __init__(
        self,
        config: Mapping[str, Any] | Settings,
        kv_service: KVStoreService,
        history_service: HistoryService,
        *,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(config)
        self.clock: Clock = clock or SystemClock()
        self._kv = kv_service
        self.history = history_service

    async def _do_initialize(self) -> None:
        """Nothing to start."""

    async def _do_cleanup(self) -> None:
        """Nothing to release."""

    async def schedules(self, status: str | None = None) -> list[Listed]:
        """All schedules (of one status), newest first. Raises as `naq.schedules.standing.standings`, and `StoreUnavailable`."""
        found = await standings(self._kv, status)
        newest = await self.history.newest([each.schedule_id for each in found])
        outcomes = {schedule_id: str(record.outcome) for schedule_id, record in newest.items()}
        return [Listed(each, outcomes.get(each.schedule_id)) for each in found]

    async def leader(self) -> str | None:
        """The leading instance, if any."""
        try:
            lease = await find_leader(self._kv, self._kv.connection, self.clock.now())
        except RecordUnreadable:
            return None
        return None if lease is None else lease.instance_id


ServiceManager.register_service("list", ListService)
