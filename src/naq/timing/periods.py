"""Triggers that need no calendar: one instant, a grid of instants, and a wait after each run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import ClassVar

from naq.exceptions import InvalidSchedule, Problem, shown
from naq.timing.duration import LONGEST, duration_text
from naq.timing.instants import Instant
from naq.timing.kind import SingleKind

__all__ = ["FixedDelay", "Interval", "Once"]

ZERO = timedelta(0)
_STEP = timedelta(microseconds=1)


def _period_problems(period: timedelta, field: str) -> list[Problem]:
    if ZERO < period <= LONGEST:
        return []
    if period > LONGEST:
        return [Problem(field, shown(str(period)), "must be at most 100 years", "'5m'")]
    return [Problem(field, shown(str(period)), "must be more than zero", "'5m'")]


class Once(SingleKind, frozen=True, gc=False, tag="once"):
    """One instant, aware UTC."""

    key: ClassVar[str] = "run_at"

    at: Instant

    def next_after(self, after: datetime) -> datetime | None:
        """The instant, if it is later than ``after``."""
        return self.at.astimezone(UTC) if self.at > after else None

    def previous(self, before: datetime) -> datetime | None:
        """The instant, if it is earlier than ``before``."""
        return self.at.astimezone(UTC) if self.at < before else None

    def count_between(self, after: datetime, until: datetime) -> int:
        """1 when the instant is in (``after``, ``until``], else 0."""
        return int(after < self.at <= until)

    def bound(self, created_at: datetime) -> Once:
        """Itself: nothing is open."""
        return self

    def check(self, field: str) -> list[Problem]:
        """A naive instant is a complaint."""
        if self.at.tzinfo is None:
            return [Problem(field, shown(self.at.isoformat()), "has no time zone", "'2030-01-31T09:00:00+00:00'")]
        return []

    def __str__(self) -> str:
        return f"once at {_text(self.at)}"


class Interval(SingleKind, frozen=True, gc=False, tag="interval", omit_defaults=True):
    """Every ``every`` from ``anchor`` on: anchor, anchor + every, anchor + 2 every, ... so it cannot drift.

    ``anchor`` ``None`` means the time of creation; `bound` fills it in.
    """

    key: ClassVar[str] = "interval"
    open_field: ClassVar[str | None] = "anchor"
    can_begin_now: ClassVar[bool] = True

    every: timedelta
    anchor: Instant | None = None

    def bound(self, created_at: datetime) -> Interval:
        """The same interval with its anchor filled in."""
        return self if self.anchor is not None else Interval(self.every, created_at)

    def next_after(self, after: datetime) -> datetime | None:
        """The first instant of the grid later than ``after``; the first one of all is the anchor.

        Raises `InvalidSchedule` when the period is not above zero or there is no anchor yet.
        """
        anchor = self.origin()
        if after < anchor:
            return anchor
        try:
            return anchor + ((after - anchor) // self.every + 1) * self.every
        except OverflowError:
            return None

    def previous(self, before: datetime) -> datetime | None:
        """The last instant of the grid earlier than ``before``. Raises like `next_after`."""
        anchor = self.origin()
        if before <= anchor:
            return None
        return anchor + ((before - anchor - _STEP) // self.every) * self.every

    def count_between(self, after: datetime, until: datetime) -> int:
        """How many instants are in (``after``, ``until``], by division. Raises like `next_after`."""
        anchor = self.origin()
        first = max(0, (after - anchor) // self.every + 1)
        return max(0, (until - anchor) // self.every + 1 - first)

    def check(self, field: str) -> list[Problem]:
        """A period that is not above zero is a complaint."""
        return _period_problems(self.every, field)

    def origin(self) -> datetime:
        """The anchor in UTC: arithmetic on a datetime in another zone would be that of its wall clock.

        Raises like `next_after`.
        """
        if self.every <= ZERO:
            raise InvalidSchedule(*_period_problems(self.every, "interval"))
        if self.anchor is None:
            raise InvalidSchedule(Problem("anchor", "None", "is open: use bound(created_at) first", "'epoch'"))
        return self.anchor.astimezone(UTC)

    def __str__(self) -> str:
        return f"every {duration_text(self.every)}"


class FixedDelay(SingleKind, frozen=True, gc=False, tag="delay", omit_defaults=True):
    """``delay`` after the end of each run; the first run is ``delay`` after the creation.

    Only ``first_at`` is known beforehand. From then on the end of a run decides, and `after_run` says so: by itself the
    trigger has one instant.
    """

    key: ClassVar[str] = "delay"
    open_field: ClassVar[str | None] = "first_at"
    follows_runs: ClassVar[bool] = True
    can_begin_now: ClassVar[bool] = True

    delay: timedelta
    first_at: Instant | None = None
    """When it runs first; ``None``: ``delay`` after the creation, which `bound` fills in."""

    def bound(self, created_at: datetime) -> FixedDelay:
        """The same delay with its first run filled in."""
        return self if self.first_at is not None else FixedDelay(self.delay, self.after_run(created_at))

    def after_run(self, ended_at: datetime) -> datetime:
        """When it is due again after a run that ended at ``ended_at``."""
        return ended_at.astimezone(UTC) + self.delay

    def next_after(self, after: datetime) -> datetime | None:
        """The first run, if it is later than ``after``; whatever follows is decided by `after_run`."""
        return self.first_at if self.first_at is not None and self.first_at > after else None

    def previous(self, before: datetime) -> datetime | None:
        """The first run, if it is earlier than ``before``."""
        return self.first_at if self.first_at is not None and self.first_at < before else None

    def count_between(self, after: datetime, until: datetime) -> int:
        """1 when the first run is in (``after``, ``until``], else 0."""
        return int(self.first_at is not None and after < self.first_at <= until)

    def check(self, field: str) -> list[Problem]:
        """A delay that is not above zero is a complaint."""
        return _period_problems(self.delay, field)

    def __str__(self) -> str:
        return f"{duration_text(self.delay)} after the end of each run"


def _text(instant: datetime) -> str:
    """An instant as people read it, in UTC."""
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"
