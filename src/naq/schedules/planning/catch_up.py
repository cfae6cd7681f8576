"""Which of the nominal times that are due fire, and why the others do not: late ones, coalesced ones, excluded ones.

Nothing here walks through the instants of an outage: the due nominal times are one contiguous stretch, cut into parts
by a few questions to the trigger, and each part is counted by arithmetic.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from naq.schedules.nominal import TICK, Nominals
from naq.schedules.planning.decision import CATCH_UP_LIMIT, FIRES_AT_ONCE, ON_TIME, NonFire, NonFireReason
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.record import Schedule

__all__ = ["Selection", "Tally", "is_past_deadline", "select"]


@dataclass(frozen=True, slots=True)
class Selection:
    """What a catch-up comes to, before the overlap policy has spoken."""

    chosen: tuple[datetime, ...]
    """Nominal times to fire, the oldest first."""
    upcoming: datetime | None
    """The first nominal time that nothing was decided about; ``None``: there is none any more."""
    requested: int
    """How many were skipped on request."""


class Tally:
    """Collects non-fires: one for each reason."""

    def __init__(self, nominals: Nominals, has_exclusions: bool) -> None:
        self._nominals = nominals
        self._has_exclusions = has_exclusions
        self._found: dict[NonFireReason, NonFire] = {}

    def add(self, reason: NonFireReason, first: datetime, last: datetime, count: int) -> None:
        """``count`` nominal times from ``first`` to ``last`` do not fire."""
        if count <= 0:
            return
        known = self._found.get(reason)
        if known is not None:
            count, first, last = count + known.count, min(first, known.first_at), max(last, known.last_at)
        self._found[reason] = NonFire(reason, count, first, last)

    def drop(self, reason: NonFireReason, first: datetime, last: datetime) -> None:
        """The nominal times from ``first`` to ``last`` do not fire: the excluded ones because they are excluded, the
        others for ``reason``."""
        if first > last:
            return
        excluded = self._nominals.count_excluded(first, last) if self._has_exclusions else 0
        self.add(NonFireReason.EXCLUDED, first, last, excluded)
        self.add(reason, first, last, self._nominals.count(first, last) - excluded)

    def result(self) -> tuple[NonFire, ...]:
        """The non-fires, those with the oldest nominal times first."""
        return tuple(sorted(self._found.values(), key=lambda non_fire: non_fire.first_at))


def select(schedule: Schedule, nominals: Nominals, first: datetime, now: datetime, tally: Tally) -> Selection:
    """Decide about the nominal times from ``first`` (which is due) on that are due at ``now``."""
    last = _last_due(nominals, first, now)
    start: datetime | None = first
    requested = 0
    if schedule.skip_next:
        start, requested = _skip(schedule.skip_next, nominals, first, last, tally)
    if start is not None and start <= last:
        start = _drop_late(schedule.policy, nominals, start, last, now, tally)
    if start is None or start > last:
        return Selection((), start, requested)
    chosen, upcoming = _choose(schedule.policy.coalesce, nominals, start, last, tally)
    return Selection(chosen, upcoming, requested)


def is_past_deadline(schedule: Schedule, nominal: datetime, now: datetime) -> bool:
    """Whether no worker could start a job of that nominal time in time any more."""
    deadline = schedule.policy.start_deadline
    return deadline is not None and schedule.nominals.due_at(nominal) + deadline < now


def _last_due(nominals: Nominals, first: datetime, now: datetime) -> datetime:
    last = nominals.previous(now + TICK)
    if last is not None and last > first and nominals.due_at(last) > now:
        last = nominals.previous(last)
    return first if last is None else max(first, last)


def _skip(
    wanted: int, nominals: Nominals, first: datetime, last: datetime, tally: Tally
) -> tuple[datetime | None, int]:
    """Pass over the first ``wanted`` nominal times that are not excluded: where to go on, and how many they were."""
    passed, following = _take(nominals, first, last, wanted, tally)
    for instant in passed:
        tally.add(NonFireReason.SKIP_REQUESTED, instant, instant, 1)
    return following, len(passed)


def _take(
    nominals: Nominals, start: datetime, last: datetime, count: int, tally: Tally
) -> tuple[tuple[datetime, ...], datetime | None]:
    """The first ``count`` nominal times from ``start`` to ``last`` that are not excluded, and the one behind them."""
    taken: list[datetime] = []
    instant: datetime | None = start
    while instant is not None and instant <= last and len(taken) < count:
        allowed = nominals.allowed_from(instant)
        if allowed is None or allowed > last:
            tally.drop(NonFireReason.EXCLUDED, instant, last)
            return tuple(taken), nominals.next_after(last)
        if allowed > instant and (before := nominals.previous(allowed)) is not None:
            tally.drop(NonFireReason.EXCLUDED, instant, max(before, instant))
        if nominals.is_excluded(allowed):
            return tuple(taken), allowed
        taken.append(allowed)
        instant = nominals.next_after(allowed)
    return tuple(taken), instant


def _drop_late(
    policy: Policy, nominals: Nominals, start: datetime, last: datetime, now: datetime, tally: Tally
) -> datetime | None:
    """Drop what is too late, and answer where the rest begins."""
    window = None if policy.catch_up is None else max(policy.catch_up, ON_TIME)
    first: datetime | None = start
    for longest, reason in (
        (window, NonFireReason.TOO_LATE),
        (policy.start_deadline, NonFireReason.PAST_DEADLINE),
    ):
        if longest is None or first is None or first > last:
            continue
        late = _last_due_before(nominals, first, last, now - longest)
        if late is not None:
            tally.drop(reason, first, late)
            first = nominals.next_after(late)
    return first


def _last_due_before(nominals: Nominals, start: datetime, last: datetime, oldest: datetime) -> datetime | None:
    """The last nominal time from ``start`` to ``last`` that was due before ``oldest``, its jitter counted."""
    late = nominals.previous(min(oldest, last + TICK))
    while late is not None and late >= start and nominals.due_at(late) >= oldest:
        late = nominals.previous(late)
    if (late is None or late < start) and nominals.due_at(start) < oldest:
        late = start  # a next run that was set by hand lies beside the trigger's instants
    return late if late is not None and late >= start else None


def _choose(
    coalesce: Coalesce, nominals: Nominals, start: datetime, last: datetime, tally: Tally
) -> tuple[tuple[datetime, ...], datetime | None]:
    """Which of the nominal times from ``start`` to ``last`` fire, and the first one that stays undecided."""
    if coalesce is Coalesce.ALL:
        return _choose_all(nominals, start, last, tally)
    if coalesce is Coalesce.LATEST:
        kept = nominals.allowed_until(last, start)
    else:
        kept = nominals.allowed_from(start)
        if kept is not None and (kept > last or nominals.is_excluded(kept)):
            kept = None
    if kept is None:
        tally.drop(NonFireReason.TOO_MANY, start, last)
        return (), nominals.next_after(last)
    before, after = nominals.previous(kept), nominals.next_after(kept)
    if kept > start and before is not None:
        tally.drop(NonFireReason.COALESCED, start, max(before, start))
    if kept < last and after is not None:
        tally.drop(NonFireReason.COALESCED, after, last)
    return (kept,), nominals.next_after(last)


def _choose_all(
    nominals: Nominals, start: datetime, last: datetime, tally: Tally
) -> tuple[tuple[datetime, ...], datetime | None]:
    oldest = nominals.last_ones(start, last, CATCH_UP_LIMIT)
    if oldest > start and (before := nominals.previous(oldest)) is not None:
        tally.drop(NonFireReason.TOO_MANY, start, max(before, start))
    return _take(nominals, oldest, last, FIRES_AT_ONCE, tally)
