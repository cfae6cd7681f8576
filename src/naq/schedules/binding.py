"""Binding: what a user left open in a trigger (where its grid begins) is filled in when the schedule is stored. Pure.

A trigger is stored *bound*, so that its instants follow from the record alone. Which parts naq filled in is remembered
beside it. So a definition that is stored again can be compared with what the user wrote before, not with instants that
naq chose: what is unchanged keeps its grid, no matter how often and by which way it is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from naq.timing.triggers import AnyOf, CalendarInterval, FixedDelay, Interval, RRule, Trigger

__all__ = ["Bound", "bind", "rebind", "written"]


class Bound(NamedTuple):
    """A trigger that is ready to be stored."""

    trigger: Trigger
    filled: tuple[int, ...] | None
    """Positions of the parts whose start naq filled in (a single trigger is part 0); ``None``: no part can be
    filled in."""


def bind(trigger: Trigger, now: datetime) -> Bound:
    """The trigger of a schedule that is created ``now``."""
    parts = _parts(trigger)
    filled = tuple(position for position, part in enumerate(parts) if _is_open(part))
    bound = _joined(trigger, [part.bound(now) for part in parts])
    return Bound(bound, filled if any(map(_can_be_open, parts)) else None)


def written(trigger: Trigger, filled: tuple[int, ...] | None) -> Trigger:
    """A stored trigger as its user wrote it. For a record of an older naq (``filled`` is ``None``) every start counts as
    filled in."""
    parts = [
        _opened(part) if filled is None or position in filled else part for position, part in enumerate(_parts(trigger))
    ]
    return _joined(trigger, parts)


def rebind(old: Bound, new: Trigger, now: datetime) -> Bound:
    """The trigger ``new``, as a user wrote it, for a schedule that has ``old``.

    A part that means what a part of ``old`` meant keeps its start; the others begin ``now``.
    """
    left = list(zip(_parts(old.trigger), _parts(written(*old)), strict=True))
    was_filled = [old.filled is None or position in old.filled for position in range(len(left))]
    parts: list[Trigger] = []
    filled: list[int] = []
    for position, part in enumerate(_parts(new)):
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


def _parts(trigger: Trigger) -> tuple[Trigger, ...]:
    """The trigger, or the parts of a union, those of unions inside it among them."""
    if not isinstance(trigger, AnyOf):
        return (trigger,)
    return tuple(inner for part in trigger.triggers for inner in _parts(part))


def _joined(like: Trigger, parts: Sequence[Trigger]) -> Trigger:
    return AnyOf(tuple(parts)) if isinstance(like, AnyOf) else parts[0]


def _can_be_open(trigger: Trigger) -> bool:
    return isinstance(trigger, Interval | FixedDelay | CalendarInterval | RRule)


def _is_open(trigger: Trigger) -> bool:
    return _can_be_open(trigger) and _opened(trigger) == trigger


def _opened(trigger: Trigger) -> Trigger:
    match trigger:
        case Interval():
            return msgspec.structs.replace(trigger, anchor=None)
        case FixedDelay():
            return msgspec.structs.replace(trigger, first_at=None)
        case CalendarInterval():
            return msgspec.structs.replace(trigger, start=None)
        case RRule():
            return msgspec.structs.replace(trigger, dtstart=None)
        case _:
            return trigger
