"""Lives of schedules, drawn from a seed and lived by a real scheduler on manual time; and what is left of them.

``python -m tests.observe.verify.lives --count 5000`` lives many, and prints the seed of each that is judged wrongly.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec

from naq.events import Event, EventType
from naq.exceptions import InvalidInput, ScheduleExists
from naq.jobs.history import HistoryRecord
from naq.jobs.job import Job, QueuedJob
from naq.observe.verify.case import Case, Question
from naq.observe.verify.definition import Definition, definitions
from naq.observe.verify.evidence import Evidence, Gathered
from naq.observe.verify.judging import judge
from naq.observe.verify.verdict import Judged, Kind
from naq.schedules.counters import ERA_ENDED, Counters
from naq.schedules.forms.specification import parse_schedule
from naq.schedules.record import Schedule
from naq.store.codec import decode
from naq.store.keys import job_id, job_key, schedule_key
from naq.testing.scheduler import ManualScheduler

__all__ = ["PLAIN", "Life", "live", "wrongs"]

PLAIN: Mapping[str, Any] = {"catch_up": None, "coalesce": "all"}
"""With this policy every nominal time fires, and no counter counts more than that."""
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ALARMS = (Kind.LOST, Kind.DUPLICATE, Kind.UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Life:
    """What there is after a life."""

    seed: int
    records: tuple[Schedule, ...]
    events: tuple[Event, ...]
    jobs: tuple[QueuedJob, ...]
    history: tuple[HistoryRecord, ...]
    began: datetime
    ended: datetime

    def evidence(self, record: Schedule) -> Evidence:
        """What is left of one of its schedules."""
        gathered = Gathered([record.schedule_id], self.began - DAY)
        for event in self.events:
            gathered.event(event)
        for job in self.jobs:
            gathered.job(job_key(job.spec.queue, job.job_id, job.attempt), job)
        for line in self.history:
            gathered.history(line)
        return gathered.of[record.schedule_id]

    def judged(self, record: Schedule) -> Judged:
        """The judgement on one of its schedules."""
        since = self.began - DAY
        question = Question(since, self.ended, 2 * SECOND, since, since, 10**6, None)
        return judge(Case(record, self.evidence(record), record), question)

    def fires(self, record: Schedule) -> list[tuple[Definition, QueuedJob]]:
        """The fires of its present life, each with the definition that it falls under, but for those that its record
        names."""
        changes = self.evidence(record).changes
        ruling = list(definitions(record, changes, self.began - DAY, self.ended))
        known = {record.last_nominal_at, *(run.nominal_at for run in record.open_runs)}
        told = {self.events[place].job_id for place in self._places(record)}
        times = Counter(event.job_id for event in self.events if event.type == EventType.SCHEDULED_JOB_TRIGGERED)
        return [
            (definition, job)
            for job in self.jobs
            if job.nominal_at is not None
            and job.attempt == 1
            and job.job_id in told
            and times[job.job_id] == 1  # not in an earlier life of the id, too, because the clock was set back
            and job.job_id == job_id(record.schedule_id, job.nominal_at)
            and job.nominal_at not in known
            and job.enqueued_at >= record.created_at
            for definition in ruling
            if definition.rules(job.nominal_at)
        ]

    def _places(self, record: Schedule) -> list[int]:
        """Where the events of the fires of its present life are."""
        found: list[int] = []
        for place, event in enumerate(self.events):
            if event.schedule_id == record.schedule_id and event.type == EventType.SCHEDULE_DELETED:
                found.clear()
            elif event.schedule_id == record.schedule_id and event.type == EventType.SCHEDULED_JOB_TRIGGERED:
                found.append(place)
        return found

    def uncounted(self, record: Schedule, fire: QueuedJob) -> tuple[Life, Schedule]:
        """As if one fire had never been counted, neither in the record nor where its changes note the counters."""
        fired_at = next(place for place in self._places(record) if self.events[place].job_id == fire.job_id)
        later = {
            str(event.details[ERA_ENDED]["followed_by"])
            for event in self.events[fired_at:]
            if event.schedule_id == record.schedule_id and ERA_ENDED in event.details
        }
        events = [
            fewer_in(event, later) if event.schedule_id == record.schedule_id and ERA_ENDED in event.details else event
            for event in self.events
        ]
        counted = record.counted_from
        if counted is not None and record.change_id in later:
            counted = Counters(counted.first_at, counted.runs - 1, counted.decided - 1)
        return replace(self, events=tuple(events)), record.evolve(runs=record.runs - 1, counted_from=counted)

    def without(self, fire: QueuedJob) -> Life:
        """The same with no trace of one fire."""
        return replace(
            self,
            events=tuple(event for event in self.events if event.job_id != fire.job_id),
            jobs=tuple(job for job in self.jobs if job.job_id != fire.job_id),
            history=tuple(line for line in self.history if line.job_id != fire.job_id),
        )

    def with_more(self, *jobs: QueuedJob) -> Life:
        """The same with further jobs."""
        return replace(self, jobs=(*self.jobs, *jobs))


def live(seed: int) -> Life:
    """The life of a seed: a few schedules, changes at any moment and at the very instants of fires, workers or none."""
    random = Random(seed)
    with ManualScheduler() as world:
        world.stub("reports:send", lambda: None)
        world.stub("reports:fail", lambda: 1 / 0)
        began = world.now
        names = [f"s{number}" for number in range(random.randint(1, 3))]
        for name in names:
            _create(world, random, name)
        for _ in range(random.randint(2, 14)):
            _pass(world, random)
            if random.random() < 0.5:
                _change(world, random, random.choice(names))
            if random.random() < 0.6:
                world.run_jobs()
        world.settle()
        entries = [world.store.peek(schedule_key(name)) for name in names]
        records = [decode(Schedule, each.key, each.value) for each in entries if each is not None and each.value]
        done = tuple(records), tuple(world.events), tuple(world.fired), tuple(world.history)
        return Life(seed, *done, began, world.now)


def _pass(world: ManualScheduler, random: Random) -> None:
    """Time passes, the clock jumps, or it is stopped right at a fire."""
    match random.randrange(8):
        case 0:
            world.advance(0)
        case 1:
            world.advance(random.uniform(0, 40))
        case 2:
            world.clock.step_wall(random.choice((-3600, -5, 5, 60, 200)))
            world.settle()
        case 3 | 4:
            world.advance(random.choice((0.5, 1, 2, 5, 10)))
        case _:
            whole = world.now.replace(microsecond=0) + random.randint(1, 9) * SECOND
            world.advance(whole - world.now)


def _form(random: Random, now: datetime) -> dict[str, Any]:
    trigger = random.choice(
        (
            {"type": "interval", "interval": random.choice((1, 2, 5, 7))},
            {"type": "interval", "interval": random.choice((1, 5)), "anchor": "epoch"},
            {"type": "cron", "cron": random.choice(("* * * * * *", "*/5 * * * * *", "1,2,31 * * * * *", "* * * * *"))},
            {"type": "once", "run_at": (now + random.randint(-20, 40) * SECOND).timestamp()},
            {"type": "fixed_delay", "delay": 3},
        )
    )
    form = {**trigger, **(PLAIN if random.random() < 0.5 else _policy(random, now))}
    try:
        parse_schedule(form, now)
    except InvalidInput:
        return _form(random, now)  # it makes no sense, such as an end before the only time
    return form


def _policy(random: Random, now: datetime) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "catch_up": random.choice((0, 10, None)),
        "coalesce": random.choice(("latest", "earliest", "all")),
        "overlap": random.choice(("allow_all", "skip", "buffer_one", "buffer_all", "cancel_other", "terminate_other")),
    }
    if random.random() < 0.3:
        policy["max_runs"] = random.choice((1, 3, 20))
    if random.random() < 0.3:
        policy["jitter"] = random.choice((0.4, 3))
    if random.random() < 0.2:
        policy["start_deadline"] = 5
    if random.random() < 0.2:
        policy["exclude"] = [random.choice(("*/2 * * * *", "1-59/3 * * * *"))]
    if random.random() < 0.2:
        policy["end_at"] = (now + random.randint(5, 200) * SECOND).timestamp()
    return policy


def _create(world: ManualScheduler, random: Random, name: str, **more: Any) -> None:
    job = Job(func=random.choice(("reports:send", "reports:fail")), retries=random.choice((0, 1)))
    world.schedule(job, _form(random, world.now), schedule_id=name, **more)


def _change(world: ManualScheduler, random: Random, name: str) -> None:
    try:
        match random.randrange(10):
            case 0 | 1:
                world.pause(name)
            case 2 | 3:
                world.resume(name, catch_up=random.random() < 0.3)
            case 4:
                world.update(name, schedule=_form(random, world.now))
            case 5:
                _create(world, random, name, if_exists="replace")
            case 6:
                world.call(world.service.skip_next(name, random.randint(0, 3)))
            case 7:
                world.trigger(name)
            case 8:
                if world.delete(name) and random.random() < 0.8:
                    _create(world, random, name)
            case _:
                if random.random() < 0.3:
                    world.call(world.service.cancel_scheduled_job(name))
                else:
                    span = random.randint(1, 30) * SECOND
                    world.call(world.service.backfill_schedule(name, world.now - span, world.now - SECOND))
    except (InvalidInput, ScheduleExists):
        world.advance(0.25)  # nothing to backfill, or an id that is taken for ever


def fewer_in(event: Event, later: set[str]) -> Event:
    """A change's event with one fire less, where the counters were noted ``later`` than that fire."""
    era = dict(event.details[ERA_ENDED])
    if era["followed_by"] in later:
        era["ended"] = _one_less(era["ended"])
    if "began" in era and era["change_id"] in later:
        era["began"] = _one_less(era["began"])
    return msgspec.structs.replace(event, details={**event.details, ERA_ENDED: era})


