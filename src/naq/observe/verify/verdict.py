"""The verdict on a live system: figures, and everything that is not as it should be. Frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

__all__ = ["Figures", "Judged", "Kind", "Matter", "NotFired", "Shortened", "Tally", "Verdict", "instant_shown"]


class Kind(StrEnum):
    """What a matter is."""

    LOST = "lost"
    """It should have fired and did not, and no reason is recorded: the counters prove it."""
    DUPLICATE = "duplicate"
    """It was enqueued twice."""
    UNEXPLAINED = "unexplained"
    """It was enqueued, and the schedule's record knows of no such fire, or the definition of no such nominal time."""
    OVERDUE = "overdue"
    """It is due, and was not decided about."""
    QUARANTINED = "quarantined"
    """Its record cannot be read or planned: it does not fire, and cannot be judged."""
    DROPPED = "dropped"
    """It was due when the schedule was changed, and neither the old definition nor the new one decided about it."""
    AHEAD = "ahead"
    """It will not fire: a scheduler whose clock was ahead decided about it before it came."""
    UNPROVEN = "unproven"
    """No trace of it is left, and nothing proves that it was lost. No alarm."""


@dataclass(frozen=True, slots=True)
class Matter:
    """One thing to know about a schedule."""

    kind: Kind
    schedule_id: str
    nominal_at: datetime | None
    """The nominal time, or the first of several; ``None`` when it is about none."""
    until: datetime | None
    """The last of several."""
    count: int
    """How many nominal times it stands for. Fewer than lie from ``nominal_at`` to ``until``: which of them is not known."""
    why: str
    remedy: str
    """What to do next."""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A schedule that was judged from a later time on than was asked for."""

    schedule_id: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class NotFired:
    """Nominal times of a schedule that did not fire, for one recorded reason."""

    schedule_id: str
    reason: str
    first_at: datetime
    last_at: datetime
    count: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Nominal times, by what became of them."""

    schedules: int = 0
    nominal_times: int = 0
    fired: int = 0
    not_fired: int = 0
    """With a recorded reason, or excluded."""
    waiting: int = 0
    """Due within the patience, or waiting for a run's end."""
    overdue: int = 0
    lost: int = 0
    unproven: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Both together."""
        return Figures(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Figures)))


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement on one schedule."""

    figures: Figures
    matters: tuple[Matter, ...] = ()
    shortened: Shortened | None = None
    not_fired: tuple[NotFired, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement on all that were asked about. Times are aware UTC."""

    since: datetime
    as_of: datetime
    figures: Figures
    findings: tuple[Matter, ...] = ()
    """Everything that should not be."""
    unproven: tuple[Matter, ...] = ()
    """What could not be judged, because no trace is left."""
    shortened: tuple[Shortened, ...] = ()
    """Schedules that were judged from a later time on than ``since``."""
    absent: tuple[str, ...] = ()
    """Schedules that were asked about and do not exist."""
    not_fired: tuple[NotFired, ...] = ()
    """What did not fire for a reason that is recorded, e.g. missed by its catch-up window. No alarm."""

    @property
    def clean(self) -> bool:
        """Whether all that was asked about exists and is as it should be, as far as can be proved."""
        return not self.findings and not self.absent

    def count(self, kind: Kind) -> int:
        """How many matters of a kind there are, each for as many nominal times or fires as it stands for."""
        return sum(matter.count for matter in (*self.findings, *self.unproven) if matter.kind is kind)


@dataclass(slots=True)
class Tally:
    """Judgements taken in one by one: only what is to be reported is kept."""

    figures: Figures = Figures()
    findings: list[Matter] = field(default_factory=list)
    unproven: list[Matter] = field(default_factory=list)
    shortened: list[Shortened] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    not_fired: list[NotFired] = field(default_factory=list)

    def add(self, judged: Judged) -> None:
        """Take one in."""
        self.figures += judged.figures
        self.not_fired += judged.not_fired
        for matter in judged.matters:
            (self.unproven if matter.kind is Kind.UNPROVEN else self.findings).append(matter)
        if judged.shortened is not None:
            self.shortened.append(judged.shortened)

    def verdict(self, since: datetime, as_of: datetime) -> Verdict:
        """All of them together."""
        matters = tuple(self.findings), tuple(self.unproven), tuple(self.shortened)
        return Verdict(since, as_of, self.figures, *matters, tuple(self.absent), tuple(self.not_fired))


def instant_shown(instant: datetime | None) -> str:
    """An instant in the text of a matter."""
    return "-" if instant is None else instant.isoformat().replace("+00:00", "Z")
