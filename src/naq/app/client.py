"""A client: enqueue jobs and change schedules from any process, without running a scheduler or a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from naq.app.connection import Connection
from naq.app.declared import Declarations
from naq.app.job_acts import JobActs
from naq.app.schedule_acts import ScheduleActs
from naq.clock import SystemClock
from naq.config import Settings
from naq.events import Event, EventType
from naq.exceptions import InvalidInput
from naq.observe.alerts.alert import AlertRecord
from naq.observe.alerts.memory import stored_alerts
from naq.observe.verify.service import VerifyService
from naq.observe.verify.verdict import Verdict
from naq.observe.verify.window import read_since
from naq.parsing import nearest
from naq.schedules.forms.options import Duration
from naq.schedules.service import ScheduleService
from naq.store.nats.bucket import KVStoreService
from naq.store.nats.event_stream import EventService

__all__ = ["Client", "check_types"]


class Client(ScheduleActs, JobActs):
    """Connects at the first call; `close` when done, or use ``async with``.

    It may be used again in another event loop once the first is closed, and in a forked process: it connects again. A
    program that ends without `close` leaves nothing behind.
    """

    def __init__(self, settings: Settings, declarations: Declarations | None = None) -> None:
        """``declarations``: functions with the options they were declared with (`Naq.job`)."""
        self._connection = Connection(settings)
        self._declarations = Declarations() if declarations is None else declarations

    async def __aenter__(self) -> Self:
        await self._connection.get(ScheduleService)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect. Idempotent; the next call connects again."""
        await self._connection.close()

    async def list_events(
        self,
        *,
        types: Collection[EventType | str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | timedelta | str | None = None,
        limit: int = 1000,
    ) -> list[Event]:
        """Stored events that match, oldest first; of more than ``limit`` the newest. ``since``: a time, or an age."""
        wanted, begin = check_types(types), _begin(since)
        events = await self._connection.get(EventService)
        return await events.get_event_history(
            types=wanted, schedule_id=schedule_id, job_id=job_id, since=begin, limit=limit
        )

    async def stream_events(
        self,
        *,
        types: Collection[EventType | str] | None = None,
        schedule_id: str | None = None,
        job_id: str | None = None,
        since: datetime | timedelta | str | None = None,
    ) -> AsyncIterator[Event]:
        """Events as they are stored, without end; first those ``since`` a time or for an age."""
        wanted, begin = check_types(types), _begin(since)
        events = await self._connection.get(EventService)
        async for event in events.stream_events(types=wanted, schedule_id=schedule_id, job_id=job_id, since=begin):
            yield event

    async def list_alerts(self, *, everything: bool = False) -> list[AlertRecord]:
        """Alerts that fire now, of all applications, newest first; ``everything``: also those of the last week."""
        store = await self._connection.get(KVStoreService)
        return [record for record in await stored_alerts(store) if everything or record.firing]

    async def verify(
        self,
        *schedule_ids: str,
        since: datetime | timedelta | str = "24h",
        patience: Duration = "10s",
    ) -> Verdict:
        """Whether all that should have fired since then did, and what came of the rest. See `VerifyService.verify`."""
        verifier = await self._connection.get(VerifyService)
        return await verifier.verify(*schedule_ids, since=since, patience=patience)


def check_types(types: Collection[EventType | str] | None) -> list[str] | None:
    """Types of events as text. Raises `InvalidInput` for one that does not exist."""
    if types is None:
        return None
    names = [str(each) for each in EventType]
    for each in types:
        if each not in names:
            near = nearest(each, names) or EventType.JOB_FAILED
            raise InvalidInput.of("types", each, f"there is no such event, did you mean {str(near)!r}?", str(near))
    return [str(each) for each in types]


def _begin(since: datetime | timedelta | str | None) -> datetime | None:
    return None if since is None else read_since(since, SystemClock().now())
