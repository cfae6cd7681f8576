"""What is said of each nominal time, case by case."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from naq.events import Event, EventType
from naq.jobs.history import HistoryRecord, RunOutcome
from naq.jobs.job import JobSpec, QueuedJob
from naq.observe.verify import judging
from naq.observe.verify.case import Case, Question
from naq.observe.verify.edits import decided_too_early
from naq.observe.verify.enqueues import outruns
from naq.observe.verify.evidence import Evidence, Gathered, NonFires
from naq.observe.verify.judging import judge
from naq.observe.verify.reasons import explained
from naq.observe.verify.verdict import Figures, Judged, Kind, Tally
from naq.schedules.counters import ERA_ENDED, Counters, EraEnded
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import cancelled, new_schedule, paused
from naq.store.codec import plain
from naq.store.keys import job_id, job_key
from naq.timing.exclusions import ExcludedTime
from naq.timing.triggers import AnyOf, FixedDelay, Interval, Once

START = datetime(2030, 1, 1, tzinfo=UTC)
SPEC = JobSpec(func="reports:send")
EVERY_SECOND = Interval(timedelta(seconds=1), anchor=START)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def schedule(decided: int = 5, **changes: Any) -> Schedule:
    """One that fires every second from second 1 on, and has fired ``decided`` times."""
    made = new_schedule("s", SPEC, changes.pop("trigger", EVERY_SECOND), changes.pop("policy", Policy()), at(0.5))
    fired = {
        "runs": decided,
        "last_nominal_at": at(decided),
        "next_nominal_at": at(decided + 1),
        "next_run_at": at(decided + 1),
    }
    return made.evolve(**{**fired, **changes})


def fire(second: float, **more: Any) -> QueuedJob:
    fields = {"spec": SPEC, "enqueued_at": at(second + 0.1), "schedule_id": "s", "nominal_at": at(second)}
    return QueuedJob(**{"job_id": job_id("s", at(second)), **fields, **more})


def told(second: float, enqueued_after: float = 0.1) -> Event:
    return Event(
        type=EventType.SCHEDULED_JOB_TRIGGERED,
        timestamp=at(second + enqueued_after),
        schedule_id="s",
        job_id=job_id("s", at(second)),
        nominal_at=at(second),
    )


def check(
    record: Schedule,
    jobs: Iterable[QueuedJob] = (),
    events: Iterable[Event] = (),
    history: Iterable[HistoryRecord] = (),
    latest: Schedule | None = None,
    **more: Any,
) -> Judged:
    question = Question(
        **{
            "since": at(0),
            "as_of": at(5.5),
            "patience": timedelta(seconds=2),
            "complete_since": at(-100),
            "history_since": at(-100),
            "history_length": 100,
            "leaderless": None,
            **more,
        }
    )
    gathered = Gathered(["s"], question.since)
    for event in events:
        gathered.event(event)
    for job in jobs:
        gathered.job(job_key(job.spec.queue, job.job_id, job.attempt), job)
    for line in history:
        gathered.history(line)
    return judge(Case(record, gathered.of["s"], latest or record), question)


def said(judged: Judged) -> list[tuple[Kind, datetime | None, int]]:
    return [(matter.kind, matter.nominal_at, matter.count) for matter in judged.matters]


ALL = [fire(second) for second in (1, 2, 3, 4, 5)]
WITHOUT_3 = [fire(second) for second in (1, 2, 4, 5)]


def test_each_kind_of_trace_will_do() -> None:
    result = HistoryRecord(
        schedule_id="s",
        outcome=RunOutcome.COMPLETED,
        at=at(9),
        job_id=job_id("s", at(2)),
        nominal_at=at(2),
        fired_at=at(2.1),
    )
    retried = fire(3, attempt=2, enqueued_at=at(60))
    judged = check(schedule(), [fire(1), retried], [told(4), told(1)], [result])
    assert said(judged) == []
    assert judged.figures == Figures(schedules=1, nominal_times=5, fired=5)


def test_what_left_no_trace_is_unproven_while_it_is_counted_and_lost_when_it_is_not() -> None:
    assert said(check(schedule(), WITHOUT_3)) == [(Kind.UNPROVEN, at(3), 1)]
    judged = check(schedule(runs=4), WITHOUT_3)
    assert said(judged) == [(Kind.LOST, at(3), 1)]
    assert (judged.figures.fired, judged.figures.lost, judged.figures.unproven) == (4, 1, 0)
    assert "naq schedule backfill s 2030-01-01T00:00:03+00:00" in judged.matters[0].remedy


def test_what_is_lost_in_a_row_is_told_as_one() -> None:
    judged = check(schedule(runs=2), [fire(1), fire(5)])
    (matter,) = judged.matters
    assert (matter.kind, matter.nominal_at, matter.until, matter.count) == (Kind.LOST, at(2), at(4), 3)


def test_when_the_counters_lack_fewer_than_left_no_trace_it_is_not_said_which() -> None:
    judged = check(schedule(runs=4), [fire(1), fire(5)])
    assert said(judged) == [(Kind.LOST, at(2), 1), (Kind.UNPROVEN, at(2), 2)]
    assert "1 of these 3" in judged.matters[0].why
    assert "look in the logs" in judged.matters[0].remedy
    assert (judged.figures.lost, judged.figures.unproven) == (1, 2)


def test_nothing_is_lost_that_may_have_been_trimmed_before() -> None:
    """What the counters lack may lie before the window, or be so old that its traces are gone."""
    window: dict[str, Any] = {"since": at(2), "complete_since": at(3.5), "history_since": at(3.5)}
    assert said(check(schedule(runs=4), WITHOUT_3, **window)) == [(Kind.UNPROVEN, at(3), 1)]
    assert said(check(schedule(runs=4), WITHOUT_3, since=at(2))) == [(Kind.LOST, at(3), 1)]


def test_a_full_history_reaches_back_to_its_oldest_record() -> None:
    line = HistoryRecord(
        schedule_id="s", outcome=RunOutcome.COMPLETED, at=at(4.2), job_id=job_id("s", at(4)), nominal_at=at(4)
    )
    window: dict[str, Any] = {"since": at(2), "complete_since": at(5)}
    full = check(schedule(runs=4), WITHOUT_3, history=[line], history_length=1, **window)
    assert said(full) == [(Kind.UNPROVEN, at(3), 1)]
    half = check(schedule(runs=4), WITHOUT_3, history=[line], history_length=2, **window)
    assert said(half) == [(Kind.LOST, at(3), 1)]


def test_a_recorded_reason_explains_as_many_as_it_says() -> None:
    missed = Event(
        type=EventType.FIRE_MISSED,
        timestamp=at(5),
        schedule_id="s",
        nominal_at=at(4),
        reason="too old",
        details={"count": 2, "first_at": at(2).isoformat()},
    )
    twice = HistoryRecord(
        schedule_id="s",
        outcome=RunOutcome.MISSED,
        at=at(5.1),
        nominal_at=at(2),
        until=at(4),
        count=2,
        reason="too old",
    )
    judged = check(schedule(runs=2, missed=2), [fire(1), fire(5)], [missed], [twice])
    assert said(judged) == [(Kind.LOST, at(4), 1)], "the same reason in event and history explains once"
    assert judged.figures.not_fired == 2
    judged = check(schedule(runs=3, missed=2), [fire(1), fire(3), fire(5)], [missed])
    assert said(judged) == []


def test_reasons_go_to_whom_no_other_can_explain() -> None:
    """Against trying all ways."""
    random = Random(4711)
    for _ in range(300):
        nominals = [at(second) for second in sorted(random.sample(range(8), random.randint(1, 6)))]
        records = {
            NonFires(at(first), at(first + random.randint(0, 5)), random.randint(1, 2), str(number))
            for number, first in enumerate(random.choices(range(8), k=random.randint(0, 4)))
        }
        assert len(explained(nominals, records)) == most(nominals, [(each, each.count) for each in records])


def most(nominals: list[datetime], records: list[tuple[NonFires, int]]) -> int:
    if not nominals:
        return 0
    first, rest = nominals[0], nominals[1:]
    best = most(rest, records)
    for place, (record, left) in enumerate(records):
        if left and record.first_at <= first <= record.last_at:
            fewer = [*records[:place], (record, left - 1), *records[place + 1 :]]
            best = max(best, 1 + most(rest, fewer))
    return best


def test_excluded_times_need_no_record_and_a_fire_of_one_is_unexplained() -> None:
    excluding = schedule(policy=Policy(exclude=(ExcludedTime(at(3), at(4)),)), runs=4, skipped=1)
    judged = check(excluding, WITHOUT_3)
    assert said(judged) == []
    assert judged.figures.not_fired == 1
    strays = check(excluding.evolve(runs=5), ALL)
    assert [(matter.kind, matter.nominal_at) for matter in strays.matters] == [(Kind.UNEXPLAINED, at(3))]


def test_a_nominal_time_has_as_long_as_patience_says() -> None:
    behind = schedule(decided=2)
    assert said(check(behind, ALL[:2], patience=timedelta(seconds=3))) == []
    judged = check(behind, ALL[:2], patience=timedelta(seconds=1))
    assert said(judged) == [(Kind.OVERDUE, at(3), 2)]
    assert "somebody leads" in judged.matters[0].why
    assert (judged.figures.overdue, judged.figures.waiting) == (2, 1)


def test_what_keeps_it_from_firing_is_said() -> None:
    quarantined = Event(
        type=EventType.SCHEDULE_QUARANTINED, timestamp=at(3), schedule_id="s", reason="no zone Mars/Base"
    )
    for more, why in (
        ({"leaderless": "no scheduler leads, so nothing fires"}, "no scheduler leads"),
        ({"events": [quarantined], "leaderless": "nobody leads"}, "it is quarantined: no zone Mars/Base"),
    ):
        judged = check(schedule(decided=2), ALL[:2], **more)
        assert said(judged) == [(Kind.OVERDUE, at(3), 1)]
        assert why in judged.matters[0].why
    mended = check(schedule(decided=2), ALL[:2], [quarantined, told(2)])
    assert "quarantined" not in mended.matters[0].why


def test_what_waits_for_a_runs_end_waits() -> None:
    judged = check(schedule(runs=4, buffered=(at(5),), last_nominal_at=at(4), next_run_at=at(6)), ALL[:4])
    assert said(judged) == []
    assert (judged.figures.fired, judged.figures.waiting) == (4, 1)


def test_a_paused_schedule_owes_nothing_and_fires_nothing() -> None:
    record = paused(schedule(decided=2), at(2.5), "because", None)
    assert record is not None
    record = record.evolve(counted_from=Counters.of(record), updated_at=at(2.5), change_id="pause")
    judged = check(record, ALL[:2])
    assert said(judged) == []
    stray = check(record, ALL[:3])
    assert said(stray) == [(Kind.UNEXPLAINED, at(3), 1)]
    assert "it is paused since 2030-01-01T00:00:02.500000Z" in stray.matters[0].why


def test_an_ended_schedule_fires_nothing() -> None:
    record = cancelled(schedule(decided=2), at(2.5)).evolve(updated_at=at(2.5), change_id="cancel")
    record = record.evolve(counted_from=Counters.of(record))
    assert said(check(record, ALL[:2])) == []
    assert said(check(record, ALL[:4])) == [(Kind.UNEXPLAINED, at(3), 1), (Kind.UNEXPLAINED, at(4), 1)]
    once = schedule(decided=1, trigger=Once(at(1)), next_nominal_at=None, next_run_at=None, completed_at=at(1.1))
    assert said(check(once, ALL[:1])) == []
    assert said(check(once.evolve(runs=0, last_nominal_at=None))) == [(Kind.LOST, at(1), 1)]


def test_a_fire_between_the_nominal_times_is_unexplained() -> None:
    judged = check(schedule(runs=6), [*ALL, fire(2.5)])
    assert said(judged) == [(Kind.UNEXPLAINED, at(2.5), 1)]
    assert "none of the definition's nominal times (every 1s)" in judged.matters[0].why


def test_more_traces_than_the_counters_know_of_are_unexplained() -> None:
    """A job that was put in by hand, for a nominal time that did not fire."""
    assert said(check(schedule(runs=4, missed=1), ALL)) == [(Kind.UNEXPLAINED, None, 1)]


def test_a_fire_that_was_committed_while_we_looked_is_explained_by_the_record_read_again() -> None:
    before = schedule(decided=4)
    assert outruns(Case(before, _evidence(ALL), before))
    after = schedule(decided=5)
    assert not outruns(Case(before, _evidence(ALL), after))
    assert said(check(before, ALL, latest=after)) == []
    another_life = after.evolve(created_at=at(5), last_nominal_at=None, runs=0)
    assert said(check(before, ALL, latest=another_life)) == []


def _evidence(jobs: Iterable[QueuedJob]) -> Any:
    gathered = Gathered(["s"], at(0))
    for job in jobs:
        gathered.job(job_key("default", job.job_id), job)
    return gathered.of["s"]


def test_two_enqueues_of_a_nominal_time_are_a_duplicate() -> None:
    again = fire(3, enqueued_at=at(3.2))
    judged = check(schedule(), [*ALL, again])
    assert said(judged) == [(Kind.DUPLICATE, at(3), 1)]
    assert "at 2030-01-01T00:00:03.100000Z, 2030-01-01T00:00:03.200000Z" in judged.matters[0].why
    assert said(check(schedule(), ALL, [told(3), told(3, 0.2)])) == [(Kind.DUPLICATE, at(3), 1)]
    elsewhere = fire(3, spec=JobSpec(func="reports:send", queue="mail"))
    assert said(check(schedule(), [*ALL, elsewhere])) == [(Kind.DUPLICATE, at(3), 1)]


@pytest.mark.parametrize(
    "more",
    [
        {"events": [told(3)]},
        {"jobs": [*ALL, fire(3, attempt=2, enqueued_at=at(30))]},
        {"jobs": [*ALL, fire(3, job_id="s/manual-1", enqueued_at=at(30))]},
        {"jobs": [*ALL, fire(3, job_id=f"s/backfill-b/{job_id('s', at(3))[2:]}", enqueued_at=at(30))]},
        {"jobs": [*ALL, fire(3, enqueued_at=at(0.2))]},
    ],
    ids=["told of the same", "retried", "by hand", "backfilled", "of an earlier life"],
)
def test_these_are_no_duplicates(more: dict[str, Any]) -> None:
    assert said(check(schedule(), **{"jobs": ALL, **more})) == []


def test_a_job_that_waited_for_others_is_enqueued_anew() -> None:
    spec = JobSpec(func="reports:send", depends_on=("other",))
    waited = schedule().evolve(job=spec)
    assert said(check(waited, ALL, [told(3, 0.05)])) == []
    assert said(check(waited, ALL, [told(3, 0.05), told(3, 0.07)])) == [(Kind.DUPLICATE, at(3), 1)]


def test_a_deleted_life_is_buried_with_its_traces() -> None:
    deleted = Event(type=EventType.SCHEDULE_DELETED, timestamp=at(0.4), schedule_id="s")
    ahead = [told(7), told(8), deleted, *(told(second) for second in (1, 2, 3, 4, 5))]
    assert said(check(schedule(), [*ALL, fire(7)], ahead)) == [(Kind.UNPROVEN, at(0.4), 0)]
    assert said(check(schedule(), [*ALL, fire(7)], ahead, since=at(0.5))) == []


def test_what_was_fired_while_reading_took_long_is_not_ahead() -> None:
    fired_since = schedule().evolve(last_run_at=at(60), last_nominal_at=at(60), next_nominal_at=at(61))
    case = Case(fired_since, Evidence(), fired_since)
    question = Question(at(0), at(5), timedelta(seconds=2), at(-100), at(-100), 100, None)
    assert [matter.kind for matter in decided_too_early(case, question)] == [Kind.AHEAD]
    assert not list(decided_too_early(dataclasses.replace(case, read_at=at(60)), question))


def test_a_changed_definition_is_judged_since_the_change_and_that_is_said() -> None:
    counted = Counters(at(3), runs=40, decided=45)
    record = schedule(runs=43, missed=3, skipped=2, updated_at=at(2.5), change_id="c", counted_from=counted)
    judged = check(record, ALL[2:])
    assert said(judged) == []
    assert judged.figures.nominal_times == 3
    assert judged.shortened is not None
    assert judged.shortened.since == at(2.5)
    lost = check(record.evolve(runs=42), [fire(3), fire(5)])
    assert said(lost) == [(Kind.LOST, at(4), 1)]
    old = check(record.evolve(runs=42, counted_from=None), [fire(3), fire(5)])
    assert said(old) == [(Kind.UNPROVEN, at(4), 1)], "an older naq made the change: nothing proves it"
    assert "an older naq" in old.matters[0].why
    assert check(record, ALL[3:], since=at(3.5)).shortened is None


def changed_twice() -> tuple[Schedule, list[Event]]:
    """Every second until it was paused behind second 2, and every other second since it went on behind second 5."""
    first = schedule(decided=2, change_id="made")
    still = paused(first, at(2.5), "because", None)
    assert still is not None
    still = still.evolve(change_id="paused", updated_at=at(2.5), counted_from=Counters.of(still))
    slower = Interval(timedelta(seconds=2), anchor=START)
    again = schedule(
        trigger=slower, runs=2, last_nominal_at=at(2), next_nominal_at=at(6), next_run_at=at(6), change_id="resumed"
    ).evolve(updated_at=at(5.2))
    again = again.evolve(counted_from=Counters.of(again))
    record = again.evolve(runs=4, last_nominal_at=at(8), next_nominal_at=at(10), next_run_at=at(10))
    old = {"trigger": {"from": plain(EVERY_SECOND), "to": plain(slower)}}
    return record, [
        change(EventType.SCHEDULE_PAUSED, first, still),
        change(EventType.SCHEDULE_UPDATED, still, again, **old),
    ]


def change(kind: EventType, before: Schedule, after: Schedule, **details: Any) -> Event:
    era = plain(EraEnded.of(before, after))
    at_ = after.updated_at or after.created_at
    if before.status is not after.status:
        details["status"] = {"from": str(before.status), "to": str(after.status)}
    return Event(type=kind, timestamp=at_, schedule_id="s", details={ERA_ENDED: era, **details})


def test_definitions_before_are_judged_by_what_the_events_of_the_changes_tell() -> None:
    record, changes = changed_twice()
    jobs = [fire(second) for second in (1, 2, 6, 8)]
    judged = check(record, jobs, changes, as_of=at(9.5))
    assert said(judged) == []
    assert (judged.figures.nominal_times, judged.figures.fired, judged.shortened) == (4, 4, None)
    before = EraEnded("paused", "made", Counters(at(3), runs=1, decided=1))
    fewer = [msgspec.structs.replace(changes[0], details={ERA_ENDED: plain(before)}), changes[1]]
    assert said(check(record, jobs[1:], fewer, as_of=at(9.5))) == [(Kind.LOST, at(1), 1)]
    assert said(check(record, jobs[:3], changes, as_of=at(9.5))) == []  # its record says that it fired last
    assert said(check(record, jobs[1:], changes, as_of=at(9.5))) == [(Kind.UNPROVEN, at(1), 1)]


def test_only_the_present_definition_says_what_is_unexplained() -> None:
    """Of those before it not all is known: a fixed delay, a run's end, a limit move on in ways that no event tells."""
    record, changes = changed_twice()
    jobs = [fire(second) for second in (1, 2, 6, 8)]
    assert said(check(record, [*jobs, fire(4), fire(1.5)], changes, as_of=at(9.5))) == []
    judged = check(record, [*jobs, fire(7)], changes, as_of=at(9.5))
    assert said(judged) == [(Kind.UNEXPLAINED, at(7), 1)]
    assert "none of the definition's nominal times (every 2s)" in judged.matters[0].why


