"""What edits, removals and wrong clocks took from a schedule: times that no definition decided about, grids that began
again, schedules that went. Pure.

A change ends one definition and begins another. A nominal time that was due under the old one, and that neither of them
decided about, was dropped. A definition whose only difference to the one before is where its grid begins was started again;
what it should have fired in between is not known. And a schedule whose last fire lies in the future was decided by a clock
that was ahead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from naq.observe.verify import remedies
from naq.observe.verify.case import Case, Question
from naq.observe.verify.definition import Definition
from naq.observe.verify.evidence import Removal
from naq.observe.verify.reasons import explained
from naq.observe.verify.verdict import Figures, Judged, Kind, Matter, instant_shown
from naq.schedules.binding import written
from naq.schedules.nominal import TICK
from naq.schedules.record import ScheduleStatus
from naq.schedules.transitions import decided_ahead

__all__ = ["decided_too_early", "dropped", "gone", "made_again", "started_again"]

MOST = 1_000
"""Nominal times that are looked at for one change."""


def dropped(case: Case, ruling: Sequence[Definition], question: Question) -> Iterator[Matter]:
    """Nominal times that were due when the schedule was changed, and that neither definition decided about; ``ruling``
    are the definitions, the oldest first."""
    for before, after in pairwise(ruling):
        found = [nominal for nominal in _between(before, after) if nominal >= question.since]
        untraced = [nominal for nominal in found if nominal not in case.evidence.fires]
        reasons = explained(untraced, case.evidence.non_fires)
        lost = [nominal for nominal in untraced if nominal not in reasons]
        if lost:
            why = f"it was due when the schedule was changed at {instant_shown(after.began_at)}, and was not decided about"
            last = None if len(lost) == 1 else lost[-1]
            name = case.record.schedule_id
            yield Matter(Kind.DROPPED, name, lost[0], last, len(lost), why, remedies.lost(name, lost[0], lost[-1]))


def _between(before: Definition, after: Definition) -> Iterator[datetime]:
    """The nominal times of one definition that were due at its end, and lie before the first one of the next."""
    first, until = before.counters.first_at, after.began_at
    if before.record.status is not ScheduleStatus.ACTIVE or not before.is_predictable or first is None:
        return
    if after.first_at is not None:
        until = min(until, after.first_at - TICK)
    nominal: datetime | None = first
    for _ in range(MOST):
        if nominal is None or nominal > until:
            return
        if not before.excludes(nominal):
            yield nominal
        nominal = before.nominals.next_after(nominal)


def started_again(case: Case, ruling: Sequence[Definition]) -> Iterator[Matter]:
    """Changes that only moved where the grid begins."""
    moves = [
        after.began_at
        for before, after in pairwise(ruling)
        if before.record.trigger != after.record.trigger
        and written(before.record.trigger, None) == written(after.record.trigger, None)
    ]
    if moves:
        times = f"{len(moves)} times, the last one at" if len(moves) > 1 else "at"
        why = f"its grid was started again {times} {instant_shown(moves[-1])}: what it left out then is not known"
        yield Matter(Kind.UNPROVEN, case.record.schedule_id, moves[0], None, 0, why, remedies.grid_moved)


def made_again(case: Case) -> Iterator[Matter]:
    """A schedule that was removed, and is there again."""
    removals = case.evidence.removals
    if removals:
        times = f"{len(removals)} times, the last time" if len(removals) > 1 else "once,"
        why = (
            f"it was removed {times} {_by(removals[-1])}, and made again at {instant_shown(case.record.created_at)}: what "
            "should have fired before is not known any more"
        )
        name = case.record.schedule_id
        yield Matter(Kind.UNPROVEN, name, removals[-1].at, None, 0, why, remedies.look_into(name))


def gone(removal: Removal) -> Judged:
    """A schedule of a declared set that was removed, and is not there."""
    name = removal.schedule_id
    why = f"it was removed from the declared set {removal.declared_in!r} {_by(removal)}: it does not fire any more"
    matter = Matter(Kind.UNPROVEN, name, removal.at, None, 0, why, remedies.declare_again(name))
    return Judged(Figures(), (matter,))


def _by(removal: Removal) -> str:
    return f"at {instant_shown(removal.at)} by {removal.actor or 'an unnamed actor'}"


def decided_too_early(case: Case, question: Question) -> Iterator[Matter]:
    """Nominal times to come that a process whose clock was ahead decided about."""
    record = case.latest or case.record
    ahead = decided_ahead(record, case.read_at or question.as_of)
    held = record.next_nominal_at
    if ahead is None or held is None:
        return
    last = record.nominals.previous(held) or ahead
    count = record.nominals.count(ahead, last)
    why = f"a clock was ahead: it fires again at {instant_shown(held)}, and leaves these out"
    yield Matter(Kind.AHEAD, record.schedule_id, ahead, last, count, why, remedies.aim_again(record.schedule_id))
