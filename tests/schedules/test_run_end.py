"""Whether a schedule's record says that a run is to end: the rule with each of its guards, and what holds in any history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st

from naq.jobs.job import JobSpec, JobStatus, QueuedJob
from naq.schedules.planning.manual import trigger_now
from naq.schedules.planning.plan import Fire, Plan, plan
from naq.schedules.policy import Coalesce, Overlap, Policy
from naq.schedules.record import Schedule
from naq.schedules.run_end import Superseded, run_ended, superseded
from naq.schedules.transitions import cancelled, new_schedule, paused, resumed, updated
from naq.store.codec import encode
from naq.store.keys import job_id
from naq.store.port import Entry
from naq.timing.triggers import Interval
from naq.worker.superseded import why_superseded
from tests.timing.strategies import quickly

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
JOB = JobSpec(func="reports:send")
MINUTE = timedelta(minutes=1)
PLANNED_FROM = 10
"""The revision that the first run was planned from; the record that lists it is the next one."""


def at(minute: float) -> datetime:
    return T + minute * MINUTE


def made(overlap: Overlap) -> Schedule:
    return new_schedule("s", JOB, Interval(MINUTE), Policy(overlap=overlap), T)


def queued(schedule: Schedule, fire: Fire, identity: str, revision: int) -> QueuedJob:
    """The job of a fire that was planned from the schedule's record at a revision."""
    return QueuedJob(
        job_id=identity,
        spec=JOB,
        enqueued_at=at(1),
        schedule_id="s",
        tracked=fire.tracked,
        planned_from=revision if fire.tracked else 0,
        schedule_created_at=schedule.created_at if fire.tracked else None,
    )


def first_run(overlap: Overlap) -> tuple[Schedule, QueuedJob]:
    """The record with the first run open, and that run."""
    before = made(overlap)
    planned = plan(before, at(1))
    return planned.schedule, queued(before, planned.fires[0], job_id("s", at(1)), PLANNED_FROM)


@pytest.mark.parametrize(
    ("overlap", "while_alone", "when_the_next_is_due"),
    [
        (Overlap.ALLOW_ALL, None, None),
        (Overlap.SKIP, None, None),
        (Overlap.BUFFER_ONE, None, None),
        (Overlap.BUFFER_ALL, None, None),
        (Overlap.CANCEL_OTHER, None, Superseded.ASKED_TO_STOP),
        (Overlap.TERMINATE_OTHER, None, Superseded.GIVEN_UP),
    ],
)
def test_each_policy_says_what_becomes_of_the_open_run(
    overlap: Overlap, while_alone: Superseded | None, when_the_next_is_due: Superseded | None
) -> None:
    schedule, run = first_run(overlap)
    assert superseded(schedule, PLANNED_FROM + 1, run) is while_alone
    assert superseded(plan(schedule, at(2)).schedule, PLANNED_FROM + 2, run) is when_the_next_is_due


def test_the_newer_run_goes_on() -> None:
    schedule, _ = first_run(Overlap.TERMINATE_OTHER)
    planned = plan(schedule, at(2))
    newer = queued(schedule, planned.fires[0], job_id("s", at(2)), PLANNED_FROM + 1)
    assert superseded(planned.schedule, PLANNED_FROM + 2, newer) is None


def test_a_run_that_is_given_up_by_hand_is_superseded_whatever_the_policy() -> None:
    schedule, run = first_run(Overlap.SKIP)
    forced = trigger_now(schedule, at(1.5), "s/manual-1", Overlap.TERMINATE_OTHER)
    by_hand = queued(schedule, forced.fires[0], "s/manual-1", PLANNED_FROM + 1)
    assert superseded(forced.schedule, PLANNED_FROM + 2, run) is Superseded.GIVEN_UP
    assert superseded(forced.schedule, PLANNED_FROM + 2, by_hand) is None


@dataclass(frozen=True)
class Case:
    """A run that a newer one has taken the place of, but for one thing."""

    name: str
    said: Superseded | None
    changes: dict[str, object]
    """What is different about the run."""
    revision: int = PLANNED_FROM + 2
    """Of the record that is read."""
    record: dict[str, object] | None = None
    """What is different about the record."""


