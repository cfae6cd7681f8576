"""The rules as tables, what they refuse, and what holds for every course of events: alerts fire and resolve in turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from naq.events import Event, EventType
from naq.exceptions import InvalidInput
from naq.observe.alerts.alert import Alert, AlertKind, AlertRecord
from naq.observe.alerts.board import Board, Key, Watched, WatchedRule
from naq.observe.alerts.rules import FailedTimes, Missed, NotRunSince, Rule, RunningLongerThan, ScheduleGone
from naq.observe.alerts.standing import Standing
from naq.schedules.planning.decision import NonFireReason

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
FUNC = "reports:send"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def event(kind: EventType, seconds: float = 0.0, job_id: str | None = None, **more: Any) -> Event:
    about = {"schedule_id": "nightly", "func": FUNC, "queue": "mail", **more}
    return Event(type=kind, timestamp=at(seconds), job_id=job_id, **about)


def failed(seconds: float, job_id: str | None = None, **more: Any) -> Event:
    return event(EventType.JOB_FAILED, seconds, job_id or f"nightly/{seconds:g}", reason="no", **more)


def completed(seconds: float, **more: Any) -> Event:
    return event(EventType.JOB_COMPLETED, seconds, f"nightly/{seconds:g}", **more)


def started(seconds: float, job_id: str = "job", attempt: int = 1) -> Event:
    return event(EventType.JOB_STARTED, seconds, job_id, attempt=attempt)


def course(rule: Rule, *events: Event, repeat: timedelta | None = None) -> list[str]:
    """What is told of a course of events: kind and second."""
    board = Board("shop", {"alert": WatchedRule(rule, repeat)})
    for each in events:
        board.hear(each)
    return [f"{alert.kind} {(alert.at - START).total_seconds():g}" for alert in board.take().alerts]


DELETED = event(EventType.SCHEDULE_DELETED, 1, actor="ann")
CANCELLED = event(EventType.SCHEDULE_CANCELLED, 2, actor="bob")
CREATED = event(EventType.JOB_SCHEDULED, 3)
GONE = ScheduleGone(schedule="night*")
THREE = FailedTimes(3)
TABLE: dict[str, tuple[Rule, list[Event], list[str]]] = {
    "a schedule is deleted": (GONE, [DELETED], ["fired 1"]),
    "deleted, and created again": (GONE, [DELETED, CREATED], ["fired 1", "resolved 3"]),
    "cancelled, then deleted": (GONE, [CANCELLED, DELETED, CREATED], ["fired 2", "resolved 3"]),
    "another schedule is deleted": (ScheduleGone(schedule="backup"), [DELETED, CANCELLED], []),
    "three in a row": (THREE, [failed(1), failed(2), failed(3)], ["fired 3"]),
    "once, however often it goes on": (THREE, [failed(n) for n in range(9)], ["fired 2"]),
    "a success resets": (THREE, [failed(1), failed(2), completed(3), failed(4), failed(5)], []),
    "a success ends": (THREE, [failed(1), failed(2), failed(3), completed(4)], ["fired 3", "resolved 4"]),
    "a cancelled run does neither": (
        THREE,
        [failed(1), failed(2), event(EventType.JOB_CANCELLED, 3, "x"), failed(4)],
        ["fired 4"],
    ),
    "a retry is no failed run": (THREE, [event(EventType.JOB_RETRY_SCHEDULED, n, f"{n}") for n in range(5)], []),
    "the same run told twice": (THREE, [failed(1, "a"), failed(2, "a"), failed(3, "b")], []),
    "a run whose worker vanished is started again": (FailedTimes(1), [event(EventType.JOB_ABANDONED, 1, "a")], []),
    "within": (FailedTimes(2, within=10), [failed(0), failed(11), failed(21)], ["fired 21"]),
    "within, and then slower": (
        FailedTimes(2, within=10),
        [failed(0), failed(5), failed(100), completed(200)],
        ["fired 5", "resolved 200"],
    ),
    "the schedule is deleted": (
        FailedTimes(1, func=FUNC),
        [failed(1), event(EventType.SCHEDULE_DELETED, 2, func=None, queue=None)],
        ["fired 1", "resolved 2"],
    ),
    "another schedule": (FailedTimes(1, schedule="hourly"), [failed(1)], []),
    "another queue": (FailedTimes(1, queue="m?il", func="billing:*"), [failed(1)], []),
    "all that is asked for": (FailedTimes(1, schedule="n*", queue="m?il", func="reports:*"), [failed(1)], ["fired 1"]),
    "no schedule": (FailedTimes(1), [failed(1, "a", schedule_id=None)], ["fired 1"]),
    "no schedule, and one is asked for": (FailedTimes(1, schedule="*"), [failed(1, "a", schedule_id=None)], []),
    "a miss": (Missed(), [event(EventType.FIRE_MISSED, 1, details={"count": 5})], ["fired 1"]),
    "a miss, and the next run": (
        Missed(),
        [event(EventType.FIRE_MISSED, 1), event(EventType.FIRE_MISSED, 2), started(3)],
        ["fired 1", "resolved 3"],
    ),
    "a skip is no miss": (Missed(), [event(EventType.FIRE_SKIPPED, 1, reason=NonFireReason.OVERLAP)], []),
    "unless that is asked for": (
        Missed(skipped=True),
        [event(EventType.FIRE_SKIPPED, 1, reason=NonFireReason.OVERLAP)],
        ["fired 1"],
    ),
    "a holiday never is": (Missed(skipped=True), [event(EventType.FIRE_SKIPPED, 1, reason=NonFireReason.EXCLUDED)], []),
}


@pytest.mark.parametrize("name", TABLE)
def test_what_is_told(name: str) -> None:
    rule, events, told = TABLE[name]
    assert course(rule, *events) == told


def test_a_long_run() -> None:
    board = Board("shop", {"long": WatchedRule(RunningLongerThan(60), timedelta(seconds=30))})
    key = ("long", "job")
    board.hear(started(0))
    assert board.next_look() == at(60)
    assert board.look(at(59)) == []
    assert board.look(at(70)) == [key]
    board.settle(key, board.standing(key), at(70))
    board.settle(key, board.standing(key), at(80))
    board.settle(key, board.standing(key), at(100))
    board.hear(event(EventType.JOB_RETRY_SCHEDULED, 110, "job", attempt=1))
    board.hear(started(120, attempt=2))
    board.hear(event(EventType.JOB_COMPLETED, 130, "job", attempt=1))
    assert board.next_look() == at(180)
    told = board.take().alerts
    assert [(str(alert.kind), alert.since, alert.at) for alert in told] == [
        ("fired", at(60), at(70)),
        ("repeated", at(60), at(100)),
        ("resolved", at(60), at(110)),
    ]


def test_a_switch() -> None:
    board = Board("shop", {"silence": WatchedRule(NotRunSince("1h"))})
    key = ("silence", "nightly")
    board.hear(completed(5))
    assert board.next_look() is None
    watched = [Watched("nightly", at(0), FUNC, "mail"), Watched("unreadable")]
    board.see_schedules("silence", watched, at(10))
    assert board.look(at(3600)) == [key]
    board.settle(key, board.standing(key), at(3600))
    board.hear(completed(4000))
    assert board.look(at(7599)) == []
    assert board.look(at(7600)) == [key]
    board.settle(key, board.standing(key), at(7600))
    board.see_schedules("silence", [], at(7700))
    assert [str(alert) for alert in board.take().alerts] == [
        "silence fired for nightly: no run has succeeded since 2026-11-24T09:00:00Z, for more than 1h",
        "silence resolved for nightly: job nightly/4000 completed",
        "silence fired for nightly: no run has succeeded since 2026-11-24T10:06:40Z, for more than 1h",
        "silence resolved for nightly: the schedule is no longer active",
    ]


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: FailedTimes(0), "n = 0: must be a whole number from 1 to 1000; for example n = 3"),
        (lambda: FailedTimes(True), "n = True: must be a whole number"),
        (lambda: FailedTimes(2, within=-1), "within = -1: must be more than zero"),
        (lambda: RunningLongerThan(0), "seconds = 0: must be more than zero"),
        (lambda: RunningLongerThan(float("nan")), "seconds = nan: is no duration"),
        (lambda: NotRunSince(-5), "seconds = -5: must be more than zero"),
        (lambda: NotRunSince("soon"), "seconds = 'soon': is no duration"),
        (
            lambda: Missed(schedule=""),
            "schedule = '': must be a pattern of names; for example schedule = 'nightly-\\*'",
        ),
        (lambda: Missed(queue=3), "queue = 3: must be a pattern of names"),  # type: ignore[arg-type]
        (lambda: Missed(func=lambda: None), "func = .*not a lambda"),
    ],
)
def test_what_cannot_be_used_is_refused(make: Any, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint):
        make()


# --- for every course of events

KINDS = (
    EventType.JOB_STARTED,
    EventType.JOB_COMPLETED,
    EventType.JOB_FAILED,
    EventType.JOB_RETRY_SCHEDULED,
    EventType.JOB_CANCELLED,
    EventType.FIRE_MISSED,
    EventType.FIRE_SKIPPED,
    EventType.SCHEDULE_DELETED,
    EventType.SCHEDULE_PAUSED,
)
RULES: dict[str, WatchedRule] = {
    "failed": WatchedRule(FailedTimes(2)),
    "failed-soon": WatchedRule(FailedTimes(2, within=5), timedelta(seconds=3)),
    "missed": WatchedRule(Missed(skipped=True)),
    "long": WatchedRule(RunningLongerThan(4), timedelta(seconds=2)),
    "silence": WatchedRule(NotRunSince(6)),
}
Step = tuple[str, int, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from([*KINDS, "look", "schedules"]),
        st.integers(0, 4),
        st.integers(0, 3),
        st.integers(1, 2),
    ),
    max_size=60,
)


def feed(board: Board, course: Sequence[Step], start: int = 0, clock: float = 0.0) -> float:
    for number, (kind, wait, which, attempt) in enumerate(course, start):
        clock += wait
        schedule_id = f"s{which % 2}"
        if kind == "look":
            for key in board.look(at(clock)):
                board.settle(key, board.standing(key), at(clock))
        elif kind == "schedules":
            board.see_schedules("silence", [Watched(schedule_id, at(0), FUNC, "mail")], at(clock))
        else:
            job_id = f"{schedule_id}/{which if kind == EventType.JOB_STARTED else number % 4}"
            board.hear(event(EventType(kind), clock, job_id, schedule_id=schedule_id, attempt=attempt))
    return clock


@given(steps)
@example([(kind, 0, 0, 1) for kind in (EventType.FIRE_MISSED, EventType.JOB_STARTED) * 4])
def test_alerts_fire_and_resolve_in_turn(course: list[Step]) -> None:
    board = Board("shop", RULES)
    feed(board, course)
    told: defaultdict[Key, list[Alert]] = defaultdict(list)
    for alert in board.take().alerts:
        told[alert.name, alert.subject].append(alert)
    for key, alerts in told.items():
        firing = False
        for alert in alerts:
            assert (alert.kind is AlertKind.FIRED) == (not firing), key
            assert alert.since <= alert.at
            firing = alert.firing
            if alert.kind is AlertKind.REPEATED:
                assert RULES[key[0]].repeat is not None
        record = board.records[key]
        assert record.firing == firing
        assert record.untold == tuple(alerts[-20:])
        assert len({alert.id for alert in alerts}) == len(alerts)


@given(steps, st.data())
def test_a_successor_says_the_rest_of_it(course: list[Step], data: st.DataObject) -> None:
    """Wherever a watcher dies, the next one, with what was stored, tells what the first would have told."""
    whole = Board("shop", RULES)
    feed(whole, course)
    cut = data.draw(st.integers(0, len(course)))
    first = Board("shop", RULES)
    clock = feed(first, course[:cut])
    told = first.take().alerts
    standings: dict[str, list[Standing]] = {name: first.standings(name) for name in RULES}
    records: dict[Key, AlertRecord] = dict(first.records)
    second = Board("shop", RULES, records, standings)
    feed(second, course[cut:], cut, clock)
    mine = [*told, *second.take().alerts]
    wanted = whole.take().alerts

    def by_event(alerts: Sequence[Alert]) -> list[Alert]:
        return [alert for alert in alerts if alert.kind is not AlertKind.REPEATED]

    assert by_event(mine) == by_event(wanted)


def test_a_schedule_that_is_gone_says_who_removed_it() -> None:
    board = Board("shop", {"alert": WatchedRule(GONE)})
    board.hear(DELETED)
    (alert,) = board.take().alerts
    assert (alert.reason, alert.subject) == ("it was deleted by ann", "nightly")
    with pytest.raises(InvalidInput, match="say which schedules must be there"):
        ScheduleGone()
