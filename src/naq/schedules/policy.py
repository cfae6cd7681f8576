"""The rules around a trigger: windows, limits, catch-up, jitter, overlap. Frozen; `naq.schedules.planning` applies them."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

import msgspec

from naq.timing.exclusions import Exclusion
from naq.timing.instants import Instant

__all__ = ["Coalesce", "First", "IfExists", "Overlap", "Policy"]


class Coalesce(StrEnum):
    """Which of several nominal times fire that came due together (after an outage)."""

    LATEST = "latest"
    EARLIEST = "earliest"
    ALL = "all"


class Overlap(StrEnum):
    """What happens when a schedule is due while a run of it is not finished."""

    ALLOW_ALL = "allow_all"
    """It is enqueued all the same."""
    SKIP = "skip"
    """It is not enqueued."""
    BUFFER_ONE = "buffer_one"
    """The first one waits for the running one's end; later ones are skipped."""
    BUFFER_ALL = "buffer_all"
    """All wait, one after the other, up to a cap."""
    CANCEL_OTHER = "cancel_other"
    """The running one is asked to stop; the new one is enqueued when it has."""
    TERMINATE_OTHER = "terminate_other"
    """The running one is given up at once, and the new one enqueued."""


class First(StrEnum):
    """When a new schedule fires first."""

    NEXT = "next"
    """One interval after its creation."""
    NOW = "now"
    """At once, and then on the grid that begins there. An edit, or storing it again, does not fire it again."""


class IfExists(StrEnum):
    """What creating a schedule does when its id is taken."""

    RAISE = "raise"
    """`ScheduleExists`."""
    KEEP = "keep"
    """The existing one stays as it is."""
    REPLACE = "replace"
    """The existing one takes the new definition in place; history and counters stay."""


class Policy(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, kw_only=True):
    """The rules around the trigger."""

    start_at: Instant | None = None
    """No nominal time before it; inclusive."""
    end_at: Instant | None = None
    """No nominal time after it; inclusive."""
    max_runs: int | None = None
    """Scheduled fires after which it completes; manual ones and backfills do not count."""
    catch_up: timedelta | None = timedelta(hours=1)
    """How late after it was due a fire may be; older ones are missed. Zero: only on time. ``None``: however late."""
    coalesce: Coalesce = Coalesce.LATEST
    start_deadline: timedelta | None = None
    """A job that no worker has started this long after it was due (jitter included) is missed, not run."""
    jitter: timedelta | None = None
    """Each fire is delayed by an amount in [0, jitter] that depends on the schedule and the nominal time alone."""
    overlap: Overlap = Overlap.ALLOW_ALL
    exclude: tuple[Exclusion, ...] = ()
    """Instants at which it must not fire; each such nominal time is recorded."""
    keep_finished: timedelta | None = timedelta(days=7)
    """How long the record of a one-time schedule stays after it has fired, unless a declared set holds it; ``None``: for
    ever."""
    first: First = First.NEXT
    """When a new schedule of a fixed interval or delay fires first."""
    tz: str | None = None
    """The schedule's zone, where the trigger has none of its own: that of wall times in edits. ``None``: UTC."""