CASES = [
    Case("nothing is different", Superseded.GIVEN_UP, {}),
    Case("it is a later attempt", Superseded.GIVEN_UP, {"attempt": 3, "enqueued_at": at(5)}),
    Case("an instance that says no revision fired it", Superseded.GIVEN_UP, {"planned_from": 0}),
    Case("an instance that says no life fired it", Superseded.GIVEN_UP, {"schedule_created_at": None}),
    Case("the policy was changed since", Superseded.GIVEN_UP, {}, record={"policy": Policy(overlap=Overlap.SKIP)}),
    Case("it is not tracked", None, {"tracked": False}),
    Case("it is no schedule's run", None, {"tracked": False, "schedule_id": None}),
    Case("the record is older than its fire", None, {}, revision=PLANNED_FROM - 3),
    Case("the record is the one that it was planned from", None, {}, revision=PLANNED_FROM),
    Case("the schedule was deleted and created again", None, {}, record={"created_at": at(1.5)}),
    Case("the schedule was created again by a clock that is behind", None, {}, record={"created_at": at(-3)}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_what_the_record_says_for_certain_ends_a_run(case: Case) -> None:
    schedule, run = first_run(Overlap.TERMINATE_OTHER)
    record = plan(schedule, at(2)).schedule.evolve(**(case.record or {}))
    run = run.evolve(**case.changes)
    assert superseded(record, case.revision, run) is case.said
    entry = Entry("schedule.s", encode(record), case.revision)
    assert why_superseded(entry, run) is case.said, "and so it is when the record was stored"


@pytest.mark.parametrize(
    "entry",
    [
        None,
        Entry("schedule.s", None, PLANNED_FROM + 2),
        Entry("schedule.s", b"rubbish", PLANNED_FROM + 2),
        Entry("schedule.s", b'{"v": 2}', PLANNED_FROM + 2),
    ],
    ids=["no record", "deleted", "no JSON", "of a newer version"],
)
def test_without_a_record_that_can_be_read_nothing_is_said(entry: Entry | None) -> None:
    _, run = first_run(Overlap.TERMINATE_OTHER)
    assert why_superseded(entry, run) is None


MOVES = st.one_of(
    st.sampled_from(["plan", "plan", "plan", "end", "end", "by hand", "by hand, alone", "pause", "resume", "cancel"]),
    st.builds(Policy, overlap=st.sampled_from(list(Overlap)), coalesce=st.sampled_from(list(Coalesce))),
)


def check_the_record_says_of_each_run_what_the_plans_said(
    overlap: Overlap, moves: list[tuple[str | Policy, float, int]]
) -> None:
    """Whoever looks at the record, and however late, learns what the leader wanted to tell: no more, and no less."""
    schedule, revision, now = made(overlap), PLANNED_FROM, T
    running: dict[str, QueuedJob] = {}
    told: set[str] = set()
    for number, (move, minutes, choice) in enumerate(moves):
        now += minutes * MINUTE
        before, planned = schedule, Plan(schedule)
        match move:
            case Policy():
                schedule = updated(schedule, now, policy=move) or schedule
            case "plan":
                planned = plan(schedule, now)
            case "by hand" | "by hand, alone":
                wanted = Overlap.ALLOW_ALL if move == "by hand" else Overlap.TERMINATE_OTHER
                planned = trigger_now(schedule, now, f"s/manual-{number}", wanted)
            case "end" if running:
                ended = list(running)[choice % len(running)]
                del running[ended]
                schedule = run_ended(schedule, ended, JobStatus.COMPLETED, now) or schedule
            case "pause":
                schedule = paused(schedule, now, None, None) or schedule
            case "resume":
                schedule = resumed(schedule, now) or schedule
            case "cancel":
                schedule = cancelled(schedule, now) if choice == 0 else schedule
        schedule = planned.schedule if planned.schedule is not before else schedule
        told |= {*planned.cancel_jobs, *planned.terminate_jobs}
        for fire in planned.fires:
            identity = f"s/manual-{number}" if str(move).startswith("by hand") else job_id("s", fire.nominal_at)
            running[identity] = queued(before, fire, identity, revision)
            assert superseded(before, revision, running[identity]) is None, "it is not listed yet"
        revision += 1
        for identity, run in running.items():
            said = superseded(schedule, revision, run)
            assert (said is not None) == (run.tracked and identity in told)


test_the_record_says_of_each_run_what_the_plans_said = quickly(
    st.sampled_from(list(Overlap)),
    st.lists(st.tuples(MOVES, st.floats(0, 5), st.integers(0, 5)), max_size=25),
)(check_the_record_says_of_each_run_what_the_plans_said)
