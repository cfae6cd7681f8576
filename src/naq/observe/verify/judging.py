"""Judges one schedule of a live system: the state of each nominal time, from the traces of its fires. Pure.

Each nominal time of the present definition fired (a trace says so), did not fire for a recorded reason, waits, is overdue, is
*lost*, or *unproven*. Traces are kept for a while only, and a process that is killed takes its last events along; so a
missing trace alone proves nothing. It is the schedule's record that proves: it counts each nominal time that it decides
about, in the transaction that fires. A nominal time without a trace is lost if the counters lack one, and no trace can have
been dropped for its age; else it is unproven.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from naq.observe.verify import remedies
from naq.observe.verify.case import Case, Question
from naq.observe.verify.definition import Definition, definitions
from naq.observe.verify.edits import decided_too_early, dropped, made_again, started_again
from naq.observe.verify.enqueues import duplicates, unexplained
from naq.observe.verify.evidence import Evidence
from naq.observe.verify.reasons import explained
from naq.observe.verify.verdict import Figures, Judged, Kind, Matter, NotFired, Shortened, instant_shown
from naq.schedules.nominal import TICK
from naq.schedules.record import Schedule, ScheduleStatus

__all__ = ["MOST_JUDGED", "expected", "judge", "quarantined"]

MOST_JUDGED = 100_000
"""Nominal times of one schedule that are looked at one by one; of more, the last ones."""


@dataclass(slots=True)
class _Sorted:
    """The nominal times of a window by what became of them, as far as traces and the record say."""

    excluded: int = 0
    own: set[datetime] = field(default_factory=set)
    """Those with a trace of a fire."""
    known: int = 0
    """Those of which the record itself says that they fired."""
    waiting: int = 0
    overdue: list[datetime] = field(default_factory=list)
    untraced: list[datetime] = field(default_factory=list)

    @property
    def fired(self) -> int:
        return len(self.own) + self.known

    @property
    def total(self) -> int:
        return self.excluded + self.fired + self.waiting + len(self.overdue) + len(self.untraced)


def judge(case: Case, question: Question) -> Judged:
    """The judgement on one schedule."""
    ruling = tuple(definitions(case.record, case.evidence.changes, question.since, question.as_of))[::-1]
    looked = [(definition, *_look(case, definition, question)) for definition in ruling]
    reasons = explained(sorted(nominal for *_, found in looked for nominal in found.untraced), case.evidence.non_fires)
    matters: list[Matter] = []
    figures = Figures(schedules=1, not_fired=len(reasons))
    for definition, start, found in looked:
        untraced = [nominal for nominal in found.untraced if nominal not in reasons]
        proved = [*_untraced(case, definition, start, untraced, question)]
        lost = sum(matter.count for matter in proved if matter.kind is Kind.LOST)
        matters += proved
        figures += Figures(
            nominal_times=found.total,
            fired=found.fired,
            not_fired=found.excluded,
            waiting=found.waiting,
            overdue=len(found.overdue),
            lost=lost,
            unproven=len(untraced) - lost,
        )
    matters += _overdue(case, looked[-1][2].overdue, question)
    matters += duplicates(case, ruling[-1])
    matters += unexplained(case, ruling[-1], looked[-1][2].own)
    matters += dropped(case, ruling, question)
    matters += started_again(case, ruling)
    matters += made_again(case)
    matters += decided_too_early(case, question)
    return Judged(figures, tuple(matters), _shortened(looked, question), _not_fired(case, reasons))


def _not_fired(case: Case, reasons: Mapping[datetime, str]) -> tuple[NotFired, ...]:
    """What did not fire, once for each reason."""
    by_reason: dict[str, list[datetime]] = {}
    for nominal, reason in reasons.items():
        by_reason.setdefault(reason, []).append(nominal)
    name = case.record.schedule_id
    return tuple(NotFired(name, reason, min(each), max(each), len(each)) for reason, each in by_reason.items())


def quarantined(schedule_id: str, why: str) -> Judged:
    """The finding about a schedule whose record cannot be read or planned."""
    matter = Matter(Kind.QUARANTINED, schedule_id, None, None, 0, why, remedies.quarantined(schedule_id))
    return Judged(Figures(schedules=1), (matter,))


def expected(record: Schedule, question: Question) -> int:
    """About how many nominal times there are to be judged: what a schedule costs."""
    first = record.nominals.next_after(max(question.since, record.created_at))
    if first is None or first > question.as_of:
        return 1
    return min(MOST_JUDGED, record.nominals.count(first, question.as_of))


def _shortened(looked: Sequence[tuple[Definition, datetime | None, _Sorted]], question: Question) -> Shortened | None:
    """Whether it was judged from a later time on than was asked for, and why. Before its creation there is nothing to judge."""
    for definition, start, _ in reversed(looked):
        if start is not None and start > _first(definition, question):
            why = f"of more than {MOST_JUDGED} nominal times the last ones are looked at"
            return Shortened(definition.record.schedule_id, start, why)
    oldest = looked[0][0]
    if oldest.began_at <= question.since or oldest.record.updated_at is None:
        return None
    why = "it was changed then, and what it was to do before is not known any more"
    return Shortened(oldest.record.schedule_id, oldest.began_at, why)


def _first(definition: Definition, question: Question) -> datetime:
    """The first nominal time under a definition that was asked about."""
    first = definition.first_at
    if first is None or first < question.since:
        first = definition.nominals.next_after(question.since - TICK)
    return first or question.as_of


def _look(case: Case, definition: Definition, question: Question) -> tuple[datetime | None, _Sorted]:
    """The nominal times under a definition, sorted, and the first one that was looked at."""
    if definition.first_at is None or not definition.is_predictable:
        return None, _Sorted()
    start = _first(definition, question)
    until = question.as_of if definition.undecided is None else definition.undecided - TICK
    if definition.is_present:
        until = max(until, question.as_of)
    if start <= until:
        start = definition.nominals.last_ones(start, until, MOST_JUDGED)
    return start, _sort(case, definition, start, question)


def _sort(case: Case, definition: Definition, start: datetime, question: Question) -> _Sorted:
    found = _Sorted()
    record, fires = case.record, case.evidence.fires
    known = {record.last_nominal_at, *(run.nominal_at for run in record.open_runs)}
    buffered = set(record.buffered)
    for nominal in _nominal_times(definition, start, question):
        if definition.excludes(nominal):
            found.excluded += 1
        elif not definition.is_decided(nominal):
            if _is_late(record, definition.nominals.due_at(nominal), question):
                found.overdue.append(nominal)
            else:
                found.waiting += 1
        elif nominal in buffered:
            found.waiting += 1
        elif nominal in fires:
            found.own.add(nominal)
        elif nominal in known:
            found.known += 1
        else:
            found.untraced.append(nominal)
    return found


def _nominal_times(definition: Definition, start: datetime, question: Question) -> Iterator[datetime]:
    """Those that were decided, and those that should have been by now."""
    record = definition.record
    fires = definition.is_present and record.status is ScheduleStatus.ACTIVE and record.next_nominal_at is not None
    nominal: datetime | None = start
    while nominal is not None and (definition.is_decided(nominal) or (fires and nominal <= question.as_of)):
        yield nominal
        nominal = definition.nominals.next_after(nominal)


def _is_late(record: Schedule, due_at: datetime, question: Question) -> bool:
    latest = question.as_of - question.patience
    return due_at <= latest and record.next_run_at is not None and record.next_run_at <= latest


def _untraced(
    case: Case, definition: Definition, start: datetime | None, untraced: Sequence[datetime], question: Question
) -> Iterator[Matter]:
    """Nominal times that were decided, of which no trace is left: which are lost, and which only unproven."""
    if not untraced or start is None:
        return
    name = case.record.schedule_id
    reach = _reach(case.evidence, question)
    whole = start == definition.first_at
    provable = [nominal for nominal in untraced if whole or nominal >= reach]
    lost = min(definition.unaccounted, len(provable))
    certain = lost == len(provable)
    counted = f"the counters account for {definition.unaccounted} too few since {instant_shown(definition.first_at)}"
    if certain:
        for first, last, count in _stretches(provable, definition):
            yield _matter(Kind.LOST, name, first, last, count, f"no trace, and {counted}", remedies.lost)
    elif lost:
        why = f"{lost} of these {len(provable)}, none of which left a trace: {counted}"
        yield _matter(Kind.LOST, name, provable[0], provable[-1], lost, why, remedies.lost_among)
    if lost < len(untraced):
        gone = set(provable if certain else ())
        rest = [nominal for nominal in untraced if nominal not in gone]
        why = f"no trace is left: events and history reach back to {instant_shown(reach)}; {_said(definition)}"
        yield _matter(Kind.UNPROVEN, name, rest[0], rest[-1], len(untraced) - lost, why, remedies.unproven)


def _reach(evidence: Evidence, question: Question) -> datetime:
    """From when on a fire must have left a trace."""
    history = question.history_since
    if 0 < question.history_length <= evidence.runs and evidence.oldest_run is not None:
        history = max(history, evidence.oldest_run)
    return min(history, question.complete_since)


def _said(definition: Definition) -> str:
    """What the counters say, for a nominal time that they do not prove to be lost."""
    fired, decided = definition.fired, definition.decided
    if fired is None or decided is None:
        return "an older naq made the last change, and did not note where the counters stood"
    began = instant_shown(definition.first_at)
    return f"the counters say {fired} fired since {began}, and {decided - fired} were missed or skipped, or wait"


def _stretches(nominals: Sequence[datetime], definition: Definition) -> list[tuple[datetime, datetime, int]]:
    """Nominal times that follow one another, as one."""
    stretches: list[list[datetime]] = []
    for nominal in nominals:
        if stretches and definition.nominals.next_after(stretches[-1][-1]) == nominal:
            stretches[-1].append(nominal)
        else:
            stretches.append([nominal])
    return [(stretch[0], stretch[-1], len(stretch)) for stretch in stretches]


def _overdue(case: Case, overdue: Sequence[datetime], question: Question) -> Iterator[Matter]:
    record = case.record
    due_at = record.next_run_at
    if record.status is not ScheduleStatus.ACTIVE or due_at is None or due_at + question.patience > question.as_of:
        return
    name = record.schedule_id
    if case.evidence.quarantined is not None:
        why, remedy = f"it is quarantined: {case.evidence.quarantined}", remedies.quarantined(name)
    elif question.leaderless is not None:
        why, remedy = question.leaderless, remedies.nobody_leads
    else:
        why, remedy = "somebody leads, and has not decided about it", remedies.undecided
    first = overdue[0] if overdue else record.next_nominal_at or due_at
    last = overdue[-1] if len(overdue) > 1 else None
    late = question.as_of - due_at
    yield Matter(
        Kind.OVERDUE,
        name,
        first,
        last,
        max(1, len(overdue)),
        f"due since {instant_shown(due_at)} ({late.total_seconds():.0f} s): {why}",
        remedy,
    )


def _matter(
    kind: Kind, name: str, first: datetime, last: datetime, count: int, why: str, remedy: remedies.Remedy
) -> Matter:
    return Matter(kind, name, first, None if first == last else last, count, why, remedy(name, first, last))