@pytest.mark.parametrize(("left", "since", "nominal_times"), [([0], 5.2, 2), ([1], 2.5, 2), ([], 5.2, 2)])
def test_where_the_event_of_a_change_is_gone_it_is_judged_since_then(
    left: list[int], since: float, nominal_times: int
) -> None:
    record, changes = changed_twice()
    judged = check(
        record, [fire(second) for second in (1, 2, 6, 8)], [changes[number] for number in left], as_of=at(9.5)
    )
    assert said(judged) == []
    assert judged.shortened is not None
    assert judged.shortened.since == at(since)
    assert judged.figures.nominal_times == nominal_times


def test_the_event_of_a_change_that_cannot_be_read_is_none() -> None:
    record, changes = changed_twice()
    strange = [
        msgspec.structs.replace(changes[1], details={**changes[1].details, "trigger": {"from": {"type": "moon"}}}),
        msgspec.structs.replace(changes[1], details={ERA_ENDED: "rubbish"}),
    ]
    for event in strange:
        judged = check(record, [fire(6), fire(8)], [changes[0], event], as_of=at(9.5))
        assert judged.shortened is not None
        assert judged.shortened.since == at(5.2)


def test_a_schedule_with_more_nominal_times_than_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MOST_JUDGED", 2)
    judged = check(schedule(), ALL[3:])
    assert judged.figures.nominal_times == 2
    assert judged.shortened is not None
    assert "more than 2" in judged.shortened.why


