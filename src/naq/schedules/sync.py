"""Synchronising a declared set with the store: claims the set, carries out the differences, and reports what it removes.

Every write is conditional on the set's record: when another release claims the set meanwhile, the rest is not written.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from naq.clock import Clock
from naq.events import EventType
from naq.exceptions import FenceMoved, InvalidInput, SetConflict
from naq.schedules.declared import Change, ChangeKind, Definition, changed, created, diff, digest
from naq.schedules.ownership import Claim, DeclaredSet, Superseded, claim, renamed
from naq.schedules.policy import IfExists
from naq.schedules.record import Schedule
from naq.schedules.repository import Schedules
from naq.schedules.stored import Unreadable, asking, unknown
from naq.store.codec import decode, encode
from naq.store.keys import set_key
from naq.store.port import Check, Committed, Entry, Put, Refused

__all__ = ["SetSync", "SyncOptions"]

TRIES = 20
"""Times a set is claimed again after another process claimed it at the same moment."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a set is synchronised."""

    dry_run: bool = False
    prune: bool = False
    """Remove what is in the set and not declared any more; without it, it is kept and named in a warning."""
    adopt: tuple[str, ...] = ()
    """Sets whose schedules are taken over where they are declared here: for a set that was renamed or divided."""
    release: int | None = None
    origin: str | None = None
    at_start: bool = False
    """An application declares the set at its start, and no user asked for it: an older release changes nothing."""
    actor: str | None = None


