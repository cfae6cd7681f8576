"""What every kind of trigger says about itself. A kind states what differs from the defaults here; nothing else asks by type.

To add a kind: its value in a module of its own here, its form in `naq.schedules.forms.kinds`, and one line in each of
`naq.timing.triggers` (the union) and `naq.schedules.forms.triggers` (the list of forms).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Self

import msgspec

from naq.timing.dst import DstMark

__all__ = ["SingleKind", "TriggerKind", "beside"]


class TriggerKind(msgspec.Struct, frozen=True):
    """The common base of triggers. It has no fields."""

    key: ClassVar[str]
    """The key of its form that says when it fires; complaints about a part of a union name it."""
    open_field: ClassVar[str | None] = None
    """The field that `bound` takes from the time of creation when it is ``None``."""
    follows_runs: ClassVar[bool] = False
    """Whether its next instant is known only when a run has ended (`after_run`)."""
    can_begin_now: ClassVar[bool] = False
    """Whether the policy ``first=now`` goes with it."""

    @property
    def zone_name(self) -> str | None:
        """The zone whose clock it follows; ``None``: it has none."""
        return None

    def after_run(self, ended_at: datetime) -> datetime | None:
        """When it is due again after a run that ended at ``ended_at``; ``None``: the ends of runs do not matter."""
        return None

    def mark(self, instant: datetime) -> DstMark | None:
        """How a change of the clocks touched ``instant``, one of its own; ``None``: not at all."""
        return None

    def gaps(self, after: datetime, until: datetime) -> list[datetime]:
        """The ends of the gaps of its clock in (``after``, ``until``] that swallow one of its times, shifted or not."""
        return []


class SingleKind(TriggerKind, frozen=True):
    """The common base of triggers that are no union."""

    def singles(self) -> tuple[Self, ...]:
        """Itself, as a union has its parts."""
        return (self,)


def beside(field: str, name: str) -> str:
    """The field called ``name`` next to ``field``: ``daily.cron`` and ``timezone`` make ``daily.timezone``."""
    head, dot, _ = field.rpartition(".")
    return f"{head}{dot}{name}"
