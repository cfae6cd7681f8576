"""The checker: each fault is found, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from naq.jobs.job import JobSpec, QueuedJob
from naq.schedules.policy import Coalesce, Policy
from naq.schedules.record import Schedule
from naq.schedules.transitions import cancelled, new_schedule, paused, resumed, updated
from naq.store.codec import encode
from naq.store.keys import backfill_job_id, job_id, job_key
from naq.timing.exclusions import ExcludedTime
from naq.timing.triggers import FixedDelay, Interval, Once
from tests.oracle.eras import Era, Excuse, RecordWritten, read_records
from tests.oracle.written import EpochWritten, Fault, Lateness, Report, StoredJob, verify

START = datetime(2030, 1, 1, tzinfo=UTC)
SPEC = JobSpec(func="reports:send")
EVERY_SECOND = Interval(timedelta(seconds=1), anchor=START)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def era(**changes: Any) -> Era:
    """A schedule that fires every second from second 1 on."""
    return Era(
        **{"schedule_id": "s", "trigger": EVERY_SECOND, "policy": Policy(), "first_at": at(1), "began": 1, **changes}
    )


def fires(seconds: Iterable[float], sequence: int = 10, name: str = "s", **more: Any) -> list[StoredJob]:
    """The jobs of some nominal times, each stored half a second late."""
    return [
        StoredJob(
            job_key("default", job_id(name, at(second))),
            job_id(name, at(second)),
            sequence + number,
            name,
            at(second),
            at(second + 0.5),
            **more,
        )
        for number, second in enumerate(seconds)
    ]


def check(eras: Sequence[Era], jobs: Sequence[StoredJob], until: float = 5, **more: Any) -> Report:
    return verify(eras, jobs, as_of=at(until), patience=timedelta(0), **more)


def found(report: Report) -> list[tuple[Fault, datetime | None]]:
    return [(finding.fault, finding.nominal_at) for finding in report.findings]


def test_what_should_be_is_clean() -> None:
    report = check([era()], fires([1, 2, 3, 4, 5]))
    assert report.clean
    assert (report.schedules, report.targets, report.fired, report.excused) == (1, 5, 5, 0)
    assert report.lateness == Lateness(0.5, 0.5, 0.5)


def test_a_target_without_a_job_is_lost() -> None:
    assert found(check([era()], fires([1, 2, 4, 5]))) == [(Fault.LOST, at(3))]


def test_a_target_has_as_long_as_patience_says() -> None:
    late = verify([era()], fires([1, 2, 3]), as_of=at(5.5), patience=timedelta(seconds=2))
    assert late.clean
    assert late.targets == 3


def test_a_target_that_its_jitter_delays_is_not_lost_yet() -> None:
    jittered = era(policy=Policy(jitter=timedelta(seconds=0.9)))
    assert check([jittered], fires([1, 2, 3, 4]), until=5).clean


def test_the_same_fire_twice_is_a_duplicate() -> None:
    report = check([era()], [*fires([1, 2, 3, 4, 5]), *fires([3], sequence=30)])
    assert found(report) == [(Fault.DUPLICATE, at(3))]
    assert report.findings[0].sequence == 30


def test_a_manual_job_twice_is_a_duplicate_and_otherwise_nothing() -> None:
    manual = StoredJob("job.default.s/manual-1", "s/manual-1", 20, "s")
    again = StoredJob("job.default.s/manual-1", "s/manual-1", 21, "s")
    assert check([era()], [*fires([1, 2, 3, 4, 5]), manual]).clean
    assert found(check([era()], [*fires([1, 2, 3, 4, 5]), manual, again])) == [(Fault.DUPLICATE, None)]


def test_backfills_retries_and_jobs_without_a_schedule_are_none_of_the_targets() -> None:
    identity = backfill_job_id("s", "b", at(-100))
    backfilled = StoredJob(job_key("default", identity), identity, 30, "s", at(-100))
    alone = StoredJob("job.default.alone", "alone", 31)
    report = check([era()], [*fires([1, 2, 3, 4, 5]), backfilled, *fires([2], 32, attempt=2), alone])
    assert report.clean
    assert report.fired == 5


@pytest.mark.parametrize(
    ("nominal", "why"),
    [(2.5, "none of the schedule's nominal times"), (0, "before the first nominal time")],
)
def test_a_fire_of_no_nominal_time_is_untargeted(nominal: float, why: str) -> None:
    report = check([era()], fires([1, 2, 3, 4, 5, nominal]))
    assert found(report) == [(Fault.UNTARGETED, at(nominal))]
    assert why in report.findings[0].reason


def test_an_excluded_instant_is_no_target() -> None:
    excluding = era(policy=Policy(exclude=(ExcludedTime(at(3), at(4)),)))
    assert check([excluding], fires([1, 2, 4, 5])).clean
    assert found(check([excluding], fires([1, 2, 3, 4, 5]))) == [(Fault.UNTARGETED, at(3))]


def test_a_fire_of_a_schedule_that_is_not_known_is_untargeted() -> None:
    assert found(check([], fires([1]))) == [(Fault.UNTARGETED, at(1))]
    assert found(check([era(began=50)], fires([1]), until=0)) == [(Fault.UNTARGETED, at(1))]


def test_what_counts_after_a_pause_is_the_order_in_the_stream() -> None:
    active = era(ended=12, ended_at=at(2.9), until=at(3))
    pause = era(began=12, fires=False, first_at=at(3), born=0)
    assert check([active, pause], fires([1, 2])).clean
    assert found(check([active, pause], fires([1, 2, 3]))) == [(Fault.UNTARGETED, at(3))]
    assert found(check([active, pause], fires([1]))) == [(Fault.LOST, at(2))]


def test_max_runs_ends_the_targets_and_more_are_untargeted() -> None:
    limited = era(policy=Policy(max_runs=2))
    assert check([limited], fires([1, 2])).clean
    assert found(check([limited], fires([1, 2, 3]))) == [(Fault.UNTARGETED, at(3))]
    assert found(check([limited], fires([1, 3]))) == [(Fault.LOST, at(2))]


def test_the_window_of_the_policy_ends_the_targets() -> None:
    assert check([era(policy=Policy(end_at=at(2)))], fires([1, 2])).clean


def test_a_once_has_one_target() -> None:
    once = era(trigger=Once(at(2)), first_at=at(2))
    assert check([once], fires([2])).clean
    assert found(check([once], [])) == [(Fault.LOST, at(2))]


def test_targets_that_depend_on_runs_are_not_computed() -> None:
    delayed = era(trigger=FixedDelay(timedelta(seconds=1)), first_at=at(1))
    assert check([delayed], fires([1, 2.3])).clean
    assert found(check([delayed], [*fires([1]), *fires([1], 30)])) == [(Fault.DUPLICATE, at(1))]


def test_what_is_recorded_as_missed_is_excused_as_often_as_it_is_counted() -> None:
    excuse = Excuse("s", at(2), at(4), 2)
    report = check([era()], fires([1, 4, 5]), excuses=[excuse])
    assert report.clean
    assert report.excused == 2
    assert found(check([era()], fires([1, 5]), excuses=[excuse])) == [(Fault.LOST, at(4))]
    assert found(check([era()], fires([1, 4, 5]), excuses=[Excuse("t", at(2), at(4), 2)])) != []


def test_since_leaves_out_what_was_before() -> None:
    report = check([era()], fires([1, 4, 5]), since=at(4))
    assert report.clean
    assert report.targets == 2


def test_a_job_of_an_epoch_that_had_ended_is_stale() -> None:
    epochs = [EpochWritten(lane, 2 + lane) for lane in range(3)] + [EpochWritten(lane, 12 + lane) for lane in range(3)]
    jobs = [*fires([1, 2], 5, epoch=2), *fires([3], 20, epoch=12), *fires([4], 21, epoch=3), *fires([5], 22, epoch=13)]
    report = check([era()], jobs, epochs=epochs)
    assert found(report) == [(Fault.STALE, at(4))]
    assert "epoch 3 had ended with epoch 13" in report.findings[0].reason
    unknown = check([era()], fires([1, 2, 3, 4, 5], 20, epoch=99), epochs=epochs)
    assert {fault for fault, _ in found(unknown)} == {Fault.STALE}


def test_a_stored_job_is_read_from_its_record() -> None:
    job = QueuedJob(job_id=job_id("s", at(1)), spec=SPEC, enqueued_at=at(1), schedule_id="s", nominal_at=at(1), epoch=7)
    read = StoredJob.read(job_key("default", job.job_id), encode(job), 12, at(1.5))
    assert read == fires([1], 12, epoch=7)[0]
    assert read.is_scheduled


def test_the_report_is_a_table_for_people() -> None:
    text = check([era()], fires([1, 2]), until=30).table(most=3)
    assert "targets 30  fired 2" in text
    assert "LF 28  DF 0  XF 0  SW 0" in text
    assert "LF s 2030-01-01T00:00:03+00:00: no job was enqueued" in text
    assert "... and 25 more" in text


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert Lateness.of([]) is None
    assert Lateness.of(range(1, 101)) == Lateness(50, 100, 100)
    assert Lateness.of([3.0]) == Lateness(3.0, 3.0, 3.0)


# --- eras, read from records


def written(*records: tuple[int, float, Schedule | None]) -> list[RecordWritten]:
    return [RecordWritten("s", sequence, at(second), record) for sequence, second, record in records]


def made(change_id: str = "made") -> Schedule:
    return new_schedule("s", SPEC, EVERY_SECOND, Policy(coalesce=Coalesce.ALL), at(0.5)).evolve(change_id=change_id)


def fired_once(schedule: Schedule) -> Schedule:
    nominal = schedule.next_nominal_at
    assert nominal is not None
    following = nominal + timedelta(seconds=1)
    return schedule.evolve(
        next_nominal_at=following, next_run_at=following, last_nominal_at=nominal, runs=schedule.runs + 1
    )


def test_a_leader_begins_no_era_and_people_do() -> None:
    first = made()
    second = fired_once(first)
    third = paused(second, at(1.6), None, None)
    assert third is not None
    third = third.evolve(change_id="paused")
    fourth = resumed(third, at(4.5))
    assert fourth is not None
    fourth = fourth.evolve(change_id="resumed")
    eras, excuses = read_records(
        written((5, 0.5, first), (6, 1, second), (8, 1.6, third), (9, 4.5, fourth), (12, 6, cancelled(fourth, at(6))))
    )
    assert not excuses
    assert [(era.began, era.ended, era.fires) for era in eras] == [(5, 8, True), (8, 9, False), (9, None, True)]
    assert [(era.first_at, era.until) for era in eras] == [(at(1), at(2)), (at(2), at(2)), (at(5), None)]
    assert {era.born for era in eras} == {5}


def test_a_cancellation_ends_what_fires() -> None:
    first = made()
    last = cancelled(first, at(3)).evolve(change_id="cancelled")
    eras, _ = read_records(written((5, 0.5, first), (9, 3, last)))
    assert [era.fires for era in eras] == [True, False]
    assert found(check(eras, fires([1, 2, 3], 10))) == [(Fault.UNTARGETED, at(n)) for n in (1, 2, 3)]


def test_an_id_may_live_twice() -> None:
    eras, _ = read_records(written((5, 0.5, made()), (9, 3, None), (11, 4, made("again"))))
    assert [(era.began, era.ended, era.born) for era in eras] == [(5, 9, 5), (11, None, 11)]


def test_another_trigger_has_other_targets() -> None:
    first = made()
    changed = updated(first, at(2.2), trigger=Interval(timedelta(seconds=10), anchor=START))
    assert changed is not None
    eras, _ = read_records(written((5, 0.5, first), (9, 2.2, changed.evolve(change_id="changed"))))
    assert list(eras[1].targets(at(30))) == [at(10), at(20), at(30)]
    assert list(eras[1].targets(at(30), since=at(11))) == [at(20), at(30)]


def test_what_a_record_counts_as_missed_is_an_excuse() -> None:
    first = made()
    jumped = fired_once(first.evolve(next_nominal_at=at(4))).evolve(missed=3)
    _, excuses = read_records(written((5, 0.5, first), (6, 5, jumped)))
    assert [(excuse.first_at, excuse.count) for excuse in excuses] == [(at(1), 3)]
    assert at(4) <= excuses[0].last_at < at(5)
    ended = first.evolve(next_nominal_at=None, missed=4, completed_at=at(40))
    _, excuses = read_records(written((5, 0.5, first), (6, 5, ended)))
    assert excuses[0].last_at == at(40)
