"""Many schedules are created in one transaction, and its answer is lost: what became of it is learned, never guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

from naq.events import EventType
from naq.exceptions import ScheduleExists, SchedulerError
from naq.jobs.job import Job, JobSpec
from naq.lifecycle import ServiceManager
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule
from naq.schedules.repository import Schedules
from naq.schedules.service import ScheduleService
from naq.schedules.transitions import new_schedule
from naq.store.codec import encode
from naq.store.nats.event_stream import EventService
from naq.store.port import Delete, Outcome, Put, Unknown, Write
from naq.testing.clock import ManualClock, manual_time
from naq.testing.store import MemoryStore
from naq.timing.triggers import Once
from tests.faults.proxy import Proxy
from tests.simulation.node import Silence

COUNT = 5
FORM = {"type": "interval", "interval": 3600}


async def test_what_was_created_is_not_taken_for_somebody_elses(config: dict[str, Any]) -> None:
    port = urlsplit(config["nats_url"]).port
    assert port is not None
    names = [f"b{number}" for number in range(COUNT)]
    async with Proxy(port) as proxy, ServiceManager(config | {"nats_url": proxy.url, "request_timeout": 1}) as services:
        schedules = await services.get_service(ScheduleService)
        proxy.lose_answers()
        job = Job(func="tests.faults.jobs:tick")
        assert await schedules.schedule_many([(job, FORM, name) for name in names]) == names
        assert proxy.lost == 1
        assert {entry["schedule_id"] for entry in await schedules.list_schedules()} == set(names)
        events = await services.get_service(EventService)
        told = await events.get_event_history(types=[EventType.JOB_SCHEDULED])
        assert [event.schedule_id for event in told] == names


class NoAnswer(MemoryStore):
    """A store whose answer to the first transaction is lost; by then ``meanwhile`` has happened, too."""

    def __init__(self, clock: ManualClock, arrives: bool, meanwhile: Callable[[MemoryStore], object]) -> None:
        super().__init__(clock)
        self._arrives = arrives
        self._meanwhile: Callable[[MemoryStore], object] | None = meanwhile

    async def transact(self, writes: Sequence[Write]) -> Outcome:
        if self._meanwhile is None:
            return await super().transact(writes)
        if self._arrives:
            self.commit(writes)
        self._meanwhile(self)
        self._meanwhile = None
        return Unknown("no answer")


def fresh(clock: ManualClock, name: str) -> Schedule:
    return new_schedule(name, JobSpec(func="reports:send"), Once(clock.now()), Policy(), clock.now())


async def create(store: MemoryStore, clock: ManualClock) -> None:
    await Schedules(store, clock, Silence(), "n0").create_many([fresh(clock, "a"), fresh(clock, "b")])


def there(store: MemoryStore) -> list[str]:
    return sorted(entry.key for entry in store.entries() if entry.value is not None)


@manual_time
async def test_one_that_was_deleted_meanwhile_does_not_come_back() -> None:
    clock = ManualClock()
    store = NoAnswer(clock, True, lambda it: it.commit([Delete("schedule.a")]))
    await create(store, clock)
    assert there(store) == ["schedule.b"]


@manual_time
async def test_if_all_were_deleted_meanwhile_it_says_that_it_does_not_know() -> None:
    clock = ManualClock()
    store = NoAnswer(clock, True, lambda it: it.commit([Delete("schedule.a"), Delete("schedule.b")]))
    with pytest.raises(SchedulerError, match="'a' to 'b' were created is not known"):
        await create(store, clock)
    assert there(store) == []


@manual_time
async def test_an_id_that_is_somebody_elses_is_said_to_be_taken() -> None:
    clock = ManualClock()
    store = NoAnswer(clock, False, lambda it: it.commit([Put("schedule.b", encode(fresh(clock, "b")), 0)]))
    with pytest.raises(ScheduleExists, match="'b'"):
        await create(store, clock)
    assert there(store) == ["schedule.b"]
