"""Binding: what a user left open in a trigger (where its grid begins) is filled in when the schedule is stored. Pure.

A trigger is stored *bound*, so that its instants follow from the record alone. Which parts naq filled in is remembered
beside it. So a definition that is stored again can be compared with what the user wrote before, not with instants that
naq chose: what is unchanged keeps its grid, no matter how often and by which way it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from naq.timing.triggers import AnyOf, Trigger, opened

if TYPE_CHECKING:
    from naq.timing.counting import Single

__all__ = ["Bound", "bind", "rebind", "written"]


class Bound(NamedTuple):
    """A trigger that is ready to be stored."""

    trigger: Trigger
    filled: tuple[int, ...] | None
    """Positions of the parts whose start naq filled in (a single trigger is part 0); ``None``: no part can be
    filled in."""


def bind(trigger: Trigger, now: datetime) -> Bound:
    """The trigger of a schedule that is created ``now``."""
    parts = trigger.singles()
    filled = tuple(position for position, part in enumerate(parts) if _is_open(part))
    bound = _joined(trigger, [part.bound(now) for part in parts])
    return Bound(bound, filled if any(map(_can_be_open, parts)) else None)


def written(trigger: Trigger, filled: tuple[int, ...] | None) -> Trigger:
    """A stored trigger as its user wrote it. For a record of an older naq (``filled`` is ``None``) every start counts as
    filled in."""
    parts = [
        opened(part) if filled is None or position in filled else part
        for position, part in enumerate(trigger.singles())
    ]
    return _joined(trigger, parts)


def rebind(old: Bound, new: Trigger, now: datetime) -> Bound:
    """The trigger ``new``, as a user wrote it, for a schedule that has ``old``.

    A part that means what a part of ``old`` meant keeps its start; the others begin ``now``.
    """
    left = list(zip(old.trigger.singles(), written(*old).singles(), strict=True))
    was_filled = [old.filled is None or position in old.filled for position in range(len(left))]
    parts: list[Single] = []
    filled: list[int] = []
    for position, part in enumerate(new.singles()):
        known = next((index for index, pair in enumerate(left) if part in pair), None)
        if known is None:
            parts.append(part.bound(now))
            is_filled = _is_open(part)
        else:
            parts.append(left.pop(known)[0])
            is_filled = was_filled.pop(known) and _can_be_open(part)
        if is_filled:
            filled.append(position)
    return Bound(_joined(new, parts), tuple(filled) if any(map(_can_be_open, parts)) else None)


def _joined(like: Trigger, parts: Sequence[Single]) -> Trigger:
    return AnyOf(tuple(parts)) if isinstance(like, AnyOf) else parts[0]


def _can_be_open(trigger: Single) -> bool:
    return trigger.open_field is not None


def _is_open(trigger: Single) -> bool:
    return _can_be_open(trigger) and opened(trigger) == trigger
