"""A standing: the facts known about one subject of one rule, taken from events. A frozen record."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from naq.events import Event

__all__ = ["Failure", "Standing", "standing_of"]

LONGEST_TEXT = 500
"""Characters of an error that are stored."""


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """One failed run."""

    job_id: str
    at: datetime


class Standing(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The facts about one subject. Fields that a rule does not use keep their defaults."""

    subject: str
    """A schedule's id, a function's name, or a job's id."""
    schedule_id: str | None = None
    func: str | None = None
    queue: str | None = None
    job_id: str | None = None
    """The job of the last event."""
    attempt: int = 1
    since: datetime | None = None
    """Start of the measured time: the start of the run, the last success, or the first miss."""
    failures: tuple[Failure, ...] = ()
    """The last failed runs in a row, oldest first; at most as many as the rule needs."""
    missed: int = 0
    """Nominal times that were missed in a row."""
    note: str | None = None
    """The error of the last failure, or why the last nominal time was missed."""

    def evolve(self, **changes: Any) -> Standing:
        """A copy with some fields changed."""
        return msgspec.structs.replace(self, **changes)


def standing_of(subject: str, event: Event, **more: Any) -> Standing:
    """A standing with the fields of an event."""
    return Standing(
        subject=subject,
        schedule_id=event.schedule_id,
        func=event.func,
        queue=event.queue,
        job_id=event.job_id,
        attempt=event.attempt or 1,
        **more,
    )


def shortened(text: str | None) -> str | None:
    """A text cut at `LONGEST_TEXT` characters."""
    return text if text is None or len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
