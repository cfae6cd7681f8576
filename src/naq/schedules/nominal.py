"""The nominal times of a schedule: its trigger's instants inside the policy's window, when each is due, and which are
excluded. Pure arithmetic on values; nothing is remembered.

A nominal time is *due* at itself plus its jitter. The jitter is derived from a hash of the schedule's id and the
nominal time, so that a new leader picks the same instant, and it ends before the next nominal time: fires keep their
order.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from naq.schedules.policy import Policy
from naq.store.keys import instant_text
from naq.timing.exclusions import allowed_from, allowed_until, count_excluded, excluded_by
from naq.timing.triggers import Trigger

__all__ = ["TICK", "Nominals", "next_nominal"]

TICK = timedelta(microseconds=1)
"""The resolution of time."""


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
        """``first``, or the next one after it that is not excluded.

        ``None`` when there is none, or none on the next thousands of days on which there is one at all
        (`naq.timing.allowed`): such a schedule never fires again.
        """
        return allowed_from(self._trigger, self._policy.exclude, first, self.next_after)

    def allowed_until(self, last: datetime, first: datetime) -> datetime | None:
        """``last``, or the one before it that is not excluded and not earlier than ``first``; ``None`` as above."""
        return allowed_until(self._trigger, self._policy.exclude, last, first, self.previous)

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
        parts = self._trigger.singles()
        if len(parts) > 1 and any(part.count_between(first, last) >= count for part in parts):
            return True
        return self.count(first, last) > count

    def _one_between(self, low: datetime, high: datetime) -> datetime | None:
        """A nominal time strictly between two, near their middle."""
        half = low + (high - low) / 2
        middle = self.next_after(half - TICK)
        if middle is None or middle >= high:
            middle = self.previous(half)
        return middle if middle is not None and low < middle < high else None
