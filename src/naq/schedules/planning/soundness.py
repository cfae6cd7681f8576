"""Whether a record that can be read can also be planned. The leader quarantines those that cannot."""

from __future__ import annotations

from typing import Final

from naq.exceptions import NaqError
from naq.schedules.record import Schedule
from naq.store.keys import check_queue

__all__ = ["PLANNING_ERRORS", "flaw_of", "flaw_text"]

PLANNING_ERRORS: Final = (NaqError, ArithmeticError, LookupError, TypeError, ValueError, AssertionError)
"""What a record can make planning raise that is well-formed but makes no sense, e.g. an interval of zero."""


def flaw_of(schedule: Schedule) -> str | None:
    """Why this schedule cannot be planned here, e.g. a zone that this machine does not know; ``None``: nothing is wrong."""
    try:
        check_queue(schedule.job.queue, "job.queue")
        schedule.nominals.next_after(schedule.created_at)
    except PLANNING_ERRORS as error:
        return flaw_text(error)
    return None


def flaw_text(error: Exception) -> str:
    """What planning raised, as the reason of a quarantine."""
    return f"it cannot be planned: {type(error).__name__}: {error}"
