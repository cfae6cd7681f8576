"""The nominal times of a schedule: its trigger's instants inside the policy's window, when each is due, and which are
excluded. Pure arithmetic on values; nothing is remembered.

A nominal time is *due* at itself plus its jitter. The jitter is derived from a hash of the schedule's id and the
nominal time, so that a new leader picks the same instant, and it ends before the next nominal time: fires keep their
order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

from naq.schedules.policy import Policy
from naq.store.keys import instant_text
from naq.timing.exclusions import Exclusion, count_excluded, excluded_by
from naq.timing.triggers import AnyOf, Trigger
from naq.timing.zones import EPOCH

__all__ = ["LOOKAHEAD", "TICK", "Nominals", "next_nominal"]

TICK = timedelta(microseconds=1)
"""The resolution of time."""

LOOKAHEAD = 500
"""Stretches of exclusion that one search passes over at most; see `Nominals.allowed_from`."""

_CHUNKS = (60, 3_600, 86_400, 40 * 86_400)
"""Seconds that a search for the end of an exclusion looks ahead: far only if the near is all excluded."""
_JOINTS = 16
"""Exclusions that touch one another are taken for one stretch this often: a bound on the cost, not on the answer."""
_SECOND = timedelta(seconds=1)


def next_nominal(trigger: Trigger, policy: Policy, after: datetime) -> datetime | None:
    """The first nominal time later than ``after`` inside the policy's window, excluded or not."""
    if policy.start_at is not None and after < policy.start_at:
        after = policy.start_at - TICK
    instant = trigger.next_after(after)
    if instant is None or (policy.end_at is not None and instant > policy.end_at):
        return None
    return instant


class Nominals:
    """The nominal times of one schedule. ``trigger`` must be bound."""

    __slots__ = ("_policy", "_schedule_id", "_trigger")

    def __init__(self, schedule_id: str, trigger: Trigger, policy: Policy) -> None:
        self._schedule_id = schedule_id
        self._trigger = trigger
        self._policy = policy

    def next_after(self, after: datetime) -> datetime | None:
        """The first one later than ``after``."""
        return next_nominal(self._trigger, self._policy, after)

    def previous(self, before: datetime) -> datetime | None:
        """The last one earlier than ``before``."""
        start_at, end_at = self._policy.start_at, self._policy.end_at
        if end_at is not None and before > end_at:
            before = end_at + TICK
        instant = self._trigger.previous(before)
        return None if instant is None or (start_at is not None and instant < start_at) else instant

    def count(self, first: datetime, last: datetime) -> int:
        """How many there are from the nominal time ``first`` to ``last``, both included."""
        return 1 + self._trigger.count_between(first, last)

    def count_excluded(self, first: datetime, last: datetime) -> int:
        """How many of those from the nominal time ``first`` to ``last``, both included, are excluded."""
        return count_excluded(self._trigger, self._policy.exclude, first - TICK, last)

    def due_at(self, nominal: datetime) -> datetime:
        """When a nominal time is due: itself plus its jitter, which ends before the next one."""
        jitter = self._policy.jitter
        if not jitter:
            return nominal
        following = self._trigger.next_after(nominal)
        if following is not None:
            jitter = min(jitter, following - nominal - TICK)
        seed = f"{self._schedule_id}@{instant_text(nominal)}".encode()
        fraction = int.from_bytes(hashlib.blake2b(seed, digest_size=8).digest(), "big") / 2**64
        return nominal + jitter * fraction

    def is_excluded(self, nominal: datetime) -> bool:
        """Whether a nominal time must not fire."""
        return excluded_by(self._policy.exclude, nominal) is not None

    def allowed_from(self, first: datetime) -> datetime | None:
        """``first``, or the next one after it that is not excluded; ``None`` when there is none.

        Whole stretches of exclusion are passed over at once. After `LOOKAHEAD` of them the search stops, and the
        answer is one that *is* excluded: an exclusion that covers all there is costs a bounded time.
        """
        instant: datetime | None = first
        for _ in range(LOOKAHEAD):
            if instant is None or not self.is_excluded(instant):
                return instant
            instant = self.next_after(max(instant, _stretch_end(self._policy.exclude, instant) - _SECOND - TICK))
        return instant

    def allowed_until(self, last: datetime, first: datetime) -> datetime | None:
        """``last``, or the one before it that is not excluded and not earlier than ``first``; ``None`` when there is
        none, or none within `LOOKAHEAD` stretches of exclusion."""
        instant: datetime | None = last
        for _ in range(LOOKAHEAD):
            if instant is None or instant < first:
                return None
            if not self.is_excluded(instant):
                return instant
            instant = self.previous(min(instant, _stretch_start(self._policy.exclude, instant) + _SECOND))
        return None

    def last_ones(self, first: datetime, last: datetime, count: int) -> datetime:
        """The nominal time from which on there are ``count`` until ``last``; ``first`` if there are fewer.

        Found by halving the time between them, not by walking.
        """
        if not self._are_more(first, last, count):
            return first
        low, high = first, last  # too many from low on, not too many from high on
        while (middle := self._one_between(low, high)) is not None:
            if self._are_more(middle, last, count):
                low = middle
            else:
                high = middle
        return high

    def _are_more(self, first: datetime, last: datetime, count: int) -> bool:
        """Whether there are more than ``count``; of a union, one of its triggers alone may say so, which costs far less."""
        parts = self._trigger.triggers if isinstance(self._trigger, AnyOf) else ()
        return any(part.count_between(first, last) >= count for part in parts) or self.count(first, last) > count

    def _one_between(self, low: datetime, high: datetime) -> datetime | None:
        """A nominal time strictly between two, near their middle."""
        half = low + (high - low) / 2
        middle = self.next_after(half - TICK)
        if middle is None or middle >= high:
            middle = self.previous(half)
        return middle if middle is not None and low < middle < high else None


