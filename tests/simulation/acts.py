"""What people do in a history, each as the facade does it: a change, carried out by `naq.schedules.repository`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import msgspec

from naq.events import EventType
from naq.exceptions import StoreUnavailable
from naq.jobs.job import JobSpec, QueuedJob
from naq.schedules.forms.specification import parse_schedule
from naq.schedules.policy import IfExists, Policy
from naq.schedules.record import Schedule
from naq.schedules.repository import Change
from naq.schedules.transitions import cancelled, new_schedule, paused, replaced, resumed, updated
from naq.store.codec import encode
from naq.store.keys import deferred_key
from naq.store.port import Committed, Put, Unknown
from naq.timing.triggers import Trigger
from tests.simulation.history import Kind, Step
from tests.simulation.node import Person

__all__ = ["ACTS", "Acknowledged"]

SPEC = JobSpec(func="reports:send")


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What was done, and what was answered: nothing that was answered may turn out not to be."""

    step: Step
    answer: object


async def create(person: Person, schedule_id: str, form: Mapping[str, Any]) -> Schedule | None:
    """Create it, or leave what is there; the new one, if it was created."""
    fresh = _fresh(person, schedule_id, form)
    made = await person.schedules.create(fresh, IfExists.KEEP, lambda it: it, None)
    return fresh if made else None


async def replace(person: Person, schedule_id: str, form: Mapping[str, Any]) -> Schedule | None:
    """Create it, or change what is there in place."""
    fresh = _fresh(person, schedule_id, form)
    made = await person.schedules.create(
        fresh, IfExists.REPLACE, lambda it: replaced(it, fresh, person.clock.now()), None
    )
    return fresh if made else None


async def pause(person: Person, schedule_id: str) -> object:
    """Pause it."""
    now = person.clock.now()
    return await _change(person, schedule_id, lambda it: paused(it, now, "because", None))


async def resume(person: Person, schedule_id: str, catch_up: bool) -> object:
    """Resume it."""
    now = person.clock.now()
    return await _change(person, schedule_id, lambda it: resumed(it, now, catch_up))


async def update(person: Person, schedule_id: str, form: Mapping[str, Any]) -> object:
    """Give it another trigger and policy."""
    trigger, policy = _parsed(person, form)
    return await _change(
        person, schedule_id, lambda it: updated(it, person.clock.now(), trigger=trigger, policy=policy)
    )


async def cancel(person: Person, schedule_id: str) -> object:
    """End it for good."""
    now = person.clock.now()
    return await _change(person, schedule_id, lambda it: cancelled(it, now))


async def delete(person: Person, schedule_id: str) -> object:
    """Remove it."""
    return await person.schedules.delete(schedule_id)


async def trigger(person: Person, schedule_id: str) -> object:
    """Have it run now, too."""
    return await person.schedules.trigger(schedule_id)


async def defer(person: Person, job_id: str, seconds: float) -> object:
    """Enqueue one job for later."""
    now = person.clock.now()
    job = QueuedJob(
        job_id=job_id, spec=SPEC, enqueued_at=now, enqueued_by=person.name, due_at=now + timedelta(seconds=seconds)
    )
    outcome = await person.client.transact([Put(deferred_key(job_id), encode(job), 0)])
    if isinstance(outcome, Unknown):
        raise StoreUnavailable(outcome.reason)
    return isinstance(outcome, Committed)


async def _change(person: Person, schedule_id: str, change: Change) -> object:
    return await person.schedules.change(schedule_id, change, EventType.SCHEDULE_UPDATED)


def _fresh(person: Person, schedule_id: str, form: Mapping[str, Any]) -> Schedule:
    trigger, policy = _parsed(person, form)
    return new_schedule(schedule_id, SPEC, trigger, policy, person.clock.now())


def _parsed(person: Person, form: Mapping[str, Any]) -> tuple[Trigger, Policy]:
    """Parsing is not what is tested here: each form is read once, unless what it means depends on the time."""
    if form["type"] == "once" or "end_at" in form:
        return parse_schedule(form, person.clock.now())
    return _read(msgspec.json.encode(form))


@lru_cache(maxsize=10_000)
def _read(form: bytes) -> tuple[Trigger, Policy]:
    from tests.simulation.world import START

    return parse_schedule(msgspec.json.decode(form), START)


ACTS: Mapping[Kind, Callable[..., Awaitable[object]]] = {
    Kind.CREATE: create,
    Kind.REPLACE: replace,
    Kind.PAUSE: pause,
    Kind.RESUME: resume,
    Kind.UPDATE: update,
    Kind.CANCEL: cancel,
    Kind.DELETE: delete,
    Kind.TRIGGER: trigger,
    Kind.DEFER: defer,
}