def test_what_follows_from_the_ends_of_runs_is_not_predicted() -> None:
    delayed = schedule(trigger=FixedDelay(timedelta(seconds=3), first_at=at(1)), last_nominal_at=at(5))
    assert check(delayed).figures.nominal_times == 0
    assert said(check(delayed, [fire(1.7), fire(5)])) == []
    assert said(check(delayed, [fire(5), fire(5, enqueued_at=at(5.3))])) == [(Kind.DUPLICATE, at(5), 1)]
    union = schedule(trigger=AnyOf((EVERY_SECOND, FixedDelay(timedelta(seconds=3), first_at=at(1)))))
    assert check(union).figures.nominal_times == 0


def test_figures_add_up() -> None:
    tally = Tally()
    tally.add(check(schedule(), ALL))
    tally.add(check(schedule(runs=4), WITHOUT_3))
    tally.add(judging.quarantined("bad", "rubbish"))
    tally.absent.append("gone")
    verdict = tally.verdict(at(0), at(5.5))
    assert (verdict.figures.schedules, verdict.figures.fired, verdict.figures.lost) == (3, 9, 1)
    assert [finding.kind for finding in verdict.findings] == [Kind.LOST, Kind.QUARANTINED]
    assert not verdict.clean
    assert (verdict.count(Kind.LOST), verdict.count(Kind.UNPROVEN)) == (1, 0)


