"""What looks wrong with schedules that are well-formed: `naq lint`. Pure; it only looks, and guesses nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import Final

from naq.exceptions import InvalidSchedule
from naq.jobs.records import WorkerInfo, is_known_nowhere
from naq.schedules.preview import preview
from naq.schedules.record import Schedule, ScheduleStatus
from naq.timing.cron_fields import parse_cron
from naq.timing.dst import DstGap
from naq.timing.duration import duration_text
from naq.timing.triggers import Cron, Trigger, dst_gaps

__all__ = ["HERD", "Finding", "FindingKind", "lint", "unknown_functions"]

HERD: Final = 50
"""Schedules due in the same second that are called a herd."""

HERDS_TOLD: Final = 3
LOOKED_AT: Final = 48
"""Fires of each schedule that are looked at."""
AHEAD: Final = timedelta(days=1)
_ABOVE: Final = {"second": "minute", "minute": "hour", "hour": "day"}
YEAR: Final = timedelta(days=366)


class FindingKind(StrEnum):
    """What may be wrong."""

    NEVER_FIRES = "never_fires"
    UNUSABLE = "unusable"
    """This machine cannot compute it, e.g. because it does not know the zone."""
    HERD = "herd"
    DST_GAP = "dst_gap"
    TOO_OFTEN = "too_often"
    """It fires again sooner than its runs usually end."""
    UNEVEN_STEP = "uneven_step"
    """A step of its cron expression does not divide the field: the last gap before it begins again is another one."""
    DEADLINE = "deadline"
    """Its start deadline is shorter than its jitter."""
    UNKNOWN_FUNCTION = "unknown_function"
    """No running worker knows its function."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that may be wrong, about one or more schedules."""

    kind: FindingKind
    schedule_ids: tuple[str, ...]
    message: str
    at: datetime | None = None
    """The instant it is about."""

    def __str__(self) -> str:
        names = ", ".join(self.schedule_ids[:3]) + (", ..." if len(self.schedule_ids) > 3 else "")
        return f"{self.kind}: {names}: {self.message}"


def lint(
    schedules: Iterable[Schedule],
    now: datetime,
    durations: Mapping[str, timedelta] | None = None,
    herd: int = HERD,
) -> tuple[Finding, ...]:
    """Look at schedules that are active or paused. ``durations`` are how long runs usually take, by schedule id.

    Findings come by schedule in the order given, herds last.
    """
    findings: list[Finding] = []
    seconds: dict[datetime, list[str]] = defaultdict(list)
    for schedule in schedules:
        if schedule.status not in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED):
            continue
        try:
            findings += _findings(schedule, now, (durations or {}).get(schedule.schedule_id))
            if schedule.status is ScheduleStatus.ACTIVE:
                for second in _seconds(schedule, now):
                    seconds[second].append(schedule.schedule_id)
        except InvalidSchedule as error:
            findings.append(Finding(FindingKind.UNUSABLE, (schedule.schedule_id,), str(error)))
    return (*findings, *_herds(seconds, herd))


def unknown_functions(schedules: Iterable[Schedule], workers: Sequence[WorkerInfo]) -> tuple[Finding, ...]:
    """Functions of schedules that may fire and that every running worker says it does not know; none without workers."""
    by_function: dict[str, list[str]] = defaultdict(list)
    for schedule in schedules:
        if schedule.status in (ScheduleStatus.ACTIVE, ScheduleStatus.PAUSED):
            by_function[schedule.job.func].append(schedule.schedule_id)
    return tuple(
        Finding(FindingKind.UNKNOWN_FUNCTION, tuple(ids), f"no running worker knows the function {func}")
        for func, ids in by_function.items()
        if is_known_nowhere(func, workers)
    )


def _findings(schedule: Schedule, now: datetime, usual: timedelta | None) -> Iterable[Finding]:
    name = (schedule.schedule_id,)
    coming = preview(schedule, now, LOOKED_AT)
    for text in _uneven_steps(schedule.trigger):
        yield Finding(FindingKind.UNEVEN_STEP, name, text)
    deadline, jitter = schedule.policy.start_deadline, schedule.policy.jitter
    if deadline is not None and jitter is not None and deadline < jitter:
        text = f"start_deadline ({duration_text(deadline)}) is shorter than jitter ({duration_text(jitter)})"
        yield Finding(FindingKind.DEADLINE, name, text)
    if _never_fires(schedule, now):
        yield Finding(FindingKind.NEVER_FIRES, name, "it never fires again: no nominal time is left that may")
        return
    gaps = dst_gaps(schedule.trigger, now, now + YEAR)
    if gaps:
        shifts = getattr(schedule.trigger, "dst_gap", DstGap.SHIFT) is DstGap.SHIFT
        what = "it fires right after the gap instead" if shifts else "it does not fire that day"
        text = f"the clocks are put forward over its time at {gaps[0].isoformat(timespec='minutes')}; {what}"
        yield Finding(FindingKind.DST_GAP, name, text, gaps[0])
    if usual is not None and len(coming) > 1 and not schedule.trigger.follows_runs:
        times = [each.nominal_at for each in coming]
        shortest = min(later - sooner for sooner, later in pairwise(times))
        if shortest < usual:
            often, takes = duration_text(shortest), duration_text(timedelta(seconds=round(usual.total_seconds(), 1)))
            text = f"it fires again after {often}, and a run usually takes {takes} (overlap: {schedule.policy.overlap})"
            yield Finding(FindingKind.TOO_OFTEN, name, text)


def _uneven_steps(trigger: Trigger) -> Iterable[str]:
    """The steps of cron expressions, over a whole field of the clock, that do not divide it."""
    expressions = [part.expression for part in trigger.singles() if isinstance(part, Cron)]
    for name, size, text in (
        field
        for expression in expressions
        for field in zip(("second", "minute", "hour"), (60, 60, 24), parse_cron(expression).parts, strict=False)
    ):
        for term in text.split(","):
            step = term.removeprefix("*/")
            if step != term and size % int(step):
                times = ", ".join(map(str, range(0, size, int(step))))
                yield f"{term} in the field {name} starts again with each {_ABOVE[name]}: it fires at {name} {times}"


def _never_fires(schedule: Schedule, now: datetime) -> bool:
    if schedule.buffered or schedule.backfills or schedule.waits_for_end:
        return False
    limit = schedule.policy.max_runs
    coming = preview(schedule, now, 1)
    if not coming or (limit is not None and schedule.runs >= limit):
        return True
    if not schedule.policy.exclude:
        return False
    allowed = schedule.nominals.allowed_from(coming[0].nominal_at)
    return allowed is None or schedule.nominals.is_excluded(allowed)


def _seconds(schedule: Schedule, now: datetime) -> set[datetime]:
    """The seconds of the next day in which it is due."""
    coming = preview(schedule, now, LOOKED_AT)
    return {each.due_at.replace(microsecond=0) for each in coming if not each.reason and each.due_at < now + AHEAD}


def _herds(seconds: Mapping[datetime, list[str]], herd: int) -> Iterable[Finding]:
    crowded = sorted((at for at in seconds if len(seconds[at]) >= herd), key=lambda at: (-len(seconds[at]), at))
    shown: list[set[str]] = []
    for at in crowded:
        names = set(seconds[at])
        if any(names <= before for before in shown) or len(shown) >= HERDS_TOLD:
            continue
        shown.append(names)
        text = f"{len(names)} schedules are due in the second {at.isoformat()}; give them jitter"
        yield Finding(FindingKind.HERD, tuple(sorted(names)), text, at)
