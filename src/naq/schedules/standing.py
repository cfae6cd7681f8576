"""How the stored schedules stand, without their forms: what a list of them needs, and little to load."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from naq.exceptions import InvalidSchedule
from naq.schedules.planning.soundness import flaw_of
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.stored import Unreadable, asking, schedule_or_reason
from naq.store.keys import ALL_SCHEDULES
from naq.store.port import Store

__all__ = ["QUARANTINED", "Standing", "read_status", "standing_of", "standings"]

QUARANTINED = "quarantined"
"""The status of a schedule that cannot be read or planned: it does not fire, and its record is left alone."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A schedule, and why it does not fire although it should."""

    schedule_id: str
    schedule: Schedule | None
    """``None``: its record cannot be read."""
    flaw: str | None
    """Why it is quarantined; ``None``: it is not."""

    @property
    def status(self) -> str:
        """Its status as it is shown."""
        return QUARANTINED if self.schedule is None or self.flaw is not None else str(self.schedule.status)

    @property
    def created_at(self) -> datetime:
        """When it was created; of a record that cannot be read, the earliest time there is."""
        return datetime.min.replace(tzinfo=UTC) if self.schedule is None else self.schedule.created_at


def standing_of(found: Schedule | Unreadable) -> Standing:
    """A schedule that cannot be planned is quarantined, though it can be changed."""
    if isinstance(found, Unreadable):
        return Standing(found.schedule_id, None, found.reason)
    return Standing(found.schedule_id, found, flaw_of(found) if found.status is ScheduleStatus.ACTIVE else None)


async def standings(store: Store, status: str | None = None) -> list[Standing]:
    """All schedules (whose record has that status), newest first.

    Records that cannot be read are among them unless a status is asked for. Raises `InvalidSchedule` for an unknown status and
    `SchedulerError` when the store cannot be asked.
    """
    wanted = None if status is None else read_status(status)
    found: list[Standing] = []
    with asking("list the schedules"):
        async for entries in store.scan(ALL_SCHEDULES):
            records = [schedule_or_reason(entry) for entry in entries if entry.value is not None]
            found += [standing_of(each) for each in records if wanted is None or _has(each, wanted)]
    found.sort(key=lambda each: each.created_at, reverse=True)
    return found


def read_status(value: str) -> ScheduleStatus:
    """The status of that name. Raises `InvalidSchedule`."""
    try:
        return ScheduleStatus(value)
    except ValueError:
        choices = ", ".join(ScheduleStatus)
        raise InvalidSchedule.of("status", value, f"is not one of {choices}", "active") from None


def _has(found: Schedule | Unreadable, status: ScheduleStatus) -> bool:
    return isinstance(found, Schedule) and found.status is status