# --- what edits and wrong clocks did


def edited(slower: Interval) -> tuple[Schedule, list[Event]]:
    """Every second until 2; nobody fired then; edited at 5.2, and fired as the new definition says."""
    first = schedule(decided=2, change_id="made")
    following = slower.next_after(at(5.2))
    again = schedule(
        trigger=slower,
        runs=2,
        last_nominal_at=at(2),
        next_nominal_at=following,
        next_run_at=following,
        change_id="edit",
    ).evolve(updated_at=at(5.2))
    again = again.evolve(counted_from=Counters.of(again))
    old = {"trigger": {"from": plain(EVERY_SECOND), "to": plain(slower)}}
    return again, [change(EventType.SCHEDULE_UPDATED, first, again, **old)]


def test_what_an_edit_dropped_is_found() -> None:
    """Verify said that all was well."""
    record, events = edited(Interval(timedelta(minutes=1), anchor=START))
    judged = check(record, [fire(1), fire(2)], events, as_of=at(7))
    assert said(judged) == [(Kind.DROPPED, at(3), 3)]
    assert "was due when the schedule was changed at 2030-01-01T00:00:05.200000Z" in judged.matters[0].why
    line = HistoryRecord(
        schedule_id="s", outcome=RunOutcome.SKIPPED, at=at(5.2), nominal_at=at(3), until=at(5), count=3, reason="paused"
    )
    assert said(check(record, [fire(1), fire(2)], events, history=[line], as_of=at(7))) == []