def _second(instant: datetime) -> int:
    return (instant - EPOCH) // _SECOND


def _stretch_end(exclusions: Sequence[Exclusion], instant: datetime) -> datetime:
    """Until when everything from the excluded ``instant`` on is excluded, to the second, as far as a few joints reach."""
    reach = _second(instant) + 1
    for _ in range(_JOINTS):
        further = max(_covered_until(exclusion, reach) for exclusion in exclusions)
        if further == reach:
            break
        reach = further
    return EPOCH + timedelta(seconds=reach)


def _stretch_start(exclusions: Sequence[Exclusion], instant: datetime) -> datetime:
    """Since when everything up to the excluded ``instant`` is excluded, to the second, as far as a few joints reach."""
    reach = _second(instant)
    for _ in range(_JOINTS):
        further = min(_covered_since(exclusion, reach) for exclusion in exclusions)
        if further == reach:
            break
        reach = further
    return EPOCH + timedelta(seconds=reach)


def _covered_until(exclusion: Exclusion, second: int) -> int:
    """The end of what one exclusion covers from ``second`` on, some weeks ahead at most; ``second`` if it does not."""
    reach = second
    for chunk in _CHUNKS:
        end = second + chunk
        reach = second
        for low, high in sorted(exclusion.spans(second, end)):
            if low > reach:
                break
            reach = max(reach, min(high, end))
        if reach < end:
            break
    return reach


def _covered_since(exclusion: Exclusion, second: int) -> int:
    """The start of what one exclusion covers up to ``second``, some weeks back at most; ``second`` if it does not."""
    reach = second
    for chunk in _CHUNKS:
        start = second - chunk
        reach = second
        for low, high in sorted(exclusion.spans(start, second), key=lambda span: -span[1]):
            if high < reach:
                break
            reach = min(reach, max(low, start))
        if reach > start:
            break
    return reach
