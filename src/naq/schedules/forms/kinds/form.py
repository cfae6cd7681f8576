"""What the form of one kind of trigger is, and what several kinds share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from naq.exceptions import Problem
from naq.parsing import Reader
from naq.timing.dst import DstGap, DstOverlap
from naq.timing.kind import TriggerKind

__all__ = ["Checked", "TriggerForm", "WallTrigger", "checked", "dst_form", "read_dst"]

K = TypeVar("K", bound=TriggerKind)


@dataclass(frozen=True, slots=True)
class TriggerForm(Generic[K]):
    """How triggers of one kind are written: ``{"type": name, trigger.key: ..., ...}``."""

    name: str
    """The ``type``; may be left out, because the kind's own key implies it."""
    trigger: type[K]
    keys: tuple[str, ...]
    """Its keys besides `naq.timing.kind.TriggerKind.key`, ``type`` and ``timezone``."""
    read: Callable[[Reader], K | None]
    """The trigger that a mapping describes; ``None`` when there is a complaint."""
    write: Callable[[K], dict[str, Any]]
    """The keys of a trigger besides ``type``; what is ``None`` is left out."""


class Checked(Protocol):
    """A trigger, as `checked` takes it."""

    def check(self, field: str) -> list[Problem]: ...


T = TypeVar("T", bound=Checked)


def checked(reader: Reader, key: str, trigger: T) -> T | None:
    """The trigger, when it has no complaints; those are reported for ``key``."""
    problems = trigger.check(reader.field(key))
    reader.problems.extend(problems)
    return None if problems else trigger


def read_dst(reader: Reader) -> tuple[DstGap, DstOverlap]:
    """The keys ``dst_gap`` and ``dst_overlap``, or their defaults."""
    return (
        reader.choice("dst_gap", DstGap) or DstGap.SHIFT,
        reader.choice("dst_overlap", DstOverlap) or DstOverlap.FIRST,
    )


class WallTrigger(Protocol):
    """A trigger that follows the clock of a zone."""

    @property
    def dst_gap(self) -> DstGap: ...
    @property
    def dst_overlap(self) -> DstOverlap: ...


def dst_form(trigger: WallTrigger) -> dict[str, Any]:
    """What `read_dst` reads; only what differs from the defaults."""
    form: dict[str, Any] = {}
    if trigger.dst_gap is not DstGap.SHIFT:
        form["dst_gap"] = str(trigger.dst_gap)
    if trigger.dst_overlap is not DstOverlap.FIRST:
        form["dst_overlap"] = str(trigger.dst_overlap)
    return form
