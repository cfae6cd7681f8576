"""Triggers: values that say at which instants a schedule is to fire.

A trigger is frozen, serialises, compares, prints itself in plain words, and answers without any state: `next_after`,
`previous`, `count_between`. What it takes from the time of creation is filled in once, by `bound`; what is wrong with
it `check` says. Instants are aware UTC. The rules are those of ``docs/concepts/schedules.md``. The rooms:

- `naq.timing.periods`: `Once`, `Interval`, `FixedDelay`
- `naq.timing.cron`: `Cron`; `naq.timing.calendar_interval`: `CalendarInterval`; `naq.timing.rrule`: `RRule`
- here: `AnyOf`, the union of several, and `Trigger`, any of them.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeAlias

import msgspec

from naq.exceptions import Problem
from naq.timing.calendar_interval import CalendarInterval, CalendarUnit
from naq.timing.counting import Count, Single, count_union
from naq.timing.cron import Cron
from naq.timing.periods import FixedDelay, Interval, Once
from naq.timing.rrule import RRule
from naq.timing.wall import DstMark
from naq.timing.zones import DstGap, DstOverlap

__all__ = [
    "AnyOf",
    "CalendarInterval",
    "CalendarUnit",
    "Cron",
    "DstGap",
    "DstMark",
    "DstOverlap",
    "FixedDelay",
    "Interval",
    "Once",
    "RRule",
    "Trigger",
    "dst_gaps",
    "dst_mark",
    "fires_at",
    "unbound",
]

_TICK = timedelta(microseconds=1)


class AnyOf(msgspec.Struct, frozen=True, tag="any", omit_defaults=True):
    """Fires when any of its triggers does; equal instants are one."""

    triggers: tuple[Trigger, ...]

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant of any of them later than ``after``. Raises what they raise."""
        return min((at for trigger in self.triggers if (at := trigger.next_after(after)) is not None), default=None)

    def previous(self, before: datetime) -> datetime | None:
        """The last instant of any of them earlier than ``before``. Raises what they raise."""
        return max((at for trigger in self.triggers if (at := trigger.previous(before)) is not None), default=None)

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many different instants are in (``after``, ``until``]; see `counted` for how far that is exact."""
        return self.counted(after, until).number

    def counted(self, after: datetime, until: datetime) -> Count:
        """How many different instants are in (``after``, ``until``], exactly unless that would cost too much."""
        return count_union(self.singles(), after, until)

    def singles(self) -> tuple[Single, ...]:
        """Its triggers, and those of the unions in it."""
        return tuple(
            single
            for trigger in self.triggers
            for single in (trigger.singles() if isinstance(trigger, AnyOf) else (trigger,))
        )

    def bound(self, created_at: datetime) -> AnyOf:
        """The same union with each trigger bound."""
        bound = tuple(trigger.bound(created_at) for trigger in self.triggers)
        return self if bound == self.triggers else AnyOf(bound)

    def check(self, field: str) -> list[Problem]:
        """The complaints of its triggers, as ``field[0]``, ``field[1]``, ...; none at all is a complaint."""
        if not self.triggers:
            return [Problem(field, "[]", "needs at least one trigger", "[{'cron': '0 9 * * *'}, {'interval': '6h'}]")]
        return [
            problem
            for index, trigger in enumerate(self.triggers)
            for problem in trigger.check(f"{field}[{index}].{_OWN_FIELD[type(trigger)]}")
        ]

    def mark(self, instant: datetime) -> DstMark | None:
        """The mark of the trigger that fires at ``instant``; ``None`` when one of them is there without any."""
        marks = [trigger.mark(instant) for trigger in self.triggers if fires_at(trigger, instant)]
        return None if not marks or None in marks else marks[0]

    def __str__(self) -> str:
        return "; or ".join(map(str, self.triggers))


Trigger: TypeAlias = Once | Interval | FixedDelay | Cron | CalendarInterval | RRule | AnyOf

_OWN_FIELD: dict[type, str] = {
    Once: "run_at",
    Interval: "interval",
    FixedDelay: "delay",
    Cron: "cron",
    CalendarInterval: "every",
    RRule: "rrule",
    AnyOf: "triggers",
}


def unbound(trigger: Trigger, created_at: datetime) -> Trigger:
    """The trigger without what `bound` took from the time of creation."""
    if isinstance(trigger, AnyOf):
        return AnyOf(tuple(unbound(part, created_at) for part in trigger.triggers))
    for name in ("anchor", "first_at", "start", "dtstart"):
        if getattr(trigger, name, None) is not None:
            bare: Trigger = msgspec.structs.replace(trigger, **{name: None})
            if bare.bound(created_at) == trigger:
                return bare
    return trigger


def fires_at(trigger: Trigger, instant: datetime) -> bool:
    """Whether ``instant`` is one of the trigger's own."""
    return trigger.next_after(instant - _TICK) == instant


def dst_mark(trigger: Trigger, instant: datetime) -> DstMark | None:
    """How a change of the clocks touched a fire: shifted out of a gap, the first or the second of two; else ``None``.

    ``instant`` must be one of the trigger's own.
    """
    return trigger.mark(instant)


def dst_gaps(trigger: Trigger, after: datetime, until: datetime) -> tuple[datetime, ...]:
    """The ends of the gaps in (``after``, ``until``] that swallow one of its times: it is shifted or skipped there."""
    match trigger:
        case Cron() | CalendarInterval() | RRule():
            return tuple(trigger.clock().gaps(after, until))
        case AnyOf():
            return tuple(sorted({at for part in trigger.triggers for at in dst_gaps(part, after, until)}))
        case _:
            return ()