def _one_less(counters: Mapping[str, Any]) -> dict[str, Any]:
    return {**counters, "runs": counters.get("runs", 0) - 1, "decided": counters.get("decided", 0) - 1}


def wrongs(seed: int) -> list[str]:
    """What is wrong with the judgements on the life of a seed, and on that life with one fire taken away, or doubled."""
    life, random = live(seed), Random(seed)
    found: list[str] = []
    for record in life.records:
        honest = life.judged(record)
        found += [f"an honest life: {matter}" for matter in honest.matters if matter.kind in ALARMS]
        fires = life.fires(record)
        if fires:
            definition, fire = random.choice(fires)
            found += _taken(life, record, definition, fire)
            found += _doubled(life, record, definition, fire)
    return found


def _taken(life: Life, record: Schedule, definition: Definition, fire: QueuedJob) -> list[str]:
    """A fire that left no trace is unproven; one that the counters lack as well is lost."""
    found = []
    trimmed = life.without(fire).judged(record)
    if _alarms(trimmed):
        found.append(f"traces of {fire.job_id} were trimmed: {_alarms(trimmed)}")
    poorer, shorter = life.uncounted(record, fire)
    never = poorer.without(fire).judged(shorter)
    alarms = _alarms(never)
    if is_plain(definition) and alarms != [(Kind.LOST, fire.nominal_at, 1)]:
        found.append(f"{fire.job_id} never was: {alarms}, of {never.matters}")
    if sum(count for _, _, count in alarms) > 1 or any(kind is not Kind.LOST for kind, _, _ in alarms):
        found.append(f"{fire.job_id} never was, and more is said: {alarms}")
    return found


