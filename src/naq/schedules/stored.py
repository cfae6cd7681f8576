"""Schedules as the store holds them: reading an entry, telling changes apart, and errors in the words of the caller."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from naq.exceptions import (
    InvalidSchedule,
    Problem,
    RecordUnreadable,
    SchedulerError,
    StoreError,
    TransactionTooLarge,
)
from naq.jobs.job import QueuedJob
from naq.schedules.record import Schedule
from naq.store.codec import decode, plain
from naq.store.port import Entry, Outcome

__all__ = [
    "Unreadable",
    "asking",
    "difference",
    "fired_at",
    "has_change",
    "new_change_id",
    "ownership",
    "schedule_in",
    "schedule_or_reason",
    "unknown",
]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record at a schedule's key that cannot be read. It is left alone."""

    schedule_id: str
    reason: str


@contextlib.contextmanager
def asking(what: str) -> Iterator[None]:
    try:
        yield
    except TransactionTooLarge as error:
        reason = f"makes the record larger than the server accepts ({error})"
        raise InvalidSchedule(
            Problem("job.args", "(too large)", reason, advice="pass a key or a path of the data instead")
        ) from error
    except StoreError as error:
        raise SchedulerError(f"could not {what}: {error}") from error


def unknown(what: str, outcome: Outcome) -> SchedulerError:
    return SchedulerError(f"whether {what} is not known, because the answer was lost ({outcome}): look, and try again")


def schedule_in(entry: Entry) -> Schedule:
    assert entry.value is not None
    return decode(Schedule, entry.key, entry.value)


def schedule_or_reason(entry: Entry) -> Schedule | Unreadable:
    try:
        return schedule_in(entry)
    except RecordUnreadable as error:
        return Unreadable(entry.key.partition(".")[2], error.reason)


def fired_at(entries: Iterable[Entry]) -> dict[str, datetime]:
    """When the jobs among these entries were enqueued, by key; of a job that cannot be read it is the latest time there is."""
    found = {}
    for entry in entries:
        if entry.value is not None and entry.key.startswith("job."):
            try:
                found[entry.key] = decode(QueuedJob, entry.key, entry.value).enqueued_at
            except RecordUnreadable:
                found[entry.key] = datetime.max.replace(tzinfo=UTC)
    return found


def new_change_id() -> str:
    """Short, because a million records hold one each; it only has to differ from the id of the change before."""
    return secrets.token_urlsafe(4)


def has_change(entry: Entry, change_id: str | None) -> bool:
    try:
        return schedule_in(entry).change_id == change_id
    except RecordUnreadable:
        return False


def ownership(entry: Entry) -> dict[str, str]:
    """Which declared set a schedule belonged to, as a detail of the event of its removal."""
    found = schedule_or_reason(entry)
    owner = None if isinstance(found, Unreadable) else found.declared_in
    return {} if owner is None else {"declared_in": owner}


NOT_AUDITED = frozenset({"v", "change_id", "counted_from", "updated_at"})


def difference(before: Schedule, after: Schedule) -> dict[str, Any]:
    """What changed, field by field, as JSON values: ``{"status": {"from": "active", "to": "paused"}}``."""
    return {
        name: {"from": plain(getattr(before, name)), "to": plain(getattr(after, name))}
        for name in Schedule.__struct_fields__
        if name not in NOT_AUDITED and getattr(before, name) != getattr(after, name)
    }
