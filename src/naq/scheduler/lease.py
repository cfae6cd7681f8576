"""Leadership as rules: what a scheduler does about the lease, given what it saw and how long ago. No I/O.

No machine's wall clock is compared with another's. A follower judges a lease by how long *it* has seen it unchanged, on
its own monotonic clock. A leader trusts its lease until the monotonic start of its last successful renewal plus the ttl
minus a margin; then it stops by itself. Safety does not rest on any of this: every fire is fenced by the epoch and
conditional on the schedule's revision. Leadership only decides who does the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

import msgspec

from naq.timing.instants import Instant

__all__ = ["Decision", "Lease", "LeaseSeen", "Term", "decide"]

MARGIN = 0.2
"""Fraction of the ttl by which a leader stops trusting its lease before others may take it."""


class Lease(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The record at ``lease.<partition>``. ``term`` is empty when the lease was resigned.

    It has no version: while old and new instances run side by side, each must see who leads, so a newer naq may add fields
    and change none.
    """

    instance_id: str
    term: str = ""
    """Unique name of this holder's time in office; also the subject it answers on."""
    priority: int = 1
    became_leader_at: Instant | None = None
    """Does not move with heartbeats."""
    last_heartbeat: Instant | None = None
    ttl: float = 5.0
    """Seconds the holder asks others to respect it unrenewed."""
    zones: str = ""
    """The release of its zone data, e.g. ``2026f``; empty: an older naq, which does not say."""
    successor: str | None = None
    """On a resigned lease: the instance that is to have the first try."""

    @property
    def held(self) -> bool:
        """Whether an instance holds it."""
        return self.term != ""


@dataclass(frozen=True, slots=True)
class LeaseSeen:
    """The lease as this instance last saw it change: the record, its revision, and when (monotonic seconds).

    ``lease`` is ``None`` when there is no lease, or one that cannot be read; ``revision`` is then 0, or the rubbish's.
    """

    lease: Lease | None
    revision: int
    since: float
    suspect: bool = False
    """Whether its holder was asked, and NATS answered that it is gone."""


@dataclass(frozen=True, slots=True)
class Term:
    """My own time in office."""

    name: str
    revision: int
    """Revision of the lease as I last wrote it."""
    epochs: tuple[int, ...]
    """Revisions of the epoch keys, one for each lane, which I wrote when I took office."""
    renewed: float
    """Monotonic start of the last successful renewal."""
    ttl: float
    became_leader_at: datetime

    @property
    def trusted_until(self) -> float:
        """Monotonic second until which I may act."""
        return self.renewed + self.ttl * (1 - MARGIN)

    def trusted(self, monotonic: float) -> bool:
        """Whether I may act now."""
        return monotonic < self.trusted_until


class Decision(Enum):
    """What to do about the lease."""

    ACQUIRE = "acquire"
    RENEW = "renew"
    STEP_DOWN = "step down"
    WAIT = "wait"
    ASK = "ask the leader whether it is there"
    ASK_FOR_HANDOVER = "ask the leader to hand over"


def decide(me: str, priority: int, seen: LeaseSeen, term: Term | None, monotonic: float, heartbeat: float) -> Decision:
    """What instance ``me`` does now. ``heartbeat`` is its renewal interval in seconds, ``term`` is ``None`` unless it leads.

    A leader whose lease moved, or that cannot trust it any more, steps down. Of followers: a free lease is taken at once
    (by the named successor first: the others give it one heartbeat), a suspect or expired one too.
    """
    if term is not None:
        superseded = seen.revision > term.revision and (seen.lease is None or seen.lease.term != term.name)
        if superseded or not term.trusted(monotonic):
            return Decision.STEP_DOWN
        return Decision.RENEW if monotonic - term.renewed >= heartbeat else Decision.WAIT
    lease = seen.lease
    unchanged_for = monotonic - seen.since
    if lease is None:
        return Decision.ACQUIRE
    if not lease.held:
        mine = lease.successor in (None, me)
        return Decision.ACQUIRE if mine or unchanged_for >= heartbeat else Decision.WAIT
    if seen.suspect or unchanged_for >= lease.ttl:
        return Decision.ACQUIRE
    return Decision.ASK_FOR_HANDOVER if priority > lease.priority else Decision.ASK