def _doubled(life: Life, record: Schedule, definition: Definition, fire: QueuedJob) -> list[str]:
    """A second job counts under the present definition; of one before it, what two events tell."""
    again = fire.enqueued_at + SECOND
    told = Event(
        type=EventType.SCHEDULED_JOB_TRIGGERED,
        timestamp=again,
        schedule_id=record.schedule_id,
        job_id=fire.job_id,
        nominal_at=fire.nominal_at,
    )
    richer = replace(life, events=(*life.events, told))
    if definition.is_present:
        richer = life.with_more(fire.evolve(enqueued_at=again))
    alarms = _alarms(richer.judged(record))
    return [] if alarms == [(Kind.DUPLICATE, fire.nominal_at, 1)] else [f"{fire.job_id} was doubled: {alarms}"]


def is_plain(definition: Definition) -> bool:
    """Whether each of its nominal times fires once, and no counter counts one twice."""
    policy = definition.record.policy
    plain = policy.catch_up is None and policy.coalesce == "all" and policy.overlap == "allow_all"
    limited = policy.max_runs is not None or policy.start_deadline is not None or policy.exclude
    if not plain or limited or not definition.is_predictable or definition.first_at is None:
        return False
    # A job of an earlier definition that missed its start deadline is counted when it is found, and hides a fire that never was.
    last = definition.nominals.previous(definition.undecided) if definition.undecided is not None else None
    return last is not None and definition.decided == definition.nominals.count(definition.first_at, last)


def _alarms(judged: Judged) -> list[tuple[Kind, datetime | None, int]]:
    return [(matter.kind, matter.nominal_at, matter.count) for matter in judged.matters if matter.kind in ALARMS]


def main(arguments: Sequence[str] | None = None) -> int:
    """Live many lives, and say which were judged wrongly."""
    parser = argparse.ArgumentParser(prog="python -m tests.observe.verify.lives", description=main.__doc__)
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (0)")
    parser.add_argument("--count", type=int, default=1000, help="how many (1000)")
    given = parser.parse_args(arguments)
    began, bad = time.perf_counter(), []
    for seed in range(given.first, given.first + given.count):
        if found := wrongs(seed):
            bad.append(seed)
            print(f"seed {seed}:", *found, sep="\n  ", flush=True)
    print(f"{given.count} lives in {time.perf_counter() - began:.1f} s, {len(bad)} judged wrongly", *bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
