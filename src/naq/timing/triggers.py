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
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from naq.exceptions import Problem
from naq.timing.calendar_interval import CalendarInterval, CalendarUnit
from naq.timing.cron import Cron
from naq.timing.dst import DstGap, DstMark, DstOverlap
from naq.timing.kind import TriggerKind
from naq.timing.periods import FixedDelay, Interval, Once
from naq.timing.rrule import RRule

if TYPE_CHECKING:
    from naq.timing.counting import Count, Single

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
    "opened",
]

_TICK = timedelta(microseconds=1)


class AnyOf(TriggerKind, frozen=True, tag="any", omit_defaults=True):
    """Fires when any of its triggers does; equal instants are one."""

    key: ClassVar[str] = "of"

    triggers: tuple[Trigger, ...]

    @property
    def zone_name(self) -> str | None:
        """The zone of its triggers, when there is one and all that have one share it."""
        zones = {zone for trigger in self.triggers if (zone := trigger.zone_name) is not None}
        return zones.pop() if len(zones) == 1 else None

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
        from naq.timing.counting import count_union

        return count_union(self.singles(), after, until)

    def singles(self) -> tuple[Single, ...]:
        """Its triggers, and those of the unions in it."""
        return tuple(single for trigger in self.triggers for single in trigger.singles())

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The gaps of its triggers."""
        return sorted({at for part in self.triggers for at in part.gaps(after, until)})

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
            for problem in trigger.check(f"{field}[{index}].{trigger.key}")
        ]

    def mark(self, instant: datetime) -> DstMark | None:
        """The mark of the trigger that fires at ``instant``; ``None`` when one of them is there without any."""
        marks = [trigger.mark(instant) for trigger in self.triggers if fires_at(trigger, instant)]
        return None if not marks or None in marks else marks[0]

    def __str__(self) -> str:
        return "; or ".join(map(str, self.triggers))


Trigger: TypeAlias = Once | Interval | FixedDelay | Cron | CalendarInterval | RRule | AnyOf


def opened(trigger: Single) -> Single:
    """The trigger without the field that `bound` fills in."""
    name = trigger.open_field
    return trigger if name is None else msgspec.structs.replace(trigger, **{name: None})


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
    return tuple(trigger.gaps(after, until))
