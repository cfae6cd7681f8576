"""Who leads, and schedules that are due, quarantined, or silent for another reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from naq.exceptions import RecordUnreadable
from naq.observe.diagnosis.jobs import counted, span
from naq.observe.diagnosis.listing import NO_LEADER, START_SCHEDULER
from naq.observe.health.conditions import Finding, few, fine, found
from naq.observe.health.server import CLOCK_OF_OTHERS, clock_finding
from naq.scheduler.leader import find_leader
from naq.scheduler.lease import Lease
from naq.schedules.planning.soundness import flaw_of
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.stored import Unreadable, schedule_or_reason
from naq.schedules.transitions import decided_ahead
from naq.store.keys import ALL_SCHEDULES, lease_key
from naq.store.nats.bucket import KVStoreService
from naq.store.records import readable_one

__all__ = ["OVERDUE_AFTER", "check_schedules"]

OVERDUE_AFTER = timedelta(seconds=10)
"""How long a schedule may be due before it is overdue; as long as `naq verify` waits by default."""
SOON = timedelta(seconds=1)
"""How long a schedule may be due before the lack of a leader is an error."""


@dataclass(slots=True)
class _Seen:
    """What a look at all schedules came to."""

    total: int = 0
    due: int = 0
    overdue: list[Schedule] = field(default_factory=list)
    bad: list[Unreadable] = field(default_factory=list)
    silent: list[tuple[str, datetime]] = field(default_factory=list)

    def add(self, record: Schedule | Unreadable, now: datetime) -> None:
        self.total += 1
        if isinstance(record, Unreadable):
            self.bad.append(record)
            return
        if record.status is ScheduleStatus.ACTIVE and (flaw := flaw_of(record)) is not None:
            self.bad.append(Unreadable(record.schedule_id, flaw))
            return
        if (ahead := decided_ahead(record, now)) is not None:
            self.silent.append((record.schedule_id, ahead))
        if record.status is ScheduleStatus.ACTIVE and record.next_run_at is not None:
            late = now - record.next_run_at
            self.due += late > SOON
            if late > OVERDUE_AFTER:
                self.overdue.append(record)


async def check_schedules(store: KVStoreService, now: datetime, most: int | None = None) -> AsyncIterator[Finding]:
    """The leader and the schedules at ``now``, by the server's clock. ``most``: at most about so many are read, those that
    were written longest ago first: what is overdue is among them. Raises `StoreError`."""
    seen = _Seen()
    async for entries in store.scan(ALL_SCHEDULES):
        for entry in entries:
            if entry.value is not None:
                seen.add(schedule_or_reason(entry), now)
        if most is not None and seen.total >= most:
            break
    async for finding in _leader(store, now, seen.due):
        yield finding
    yield fine("schedules", str(seen.total) if most is None or seen.total < most else f"{seen.total} read")
    for finding in _findings(seen, now):
        yield finding


async def _leader(store: KVStoreService, now: datetime, due: int) -> AsyncIterator[Finding]:
    try:
        lease = await find_leader(store, store.connection, now)
    except RecordUnreadable as error:
        yield found("lease-unreadable", str(error))
        return
    if lease is None:
        text = f"{NO_LEADER}, and {counted(due, 'schedule')} due" if due else NO_LEADER
        yield found("no-leader", text, START_SCHEDULER, mild=not due)
        return
    yield fine("leader", lease.instance_id)
    async for page in store.scan_stored(lease_key(0)):
        for stored in page:
            written = readable_one(Lease, stored.entry)
            if written is not None and written.last_heartbeat is not None:
                whose, late = (
                    f"the clock of the leader {written.instance_id}",
                    stored.stored_at - written.last_heartbeat,
                )
                off = clock_finding(whose, late, CLOCK_OF_OTHERS)
                if off is not None:
                    yield off


def _findings(seen: _Seen, now: datetime) -> list[Finding]:
    overdue = [
        found("overdue", f"{each.schedule_id} has been due for {span(now - each.next_run_at)}")
        for each in sorted(seen.overdue, key=lambda each: (each.next_run_at or now, each.schedule_id))
        if each.next_run_at is not None
    ]
    bad = [
        found(
            "quarantined",
            f"{each.schedule_id} is quarantined: {each.reason}",
            f"repair the record, or delete it: naq schedule delete {each.schedule_id}",
        )
        for each in seen.bad
    ]
    silent = [
        found(
            "decided-ahead",
            f"{name} skipped {ahead.isoformat()}: a scheduler's clock was ahead and decided it too early",
            f"plan it again: naq schedule aim {name}",
        )
        for name, ahead in seen.silent
    ]
    return [*few(overdue), *few(bad), *few(silent)]
