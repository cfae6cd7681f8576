"""Wrong enqueues: two for one nominal time, and those that the schedule does not account for. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime

from naq.observe.verify import remedies
from naq.observe.verify.case import Case
from naq.observe.verify.definition import Definition
from naq.observe.verify.verdict import Kind, Matter, instant_shown
from naq.schedules.record import Schedule, ScheduleStatus

__all__ = ["duplicates", "outruns", "unexplained"]


def outruns(case: Case) -> bool:
    """Whether there are traces of fires that the latest record does not know of: it is to be read once more, for what is
    read from a server, or from a copy that lags, may be older than what was read before."""
    return bool(_beyond(case))


def duplicates(case: Case, definition: Definition) -> Iterator[Matter]:
    """Two enqueues of one nominal time, in the present life of the schedule: the id may have had another one before."""
    record, evidence = case.record, case.evidence
    for nominal in sorted(evidence.again.keys() | evidence.queued_twice.keys()):
        ruled = definition.first_at is not None and nominal >= definition.first_at
        exact = ruled and not record.job.depends_on  # a job that waited for another is enqueued again when it may run
        times = evidence.again.get(nominal, set()) if exact else evidence.reported_again.get(nominal, set())
        first = evidence.fires.get(nominal)
        instants = sorted(at for at in {*times, *(() if first is None else (first,))} if at >= record.created_at)
        twice = evidence.queued_twice.get(nominal)
        if len(instants) > 1:
            why = f"it was enqueued {len(instants)} times: at {', '.join(map(instant_shown, instants))}"
        elif twice is not None and exact:
            why = f"two first attempts of it are queued: {' and '.join(twice)}"
        else:
            continue
        yield Matter(
            Kind.DUPLICATE, record.schedule_id, nominal, None, 1, why, remedies.look_at(record.schedule_id, nominal)
        )


def _beyond(case: Case) -> list[datetime]:
    """Nominal times with a trace of a fire that lie behind the last one that the record knows to have fired.

    A schedule's fires keep their order, so the record would know. What an earlier life of the id left does not count.
    """
    latest = case.latest
    if latest is None or latest.created_at != case.record.created_at:
        return []
    last, fires = latest.last_nominal_at, case.evidence.fires
    after = latest.created_at if last is None else last
    return sorted(
        nominal for nominal, at in fires.items() if nominal > after and (at is None or at >= latest.created_at)
    )


def unexplained(case: Case, present: Definition, own: Set[datetime]) -> Iterator[Matter]:
    """Fires that neither the record nor its present definition knows of; ``own`` are known to be nominal times of it."""
    latest, name = case.latest, case.record.schedule_id
    if latest is None:
        return
    for nominal in _beyond(case):
        yield _stray(name, nominal, _standing(latest))
    first, last = present.first_at, latest.last_nominal_at
    if first is None or last is None or present.began is None or not _is_as_it_was(case, latest):
        return
    ruled = {
        nominal
        for nominal, at in case.evidence.fires.items()
        if first <= nominal <= last and (at is None or at >= latest.created_at)
    }
    traced, counted = len(ruled), latest.runs - present.began.runs
    for nominal in sorted(ruled - own):
        why = ""
        if not present.is_own(nominal):
            why = f"it is none of the definition's nominal times ({present.record.trigger})"
        elif present.excludes(nominal):
            why = "the definition excludes it"
        if why:
            traced -= 1
            yield _stray(name, nominal, why)
    if traced > counted:
        why = f"{traced} fires left traces since {instant_shown(first)}, and its counters know of {counted}"
        yield Matter(Kind.UNEXPLAINED, name, None, None, traced - counted, why, remedies.look_into(name))


def _is_as_it_was(case: Case, latest: Schedule) -> bool:
    """Whether the definition is still the one that was read first."""
    return (latest.created_at, latest.change_id) == (case.record.created_at, case.record.change_id)


def _stray(name: str, nominal: datetime, why: str) -> Matter:
    return Matter(Kind.UNEXPLAINED, name, nominal, None, 1, why, remedies.look_at(name, nominal))


def _standing(record: Schedule) -> str:
    """Why a fire behind its last one can be none of its own."""
    match record.status:
        case ScheduleStatus.PAUSED:
            status = f"it is paused since {instant_shown(record.paused_at)}"
        case ScheduleStatus.COMPLETED:
            status = f"it is completed since {instant_shown(record.completed_at)}"
        case ScheduleStatus.CANCELLED:
            status = f"it is cancelled since {instant_shown(record.cancelled_at)}"
        case _:
            status = "it is active"
    last = record.last_nominal_at
    knows = "of no fire at all" if last is None else f"of none later than {instant_shown(last)}"
    return f"a job was enqueued, and the schedule's record knows {knows}; {status}"