class SetSync:
    """Brings declared sets into the store."""

    def __init__(self, schedules: Schedules, clock: Clock) -> None:
        self._schedules = schedules
        self._store = schedules.store
        self._clock = clock
        self._instance_id = schedules.instance_id

    async def sync(self, definitions: Sequence[Definition], set_name: str, options: SyncOptions) -> tuple[Change, ...]:
        """Bring one set into the store; returns what was (or as a dry run would be) done about each schedule.

        Raises `InvalidSchedule` for an id that is declared twice, `SetConflict` when another application declares the
        set or, at a start, one of its schedules.
        """
        if options.at_start and not definitions and await self._stored(set_name) is None:
            return ()
        for _ in range(TRIES):
            fence = await self._claimed(definitions, set_name, options)
            if isinstance(fence, Superseded):
                log.warning("the schedules of set %r are left as they are: %s", set_name, fence.reason)
                return tuple(
                    Change(ChangeKind.KEEP, each.schedule_id, each, reason=fence.reason) for each in definitions
                )
            changes = await self._differences(definitions, set_name, options)
            if options.at_start:
                _check_owners(changes, set_name)
            if options.dry_run:
                return changes
            if fence is None:
                continue
            try:
                await self._carry_out(changes, set_name, fence, options.actor)
            except FenceMoved:
                continue
            _report(changes, set_name)
            return changes
        raise SetConflict(f"the set {set_name!r} is declared by several processes all the time; try again")

    async def _claimed(
        self, definitions: Sequence[Definition], set_name: str, options: SyncOptions
    ) -> Check | Superseded | None:
        """The condition under which the set may be written; ``None``: another process was faster."""
        key = set_key(set_name)
        wanted = Claim(
            set_name,
            digest(definitions),
            self._clock.now(),
            self._instance_id,
            options.release,
            options.origin,
            by_hand=not options.at_start,
        )
        with asking(f"claim the set {set_name!r}"):
            entry = await self._store.get(key)
            stored = _record(entry)
            answer = claim(stored, wanted)
            if isinstance(answer, Superseded):
                return answer
            revision = _revision(entry)
            if options.dry_run or answer.record == stored:
                return Check(key, revision)
            outcome = await self._store.transact([Put(key, encode(answer.record), revision)])
            return Check(key, outcome.revisions[0]) if isinstance(outcome, Committed) else None

    async def _differences(
        self, definitions: Sequence[Definition], set_name: str, options: SyncOptions
    ) -> tuple[Change, ...]:
        existing: list[Schedule] = []
        async for page in self._schedules.pages():
            existing += [each for each in page if not isinstance(each, Unreadable)]
        return diff(definitions, existing, set_name, self._clock.now(), options.prune, options.adopt)

    async def _carry_out(self, changes: Sequence[Change], set_name: str, fence: Check, actor: str | None) -> None:
        for change in changes:
            definition = change.definition
            match change.kind:
                case ChangeKind.CREATE if definition is not None:
                    fresh = created(definition, set_name, self._clock.now())
                    await self._schedules.create(fresh, IfExists.KEEP, lambda it: it, actor, fence)
                case ChangeKind.UPDATE if definition is not None:
                    await self._update(definition, set_name, fence, actor)
                case ChangeKind.REMOVE:
                    await self._schedules.delete(change.schedule_id, actor, fence)

    async def _update(self, definition: Definition, set_name: str, fence: Check, actor: str | None) -> None:
        now = self._clock.now()

        def update(schedule: Schedule) -> Schedule | None:
            return changed(schedule, definition, now, set_name)

        kind = EventType.SCHEDULE_UPDATED
        await self._schedules.change(definition.schedule_id, update, kind, actor, fence=fence)

    async def rename(self, old: str, new: str, actor: str | None = None) -> int:
        """Make the schedules of one set those of another, e.g. of a module that was renamed; how many there were.

        Processes that still declare the old set change nothing from then on. Raises `InvalidInput` for a name that is
        empty, and for two names that are the same.
        """
        for field, name in (("old", old), ("new", new)):
            if not name:
                raise InvalidInput.of(field, name, "must be the name of a declared set", "billing.tasks")
        if old == new:
            raise InvalidInput.of("new", new, "is the name that the set has", f"{new}.tasks")
        await self._rename_record(old, new)
        moved = 0
        async for page in self._schedules.pages():
            for each in page:
                if isinstance(each, Unreadable) or each.declared_in != old:
                    continue
                kind = EventType.SCHEDULE_UPDATED
                done = await self._schedules.change(
                    each.schedule_id, lambda it: it.evolve(declared_in=new), kind, actor, f"set {old} is now {new}"
                )
                moved += done is not None
        return moved

    async def _rename_record(self, old: str, new: str) -> None:
        keys = set_key(old), set_key(new)
        for _ in range(TRIES):
            with asking(f"rename the set {old!r}"):
                found = await self._store.get_many(keys)
                before, there = (found.get(key) for key in keys)
                stored = _record(before)
                if stored is None:
                    return
                records = renamed(stored, _record(there), new)
                writes = [
                    Put(key, encode(record), _revision(entry))
                    for key, record, entry in zip(keys, records, (before, there), strict=True)
                ]
                outcome = await self._store.transact(writes)
            if isinstance(outcome, Committed):
                return
            if not isinstance(outcome, Refused):
                raise unknown(f"the set {old!r} was renamed", outcome)
        raise SetConflict(f"the set {old!r} is declared by several processes all the time; try again")

    async def _stored(self, set_name: str) -> DeclaredSet | None:
        with asking(f"read the set {set_name!r}"):
            return _record(await self._store.get(set_key(set_name)))


def _record(entry: Entry | None) -> DeclaredSet | None:
    return None if entry is None or entry.value is None else decode(DeclaredSet, entry.key, entry.value)


def _revision(entry: Entry | None) -> int:
    return 0 if entry is None or entry.value is None else entry.revision


def _check_owners(changes: Sequence[Change], set_name: str) -> None:
    """Raises `SetConflict` for schedules that another set declares."""
    theirs = [change for change in changes if change.owner is not None]
    if theirs:
        named = ", ".join(f"{each.schedule_id!r} (of set {each.owner!r})" for each in theirs)
        owner = theirs[0].owner
        raise SetConflict(
            f"the set {set_name!r} declares schedules that another set owns: {named}; use other ids, or, if {owner!r} is "
            f"no longer declared by another application, take them over once: naq sync ... --set {set_name} --adopt {owner}"
        )


def _report(changes: Sequence[Change], set_name: str) -> None:
    removed = [change.schedule_id for change in changes if change.kind is ChangeKind.REMOVE]
    if removed:
        log.warning("removed from set %r, which does not declare them any more: %s", set_name, ", ".join(removed))
    left = [change.schedule_id for change in changes if change.kind is ChangeKind.KEEP and change.definition is None]
    if left:
        log.warning(
            "set %r does not declare these schedules any more, and they go on: %s; to remove them: naq sync ... --prune",
            set_name,
            ", ".join(left),
        )