def test_an_edit_that_leaves_what_is_due_to_the_new_definition_dropped_nothing() -> None:
    record, events = edited(Interval(timedelta(minutes=1), anchor=START))
    held = record.evolve(next_nominal_at=at(3), next_run_at=at(3))
    held = held.evolve(counted_from=Counters.of(held))
    assert all(kind is not Kind.DROPPED for kind, *_ in said(check(held, [fire(1), fire(2)], events, as_of=at(5.5))))


def test_a_grid_that_was_started_again_without_another_change_is_unproven() -> None:
    """Six deploys of an every("8h") in 42 hours fired nothing, and verify said that all was well."""
    record, events = edited(Interval(timedelta(seconds=1), anchor=at(5.2)))
    found = check(record, [fire(1), fire(2), fire(3), fire(4), fire(5)], events, as_of=at(5.5))
    assert (Kind.UNPROVEN, at(5.2), 0) in said(found)
    assert any("its grid was started again at" in matter.why for matter in found.matters)


def test_what_a_clock_that_was_ahead_decided_about_is_found() -> None:
    record = schedule(decided=50, runs=50).evolve(last_run_at=at(50))
    found = [matter for matter in check(record, as_of=at(5.5)).matters if matter.kind is Kind.AHEAD]
    assert [(matter.nominal_at, matter.until, matter.count) for matter in found] == [(at(6), at(50), 45)]
    assert "naq schedule aim s" in found[0].remedy
    assert Kind.AHEAD not in [kind for kind, *_ in said(check(schedule(decided=5)))]
