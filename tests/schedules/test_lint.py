"""What the lint finds, and what it leaves alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from naq.jobs.job import JobSpec
from naq.schedules.lint import Finding, FindingKind, lint
from naq.schedules.planning.plan import plan
from naq.schedules.policy import Policy
from naq.schedules.record import Schedule, ScheduleStatus
from naq.schedules.transitions import cancelled, new_schedule, paused
from naq.timing.exclusions import ExcludedCron
from naq.timing.triggers import Cron, DstGap, FixedDelay, Interval, Once, Trigger

T = datetime(2026, 11, 24, 11, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def made(trigger: Trigger, policy: Policy | None = None, name: str = "s") -> Schedule:
    return new_schedule(name, JobSpec(func="m:f"), trigger, policy or Policy(), T)


def kinds(findings: tuple[Finding, ...]) -> list[str]:
    return [str(finding.kind) for finding in findings]


@pytest.mark.parametrize(
    "schedule",
    [
        made(Interval(HOUR)),
        made(Cron("0 9 * * *", "Europe/Berlin")),
        made(Cron("30 2 * * *", "Asia/Tokyo")),
        made(Once(T + HOUR)),
        plan(made(FixedDelay(HOUR)), T + HOUR).schedule,
        plan(made(Once(T + HOUR)), T + HOUR).schedule,
        cancelled(made(Interval(HOUR)), T),
    ],
    ids=lambda schedule: str(schedule.trigger),
)
def test_nothing_is_wrong(schedule: Schedule) -> None:
    assert lint([schedule], T, {"s": timedelta(seconds=30)}) == ()


def test_it_never_fires() -> None:
    everything = Policy(exclude=(ExcludedCron("*/2 * * * *"),))
    assert made(Interval(2 * MINUTE, T), everything).status is ScheduleStatus.COMPLETED
    all_excluded = made(Interval(2 * MINUTE, T)).evolve(policy=everything)
    over = paused(made(Interval(HOUR), Policy(end_at=T + HOUR)), T, None, None)
    assert over is not None
    assert kinds(lint([all_excluded], T)) == ["never_fires"]
    assert kinds(lint([over], T + 2 * HOUR)) == ["never_fires"]


def test_a_zone_that_is_not_known_here() -> None:
    broken = made(Interval(HOUR)).evolve(trigger=Cron("0 9 * * *", "Mars/Base"))
    (finding,) = lint([broken], T)
    assert finding.kind is FindingKind.UNUSABLE
    assert "Mars/Base" in finding.message


@pytest.mark.parametrize(
    ("gap", "says"), [(DstGap.SHIFT, "right after the gap"), (DstGap.SKIP, "does not fire that day")]
)
def test_a_dst_gap_within_a_year(gap: DstGap, says: str) -> None:
    (finding,) = lint([made(Cron("30 2 * * *", "Europe/Berlin", dst_gap=gap))], T)
    assert finding.kind is FindingKind.DST_GAP
    assert finding.at == datetime(2027, 3, 28, 1, tzinfo=UTC)
    assert says in finding.message


def test_it_fires_sooner_than_its_runs_end() -> None:
    schedule = made(Cron("0,5 * * * *"))
    assert kinds(lint([schedule], T, {"s": 10 * MINUTE})) == ["too_often"]
    assert lint([schedule], T, {"s": 4 * MINUTE}) == ()
    assert lint([schedule], T, {"other": 10 * MINUTE}) == ()


def test_a_herd_on_the_same_second() -> None:
    herd = [made(Cron("0 * * * *"), name=f"s{number}") for number in range(60)]
    (finding,) = lint(herd, T)
    assert finding.kind is FindingKind.HERD
    assert len(finding.schedule_ids) == 60
    assert "give them jitter" in str(finding)
    assert lint(herd[:49], T) == ()
    assert kinds(lint(herd[:5], T, herd=5)) == ["herd"]


def test_jitter_disperses_a_herd() -> None:
    policy = Policy(jitter=30 * MINUTE)
    assert lint([made(Cron("0 * * * *"), policy, name=f"s{number}") for number in range(60)], T) == ()


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("*/90 * * * *", "*/90 in the field minute starts again with each hour: it fires at minute 0"),
        ("*/45 * * * *", "it fires at minute 0, 45"),
        ("0 */5 * * *", "*/5 in the field hour starts again with each day: it fires at hour 0, 5, 10, 15, 20"),
    ],
)
def test_a_step_that_does_not_divide_its_field(expression: str, says: str) -> None:
    (finding,) = lint([made(Cron(expression))], T)
    assert finding.kind is FindingKind.UNEVEN_STEP
    assert says in finding.message
    assert lint([made(Cron("*/15 */6 * * *"))], T) == ()


def test_a_start_deadline_that_is_shorter_than_the_jitter() -> None:
    policy = Policy(jitter=10 * MINUTE, start_deadline=MINUTE)
    (finding,) = lint([made(Interval(HOUR), policy)], T)
    assert finding.kind is FindingKind.DEADLINE
    assert finding.message == "start_deadline (1m) is shorter than jitter (10m)"
    assert lint([made(Interval(HOUR), Policy(jitter=MINUTE, start_deadline=10 * MINUTE))], T) == ()
